"""Files of millions of rows, read: CSV, JSON Lines and Parquet in chunks of Arrow arrays.

`tabular` has files as rows, for the little that people read; `targets` writes what is scored.
"""

from __future__ import annotations

import codecs
import json
import re
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO

from models_store.spec import Spec
from prediction.batch import frames, tabular
from prediction.batch.frames import Chunk

CSV_BLOCK_BYTES = 4 << 20
MAX_BROKEN_ROWS = 1_000_000
"""Broken rows of a CSV in a stretch, beyond which its header tells of another file."""

INT64 = range(-(2**63), 2**63)
EXACT = range(-(2**53), 2**53 + 1)
"""Whole numbers that a float64 holds as they are."""

HALF_CHARACTER = re.compile("[\ud800-\udfff]")
"""JSON can name it, and no encoding can write it."""

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


class Source:
    """The rows of a file, in chunks; may be gone through more than once.

    `names` are its columns, `fraction` tells how much of it was read.

    Raises
    ------
    InvalidInput
        When the file is missing, of another kind, not what its name says, or lacks a feature that must
        not be missing.
    """

    def __init__(self, path: Path, spec: Spec, chunk_rows: int) -> None:
        tabular.demand(path)
        self.fraction = 0.0
        self._path = path
        self._spec = spec
        self._chunk_rows = chunk_rows
        self._header: list[str] = []  # of a CSV, as it is written
        self._has_rows = False
        self._types: dict[str, Any] = {}  # of JSON Lines' columns
        find, self._read = {
            ".csv": (self._csv_names, self._csv),
            ".jsonl": (self._jsonl_names, self._jsonl),
            ".parquet": (self._parquet_names, self._parquet),
        }[tabular.kind(path)]
        with self._told():
            self.names = find()
        frames.demand(spec, self.names, str(path))

    def __iter__(self) -> Iterator[Chunk]:
        with self._told():
            yield from self._read()
        self.fraction = 1.0

    def _told(self) -> AbstractContextManager[None]:
        from pyarrow.lib import ArrowException

        return tabular.told(f"{self._path} can't be read", (*tabular.READING, ArrowException))

    def _parquet_names(self) -> list[str]:
        from pyarrow import parquet

        return list(parquet.read_schema(self._path).names)

    def _parquet(self) -> Iterator[Chunk]:
        from pyarrow import parquet

        file = parquet.ParquetFile(self._path)
        done, total = 0, file.metadata.num_rows
        if not total:
            yield self._as_chunk(file.schema_arrow.empty_table().combine_chunks())
        for batch in file.iter_batches(self._chunk_rows):
            done += batch.num_rows
            self.fraction = done / total
            yield self._as_chunk(batch)

    def _csv_names(self) -> list[str]:
        with self._path.open(newline="", encoding="utf-8-sig") as text:
            self._header = tabular.csv_names(self._path, text)
            self._has_rows = any(line.strip("\r\n") for line in text)
        return [name.strip() for name in self._header]

    def _csv(self) -> Iterator[Chunk]:
        import pyarrow

        if not self._has_rows:
            yield self._typed(dict.fromkeys(self.names, pyarrow.array([], pyarrow.string())))
            return
        size = self._path.stat().st_size
        with self._path.open("rb") as file:
            blocks = _CsvBlocks(file, self._header)
            for columns, broken in blocks:
                self.fraction = file.tell() / size
                yield from self._parts(dict(zip(self.names, columns, strict=True)), broken)

    def _parts(self, columns: dict[str, Any], broken: Mapping[int, str]) -> Iterator[Chunk]:
        """Cut a block of a CSV into chunks."""
        for start in range(0, frames.length(columns), self._chunk_rows):
            part = {name: column.slice(start, self._chunk_rows) for name, column in columns.items()}
            chunk = self._typed(part)
            if broken:
                rows = range(frames.length(part))
                chunk.broken = {row: broken[start + row] for row in rows if start + row in broken}
            yield chunk

    def _typed(self, texts: Mapping[str, Any]) -> Chunk:
        """Read the features; what else there is stays text."""
        return Chunk(
            {
                name: _feature(column, bool(self._spec.inputs[name].categories))
                if name in self._spec.inputs
                else column
                for name, column in texts.items()
            }
        )

    def _jsonl_names(self) -> list[str]:
        """Go through the whole file: any row may bring a column, or a value that changes its type."""
        kinds: dict[str, set[str]] = {}
        with self._path.open("rb") as file:
            for row in tabular.objects(file):
                for name, value in row.items():
                    kinds.setdefault(name, set()).add(_kind(value))
        self._types = {name: _type(found) for name, found in kinds.items()}
        self._types = self._types or {name: _type(set()) for name in self._spec.inputs}
        "".join(self._types).encode()  # no name has half a character in it
        return list(self._types)

    def _jsonl(self) -> Iterator[Chunk]:
        size = self._path.stat().st_size
        with self._path.open("rb") as file:
            for rows in tabular.chunks(tabular.objects(file)):
                self.fraction = file.tell() / size
                for start in range(0, len(rows), self._chunk_rows):
                    part = rows[start : start + self._chunk_rows]
                    yield Chunk({name: self._column(name, part) for name in self.names})
        if not self.fraction:
            yield Chunk({name: self._column(name, []) for name in self.names})

    def _column(self, name: str, rows: list[tabular.Row]) -> Any:
        import pyarrow

        values = [row.get(name) for row in rows]
        kind = self._types[name]
        if isinstance(kind, pyarrow.JsonType):
            if name in self._spec.inputs:
                return values  # validation looks at each
            values = [None if value is None else json.dumps(value) for value in values]
        return pyarrow.array(values, kind)

    def _as_chunk(self, batch: Any) -> Chunk:
        import pyarrow

        whole = (
            column.combine_chunks() if isinstance(column, pyarrow.ChunkedArray) else column
            for column in batch.columns
        )
        return Chunk(zip(self.names, whole, strict=True))


