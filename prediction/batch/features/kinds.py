"""The part of each kind of feature in files and frames, found by its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from models_store.features.feature import Feature
from prediction.batch.features import category, number

if TYPE_CHECKING:
    from numpy.typing import NDArray

Column = tuple["NDArray[Any]", "NDArray[np.bool_]"]
"""The values of a feature, and which of them look wrong."""


class FeatureColumns(Protocol):
    """What files and frames need to know of a kind. A module is a part."""

    HELD: type
    """The type of a cell: float, int, bool or str."""

    def read(self, feature: Any, raw: Any) -> Column:
        """Read an Arrow array; `ArrowException` if it can't be read as a whole."""

    def missing(self, rows: int) -> NDArray[Any]:
        """Return a column of missing values."""

    def plain(self, values: NDArray[Any]) -> list[Any]:
        """Return values as JSON holds them; None is a missing value."""


PARTS: dict[str, FeatureColumns] = {"number": number, "category": category}


def of(feature: Feature) -> FeatureColumns:
    """Return the part of a feature's kind."""
    return PARTS[feature.kind]
