"""A CSV split into rows by Arrow: blocks of columns of texts, in which each row keeps its number.

`csv_files` reads the header before, and the cells after.
"""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from models_store.dialects import UTF_8
from prediction.batch.chunks import BrokenRow

BLOCK_BYTES, READ_BYTES = 4 << 20, 1 << 20
MAX_BROKEN_ROWS = 1_000_000
"""Broken rows in a stretch; with more of them the header does not belong to the file."""

MAX_TEXT = 500
"""Characters of a broken row that are kept."""


@dataclass(frozen=True)
class Block:
    """Some rows: a column of texts for each name of the header, and the broken rows by position."""

    columns: list[Any]
    rows: int
    broken: Mapping[int, BrokenRow]

    def part(self, start: int, rows: int) -> Block:
        """Return at most so many rows, from one on."""
        end = min(start + rows, self.rows)
        columns = [column.slice(start, rows) for column in self.columns]
        places = range(start, end) if self.broken else ()
        return Block(
            columns, end - start, {at - start: self.broken[at] for at in places if at in self.broken}
        )

    def without_blanks(self) -> Block:
        """Return the block without rows of empty cells only, as spreadsheets write below a table."""
        import pyarrow
        from pyarrow import compute

        is_row = pyarrow.array([at in self.broken for at in range(self.rows)], pyarrow.bool_())
        for column in self.columns:
            if compute.all(is_row).as_py():
                return self
            has_text = compute.not_equal(compute.utf8_trim_whitespace(column), "")
            is_row = compute.or_(is_row, compute.fill_null(has_text, False))
        places = compute.indices_nonzero(is_row)
        broken = {at: self.broken[old] for at, old in enumerate(places.to_pylist()) if old in self.broken}
        return Block([column.take(places) for column in self.columns], len(places), broken)


@dataclass(frozen=True)
class Form:
    """How a CSV is written.

    Parameters
    ----------
    header
        The names of its columns, as its first line has them.
    is_short
        Whether that line lacks the name of the first column, as R writes it: `header` begins with an
        empty one.
    """

    header: list[str]
    separator: str = ","
    encoding: str = UTF_8
    is_short: bool = False

    @property
    def marked(self) -> str:
        """The encoding, with a byte order mark read as one."""
        return "utf-8-sig" if self.encoding == UTF_8 else self.encoding

    @property
    def is_utf_8(self) -> bool:
        """Whether the bytes of the file can be read as they are."""
        return self.encoding == UTF_8 and not self.is_short

    @property
    def row(self) -> str:
        """A row that does not have as many cells as the header, all of them empty."""
        return self.separator * (2 if len(self.header) == 2 else 1)


def read(file: BinaryIO, form: Form) -> Iterator[Block]:
    """Yield the rows of a CSV.

    A broken row is a row of missing values, so that each row keeps its number.

    Raises
    ------
    ValueError
        When the rest of the file can't be split into rows, or is not of its encoding.
    """
    import pyarrow

    rows = _Rows(form)
    try:
        for batch in _open(file, form, rows):
            yield rows.complete(batch.columns, batch.num_rows)
    except pyarrow.ArrowInvalid as error:
        raise ValueError(rows.explain(str(error))) from error
    rows.end()
    if rows.broken:
        yield rows.rest()


def _open(file: BinaryIO, form: Form, rows: _Rows) -> Any:
    import pyarrow
    from pyarrow import csv as arrow_csv

    return arrow_csv.open_csv(
        _Utf8Reader(file if form.is_utf_8 else _Recoded(file, form), b"\n" + form.row.encode()),
        # One thread, because rows have no numbers otherwise; it reads blocks as fast.
        arrow_csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
        arrow_csv.ParseOptions(
            delimiter=form.separator, newlines_in_values=True, invalid_row_handler=rows.skip
        ),
        arrow_csv.ConvertOptions(
            check_utf8=False,  # the reader has checked it
            column_types=dict.fromkeys(form.header, pyarrow.string()),
            null_values=[""],
            strings_can_be_null=True,
        ),
    )


class _LastRow:
    """A row that is added after the end of a file, to find a quotation mark that is left open.

    Arrow reads a cell without a closing mark up to the end of the file, and reports nothing. This row
    then becomes a part of that cell. Otherwise Arrow refuses it, because it does not have as many cells
    as the header. Only the parser knows which of both holds: a mark within a cell, as in `5" disk`,
    opens nothing, so marks can't be counted, and a second parser in Python takes several times as long
    as Arrow.
    """

    def __init__(self, form: Form) -> None:
        self._text = form.row

    def is_last_of(self, broken: Sequence[BrokenRow]) -> bool:
        """Tell whether Arrow has refused it."""
        return bool(broken) and broken[-1].text == self._text


