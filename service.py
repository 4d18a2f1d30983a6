"""The service of this project or Bento: `bentoml serve` and `bentoml build` load `service:prediction`."""

import sys
from pathlib import Path

# `bentoml serve prediction:TAG` first looks for a module of that name. Where this package is installed it
# finds that one, and would then serve the installed code in place of the Bento's.
found = sys.modules.get("prediction")
if found is not None and Path(str(found.__file__)).parents[1] != Path(__file__).parent:
    del sys.modules["prediction"]

from prediction.service import prediction  # noqa: E402

__all__ = ["prediction"]
