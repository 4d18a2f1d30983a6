"""The distribution of whole numbers is that of numbers."""

from __future__ import annotations

from prediction.figures.features import number

KEY = number.KEY
profile = number.profile
compare = number.compare
unlike = number.unlike
