"""Tables as people have them: CSV of any encoding and separator, JSON Lines, Parquet.

The values come as they stand there; `columns` says what they are.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models_store.errors import InvalidInput
from models_store.validation import listing
from prediction.batch import files, json_lines

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
SNIFFED_ROWS = 200
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8"),
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
"""What the first bytes of a file say of its encoding. UTF-32 begins like UTF-16."""

MAX_BYTES, HEAD_BYTES = 2 << 30, 10_000


@dataclass(frozen=True)
class Table:
    """The rows of a file.

    Parameters
    ----------
    columns
        The values of each column by its header: texts in a CSV, whatever it is in other files. None is a
        missing value.
    notes
        How the file was read, where there was a choice.
    separator
        Of the cells of a CSV.
    categories
        Columns that the file itself calls categories.
    """

    path: Path
    columns: dict[str, list[Any]]
    rows: int
    notes: list[str] = field(default_factory=list)
    separator: str = ""
    categories: frozenset[str] = frozenset()


def read(path: Path) -> Table:
    """Read a whole file.

    Raises
    ------
    InvalidInput
        When it can't be read as a table; the message has a remedy.
    """
    files.demand(path)
    if path.stat().st_size > MAX_BYTES:
        raise InvalidInput(f"{path} has more than 2 GB: give a sample of its rows")
    with files.reading(path):
        kind = files.kind(path)
        table = _csv(path) if kind == ".csv" else _json(path) if kind == ".jsonl" else _parquet(path)
    if not table.rows:
        raise InvalidInput(f"{path} has no rows: a model learns from rows")
    return table


# -------------------------------------------------------------------------------------------- CSV


def _csv(path: Path) -> Table:
    text, notes = _decoded(path)
    if not text.strip():
        raise InvalidInput(f"{path} is empty: its first line must name the columns")
    separator = _separator(text)
    if separator != ",":
        notes.append(f"cells are separated by {SEPARATORS[separator]}")
    rows = _rows(text, separator)
    header = [name.strip() for name in next(rows)]
    body = list(rows)
    if body and len(header) == len(body[0]) - 1:  # R writes no name above the names of rows
        header.insert(0, "")
        notes.append("the header has no name for the first column, which names the rows")
    _demand_names(path, header)
    _demand_cells(path, header, body)
    names = _headers(header)
    columns: list[list[Any]] = [list(column) for column in zip(*body, strict=True)] or [[] for _ in names]
    return Table(path, dict(zip(names, columns, strict=True)), len(body), notes, separator)


def _decoded(path: Path) -> tuple[str, list[str]]:
    """Return the text of a file, and a note if it is not UTF-8."""
    data = path.read_bytes()
    for mark, encoding, name in MARKS:
        if data.startswith(mark):
            notes = [] if name == "UTF-8" else [f"the file is {name}"]
            return data.decode(encoding), notes
    if b"\0" in data[:HEAD_BYTES]:
        return _of_two_bytes(path, data)
    try:
        return data.decode("utf-8"), []
    except UnicodeDecodeError:
        return _of_one_byte(data)


def _of_two_bytes(path: Path, data: bytes) -> tuple[str, list[str]]:
    for encoding in ("utf-16-le", "utf-16-be"):
        text = data.decode(encoding, errors="replace")
        if "\0" not in text and "\ufffd" not in text and any(each in text for each in SEPARATORS):
            return text, ["the file is UTF-16"]
    raise InvalidInput(f"{path} is no text: save it as CSV in UTF-8")


def _of_one_byte(data: bytes) -> tuple[str, list[str]]:
    try:
        text, name = data.decode("cp1252"), "Windows-1252 (Latin-1)"
    except UnicodeDecodeError:
        text, name = data.decode("latin-1"), "Latin-1"
    line = next(line for line in text.splitlines() if not line.isascii()).strip()
    return text, [f"the file is not UTF-8; read as {name}: look whether this is right: {line[:60]}"]


def _separator(text: str) -> str:
    """Choose the separator by which most rows have as many cells as the header, and more than one."""
    lines = io.StringIO(text, newline="")
    head = "".join(line for line, _ in zip(lines, range(SNIFFED_ROWS), strict=False))
    best = {}
    for separator in SEPARATORS:
        cells = [len(row) for row in csv.reader(io.StringIO(head, newline=""), delimiter=separator) if row]
        alike = sum(count in (cells[0], cells[0] + 1) for count in cells) / len(cells) if cells else 0
        best[separator] = (cells[0] > 1, alike, cells[0]) if cells else (False, 0.0, 0)
    return max(best, key=best.__getitem__)


def _rows(text: str, separator: str) -> Iterator[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=False)
    csv.field_size_limit(1 << 24)
    for row in reader:
        if row and any(cell.strip() for cell in row):
            yield row


def _demand_names(path: Path, header: list[str]) -> None:
    if len(header) < 2:
        raise InvalidInput(f"{path} has one column, {header[0]!r}: a table has features and a target")
    named = [name for name in header if name]
    twice = sorted(name for name, times in Counter(named).items() if times > 1)
    if twice:
        raise InvalidInput(f"{path}: two columns are named {listing(twice)}: rename one of them")


def _demand_cells(path: Path, header: list[str], body: list[list[str]]) -> None:
    for number, row in enumerate(body, start=1):
        if len(row) != len(header):
            has = f"row {number} has {len(row)} cells where the header has {len(header)}"
            raise InvalidInput(f"{path}: {has}: put quotation marks around cells that hold a separator")


def _headers(header: list[str]) -> list[str]:
    """Give columns without a name one by their place."""
    return [name or f"column_{place}" for place, name in enumerate(header, start=1)]


# ------------------------------------------------------------------------------------------- others


def _json(path: Path) -> Table:
    with path.open("rb") as file:
        rows = list(json_lines.read_objects(file))
    headers = dict.fromkeys(name for row in rows for name in row)
    _demand_names(path, list(headers) or [""])
    return Table(path, {name: [row.get(name) for row in rows] for name in headers}, len(rows))


def _parquet(path: Path) -> Table:
    from pyarrow import parquet, types

    table = parquet.read_table(path)
    _demand_names(path, list(table.column_names))
    listed = {each.name for each in table.schema if types.is_dictionary(each.type)}
    columns = {name: table[name].to_pylist() for name in table.column_names}
    index = [name for name in columns if name.startswith("__index_level_")]
    for name in index:  # pandas writes it
        del columns[name]
    return Table(path, columns, table.num_rows, categories=frozenset(listed))
