"""Files of any size, read: CSV, JSON Lines and Parquet in chunks of Arrow arrays.

`formats` knows each of them. `sinks` writes files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from models_store.dialects import Dialect
from prediction.batch import files
from prediction.batch.chunks import Chunk
from prediction.batch.files import Readable
from prediction.batch.formats.csv_blocks import Form
from prediction.batch.formats.csv_files import CsvFile
from prediction.batch.formats.json_lines import JsonLines
from prediction.batch.formats.parquet_files import ParquetRows


@dataclass(frozen=True)
class Known:
    """What is known of the whole file, where a source is a stretch of it.

    Parameters
    ----------
    form
        The form of a CSV.
    kinds
        The kinds of values of each column of JSON Lines.
    groups
        The row groups to read of a Parquet file.
    """

    form: Form | None = None
    kinds: Mapping[str, Sequence[str]] | None = None
    groups: slice | None = None


class Source:
    """The rows of a file, in chunks; may be read more than once.

    `names` are its columns, `fraction` is how much of it has been read.

    Parameters
    ----------
    chunk_rows
        The most rows of a chunk.
    columns
        Which cells of a CSV are read as float, int, bool or str, by the column's name; the cells of other
        columns are texts as they stand in the file. By default all columns are read as str.
    headers
        Other names that columns have in files, and the names that they get.
    dialect
        How the file is written, if it is a CSV.
    known
        What is known of the file, if this is a stretch of it.

    Raises
    ------
    InvalidInput
        When the file is missing, of another kind, or not what its name says.
    """

    def __init__(
        self,
        path: Readable,
        chunk_rows: int,
        columns: Mapping[str, type] | None = None,
        headers: Mapping[str, str] | None = None,
        dialect: Dialect | None = None,
        *,
        known: Known | None = None,
    ) -> None:
        if isinstance(path, Path):
            files.demand(path)
        self._path = path
        self._chunk_rows = chunk_rows
        self._headers = headers or {}
        if columns is not None:
            named = {header: name for header, name in self._headers.items() if name in columns}
            columns = {**columns, **{header: columns[name] for header, name in named.items()}}
        with files.reading(path):
            self._file = _open(path, columns, dialect, known or Known())
        self.names = [self._headers.get(name, name) for name in self._file.names]
        self.fraction = 0.0

    def __iter__(self) -> Iterator[Chunk]:
        with files.reading(self._path):
            for chunk in self._file.chunks(self._chunk_rows):
                self.fraction = self._file.fraction
                yield chunk.renamed(self._headers)
        self.fraction = 1.0

    @property
    def has_commas(self) -> bool:
        """Whether commas separate the cells of the file."""
        return isinstance(self._file, CsvFile) and self._file.has_commas

    @property
    def is_short(self) -> bool:
        """Whether the header has no name for the first column."""
        return isinstance(self._file, CsvFile) and self._file.is_short

    @property
    def called(self) -> dict[str, str]:
        """The names in the file of columns that got another name."""
        return {self._headers[name]: name for name in self._file.names if name in self._headers}


class _Format(Protocol):
    names: list[str]
    fraction: float

    def chunks(self, rows: int) -> Iterator[Chunk]: ...


def _open(
    path: Readable, columns: Mapping[str, type] | None, dialect: Dialect | None, known: Known
) -> _Format:
    kind = files.kind(path)
    if kind == ".csv":
        return CsvFile(path, columns, dialect, known.form)
    if kind == ".jsonl":
        return JsonLines(path, columns or {}, known.kinds)
    return ParquetRows(path, known.groups)