class _CsvBlocks:
    """The blocks of a CSV: columns of texts, and by position why a row is none.

    A row that has not as many cells as the header is there, of missing values, so that each row keeps
    its number. Raises `ValueError` where the rest of the file can't be parted into rows.
    """

    def __init__(self, file: BinaryIO, header: list[str]) -> None:
        self._header = header
        self._end = "," * len(header)  # a row of a cell too many
        self._text = _Utf8(file, b"\n" + self._end.encode())
        self._rows = 0
        self._broken: deque[tuple[int, int]] = deque()  # rows that are not yielded yet, and their cells
        self._last_broken = (0, "")

    def __iter__(self) -> Iterator[tuple[list[Any], Mapping[int, str]]]:
        import pyarrow

        try:
            for batch in self._open():
                yield self._with_broken(batch.columns, batch.num_rows)
        except pyarrow.ArrowInvalid as error:
            raise ValueError(self._explain(str(error))) from error
        row, text = self._last_broken
        if (row, text) != (self._rows + len(self._broken), self._end):  # a cell has swallowed the end
            row = self._rows + len(self._broken)
            raise ValueError(f"a quotation mark is left open in row {row}, which has no end")
        self._broken.pop()
        if self._broken:
            broken = dict(enumerate(self._reason(cells) for _, cells in self._broken))
            yield [pyarrow.nulls(len(broken), pyarrow.string())] * len(self._header), broken

    def _open(self) -> Any:
        import pyarrow
        from pyarrow import csv as arrow_csv

        return arrow_csv.open_csv(
            self._text,
            # by one thread, or rows have no numbers; it reads blocks as fast
            arrow_csv.ReadOptions(block_size=CSV_BLOCK_BYTES, use_threads=False),
            arrow_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=self._skip),
            arrow_csv.ConvertOptions(
                check_utf8=False,  # is done
                column_types=dict.fromkeys(self._header, pyarrow.string()),
                null_values=[""],
                strings_can_be_null=True,
            ),
        )

    def _skip(self, row: Any) -> str:
        number = row.number - 1  # the header is the first
        self._last_broken = (number, row.text)
        self._broken.append((number, row.actual_columns))
        return "skip" if len(self._broken) <= MAX_BROKEN_ROWS else "error"

    def _reason(self, cells: int) -> str:
        return tabular.ragged_reason(cells, len(self._header))

    def _with_broken(self, columns: list[Any], rows: int) -> tuple[list[Any], Mapping[int, str]]:
        """Put broken rows among the others of a block, in the places that their numbers tell."""
        import pyarrow

        broken: dict[int, str] = {}
        while self._broken and self._broken[0][0] <= self._rows + rows + len(broken):
            number, cells = self._broken.popleft()
            broken[number - self._rows - 1] = self._reason(cells)
        first, self._rows = self._rows, self._rows + rows + len(broken)
        if broken:
            others = iter(range(rows))
            places = [None if at in broken else next(others) for at in range(self._rows - first)]
            columns = [column.take(pyarrow.array(places, pyarrow.int64())) for column in columns]
        return columns, broken

    def _explain(self, reason: str) -> str:
        """Say what Arrow means by objects that straddle blocks, and by rows that are not skipped."""
        row = self._rows + len(self._broken) + 1
        if "straddl" in reason:
            megabytes = CSV_BLOCK_BYTES >> 20
            return f"row {row} is longer than {megabytes} MB: is a quotation mark left open in it?"
        if len(self._broken) > MAX_BROKEN_ROWS:
            first = self._broken[0][0]
            return f"from row {first} on, {MAX_BROKEN_ROWS:,} rows have not as many cells as the header"
        return reason


