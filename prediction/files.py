"""Files of millions of rows: CSV, JSON Lines and Parquet in chunks of Arrow arrays.

`tabular` has files as rows, for the little that people read. A file that is written appears whole or
not at all.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from models_store.errors import InvalidInput
from models_store.spec import Spec
from prediction import frames, tabular
from prediction.frames import Chunk

CSV_BLOCK_BYTES = 4 << 20


class Source:
    """The rows of a file, in chunks; `fraction` tells how much of it was read.

    Raises
    ------
    InvalidInput
        When the file is missing, of another kind, not what its name says, or lacks a feature that must
        not be missing.
    """

    def __init__(self, path: Path, spec: Spec, chunk_rows: int) -> None:
        self.fraction = 0.0
        self._path = path
        self._spec = spec
        self._chunk_rows = chunk_rows
        kind = tabular.kind(path)
        if not path.is_file():
            raise InvalidInput(f"there is no file {path}")
        self._read = {".csv": self._csv, ".jsonl": self._jsonl, ".parquet": self._parquet}[kind]

    def __iter__(self) -> Iterator[Chunk]:
        from pyarrow.lib import ArrowException

        with tabular.told(f"{self._path} can't be read", (*tabular.READING, ArrowException)):
            yield from self._read()
        self.fraction = 1.0

    def _parquet(self) -> Iterator[Chunk]:
        from pyarrow import parquet

        file = parquet.ParquetFile(self._path)
        self._check(file.schema_arrow.names)
        done, total = 0, file.metadata.num_rows
        if not total:
            yield _as_chunk(file.schema_arrow.empty_table().combine_chunks())
        for batch in file.iter_batches(self._chunk_rows):
            done += batch.num_rows
            self.fraction = done / total
            yield _as_chunk(batch)

    def _csv(self) -> Iterator[Chunk]:
        import pyarrow
        from pyarrow import csv as arrow_csv

        with self._path.open(newline="", encoding="utf-8-sig") as text:
            names = next(csv.reader(text), [])
        self._check(names)
        size = self._path.stat().st_size
        with self._path.open("rb") as file:
            reader = arrow_csv.open_csv(
                file,
                arrow_csv.ReadOptions(block_size=CSV_BLOCK_BYTES),
                arrow_csv.ParseOptions(newlines_in_values=True),
                arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pyarrow.string()),
                    null_values=[""],
                    strings_can_be_null=True,
                ),
            )
            for batch in reader:
                self.fraction = file.tell() / size
                for start in range(0, batch.num_rows, self._chunk_rows):
                    yield self._typed(_as_chunk(batch.slice(start, self._chunk_rows)))
            if not self.fraction:  # a file without rows has columns too
                yield self._typed(dict.fromkeys(names, pyarrow.array([], pyarrow.string())))

    def _typed(self, texts: Chunk) -> Chunk:
        numbers = {name for name, feature in self._spec.inputs.items() if not feature.categories}
        return {name: _numbers(column) if name in numbers else column for name, column in texts.items()}

    def _jsonl(self) -> Iterator[Chunk]:
        size, begun = max(1, self._path.stat().st_size), 0
        kinds: dict[str, Any] | None = None
        for rows in tabular.read(self._path):
            names = _names(rows) if kinds is None else list(kinds)
            self._check(names)
            chunk: Chunk = {name: [row.get(name) for row in rows] for name in names}
            others = [name for name in names if name not in self._spec.inputs]
            for name in others:
                chunk[name] = _plain(chunk[name], kinds[name] if kinds else None)
            if kinds is None:  # later rows follow the first ones
                kinds = {name: chunk[name].type if name in others else None for name in names}
            begun += sum(len(json.dumps(row)) + 1 for row in rows)
            self.fraction = min(1.0, begun / size)
            for start in range(0, max(1, len(rows)), self._chunk_rows):
                yield {name: column[start : start + self._chunk_rows] for name, column in chunk.items()}

    def _check(self, names: Sequence[str]) -> None:
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InvalidInput(f"two columns are named {twice[0]}")
        frames.demand(self._spec, names)


def _as_chunk(batch: Any) -> Chunk:
    import pyarrow

    whole = (
        column.combine_chunks() if isinstance(column, pyarrow.ChunkedArray) else column
        for column in batch.columns
    )
    return dict(zip(batch.schema.names, whole, strict=True))


def _numbers(texts: Any) -> Any:
    """Read numbers; where one text is none, a list in which the texts that are none stay texts."""
    import pyarrow
    from pyarrow import compute

    try:
        return compute.cast(compute.utf8_trim_whitespace(texts), pyarrow.float64())
    except pyarrow.lib.ArrowException:
        return [_number(text) for text in texts.to_pylist()]


def _number(text: str | None) -> float | str | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def _names(rows: Sequence[tabular.Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _plain(values: list[Any], kind: Any) -> Any:
    """Make a column of values that are carried along, of one type; nested ones as JSON."""
    import pyarrow

    values = [json.dumps(value) if isinstance(value, dict | list) else value for value in values]
    try:
        column = pyarrow.array(values, type=kind)
    except pyarrow.lib.ArrowException:
        if kind is not None and not pyarrow.types.is_string(kind):
            raise
        column = pyarrow.array([None if value is None else str(value) for value in values])
    return column.cast(pyarrow.string()) if pyarrow.types.is_null(column.type) else column


class Writer(tabular.Writer):
    """Writes Arrow record batches, all of one schema, as the file's name says."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._kind = tabular.kind(path)
        self._file: Any = None
        if not path.parent.is_dir():
            raise InvalidInput(f"{path} can't be written: there is no folder {path.parent}")

    def write(self, rows: Any) -> None:
        """Append a batch; one without rows tells the columns."""
        with tabular.told(f"{self.path} can't be written", (OSError,)):
            self._append(rows)
        self.rows += len(rows)

    def _append(self, rows: Any) -> None:
        if self._file is None:
            self._file = self._open(rows.schema)
        if self._kind == ".jsonl":
            self._file.writelines(json.dumps(row) + "\n" for row in rows.to_pylist())
        else:
            self._file.write_batch(rows)

    def _open(self, schema: Any) -> Any:
        import pyarrow
        from pyarrow import csv as arrow_csv
        from pyarrow import parquet

        if self._kind == ".jsonl":
            return self._draft.open("w", encoding="utf-8")
        if self._kind == ".csv":
            return arrow_csv.CSVWriter(
                self._draft, schema, write_options=arrow_csv.WriteOptions(quoting_style="needed")
            )
        # Texts repeat and shrink; to look for repetition among probabilities is time for nothing.
        texts = [field.name for field in schema if not pyarrow.types.is_floating(field.type)]
        return parquet.ParquetWriter(self._draft, schema, use_dictionary=texts)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
