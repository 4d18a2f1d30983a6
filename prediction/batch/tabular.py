"""Rows in files: CSV, JSON Lines and Parquet, in chunks, so that a file of any size fits in memory.

A file is written beside its place and renamed into it: whole or not at all.
"""

from __future__ import annotations

import csv
import json
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any

from models_store.errors import InvalidInput

CHUNK_ROWS = 5_000
KINDS = (".csv", ".jsonl", ".parquet")

Row = dict[str, Any]
Columns = Mapping[str, type]
"""The columns of a file, in order: each a float, a str or an int."""


class RaggedRow(Row):
    """A row of a CSV that has not as many cells as the header; `reason` says so."""

    reason: str


def read(path: Path) -> Iterator[list[Row]]:
    """Yield a file's rows in chunks; empty cells of a CSV are None.

    Raises
    ------
    InvalidInput
        When the file is missing, of another kind, or not what its name says.
    """
    demand(path)
    reader = {".csv": _read_csv, ".jsonl": _read_jsonl, ".parquet": _read_parquet}[kind(path)]
    with told(f"{path} can't be read", READING):
        yield from reader(path)


def demand(path: Path) -> None:
    """Check that a file is there, and of a known kind.

    Raises
    ------
    InvalidInput
        When it is not.
    """
    kind(path)
    if path.is_dir():
        raise InvalidInput(f"{path} is a folder: name a file in it")
    if not path.is_file():
        raise InvalidInput(f"there is no file {path}")


READING = (OSError, ValueError, csv.Error)
"""What a file raises that is not what its name says."""

MAX_REASON = 180


@contextmanager
def told(what: str, errors: tuple[type[Exception], ...]) -> Iterator[None]:
    """Raise what ails a file as one sentence."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{what}: it is not UTF-8: save it as UTF-8") from error
    except errors as error:
        reason = getattr(error, "strerror", None) or str(error)  # the whole text names the file again
        raise InvalidInput(f"{what}: {' '.join(reason.split())[:MAX_REASON]}") from error


def kind(path: Path) -> str:
    """Return what kind of file a name means; `InvalidInput` where it means none."""
    suffix = path.suffix.lower()
    if suffix not in KINDS:
        raise InvalidInput(f"{path}: the name must end with {', '.join(KINDS)}")
    return suffix


def csv_names(path: Path, file: Iterator[str]) -> list[str]:
    """Read the first line of a CSV that is not blank: the names of its columns, as they are written.

    Raises
    ------
    InvalidInput
        When there is none, or it is parted by something else than commas.
    """
    names = next(filter(None, csv.reader(file)), None)
    if names is None:
        raise InvalidInput(f"{path} is empty: its first line must name the columns")
    if len(names) == 1 and (other := re.search("[;\t|]", names[0])):
        raise InvalidInput(f"{path}: cells are parted by {other[0]!r}: write it with commas")
    return names


def _read_csv(path: Path) -> Iterator[list[Row]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        names = [name.strip() for name in csv_names(path, file)]
        try:
            rows = csv.reader(file, strict=True, skipinitialspace=True)
            yield from chunks(_row(names, cells) for cells in rows if cells)
        except csv.Error as error:
            if "end of data" not in str(error):
                raise
            raise ValueError("a quotation mark is left open in a row, which has no end") from error


def _row(names: list[str], cells: list[str]) -> Row:
    row = {name: cell or None for name, cell in zip(names, cells, strict=False)}
    if len(cells) == len(names):
        return row
    ragged = RaggedRow(row)
    ragged.reason = ragged_reason(len(cells), len(names))
    return ragged


def ragged_reason(cells: int, names: int) -> str:
    """Say what is wrong with a row that has not as many cells as the header."""
    return f"has {cells} cell{'s' * (cells != 1)} where the header has {names}"


def _read_jsonl(path: Path) -> Iterator[list[Row]]:
    with path.open("rb") as file:
        yield from chunks(objects(file))


def objects(lines: Iterable[bytes]) -> Iterator[Row]:
    """Yield the object of each line of JSON; blank lines are none.

    Raises
    ------
    ValueError
        Naming the line. NaN and Infinity, which some programs write, are no JSON, here as over HTTP.
    """
    for number, line in enumerate(lines, 1):
        if line.isspace():
            continue
        try:
            row = _DECODER.decode(line.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise ValueError(f"line {number} is not UTF-8: save the file as UTF-8") from error
        except json.JSONDecodeError as error:  # its own words count lines within this one
            raise ValueError(f"line {number}: {error.msg} at character {error.colno}") from error
        except (ValueError, RecursionError) as error:  # nesting without end is the second
            raise ValueError(f"line {number}: {error}") from error
        if not isinstance(row, dict):
            raise ValueError(f"line {number} is no JSON object")
        yield row


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON: write null where a value is missing")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Gather rows into lists that are not too long."""
    rows = iter(rows)
    while chunk := list(islice(rows, CHUNK_ROWS)):
        yield chunk


