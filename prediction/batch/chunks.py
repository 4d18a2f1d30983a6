"""Some rows of a file or a frame, by column: what sources give, and what is validated."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """A row of a CSV that does not have as many cells as the header.

    Parameters
    ----------
    number
        Counted from 1, without the header.
    cells, expected
        How many cells the row and the header have.
    text
        The beginning of the row, as it stands in the file.
    """

    number: int
    cells: int
    expected: int
    text: str

    @property
    def reason(self) -> str:
        """Say what is wrong."""
        return f"has {self.cells} cell{'s' * (self.cells != 1)} where the header has {self.expected}"

    def values(self) -> list[str | None]:
        """Return the cells that it has, None for empty ones."""
        lines = self.text.splitlines(keepends=True)
        return [cell or None for cell in next(csv.reader(lines, skipinitialspace=True), [])]


@dataclass(frozen=True)
class Chunk:
    """Some rows.

    Parameters
    ----------
    columns
        By name an Arrow array, or a list where the values are of several types.
    rows
        How many rows there are.
    broken
        The broken rows by their position in the chunk; their values in `columns` are missing.
    """

    columns: Mapping[str, Any]
    rows: int
    broken: Mapping[int, BrokenRow] = field(default_factory=dict)

    def renamed(self, names: Mapping[str, str]) -> Chunk:
        """Return the rows with other names for some columns."""
        if not names:
            return self
        return replace(self, columns={names.get(name, name): each for name, each in self.columns.items()})

    def by_row(self) -> list[Row]:
        """Return each row as its values by name; None is a missing value."""
        names = list(self.columns)
        values = [
            column if isinstance(column, list) else column.to_pylist() for column in self.columns.values()
        ]
        cells = zip(*values, strict=True) if names else repeat((), self.rows)
        return [dict(zip(names, row, strict=True)) for row in cells]