class _Utf8:
    """A file for Arrow to read, with something put at its end.

    Raises `ValueError` for bytes that are no UTF-8, naming the line.
    """

    closed = False

    def __init__(self, file: BinaryIO, end: bytes) -> None:
        self._file = file
        self._end = end
        self._lines = 1
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def read(self, size: int) -> bytes:
        """Read as files do."""
        data = self._file.read(max(1, size - len(self._end)))
        if len(data) < size - len(self._end):  # with the last line, which would else be cut before its end
            data, self._end = data + self._end, b""
        try:
            self._decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            line = self._lines + error.object[: error.start].count(b"\n")
            raise ValueError(f"line {line} is not UTF-8: save the file as UTF-8") from error
        self._lines += data.count(b"\n")
        return data


def _feature(texts: Any, is_category: bool) -> Any:
    """Read a feature's cells, without the spaces around them; an empty one is a missing value.

    Where one is no number, that makes a list, in which what is none stays text.
    """
    import pyarrow
    from pyarrow import compute

    texts = compute.utf8_trim_whitespace(texts)
    texts = compute.if_else(compute.equal(texts, ""), None, texts)
    if is_category:
        return texts
    try:
        numbers = compute.cast(texts, pyarrow.float64())
    except pyarrow.lib.ArrowException:
        numbers = None
    if numbers is None or compute.any(compute.is_nan(numbers)).as_py():  # "nan" is text like any other
        return [_number(text) for text in texts.to_pylist()]
    return numbers


def _number(text: str | None) -> float | str | None:
    return float(text) if text is not None and NUMBER.fullmatch(text) else text


def _kind(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return "int" if value in EXACT else "long" if value in INT64 else "endless"
    if isinstance(value, str) and not value.isascii() and HALF_CHARACTER.search(value):
        return "half"
    return type(value).__name__


def _type(kinds: set[str]) -> Any:
    """Choose the Arrow type that holds all values of a column as they are; JSON holds any."""
    import pyarrow

    choices = [
        ({"str"}, pyarrow.string()),
        ({"bool"}, pyarrow.bool_()),
        ({"int", "long"}, pyarrow.int64()),
        ({"int", "float"}, pyarrow.float64()),
    ]
    found = kinds - {"NoneType"}
    return next((kind for held, kind in choices if found <= held), pyarrow.json_())
