"""CSV as chunks of Arrow arrays: every cell is a text, columns with a known type are read as that type.

`csv_blocks` splits the file into rows.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from typing import Any

from models_store.dialects import Dialect
from models_store.errors import InvalidInput
from prediction.batch import files
from prediction.batch.cells import FLAGS, NUMBER
from prediction.batch.chunks import Chunk
from prediction.batch.files import Readable
from prediction.batch.formats import csv_blocks, encodings
from prediction.batch.formats.csv_blocks import Block, Form

SPACED_QUOTES = '^ +"([^"]*)" *$'
"""A cell in quotation marks with spaces around them, as people write CSV."""


class CsvFile:
    """A CSV with a header; empty cells are missing values.

    With a dialect, rows of empty cells only are no rows, and a column without a name is called by its
    place: `column_1`.

    Parameters
    ----------
    columns
        Which columns are read as float, int, bool or str, without the spaces around a cell. All others are
        texts as they stand in the file.
    dialect
        How the file is written; without one it is UTF-8 with commas.
    form
        Its header, separator and encoding, if they are known: those of the whole file, of which this is a
        stretch. By default they are found.

    Raises
    ------
    InvalidInput
        When the file has no header, or its cells are separated by something else.
    """

    def __init__(
        self,
        path: Readable,
        columns: Mapping[str, type] | None,
        dialect: Dialect | None = None,
        form: Form | None = None,
    ) -> None:
        self.fraction = 0.0
        self._path = path
        self._drops_blanks = dialect is not None
        self.form = form or find_form(path, columns or {}, dialect)
        with path.open(newline="", encoding=self.form.marked) as text:
            read_header(path, text, self.form.separator)
            self._has_rows = any(line.strip("\r\n") for line in text)
        self.names = [name.strip() for name in self.form.header]
        if dialect is not None:
            self.names = [name or f"column_{place}" for place, name in enumerate(self.names, start=1)]
        self.has_commas, self.is_short = self.form.separator == ",", self.form.is_short
        self._columns = dict.fromkeys(self.names, str) if columns is None else columns

    def chunks(self, rows: int) -> Iterator[Chunk]:
        """Yield the rows, at most so many at a time, and at least one chunk."""
        import pyarrow

        if not self._has_rows:
            yield self._chunk(Block([pyarrow.array([], pyarrow.string()) for _ in self.names], 0, {}))
            return
        size = files.size_of(self._path)
        with self._path.open("rb") as file:
            for block in csv_blocks.read(file, self.form):
                self.fraction = file.tell() / size
                found = block.without_blanks() if self._drops_blanks else block
                for start in range(0, found.rows, rows):
                    yield self._chunk(found.part(start, rows))

    def _chunk(self, block: Block) -> Chunk:
        columns = {
            name: _cells(texts, self._columns.get(name))
            for name, texts in zip(self.names, block.columns, strict=True)
        }
        return Chunk(columns, block.rows, block.broken)


def find_form(path: Readable, columns: Collection[str], dialect: Dialect | None) -> Form:
    """Find the header, the separator and the encoding of a file.

    Parameters
    ----------
    columns
        Names that the header should have.

    Raises
    ------
    InvalidInput
        When the file has no header, or its cells are separated by something else.
    """
    encoding = encodings.of_file(path, dialect.encoding) if dialect else "utf-8-sig"
    separator = _separator(path, encoding, dialect, columns) if dialect else ","
    with path.open(newline="", encoding=encoding) as text:
        header = read_header(path, text, separator)
    is_short = dialect is not None and _is_short(path, encoding, separator)
    return Form(["", *header] if is_short else header, separator, encoding.removesuffix("-sig"), is_short)


def read_header(path: Readable, lines: Iterator[str], separator: str = ",") -> list[str]:
    """Read the first line of a CSV that is not blank: the names of its columns, as they are written.

    Raises
    ------
    InvalidInput
        When there is none, or its cells are not separated so.
    """
    names = next(filter(None, csv.reader(lines, delimiter=separator)), None)
    if names is None:
        raise InvalidInput(f"{path} is empty: its first line must name the columns")
    if len(names) == 1 and (other := re.search("[,;\t|]", names[0])):
        ways = {",": "commas"}.get(separator, f"{separator!r}")
        raise InvalidInput(f"{path}: cells are separated by {other[0]!r}: write it with {ways}")
    return names


def _separator(path: Readable, encoding: str, dialect: Dialect, columns: Collection[str]) -> str:
    """Choose the dialect's separator, or a comma if the header then has more of the columns."""

    def known(separator: str) -> tuple[int, int]:
        with path.open(newline="", encoding=encoding) as text:
            header = next(filter(None, csv.reader(text, delimiter=separator)), [])
        return len({name.strip() for name in header}.intersection(columns)), len(header)

    return max(dict.fromkeys((dialect.separator, ",")), key=known)  # the first of equals


def _is_short(path: Readable, encoding: str, separator: str) -> bool:
    """Tell whether the header has one name less than the first row has cells."""
    with path.open(newline="", encoding=encoding) as text, suppress(csv.Error):
        rows = filter(None, csv.reader(text, delimiter=separator))
        header, first = next(rows, []), next(rows, [])
        return len(header) == len(first) - 1
    return False


def _cells(texts: Any, kind: type | None) -> Any:
    if kind is None:
        return texts
    return READERS[kind](_trimmed(texts))


def _trimmed(texts: Any) -> Any:
    """Remove the spaces around cells; a cell that is then empty is a missing value."""
    from pyarrow import compute

    if compute.any(compute.starts_with(texts, " ")).as_py():
        texts = compute.replace_substring_regex(texts, SPACED_QUOTES, r"\1")
    texts = compute.utf8_trim_whitespace(texts)
    return compute.if_else(compute.equal(texts, ""), None, texts)


def _numbers(texts: Any) -> Any:
    """Read numbers; if a text is not a number, return a list that holds the text."""
    import pyarrow
    from pyarrow import compute

    try:
        numbers = compute.cast(texts, pyarrow.float64())
    except pyarrow.lib.ArrowException:
        numbers = None
    if numbers is None or compute.any(compute.is_nan(numbers)).as_py():  # "nan" is a text like any other
        return [_number(text) for text in texts.to_pylist()]
    return numbers


def _flags(texts: Any) -> Any:
    """Read `true` and `false` in any letters; if a text is neither, return a list that holds the text."""
    import pyarrow
    from pyarrow import compute

    lower = compute.utf8_lower(texts)
    wrong = compute.invert(compute.is_in(lower, value_set=pyarrow.array(["true", "false", None])))
    if compute.any(wrong).as_py():
        return [None if text is None else FLAGS.get(text.lower(), text) for text in texts.to_pylist()]
    return compute.equal(lower, "true")


READERS: Mapping[type, Callable[[Any], Any]] = {
    float: _numbers,
    int: _numbers,
    bool: _flags,
    str: lambda texts: texts,
}


def _number(text: str | None) -> float | str | None:
    return float(text) if text is not None and NUMBER.fullmatch(text) else text
