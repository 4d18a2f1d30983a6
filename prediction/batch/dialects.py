"""Columns of files read in the dialect of a model: texts become numbers, flags, times and missing values.

`cells` reads one cell. Files and frames are read by the same rule.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from models_store.dialects import DECIMAL_COMMAS
from models_store.spec import Spec
from prediction.batch.cells import TEXTS, UNREADABLE, Cells
from prediction.batch.chunks import Chunk
from prediction.batch.features import arrays

NUMBERS = frozenset({"number", "integer"})


def cells_of(spec: Spec, has_commas: bool = False) -> dict[str, Cells]:
    """Return how the cells of each feature are written; nothing for a spec without a dialect.

    Parameters
    ----------
    has_commas
        Whether commas separate the cells of the file: if the dialect has another separator, then the file
        has decimal points.
    """
    dialect = spec.dialect
    if dialect is None:
        return {}
    numbers = dict(dialect.numbers)
    if has_commas and dialect.separator != ",":
        numbers = {name: way for name, way in numbers.items() if way not in DECIMAL_COMMAS}
    return {
        name: Cells(
            each.kind,
            dialect.times.get(name, "") if each.kind == "moment" else numbers.get(name, ""),
            frozenset(dialect.missing.get(name, ())),
        )
        for name, each in spec.inputs.items()
    }


def read(chunk: Chunk, cells: Mapping[str, Cells]) -> Chunk:
    """Return a chunk with the values of its features; cells that can't be read stay texts."""
    if not cells:
        return chunk
    columns = {
        name: _column(column, cells[name]) if name in cells else column
        for name, column in chunk.columns.items()
    }
    return replace(chunk, columns=columns)


@dataclass(frozen=True)
class ReadChunks:
    """Chunks of which the features are read in a dialect, and some columns get other names."""

    chunks: Iterable[Chunk]
    cells: Mapping[str, Cells]
    names: Mapping[str, str]

    def __iter__(self) -> Iterator[Chunk]:
        for chunk in self.chunks:
            yield read(chunk.renamed(self.names), self.cells)


def _column(raw: Any, cells: Cells) -> Any:
    """Read an Arrow array, or a list of values of several types; what can't be read stays as it is."""
    import pyarrow

    try:
        return _values(raw, cells)
    except pyarrow.lib.ArrowException:  # bytes that are no text, objects that Arrow does not know
        return raw


def _values(raw: Any, cells: Cells) -> Any:
    if isinstance(raw, list):
        return _held([_mixed(value, cells) for value in raw], cells.kind)
    if arrays.is_textual(raw):
        return _texts(raw, cells)
    if cells.kind in TEXTS:
        return _held([_mixed(value, cells) for value in raw.to_pylist()], cells.kind)
    return _finite(raw)


def _mixed(value: Any, cells: Cells) -> Any:
    """Read a value of any type; in a column of texts, a number is a text."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if cells.kind in TEXTS and isinstance(value, int | float):
        value = str(value)
    return _value(value, cells) if isinstance(value, str) else value


def _value(text: str, cells: Cells) -> Any:
    """Return the value of a cell as columns hold it: a moment as ISO 8601, an unreadable cell as it is."""
    value = cells.value(text)
    if value is UNREADABLE:
        return text
    return value.isoformat() if isinstance(value, date) else value


def _texts(raw: Any, cells: Cells) -> Any:
    """Read texts; each different one is looked at once."""
    import pyarrow
    from pyarrow import compute

    texts = compute.cast(raw, pyarrow.string())
    if cells.kind in NUMBERS and not cells.way and not cells.missing:
        with suppress(pyarrow.lib.ArrowException):  # a text among them
            numbers = compute.cast(texts, pyarrow.float64())
            if compute.all(compute.is_finite(numbers)).as_py() is not False:
                return numbers
    coded = texts.dictionary_encode()
    values = _held([_value(text, cells) for text in coded.dictionary.to_pylist()], cells.kind)
    codes = coded.indices
    if isinstance(values, list):
        return [None if code is None else values[code] for code in codes.to_pylist()]
    return values.take(codes)


def _held(values: list[Any], kind: str) -> Any:
    """Return values as an Arrow array, or as a list if they are of several types."""
    import pyarrow

    types = {type(value) for value in values if value is not None}
    if types <= {str} and (kind in TEXTS or kind == "moment"):
        return pyarrow.array(values, pyarrow.string())
    if types <= {int, float}:
        return pyarrow.array(values, pyarrow.float64())
    if len(types) > 1 or types & {str, list, dict}:
        return values
    return pyarrow.array(values)


def _finite(raw: Any) -> Any:
    """Return numbers without infinities, which are missing values."""
    from pyarrow import compute, types

    if not types.is_floating(raw.type):
        return raw
    return compute.if_else(compute.is_finite(raw), raw, None)
