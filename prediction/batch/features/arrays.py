"""Columns of texts read from Arrow arrays: the rule of `models_store.features.texts` for a whole column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def is_textual(raw: Any) -> bool:
    """Tell whether an array holds texts, perhaps as a dictionary; Arrow could cast numbers too."""
    from pyarrow import types

    kind = raw.type.value_type if types.is_dictionary(raw.type) else raw.type
    textual = (types.is_string, types.is_large_string, types.is_string_view, types.is_binary, types.is_null)
    return any(is_kind(kind) for is_kind in textual)


def trimmed(raw: Any) -> Any:
    """Return texts without the blanks around them; an empty one is missing."""
    import pyarrow
    from pyarrow import compute

    texts = compute.utf8_trim_whitespace(compute.cast(raw, pyarrow.string()))
    return compute.if_else(compute.equal(texts, ""), None, texts)


def read_short(raw: Any, max_characters: int, optional: bool) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Read an Arrow array of texts of at most so many characters."""
    from pyarrow import compute

    if not is_textual(raw):
        return np.full(len(raw), None, object), np.ones(len(raw), bool)
    texts = trimmed(raw)
    is_long = compute.greater(compute.utf8_length(texts), max_characters)
    is_wrong = compute.or_(is_long, compute.match_substring(texts, "\0"))
    wrong = compute.fill_null(is_wrong, not optional).to_numpy(zero_copy_only=False)
    return np.array(texts.to_pylist(), object), np.array(wrong, bool)
