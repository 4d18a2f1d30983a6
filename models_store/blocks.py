"""Columns cut into blocks of rows, so that what is made of many rows need not be in memory at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

ROWS = 20_000
"""Rows of a block."""


def of(columns: Mapping[str, list[Any]], rows: int = ROWS) -> Iterator[tuple[int, dict[str, list[Any]]]]:
    """Cut columns into blocks; return the number of the first row of each, and its columns."""
    count = len(next(iter(columns.values())))
    for start in range(0, count, rows):
        yield start, {name: values[start : start + rows] for name, values in columns.items()}
