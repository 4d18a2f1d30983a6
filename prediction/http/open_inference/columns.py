"""Validation of rows that come by column: the rules and the words are those of a batch of rows."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import FailFast, TypeAdapter, ValidationError

from models_store.spec import Spec

PART_ROWS = 500
"""Rows that are validated at once; then other requests have their turn."""


class ColumnValidator:
    """Validates columns of values against the features of a spec."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._columns: dict[str, TypeAdapter[list[Any]]] = {}
        for name, info in spec.features.model_fields.items():
            value: Any = Annotated[(info.annotation, *info.metadata)]
            kind: Any = Annotated[list[value], FailFast()]
            self._columns[name] = TypeAdapter(kind)

    async def validate(self, given: Mapping[str, list[Any]], rows: int) -> dict[str, list[Any]]:
        """Return the valid values of all features; those without a column are missing.

        Raises
        ------
        InvalidInput
            With a detail for each wrong place, at most as many as a batch has.
        """
        absent = [name for name in self._columns if name not in given]
        found: dict[str, list[Any]] = {
            name: [None] * rows if name in absent else [] for name in self._columns
        }
        is_whole = all(self._spec.inputs[name].optional for name in absent)
        for start in range(0, rows, PART_ROWS):
            if not is_whole or not self._add(given, start, found):
                await self._refuse(given, start)
            await asyncio.sleep(0)
        return found

    def _add(self, given: Mapping[str, list[Any]], start: int, found: dict[str, list[Any]]) -> bool:
        """Add the valid values of a part; return False if one is not valid."""
        try:
            for name, values in given.items():
                found[name] += self._columns[name].validate_python(values[start : start + PART_ROWS])
        except ValidationError:
            return False
        return True

    async def _refuse(self, given: Mapping[str, list[Any]], start: int) -> None:
        """Raise the error of the rows from `start` on."""
        rows = zip(*(values[start:] for values in given.values()), strict=True)
        objects = (dict(zip(given, row, strict=True)) for row in rows)
        for number, _ in enumerate(self._spec.rows.check(enumerate(objects, start))):
            if number % PART_ROWS == 0:
                await asyncio.sleep(0)
        raise RuntimeError("a column was refused, and each of its rows is accepted")
