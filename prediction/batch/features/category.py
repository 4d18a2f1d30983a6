"""Categories in files and frames: texts, None where a value is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from models_store.features.category import MAX_CHARACTERS, Category
from prediction.batch.features import arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

HELD: type = str


def read(feature: Category, raw: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Read an Arrow array of texts; a text that is no category looks wrong."""
    import pyarrow
    from pyarrow import compute

    if feature.open:
        return arrays.read_short(raw, MAX_CHARACTERS, feature.optional)
    if not arrays.is_textual(raw):
        return missing(len(raw)), np.ones(len(raw), bool)
    texts = arrays.trimmed(raw)
    unknown = len(feature.categories)
    found = compute.index_in(texts, value_set=pyarrow.array(feature.categories))
    codes = compute.fill_null(found, unknown).to_numpy(zero_copy_only=False)
    values = np.array([*feature.categories, None], object)[codes]
    is_missing = texts.is_null().to_numpy(zero_copy_only=False)
    is_unknown = codes == unknown
    return values, is_unknown & ~is_missing if feature.optional else is_unknown


def missing(rows: int) -> NDArray[Any]:
    """Return a column of missing values."""
    return np.full(rows, None, object)


def plain(values: NDArray[Any]) -> list[Any]:
    """Return values as JSON holds them; None is a missing value."""
    return list(values.tolist())
