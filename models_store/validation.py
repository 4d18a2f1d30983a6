"""Validation of bodies against pydantic models, with errors in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby, islice
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from models_store.errors import Detail, InvalidInput

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MAX_ERRORS = 100_000
"""A body with more errors gets only their number: a list of them would block a worker."""

MAX_ERRORS_A_ROW = 10

SPLIT_IT = "rows in a batch: split it"
"""The error of an array that is too long. A client of ours recognises it by these words."""

Row = TypeVar("Row", bound=BaseModel)


def _row_of(item: ErrorDetails) -> int | None:
    first = item["loc"][0] if item["loc"] else None
    return first if isinstance(first, int) else None


class Validator(Generic[Row]):
    """Validates one row, or an array of rows, given as JSON or as Python objects.

    Every method raises `InvalidInput`, with a detail for each wrong place.

    Parameters
    ----------
    model
        The pydantic model of a row.
    subject
        What the rows are for; messages name it.
    expected
        Describes a valid value of each field: "a number from 1 to 9 cm".
    """

    def __init__(self, model: type[Row], subject: str, expected: Mapping[str, str]) -> None:
        self.model = model
        self._subject = subject
        self._expected = expected
        self._arrays: dict[int, TypeAdapter[list[Row]]] = {}

    def row(self, raw: bytes) -> Row:
        """Validate the JSON of one row."""
        try:
            return self.model.__pydantic_validator__.validate_json(raw)  # type: ignore[no-any-return]
        except ValidationError as error:
            raise self._explain(error) from None

    def rows(self, raw: bytes, max_rows: int) -> list[Row]:
        """Validate the JSON of an array of at most `max_rows`; errors name the index of a wrong row."""
        if max_rows not in self._arrays:
            kind = Annotated[list[self.model], Field(max_length=max_rows)]  # type: ignore[name-defined]
            self._arrays[max_rows] = TypeAdapter(kind)
        try:
            return self._arrays[max_rows].validate_json(raw)
        except ValidationError as error:
            raise self._explain(error) from None

    def object(self, raw: object) -> Row:
        """Validate one row given as a Python object."""
        try:
            return self.model.model_validate(raw)
        except ValidationError as error:
            raise self._explain(error) from None

    def _explain(self, error: ValidationError) -> InvalidInput:
        if error.error_count() > MAX_ERRORS:
            return InvalidInput(f"invalid input for {self._subject}: {error.error_count()} errors")
        found = error.errors(include_url=False, include_input=False)
        detail: list[Detail] = []
        for _, row in groupby(found, key=_row_of):
            detail += [self._detail(item) for item in islice(row, MAX_ERRORS_A_ROW)]
        first = detail[0]
        place = ".".join(str(part) for part in first["loc"])
        message = f"invalid input for {self._subject}: " + (f"{place}: " if place else "") + first["msg"]
        if len(found) > 1:
            message += f" (and {len(found) - 1} more, see detail)"
        last = [str(item["loc"][-1]) for item in detail if item["loc"]]
        return InvalidInput(message, detail, [name for name in last if name in self._expected])

    def _detail(self, item: ErrorDetails) -> Detail:
        loc: list[Any] = list(item["loc"])
        kind, fields = item["type"], ", ".join(self._expected)
        expected = self._expected.get(str(loc[-1])) if loc else None
        if kind == "json_invalid":
            loc, message = [], "the body is not JSON: " + item["msg"].removeprefix("Invalid JSON: ")
        elif kind in ("model_type", "model_attributes_type", "dict_type"):
            message = f"send an object with the fields {fields}"
        elif kind == "list_type":
            message = "send an array of rows"
        elif kind == "too_long" and not expected:
            message = f"at most {item['ctx']['max_length']} {SPLIT_IT}"
        elif kind == "missing" and expected:
            message = f"is required: {expected}"
        elif kind == "extra_forbidden":
            message = f"unknown field; the fields are {fields}"
        elif expected:
            message = f"must be {expected}"
        else:
            message = item["msg"]
        return {"loc": loc, "msg": message}
