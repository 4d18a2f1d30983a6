"""Validated rows that came by column. They are scored and written by column, with no object for a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

from pydantic_core import to_json

from models_store.spec import Columns, Features, Spec


class ColumnTable(Sequence[Features]):
    """Rows of a spec by column. An element is made when it is asked for.

    Parameters
    ----------
    columns
        The valid values of every feature, in the order of the spec.
    rows
        How many each column has.
    """

    def __init__(self, spec: Spec, columns: Columns, rows: int) -> None:
        self.spec = spec
        self.columns = columns
        self._rows = rows

    def __len__(self) -> int:
        return self._rows

    def __iter__(self) -> Iterator[Features]:
        make = self.spec.features.model_construct
        for values in zip(*self.columns.values(), strict=True):
            yield make(**dict(zip(self.columns, values, strict=True)))

    @overload
    def __getitem__(self, place: int) -> Features: ...

    @overload
    def __getitem__(self, place: slice) -> ColumnTable: ...

    def __getitem__(self, place: int | slice) -> Features | ColumnTable:
        if isinstance(place, slice):
            cut = {name: values[place] for name, values in self.columns.items()}
            return ColumnTable(self.spec, cut, len(range(*place.indices(self._rows))))
        row = range(self._rows)[place]
        return next(iter(self[row : row + 1]))

    def texts(self) -> list[str]:
        """Return each row as JSON, as its `Features` writes it."""
        written = [to_json(name).decode().replace("%", "%%") for name in self.columns]
        template = "{" + ",".join(f"{name}:%s" for name in written) + "}"
        return [template % row for row in zip(*map(_texts, self.columns.values()), strict=True)]


def _texts(values: Sequence[Any]) -> list[str]:
    """Return the JSON of each value. Without a text among them, only commas are between them."""
    whole = to_json(values).decode()
    if '"' not in whole:
        return whole[1:-1].split(",") if values else []
    known = {value: to_json(value).decode() for value in set(values)}
    return [known[value] for value in values]