class _Rows:
    """Numbers of rows: Arrow refuses broken rows one by one, and yields the others block by block."""

    def __init__(self, form: Form) -> None:
        self.last_row = _LastRow(form)
        self.broken: deque[BrokenRow] = deque()
        """Rows that Arrow has refused, and that no block has held yet."""
        self._columns = len(form.header)
        self._done = 0

    @property
    def _last_number(self) -> int:
        return self._done + len(self.broken)

    def skip(self, row: Any) -> str:
        """Refuse a row, as Arrow's handler of invalid rows."""
        number = row.number - 1  # the header has number 1
        self.broken.append(BrokenRow(number, row.actual_columns, self._columns, row.text[:MAX_TEXT]))
        return "skip" if len(self.broken) <= MAX_BROKEN_ROWS else "error"

    def complete(self, columns: list[Any], rows: int) -> Block:
        """Insert the broken rows between the others of a block, at the places of their numbers."""
        import pyarrow

        broken: dict[int, BrokenRow] = {}
        while self.broken and self.broken[0].number <= self._done + rows + len(broken):
            row = self.broken.popleft()
            broken[row.number - self._done - 1] = row
        total = rows + len(broken)
        self._done += total
        if broken:
            others = iter(range(rows))
            places = [None if at in broken else next(others) for at in range(total)]
            columns = [column.take(pyarrow.array(places, pyarrow.int64())) for column in columns]
        return Block(columns, total, broken)

    def end(self) -> None:
        """Drop the row that was added at the end; `ValueError` if it became a part of a cell."""
        if not self.last_row.is_last_of(self.broken):
            row = self._last_number
            raise ValueError(f"a quotation mark is left open in row {row}, which has no end")
        self.broken.pop()

    def rest(self) -> Block:
        """Return the broken rows after the last block."""
        import pyarrow

        nothing = pyarrow.nulls(len(self.broken), pyarrow.string())
        return Block([nothing] * self._columns, len(self.broken), dict(enumerate(self.broken)))

    def explain(self, reason: str) -> str:
        """Explain Arrow's errors about objects that straddle blocks and about too many broken rows."""
        if "straddl" in reason:
            row, megabytes = self._last_number + 1, BLOCK_BYTES >> 20
            return f"row {row} is longer than {megabytes} MB: is a quotation mark left open in it?"
        if len(self.broken) > MAX_BROKEN_ROWS:
            first = self.broken[0].number
            return f"from row {first} on, {MAX_BROKEN_ROWS:,} rows do not have as many cells as the header"
        return reason


class _Bytes(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Recoded:
    """A file of another encoding as UTF-8; its first line gets the name that it lacks.

    Raises `ValueError` for bytes that are not of this encoding, and names the line.
    """

    def __init__(self, file: BinaryIO, form: Form) -> None:
        self._file = file
        self._encoding = form.encoding
        self._decoder = codecs.getincrementaldecoder(form.encoding)()
        self._lines = 1
        self._missing = f'""{form.separator}' if form.is_short else ""
        self._ready = bytearray()
        self._is_read = False

    def read(self, size: int, /) -> bytes:
        """Read so many bytes, fewer only at the end of the file: Arrow has room for no more."""
        while len(self._ready) < size and not self._is_read:
            self._ready += self._more().encode()
        data = bytes(self._ready[:size])
        del self._ready[:size]
        return data

    def _more(self) -> str:
        data = self._file.read(READ_BYTES)
        self._is_read = not data
        try:
            text = self._decoder.decode(data, final=self._is_read)
        except UnicodeDecodeError as error:
            line = self._lines + error.object[: error.start].count(b"\n")
            words = "save the file as UTF-8"
            raise ValueError(f"line {line} is not {self._encoding}: {words}") from error
        self._lines += text.count("\n")
        if self._missing:
            text = text.removeprefix("\ufeff").lstrip("\r\n")
            text, self._missing = (self._missing + text, "") if text else ("", self._missing)
        return text


class _Utf8Reader:
    """A file for Arrow to read, with some bytes added at its end.

    Raises `ValueError` for bytes that are not UTF-8, and names the line.
    """

    closed = False

    def __init__(self, file: _Bytes, end: bytes) -> None:
        self._file = file
        self._end = end
        self._lines = 1
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def read(self, size: int) -> bytes:
        """Read as files do."""
        data = self._file.read(max(1, size - len(self._end)))
        if len(data) < size - len(self._end):
            # Together with the last line: in a block of its own, Arrow would not see where that line ends.
            data, self._end = data + self._end, b""
        try:
            self._decoder.decode(data)  # half a character before the added end is an error
        except UnicodeDecodeError as error:
            line = self._lines + error.object[: error.start].count(b"\n")
            raise ValueError(f"line {line} is not UTF-8: save the file as UTF-8") from error
        self._lines += data.count(b"\n")
        return data