def _read_parquet(path: Path) -> Iterator[list[Row]]:
    from pyarrow import parquet

    for batch in parquet.ParquetFile(path).iter_batches(CHUNK_ROWS):
        yield batch.to_pylist()


class Writer(ABC):
    """Writes rows to a file; a context manager. After an exception the file is not there.

    Raises `InvalidInput` where the file can't be written, on a full disk for example.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._kind = kind(path)  # first: a path without a name has no draft beside it
        self._draft = path.with_name(f".{path.name}.{os.getpid()}")

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            with told(f"{self.path} can't be written", (OSError,)):
                self._close()
                if kind is None:
                    self._draft.replace(self.path)
        finally:
            self._draft.unlink(missing_ok=True)

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows."""
        if rows:
            with told(f"{self.path} can't be written", (OSError,)):
                self._append(rows)
            self.rows += len(rows)

    @abstractmethod
    def _append(self, rows: Sequence[Row]) -> None: ...

    @abstractmethod
    def _close(self) -> None: ...


def writer(path: Path, columns: Columns) -> Writer:
    """Open a file for rows with these columns; its name tells the kind.

    Raises
    ------
    InvalidInput
        When the kind is not known, or the folder can't be written to.
    """
    suffix = kind(path)
    with told(f"{path} can't be written", (OSError,)):
        if suffix == ".parquet":
            return _ParquetWriter(path, columns)
        return _CsvWriter(path, columns) if suffix == ".csv" else _JsonlWriter(path)


class _CsvWriter(Writer):
    def __init__(self, path: Path, columns: Columns) -> None:
        super().__init__(path)
        # a refused text may hold half a character, which no encoding has
        self._file = self._draft.open("w", newline="", encoding="utf-8", errors="backslashreplace")
        self._writer = csv.DictWriter(self._file, list(columns))
        self._writer.writeheader()

    def _append(self, rows: Sequence[Row]) -> None:
        self._writer.writerows(rows)

    def _close(self) -> None:
        self._file.close()


class _JsonlWriter(Writer):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file: IO[str] = self._draft.open("w", encoding="utf-8")

    def _append(self, rows: Sequence[Row]) -> None:
        self._file.writelines(json.dumps(row) + "\n" for row in rows)

    def _close(self) -> None:
        self._file.close()


class _ParquetWriter(Writer):
    def __init__(self, path: Path, columns: Columns) -> None:
        import pyarrow
        from pyarrow import parquet

        super().__init__(path)
        types = {float: pyarrow.float64(), str: pyarrow.string(), int: pyarrow.int64()}
        self._schema = pyarrow.schema([(name, types[kind]) for name, kind in columns.items()])
        self._writer = parquet.ParquetWriter(self._draft, self._schema)

    def _append(self, rows: Sequence[Row]) -> None:
        import pyarrow

        self._writer.write_table(pyarrow.Table.from_pylist(list(rows), schema=self._schema))

    def _close(self) -> None:
        self._writer.close()
