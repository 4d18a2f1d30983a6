"""Rows by column, in chunks of Arrow arrays: validated a whole column at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from models_store.errors import Detail, InvalidInput
from models_store.spec import Feature, Spec

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

SHOWN = 40
"""Characters of a text that are shown."""


class Chunk(dict[str, Any]):
    """Some rows: by column an Arrow array, or a list where the values are of no one type.

    `broken` says by position why a row is none; its values are missing.
    """

    broken: Mapping[int, str] = MappingProxyType({})


@dataclass(frozen=True)
class Problem:
    """A value that the spec refuses; `row` counts from 1, `field` is empty where the row is none."""

    row: int
    field: str
    reason: str

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}" if self.field else self.reason


@dataclass(frozen=True)
class Rows:
    """The rows of a chunk that are valid.

    Parameters
    ----------
    kept
        Which rows of the chunk they are, shape (rows of the chunk,).
    columns
        Their features, each of shape (valid rows,): float64 with NaN, or texts with None, for what is
        missing.
    problems
        Why the others are not.
    """

    kept: NDArray[np.bool_]
    columns: dict[str, NDArray[Any]]
    problems: list[Problem]

    def __len__(self) -> int:
        return int(self.kept.sum())


def length(chunk: Mapping[str, Any]) -> int:
    """Return how many rows a chunk has."""
    return len(next(iter(chunk.values())))


def demand(spec: Spec, names: Sequence[str], where: str) -> None:
    """Check that no feature's column is missing, but for those whose values may be, and none is twice.

    Raises
    ------
    InvalidInput
        Naming the columns, and `where` they were looked for.
    """
    twice = [name for name, columns in Counter(names).items() if columns > 1]
    if twice:
        raise InvalidInput(f"{where}: two columns are named '{twice[0]}': rename one of them")
    absent = [name for name, item in spec.inputs.items() if name not in names and not item.optional]
    if absent or not set(names) & set(spec.inputs):
        wanted, found = ", ".join(absent or spec.inputs), ", ".join(map(str, names[:20]))
        raise InvalidInput(
            f"{where}: a column is missing: {spec.name} needs {wanted}, and there is {found or 'none'}"
        )


def from_pandas(frame: pd.DataFrame, spec: Spec) -> Chunk:
    """Take a frame's columns of features."""
    import pyarrow

    chunk = Chunk()
    for name in spec.inputs:
        if name in frame:
            try:
                chunk[name] = pyarrow.array(frame[name], from_pandas=True)
            except (pyarrow.lib.ArrowException, OverflowError, ValueError):
                missing = frame[name].isna()
                pairs = zip(frame[name].tolist(), missing, strict=True)
                chunk[name] = [None if gone else value for value, gone in pairs]
    return chunk


def validate(spec: Spec, chunk: Chunk, first_row: int) -> Rows:
    """Split a chunk into rows that the spec accepts, and problems.

    Whole columns are looked at first; only a row in which something looks wrong is given to the spec's
    own validator, which has the last word and the words.

    Parameters
    ----------
    first_row
        The number of the chunk's first row.
    """
    rows = length(chunk)
    suspect = np.zeros(rows, bool)
    columns: dict[str, NDArray[Any]] = {}
    for name, feature in spec.inputs.items():
        columns[name], wrong = _column(feature, chunk.get(name), rows)
        suspect |= wrong
    suspect[list(chunk.broken)] = True
    kept, problems = ~suspect, []
    for position in np.flatnonzero(suspect).tolist():
        if position in chunk.broken:
            problems.append(Problem(first_row + position, "", chunk.broken[position]))
            continue
        values = {name: _value(chunk[name], position) for name in spec.inputs if name in chunk}
        row = {name: value for name, value in values.items() if value is not None}  # what is missing is not
        try:
            valid = spec.rows.object(row)
        except InvalidInput as error:
            places = error.detail or [{"loc": [], "msg": str(error)}]
            problems += [
                Problem(first_row + position, ".".join(map(str, place["loc"])), _reason(spec, row, place))
                for place in places
            ]
        else:
            kept[position] = True
            for name, column in columns.items():
                value = getattr(valid, name)
                is_number = not spec.inputs[name].categories
                column[position] = np.nan if value is None and is_number else value
    return Rows(kept, {name: column[kept] for name, column in columns.items()}, problems)


def _reason(spec: Spec, row: Mapping[str, Any], place: Detail) -> str:
    """Say what is wrong; of a text in a number's place, that it is one, for files hide it."""
    feature = spec.inputs.get(str(place["loc"][-1])) if place["loc"] else None
    value = row.get(feature.name) if feature is not None and not feature.categories else None
    if not isinstance(value, str):
        return str(place["msg"])
    shown = value[:SHOWN].encode("utf-8", "backslashreplace").decode()  # it may have half a character
    return f'{place["msg"]}, and is the text "{shown}"'


def _column(feature: Feature, raw: Any, rows: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return a feature's values, and which of them must be looked at."""
    import pyarrow

    empty: Any = None if feature.categories else np.nan
    nothing = np.full(rows, empty, object if feature.categories else np.float64)
    if raw is None:
        return nothing, np.full(rows, not feature.optional)
    if isinstance(raw, list):
        return nothing, np.ones(rows, bool)
    try:
        return _categories(feature, raw) if feature.categories else _measures(feature, raw)
    except pyarrow.lib.ArrowException:
        return nothing, np.ones(rows, bool)


def _measures(feature: Feature, raw: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    import pyarrow
    from pyarrow import compute, types

    numeric = (types.is_floating, types.is_integer, types.is_decimal, types.is_null)
    if not any(is_kind(raw.type) for is_kind in numeric):  # texts and booleans could be cast too
        return np.full(len(raw), np.nan), np.ones(len(raw), bool)
    numbers = compute.cast(raw, pyarrow.float64())
    values = np.array(numbers.to_numpy(zero_copy_only=False), np.float64)  # a copy that can be written
    missing = np.isnan(values)
    inside = (values >= feature.low) & (values <= feature.high)
    return values, ~inside & ~missing if feature.optional else ~inside


def _categories(feature: Feature, raw: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    import pyarrow
    from pyarrow import compute, types

    kind = raw.type.value_type if types.is_dictionary(raw.type) else raw.type
    textual = (types.is_string, types.is_large_string, types.is_string_view, types.is_binary, types.is_null)
    if not any(is_kind(kind) for is_kind in textual):  # numbers could be cast too
        return np.full(len(raw), None, object), np.ones(len(raw), bool)
    texts = compute.cast(raw, pyarrow.string())
    found = compute.index_in(texts, value_set=pyarrow.array(feature.categories))
    codes = compute.fill_null(found, len(feature.categories)).to_numpy(zero_copy_only=False)
    values = np.array([*feature.categories, None], object)[codes]
    missing = texts.is_null().to_numpy(zero_copy_only=False)
    unknown = codes == len(feature.categories)
    return values, unknown & ~missing if feature.optional else unknown


def _value(column: Any, position: int) -> Any:
    value = column[position] if isinstance(column, list) else column[position].as_py()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Decimal):
        value = float(value)
    return (
        None if isinstance(value, float) and np.isnan(value) else value
    )  # how frames write what is missing
