"""The hash of each row: it says on which side of the split a row is, so it never changes.

A row is hashed as JSON writes it. Pydantic writes numbers faster, and most of them in the same way.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic_core import to_json

from models_store import blocks
from models_store.blocks import Floats
from models_store.spec import Columns

SMALL, LARGE = 1e-4, 1e16
"""Numbers between them are written without an exponent, in the same way by all."""

_write = json.JSONEncoder().encode


def of(columns: Columns) -> list[str]:
    """Return the SHA-256 of the features of each row. A number is the same whatever type it came as."""
    read = {name: _as_floats(values) for name, values in columns.items()}
    found: list[str] = []
    for _, block in blocks.of(read):
        written = [_texts(values) for values in block.values()]
        rows = (b"[%b]" % b", ".join(row) for row in zip(*written, strict=True))
        found += (hashlib.sha256(row).hexdigest() for row in rows)
    return found


def plain(columns: Columns) -> list[str]:
    """Return the SHA-256 of each row as earlier releases hashed it: 1 and 1.0 differ."""
    return [hashlib.sha256(_write(row).encode()).hexdigest() for row in zip(*columns.values(), strict=True)]


def _as_floats(values: Sequence[Any]) -> Sequence[Any]:
    """Return values with integers and booleans as floats; those that have none as they are."""
    if isinstance(values, Floats) or set(map(type, values)) <= {float, str, type(None)}:
        return values
    return [float(value) if isinstance(value, int) else value for value in values]


def _texts(values: Sequence[Any]) -> list[bytes]:
    """Return each value as JSON."""
    if isinstance(values, Floats):
        return _of_floats(values)
    kinds = set(map(type, values))
    if kinds <= {str, type(None)}:
        known = {value: _write(value).encode() for value in set(values)}
        return [known[value] for value in values]
    return [_write(value).encode() for value in values]


def _of_floats(values: Floats) -> list[bytes]:
    numbers = np.asarray(values)
    size, texts = np.abs(numbers), to_json(numbers.tolist())[1:-1].split(b",")
    is_alike = ((size >= SMALL) & (size < LARGE)) | (size == 0)
    for row in np.flatnonzero(~is_alike).tolist():
        texts[row] = _write(values[row]).encode()
    return texts
