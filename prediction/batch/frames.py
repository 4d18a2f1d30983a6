"""Validation of chunks against a spec, a whole column at a time; pandas frames as chunks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from models_store.errors import Detail, InvalidInput
from models_store.features.feature import Feature
from models_store.spec import Spec
from prediction.batch.chunks import Chunk, Row
from prediction.batch.features import kinds
from prediction.batch.features.kinds import Column

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

SHOWN = 40
"""Characters of a text that are shown."""

MAX_NAMES = 20
"""Names of columns that are shown."""


@dataclass(frozen=True)
class BadValue:
    """A value that the spec refuses.

    Parameters
    ----------
    row
        Counted from 1.
    field
        The name of the feature; empty if the whole row is refused.
    reason
        In the words of the spec's validator.
    """

    row: int
    field: str
    reason: str

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}" if self.field else self.reason


@dataclass(frozen=True)
class Rows:
    """The valid rows of a chunk.

    Parameters
    ----------
    kept
        Which rows of the chunk are valid, shape (rows of the chunk,).
    columns
        Their features, each of shape (valid rows,): float64 with NaN for missing values, or texts with
        None.
    bad_values
        Why the other rows are refused.
    first_row
        The number of the chunk's first row.
    """

    kept: NDArray[np.bool_]
    columns: dict[str, NDArray[Any]]
    bad_values: list[BadValue]
    first_row: int = 1

    def __len__(self) -> int:
        return int(self.kept.sum())

    @property
    def numbers(self) -> list[int]:
        """The numbers of the valid rows."""
        return (np.flatnonzero(self.kept) + self.first_row).tolist()


def demand(spec: Spec, names: Sequence[str], where: str) -> None:
    """Check that each feature that is not optional has a column, and that no name is used twice.

    Raises
    ------
    InvalidInput
        Naming the columns, and `where` they are missing.
    """
    twice = [name for name, columns in Counter(names).items() if columns > 1]
    if twice:
        raise InvalidInput(f"{where}: two columns are named '{twice[0]}': rename one of them")
    absent = [name for name, item in spec.inputs.items() if name not in names and not item.optional]
    if absent or not set(names) & set(spec.inputs):
        wanted = ", ".join(_called(spec, name) for name in absent or spec.inputs)
        found = ", ".join(map(str, names[:MAX_NAMES]))
        raise InvalidInput(
            f"{where}: a column is missing: {spec.name} needs {wanted}, and there is {found or 'none'}"
        )


def _called(spec: Spec, name: str) -> str:
    header = spec.inputs[name].header
    return name if header in ("", name) else f"{name} (or {header!r})"


def column_types(spec: Spec) -> dict[str, type]:
    """Return the type of the cells of each feature."""
    return {name: kinds.of(feature).HELD for name, feature in spec.inputs.items()}


def from_pandas(frame: pd.DataFrame, spec: Spec) -> Chunk:
    """Take a frame's columns of features."""
    names = [name for name in spec.inputs if name in frame]
    return Chunk({name: _from_series(frame[name]) for name in names}, len(frame))


def _from_series(series: pd.Series) -> Any:
    import pyarrow

    try:
        found = pyarrow.array(series, from_pandas=True)
        # Arrow gives objects one type: a time becomes a date, one without offset a time of UTC.
        if series.dtype != object or not pyarrow.types.is_temporal(found.type):
            return found
    except (pyarrow.lib.ArrowException, OverflowError, TypeError, ValueError):
        pass  # values of several types
    pairs = zip(series.tolist(), series.isna(), strict=True)
    return [None if missing else value for value, missing in pairs]


def validate(spec: Spec, chunk: Chunk, first_row: int) -> Rows:
    """Split a chunk into rows that the spec accepts, and values that it refuses.

    Whole columns are checked first. Only a suspect row, in which something looks wrong, is given to the
    spec's own validator, which decides and gives the reason.

    Parameters
    ----------
    first_row
        The number of the chunk's first row.
    """
    columns, suspect = check_columns(spec, chunk)
    suspect[list(chunk.broken)] = True
    kept = ~suspect
    bad_values: list[BadValue] = []
    for position in np.flatnonzero(suspect).tolist():
        number = first_row + position
        if position in chunk.broken:
            bad_values.append(BadValue(number, "", chunk.broken[position].reason))
            continue
        row = _row(spec, chunk, position)
        try:
            valid = spec.rows.object(row)
        except InvalidInput as error:
            bad_values += _bad_values(spec, number, row, error)
        else:
            kept[position] = True
            for name, column in columns.items():
                column[position] = getattr(valid, name)  # in a column of numbers None becomes NaN
    return Rows(kept, {name: column[kept] for name, column in columns.items()}, bad_values, first_row)


# ------------------------------------------------------------------------------- one row by itself


def _row(spec: Spec, chunk: Chunk, position: int) -> Row:
    """Return the features of a row as HTTP would send them: a missing value is left out."""
    columns = {name: chunk.columns[name] for name in spec.inputs if name in chunk.columns}
    values = {name: _value(column, position) for name, column in columns.items()}
    return {name: value for name, value in values.items() if value is not None}


def _value(column: Any, position: int) -> Any:
    value = column[position] if isinstance(column, list) else _as_object(column[position])
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Decimal):
        value = float(value)
    is_missing = isinstance(value, float) and np.isnan(value)  # frames write NaN for a missing value
    return None if is_missing else value


def _as_object(cell: Any) -> Any:
    """Return a cell of an Arrow array; a text if no object of Python holds it, or if it is one as bytes."""
    try:
        value = cell.as_py()
    except (OverflowError, ValueError):  # a time after the year 9999
        return f"{cell.value} of {cell.type}"
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def _bad_values(spec: Spec, number: int, row: Row, error: InvalidInput) -> list[BadValue]:
    places = error.detail or [{"loc": [], "msg": str(error)}]
    return [
        BadValue(number, ".".join(map(str, place["loc"])), _reason(spec, row, place)) for place in places
    ]


def _reason(spec: Spec, row: Row, place: Detail) -> str:
    """Return the reason, with the text that stands in a number's place: a file does not show types."""
    feature = spec.inputs.get(str(place["loc"][-1])) if place["loc"] else None
    value = row.get(feature.name) if feature is not None and not feature.is_text else None
    if not isinstance(value, str):
        return str(place["msg"])
    shown = value[:SHOWN].encode("utf-8", "backslashreplace").decode()  # may hold half a character
    way = spec.dialect.words(feature.name) if spec.dialect is not None and feature is not None else ""
    return f'{place["msg"]}{f", {way}" if way else ""}, and is the text "{shown}"'


# ----------------------------------------------------------------------------------- whole columns


def check_columns(spec: Spec, chunk: Chunk) -> tuple[dict[str, NDArray[Any]], NDArray[np.bool_]]:
    """Check whole columns; return the values of each feature, and which rows look wrong."""
    suspect = np.zeros(chunk.rows, bool)
    columns: dict[str, NDArray[Any]] = {}
    for name, feature in spec.inputs.items():
        columns[name], wrong = _column(feature, chunk.columns.get(name), chunk.rows)
        suspect |= wrong
    return columns, suspect


def _column(feature: Feature, raw: Any, rows: int) -> Column:
    import pyarrow

    part = kinds.of(feature)
    if raw is None:
        return part.missing(rows), np.full(rows, not feature.optional)
    if isinstance(raw, list):
        return part.missing(rows), np.ones(rows, bool)
    try:
        return part.read(feature, raw)
    except pyarrow.lib.ArrowException:
        return part.missing(rows), np.ones(rows, bool)
