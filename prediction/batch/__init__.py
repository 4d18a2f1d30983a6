"""Files and frames of any size, scored in this process or by a server: `batch.score` is the way in."""

from prediction.batch.scoring import score

__all__ = ["score"]
