"""Tables as people have them: CSV of any encoding and separator, JSON Lines, Parquet.

The values come as they stand there; `columns` says what they are.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from models_store.dialects import Dialect
from models_store.errors import InvalidInput
from models_store.validation import listing
from prediction.batch import files
from prediction.batch.formats import encodings, json_lines
from prediction.batch.sources import Source

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
NAMES = {"utf-16": "UTF-16", "utf-32": "UTF-32"}
SNIFFED_ROWS, CHUNK_ROWS = 200, 100_000
MAX_BYTES = 2 << 30


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
    dialect
        How a CSV is written; by default as the cells of other files.
    categories
        Columns that the file itself calls categories.
    """

    path: Path
    columns: dict[str, list[Any]]
    rows: int
    notes: list[str] = field(default_factory=list)
    dialect: Dialect = field(default_factory=Dialect)
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
    encoding = encodings.guess(path)
    if encoding is None:
        raise InvalidInput(f"{path} is no text: save it as CSV in UTF-8")
    separator = _separator(path, encoding)
    found = Dialect(encoding=encoding.removesuffix("-sig"), separator=separator)
    source = Source(path, CHUNK_ROWS, dialect=found)
    _demand_names(path, source.names)
    columns: dict[str, list[Any]] = {name: [] for name in source.names}
    rows = 0
    for chunk in source:
        for broken in chunk.broken.values():
            words = "put quotation marks around cells that hold a separator"
            raise InvalidInput(f"{path}: row {broken.number} {broken.reason}: {words}")
        for name, values in chunk.columns.items():
            columns[name] += values.to_pylist()
        rows += chunk.rows
    notes = _notes(path, encoding, separator)
    if source.is_short:
        notes.append("the header has no name for the first column, which names the rows")
    return Table(path, columns, rows, notes, found)


def _notes(path: Path, encoding: str, separator: str) -> list[str]:
    """Say how a CSV is written, where it is not in UTF-8 with commas."""
    notes = [f"the file is {NAMES[encoding[:6]]}"] if encoding[:6] in NAMES else []
    if encoding in (encodings.WINDOWS, encodings.LATIN):
        name = "Windows-1252 (Latin-1)" if encoding == encodings.WINDOWS else "Latin-1"
        with path.open(encoding=encoding) as text:
            line = next(line for line in text if not line.isascii()).strip()
        notes = [f"the file is not UTF-8; read as {name}: look whether this is right: {line[:60]}"]
    return notes + ([f"cells are separated by {SEPARATORS[separator]}"] if separator != "," else [])


def _separator(path: Path, encoding: str) -> str:
    """Choose the separator by which most rows have as many cells as the header, and more than one."""
    with path.open(encoding=encoding, newline="") as lines:
        head = "".join(islice(lines, SNIFFED_ROWS))
    if not head.strip("\ufeff \t\r\n"):
        raise InvalidInput(f"{path} is empty: its first line must name the columns")
    best = {}
    for separator in SEPARATORS:
        cells = [len(row) for row in csv.reader(io.StringIO(head, newline=""), delimiter=separator) if row]
        alike = sum(count in (cells[0], cells[0] + 1) for count in cells) / len(cells) if cells else 0
        best[separator] = (cells[0] > 1, alike, cells[0]) if cells else (False, 0.0, 0)
    return max(best, key=best.__getitem__)


def _demand_names(path: Path, header: list[str]) -> None:
    if len(header) < 2:
        raise InvalidInput(f"{path} has one column, {header[0]!r}: a table has features and a target")
    named = [name for name in header if name]
    twice = sorted(name for name, times in Counter(named).items() if times > 1)
    if twice:
        raise InvalidInput(f"{path}: two columns are named {listing(twice)}: rename one of them")


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
