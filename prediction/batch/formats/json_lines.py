"""JSON Lines as chunks of Arrow arrays. The file is read twice: first for its columns and their types."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from models_store.validation import clip
from prediction.batch import files
from prediction.batch.chunks import Chunk, Row
from prediction.batch.files import Readable

MAX_ROWS = 5_000
"""Rows of a chunk: as Python objects they need much memory."""

INT64 = range(-(2**63), 2**63)
EXACT = range(-(2**53), 2**53 + 1)
"""Integers that a float64 holds without rounding."""

MAX_DEPTH = 100
"""Brackets within each other: Python reads deeper ones than it can write."""

HALF_CHARACTER = re.compile("[\ud800-\udfff]")
"""A lone surrogate: JSON can name it, and no encoding can write it."""


class JsonLines:
    """A file of JSON Lines.

    A value that a row does not have is missing. A column of values of several types is a list.

    Parameters
    ----------
    columns
        The columns of a file without rows.
    kinds
        The kinds of the values of each column, if they are known: those of the whole file, of which this is
        a stretch. By default the file is read for them.

    Raises
    ------
    ValueError
        When a line is not a JSON object, or a column's name can't be written.
    """

    def __init__(
        self,
        path: Readable,
        columns: Mapping[str, type],
        kinds: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self.fraction = 0.0
        self._path = path
        found = column_kinds(path) if kinds is None else kinds
        self._types = {name: _arrow_type(set(found.get(name, ()))) for name in found or columns}
        self.names = list(self._types)
        half = next(filter(HALF_CHARACTER.search, self.names), None)
        if half is not None:
            raise ValueError(f"the name {json.dumps(half)} holds half a character: rename it")

    def chunks(self, rows: int) -> Iterator[Chunk]:
        """Yield the rows, at most so many at a time, and at least one chunk."""
        size = files.size_of(self._path)
        with self._path.open("rb") as file:
            objects = read_objects(file)
            while part := list(islice(objects, min(rows, MAX_ROWS))):
                self.fraction = file.tell() / size
                yield self._chunk(part)
        if not self.fraction:
            yield self._chunk([])

    def _chunk(self, rows: list[Row]) -> Chunk:
        return Chunk({name: self._column(name, rows) for name in self.names}, len(rows))

    def _column(self, name: str, rows: list[Row]) -> Any:
        import pyarrow

        values = [row.get(name) for row in rows]
        kind = self._types[name]
        return values if kind is None else pyarrow.array(values, kind)


def read_objects(lines: Iterable[bytes]) -> Iterator[Row]:
    """Yield the JSON object of each line that is not blank.

    Raises
    ------
    ValueError
        Naming the line. NaN, Infinity and a key that is given twice are refused, here as over HTTP.
    """
    for number, line in enumerate(lines, 1):
        if line.isspace():
            continue
        try:
            row = _DECODER.decode(line.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise ValueError(f"line {number} is not UTF-8: save the file as UTF-8") from error
        except json.JSONDecodeError as error:  # its own message counts lines within this line
            raise ValueError(f"line {number}: {error.msg} at character {error.colno}") from error
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
        except RecursionError:
            raise ValueError(_too_deep(number)) from None
        if line.count(b"[") + line.count(b"{") > MAX_DEPTH and _is_too_deep(row):
            raise ValueError(_too_deep(number))
        if not isinstance(row, dict):
            raise ValueError(f"line {number} is not a JSON object")
        yield row


def _too_deep(number: int) -> str:
    return f"line {number} has more than {MAX_DEPTH} brackets within each other"


def _is_too_deep(row: Any) -> bool:
    level = [row]
    for _ in range(MAX_DEPTH):
        inner = [each.values() if isinstance(each, dict) else each for each in level]
        level = [each for values in inner for each in values if isinstance(each, list | dict)]
    return bool(level)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON: write null where a value is missing")


def _object(pairs: list[tuple[str, Any]]) -> Row:
    row = dict(pairs)
    if len(row) < len(pairs):
        twice = next(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
        raise ValueError(f"{json.dumps(clip(twice))} is given twice: write each field once")
    return row


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_object)


def column_kinds(path: Readable) -> dict[str, set[str]]:
    """Read the whole file for the kinds of values of each column: any row may add a column, or a kind."""
    kinds: dict[str, set[str]] = {}
    with path.open("rb") as file:
        for row in read_objects(file):
            for name, value in row.items():
                kinds.setdefault(name, set()).add(_kind(value))
    return kinds


def _kind(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return "int" if value in EXACT else "long" if value in INT64 else "endless"
    if isinstance(value, str) and not value.isascii() and HALF_CHARACTER.search(value):
        return "half"
    return type(value).__name__


def _arrow_type(kinds: set[str]) -> Any:
    """Choose the Arrow type that holds all values of a column unchanged; None if there is none."""
    import pyarrow

    choices = [
        ({"str"}, pyarrow.string()),
        ({"bool"}, pyarrow.bool_()),
        ({"int", "long"}, pyarrow.int64()),
        ({"int", "float"}, pyarrow.float64()),
    ]
    found = kinds - {"NoneType"}
    return next((kind for held, kind in choices if found <= held), None)
