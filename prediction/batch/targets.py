"""Files that a batch writes: Arrow batches as CSV, JSON Lines and Parquet, whole or not at all.

`files` reads them. What a kind of file has no place for becomes text.
"""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any

from models_store.errors import InvalidInput
from prediction.batch import tabular


class Writer(tabular.Writer):
    """Writes Arrow record batches, all of one schema, as the file's name says.

    Bytes become base64, JSON's dates ISO 8601, and its NaN null. In CSV and Parquet a column of several
    types becomes texts, in which what is no text is JSON, and so do lists in a CSV.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file: Any = None
        if path.is_dir():
            raise InvalidInput(f"{path} is a folder: name a file in it")
        if not path.parent.is_dir():
            raise InvalidInput(f"{path} can't be written: there is no folder {path.parent}")

    def write(self, rows: Any) -> None:
        """Append a batch; one without rows tells the columns."""
        from pyarrow.lib import ArrowException

        errors = (OSError, ValueError, OverflowError, ArrowException)
        with tabular.told(f"{self.path} can't be written", errors):
            self._append(rows)
        self.rows += len(rows)

    def _append(self, rows: Any) -> None:
        import pyarrow

        names = rows.schema.names
        if self._kind != ".jsonl":
            is_held = _is_cell if self._kind == ".csv" else _is_stored
            held = [column if is_held(column.type) else _texts(column) for column in rows.columns]
            rows = pyarrow.RecordBatch.from_arrays(held, names=names)
        if self._file is None:
            self._file = self._open(rows.schema)
        if self._kind != ".jsonl":
            self._file.write_batch(rows)
            return
        columns = [map(_plain, _values(column)) for column in rows.columns]
        for row in zip(*columns, strict=True):
            self._file.write(json.dumps(dict(zip(names, row, strict=True)), allow_nan=False) + "\n")

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


def _is_cell(kind: Any) -> bool:
    """Tell whether a CSV has cells of an Arrow type."""
    from pyarrow import types

    if types.is_duration(kind) or types.is_interval(kind):
        return False
    texts = types.is_string(kind) or types.is_large_string(kind)
    return bool(texts or types.is_decimal(kind) or types.is_primitive(kind))


def _is_stored(kind: Any) -> bool:
    """Tell whether a Parquet file has columns of an Arrow type."""
    import pyarrow

    return not (isinstance(kind, pyarrow.JsonType) or pyarrow.types.is_interval(kind))


def _values(column: Any) -> list[Any]:
    import pyarrow

    values: list[Any] = column.to_pylist()
    return (
        [value and json.loads(value) for value in values]
        if isinstance(column.type, pyarrow.JsonType)
        else values
    )


def _texts(column: Any) -> Any:
    """Write values as texts: a text as it is, others as JSON."""
    import pyarrow

    plain = [_plain(value) for value in _values(column)]
    texts = [value if value is None or isinstance(value, str) else json.dumps(value) for value in plain]
    return pyarrow.array(texts, pyarrow.string())


def _plain(value: Any) -> Any:
    """Make what JSON can hold of a value: NaN, which it can't, is a missing one."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None if math.isnan(value) else str(value)
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
