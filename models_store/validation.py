"""Validation of bodies against pydantic models, with errors in plain words.

The work and the length of an error have limits, whatever the body is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar, get_args

from pydantic import BaseModel, FailFast, TypeAdapter, ValidationError
from pydantic_core import from_json

from models_store import arrays
from models_store.arrays import Slice
from models_store.errors import Detail, InvalidInput

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MAX_PLACES = 100
"""Validation of an array ends when so many wrong places are found."""

MAX_ERRORS_A_ROW = 10

MAX_NAMES = 20
"""A message lists at most so many names."""

MAX_NAME = 64
"""Characters of a name in a message; the rest is cut off."""

ROW_BYTES = 65_536
"""The size that one row may have; more if its fields and categories need more."""

SPLIT_IT = "rows in a batch: split it"
"""The error of an array that is too long. A client of ours recognises it by these words."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Some editors write it before a text; it is no part of the JSON."""

Row = TypeVar("Row", bound=BaseModel)


def clip(name: str) -> str:
    """Return a name, cut to a length that fits a message."""
    return name if len(name) <= MAX_NAME else name[: MAX_NAME - 1] + "…"


def listing(names: Iterable[str]) -> str:
    """Return names as a list in a message: "rye, wheat and 30 more"."""
    every = list(names)
    shown = ", ".join(clip(name) for name in every[:MAX_NAMES])
    return shown + (f" and {len(every) - MAX_NAMES} more" if len(every) > MAX_NAMES else "")


@dataclass
class _Wrong:
    """The wrong places to list, and how many were found."""

    detail: list[Detail] = field(default_factory=list)
    found: int = 0

    @property
    def is_full(self) -> bool:
        """Whether no more places are listed, so that the search may end."""
        return len(self.detail) >= MAX_PLACES

    def add(self, detail: list[Detail], found: int = 1) -> None:
        """Note the places of one row."""
        self.detail = (self.detail + detail)[:MAX_PLACES]
        self.found += found


