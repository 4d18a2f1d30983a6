"""The service of this project, as `bentoml serve` and `bentoml build` load it: `service:prediction`."""

from prediction.service import prediction

__all__ = ["prediction"]
