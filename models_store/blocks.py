"""Columns of many rows: numbers kept in arrays, and columns cut into blocks.

So what is made of many rows need not be in memory at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

ROWS = 20_000
"""Rows of a block."""


class Floats(Sequence[float | None]):
    """Numbers of 8 bytes each, where a list of Python's floats takes 32; a missing one is None.

    Parameters
    ----------
    values
        A missing number is NaN.
    rows
        Which of the values these are, in which order; by default all. They are not copied.
    """

    __slots__ = ("_rows", "_values")

    def __init__(self, values: NDArray[np.float64], rows: NDArray[np.intp] | None = None) -> None:
        self._values, self._rows = values, rows

    def __len__(self) -> int:
        return len(self._values if self._rows is None else self._rows)

    @overload
    def __getitem__(self, place: int) -> float | None: ...
    @overload
    def __getitem__(self, place: slice) -> Floats: ...
    def __getitem__(self, place: int | slice) -> float | Floats | None:
        if isinstance(place, slice):
            return self._part(place)
        value = self._values.item(place if self._rows is None else self._rows.item(place))
        return value if value == value else None  # NaN is not equal to itself

    def __iter__(self) -> Iterator[float | None]:
        for start in range(0, len(self), ROWS):
            block = np.asarray(self._part(slice(start, start + ROWS)))
            if np.isnan(block).any():
                yield from (value if value == value else None for value in block.tolist())
            else:
                yield from block.tolist()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Floats):
            return np.array_equal(np.asarray(self), np.asarray(other), equal_nan=True)
        return list(self) == other

    __hash__ = None  # type: ignore[assignment]  # as a list has none

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if self._rows is None:
            return np.array(self._values, dtype, copy=copy)
        return np.asarray(self._values[self._rows], dtype)

    def _part(self, places: slice) -> Floats:
        if self._rows is None:
            return Floats(self._values[places])
        return Floats(self._values, self._rows[places])

    def take(self, places: NDArray[np.intp]) -> Floats:
        """Return the values at some places."""
        return Floats(self._values, places if self._rows is None else self._rows[places])

    def plus(self, others: Sequence[float | None]) -> Floats:
        """Return these values and others behind them."""
        return Floats(np.concatenate([np.asarray(self), np.array(others, np.float64)])) if others else self


def taken(columns: Mapping[str, Sequence[Any]], rows: Sequence[int]) -> dict[str, Sequence[Any]]:
    """Return some rows of columns."""
    places = np.asarray(rows, np.intp)
    return {
        name: values.take(places) if isinstance(values, Floats) else [values[row] for row in rows]
        for name, values in columns.items()
    }


def joined(
    columns: Mapping[str, Sequence[Any]], others: Mapping[str, Sequence[Any]]
) -> dict[str, Sequence[Any]]:
    """Return the rows of columns, and other rows behind them."""
    return {
        name: values.plus(others[name]) if isinstance(values, Floats) else [*values, *others[name]]
        for name, values in columns.items()
    }


def of(
    columns: Mapping[str, Sequence[Any]], rows: int = ROWS
) -> Iterator[tuple[int, dict[str, Sequence[Any]]]]:
    """Cut columns into blocks; return the number of the first row of each, and its columns."""
    count = len(next(iter(columns.values())))
    for start in range(0, count, rows):
        yield start, {name: values[start : start + rows] for name, values in columns.items()}