class Validator(Generic[Row]):
    """Validates one row, or an array of rows, given as JSON or as Python objects.

    Every method raises `InvalidInput`, with a detail for each wrong place, at most `MAX_PLACES`.

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
        self.row_bytes = max(ROW_BYTES, _needed_bytes(model))
        self._subject = subject
        self._expected = expected
        self._fields = model.model_fields
        kinds = {name: info.annotation for name, info in self._fields.items()}
        texts = [
            name for name, kind in kinds.items() if _is_text(kind) and self._fields[name].is_required()
        ]
        self._texts_a_row = len(texts)
        self._maybe_texts = [n for n, kind in kinds.items() if n not in texts and _may_be_text(kind)]
        self._array: TypeAdapter[list[Row]] | None = None

    def row(self, raw: bytes) -> Row:
        """Validate the JSON of one row."""
        raw = raw.removeprefix(BYTE_ORDER_MARK)
        try:
            row: Row = self.model.__pydantic_validator__.validate_json(raw)
        except ValidationError as error:
            raise self._refusal_of_row(raw, error) from None
        if raw.count(b'"') != self._quotes([row]):
            self._demand_unique_keys(raw, [()])
        return row

    def rows(self, raw: bytes, max_rows: int) -> list[Row]:
        """Validate the JSON of an array of at most `max_rows`; errors name the index of a wrong row."""
        return [row for part in self.parts(raw, max_rows) for row in part]

    def parts(self, raw: bytes, max_rows: int) -> Iterator[list[Row]]:
        """Validate as `rows` does, some hundred rows at a time. The rows count only if all parts are valid.

        A server does other work between the parts.
        """
        raw = raw.removeprefix(BYTE_ORDER_MARK)
        if len(raw) > arrays.PART_BYTES:
            raw = raw.strip(b" \t\r\n")
            if not raw.startswith(b"["):
                raise self._refusal(_at([], "send an array of rows"))
        wrong, first = _Wrong(), 0
        for part in arrays.cut(raw, self.row_bytes):
            rows = self._part(part, first)
            first += self._list_wrong(part, first, max_rows, wrong) if rows is None else len(rows)
            if first > max_rows:
                raise self._refusal(_at([], f"at most {max_rows} {SPLIT_IT}"))
            if wrong.is_full:
                break
            yield rows or []
        if wrong.found:
            raise self._refusal(wrong)

    def object(self, raw: object) -> Row:
        """Validate one row given as a Python object."""
        try:
            return self.model.model_validate(raw)
        except ValidationError as error:
            raise self._refusal(_Wrong(self._details(error), error.error_count())) from None

    def check(self, rows: Iterable[tuple[int, Any]]) -> Iterator[None]:
        """Validate rows given as Python objects, each with its number; yield after each of them.

        A server does other work between the rows.
        """
        wrong = _Wrong()
        for number, row in rows:
            if wrong.is_full:
                break
            self._check(row, number, wrong)
            yield
        if wrong.found:
            raise self._refusal(wrong)

    # ------------------------------------------------------------------------------ keys given twice

    def _quotes(self, rows: list[Row]) -> int:
        """Return how many quotation marks the JSON of rows has, if no key is repeated in it."""
        marked = self._texts_a_row * len(rows)
        for row in rows:
            marked += len(row.__pydantic_fields_set__)
        for name in self._maybe_texts:
            marked += sum([isinstance(row.__dict__[name], str) for row in rows])
        return 2 * marked

    def _demand_unique_keys(self, text: bytes, places: Iterable[Sequence[Any]]) -> None:
        """Refuse a repeated key. This is slow: only texts with too many quotation marks come here.

        Parameters
        ----------
        places
            The place of each object of the text.
        """
        for key, place in zip(arrays.repeated_keys(text), places, strict=True):
            if key is not None:
                raise self._refusal(_at([*place, clip(key)], "is given twice: send each field once"))

    # -------------------------------------------------------------------------------- parts of arrays

    def _part(self, part: Slice, first: int) -> list[Row] | None:
        """Return the rows of a part, or None if something is wrong in it."""
        if not part.is_whole:
            return None
        if self._array is None:
            kind: Any = Annotated[list[self.model], FailFast()]  # type: ignore[name-defined]
            self._array = TypeAdapter(kind)
        try:
            rows = self._array.validate_json(part.text)
        except ValidationError:
            return None
        if part.text.count(b'"') != self._quotes(rows):
            self._demand_unique_keys(part.text, ((first + index,) for index in range(len(rows))))
        return rows

    def _list_wrong(self, part: Slice, first: int, max_rows: int, wrong: _Wrong) -> int:
        """Note the wrong places of a part; return how many rows it has."""
        try:
            items = from_json(part.text, allow_partial=not part.is_whole)
        except ValueError as error:
            raise self._refusal(_at([], _not_json(str(error), first))) from None
        if not isinstance(items, list):
            raise self._refusal(_at([], "send an array of rows"))
        if first + len(items) > max_rows:
            return len(items)
        for index, item in enumerate(items if part.is_whole else items[:-1], first):
            if wrong.is_full:
                break
            self._check(item, index, wrong)
        if not part.is_whole:
            place = [first + max(0, len(items) - 1)]
            wrong.add([{"loc": place, "msg": f"the row is larger than {self.row_bytes} bytes"}])
        if not wrong.found:
            raise RuntimeError("a part of an array was refused, and each of its rows is accepted")
        return len(items)

    def _check(self, item: Any, index: int, wrong: _Wrong) -> None:
        narrow = self._narrow(item)
        try:
            self.model.model_validate(narrow)
        except ValidationError as error:
            left_out = len(item) - len(narrow) if isinstance(item, dict) else 0
            wrong.add(self._details(error, [index]), error.error_count() + left_out)

    def _narrow(self, item: Any) -> Any:
        """Return a row without most of its unknown fields: each would be an error."""
        if not isinstance(item, dict) or len(item) <= len(self._fields):
            return item
        known = {name: item[name] for name in self._fields if name in item}
        unknown = ((name, None) for name in item if name not in self._fields)
        return known | dict(islice(unknown, MAX_ERRORS_A_ROW))

    # --------------------------------------------------------------------------------- errors in words

    def _refusal_of_row(self, raw: bytes, error: ValidationError) -> InvalidInput:
        found = error.error_count()
        if found > MAX_PLACES:
            try:
                self.model.model_validate(self._narrow(from_json(raw)))
            except ValidationError as short:
                error = short
        return self._refusal(_Wrong(self._details(error), found))

    def _refusal(self, wrong: _Wrong) -> InvalidInput:
        first = wrong.detail[0]
        place = ".".join(str(part) for part in first["loc"])
        message = f"invalid input for {self._subject}: " + (f"{place}: " if place else "") + first["msg"]
        if wrong.is_full:
            message += f" (and more: detail has the first {len(wrong.detail)})"
        elif wrong.found > 1:
            message += f" (and {wrong.found - 1} more, see detail)"
        last = [str(item["loc"][-1]) for item in wrong.detail if item["loc"]]
        return InvalidInput(message, wrong.detail, [name for name in last if name in self._expected])

    def _details(self, error: ValidationError, place: Sequence[Any] = ()) -> list[Detail]:
        found = error.errors(include_url=False, include_input=False)
        return [self._detail(item, place) for item in found[:MAX_ERRORS_A_ROW]]

    def _detail(self, item: ErrorDetails, place: Sequence[Any]) -> Detail:
        loc: list[Any] = [*place, *(clip(part) if isinstance(part, str) else part for part in item["loc"])]
        kind = item["type"]
        expected = self._expected.get(str(item["loc"][-1])) if item["loc"] else None
        if kind == "json_invalid":
            loc, message = [], _not_json(item["msg"].removeprefix("Invalid JSON: "))
        elif kind in ("model_type", "model_attributes_type", "dict_type"):
            message = f"send an object with the fields {listing(self._expected)}"
        elif kind == "missing" and expected:
            message = f"is required: {expected}"
        elif kind == "reason" and expected and item["msg"]:
            message = f"must be {expected}; {item['msg']}"
        elif kind == "extra_forbidden":
            message = f"unknown field; the fields are {listing(self._expected)}"
        elif expected:
            message = f"must be {expected}"
        else:
            message = item["msg"]
        return {"loc": loc, "msg": message}


def _at(place: list[Any], message: str) -> _Wrong:
    return _Wrong([{"loc": place, "msg": message}], 1)


def _not_json(reason: str, first: int = 0) -> str:
    """Say why a text is not JSON. A position in a later part of an array is none in the body."""
    if first:
        reason = f"after row {first - 1}: {reason.partition(' at line ')[0]}"
    return f"the body is not JSON: {reason}"


def _words(annotation: Any) -> list[str]:
    """Return the texts that a type allows, also as part of a union."""
    inner = get_args(annotation)
    return [word for kind in inner for word in ([kind] if isinstance(kind, str) else _words(kind))]


def _is_text(annotation: Any) -> bool:
    return annotation in (str, datetime) or (
        bool(get_args(annotation)) and _words(annotation) == list(get_args(annotation))
    )


def _may_be_text(annotation: Any) -> bool:
    kinds = (annotation, *get_args(annotation))
    return bool(_words(annotation)) or str in kinds or datetime in kinds


def _needed_bytes(model: type[BaseModel]) -> int:
    """Return the size of a large JSON of a row, in which each character is written as two escapes."""
    names = [
        len(name) + max([0, *map(len, _words(info.annotation)), *map(_characters, info.metadata)])
        for name, info in model.model_fields.items()
    ]
    return sum(12 * characters + 100 for characters in names)


def _characters(mark: Any) -> int:
    """Return the most characters that a value may have, as a mark of its field says."""
    return getattr(mark, "characters", 0)
