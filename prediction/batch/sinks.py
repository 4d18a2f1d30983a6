"""Files written: Arrow batches as CSV, JSON Lines and Parquet, whole or not at all.

`sources` reads them. Values that a kind of file can't hold become texts.
"""

from __future__ import annotations

import base64
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models_store.errors import InvalidInput
from prediction.batch import files
from prediction.batch.chunks import Row

ColumnTypes = Mapping[str, type]
"""The columns of a file, in order: each a float, a str, an int or a bool."""


class Writer:
    """Writes Arrow record batches of one schema to a file; a context manager.

    The file is written under another name beside its place and renamed at the end. After an exception
    it is not there, and an older file of its name is as it was.

    Bytes become base64. In JSON, dates are ISO 8601 and NaN is null. In CSV and Parquet a column of
    several types becomes texts, in which values that are not texts are JSON; so do lists in a CSV.

    Parameters
    ----------
    columns
        The columns, if they are known before the first batch.

    Raises
    ------
    InvalidInput
        When the kind of file is not known, or the file can't be written, on a full disk for example.
    """

    def __init__(self, path: Path, columns: ColumnTypes | None = None) -> None:
        self.path = path
        self.rows = 0
        self._kind = files.kind(path)  # first: a path without a name has no draft beside it
        self._draft = path.with_name(f".{path.name}.{os.getpid()}")
        self._file: Any = None
        files.refuse_folder(path)
        if not path.parent.is_dir():
            raise InvalidInput(f"{path} can't be written: there is no folder {path.parent}")
        if columns is not None:
            self.write(batch_of([], columns))

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, error: object, *_: object) -> None:
        try:
            with files.writing(self.path):
                if self._file is not None:
                    self._file.close()
                if error is None:
                    self._draft.replace(self.path)
        finally:
            self._draft.unlink(missing_ok=True)

    def write(self, batch: Any) -> None:
        """Append a batch; one without rows names the columns."""
        with files.writing(self.path):
            held = self._held(batch)
            if self._file is None:
                self._file = self._open(held.schema)
            if self._kind == ".jsonl":
                self._file.writelines(_json_lines(batch))
            else:
                self._file.write_batch(held)
        self.rows += batch.num_rows

    def describe(self, key: str, text: str) -> None:
        """Keep a text in the file, which is Parquet and has a batch."""
        with files.writing(self.path):
            self._file.add_key_value_metadata({key: text})

    def _held(self, batch: Any) -> Any:
        """Turn the columns that this kind of file can't hold into texts."""
        import pyarrow

        if self._kind == ".jsonl":
            return batch
        is_held = _is_cell if self._kind == ".csv" else _is_stored
        columns = [column if is_held(column.type) else _texts(column) for column in batch.columns]
        return pyarrow.RecordBatch.from_arrays(columns, names=batch.schema.names)

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
        # Texts repeat, and a dictionary makes them small; probabilities do not repeat.
        texts = [field.name for field in schema if not pyarrow.types.is_floating(field.type)]
        return parquet.ParquetWriter(self._draft, schema, use_dictionary=texts)


def batch_of(rows: Sequence[Row], columns: ColumnTypes) -> Any:
    """Make a batch of rows; a value that a row does not have is missing."""
    import pyarrow

    schema = pyarrow.schema([(name, arrow_type(kind)) for name, kind in columns.items()])
    return pyarrow.RecordBatch.from_pylist([_encodable(row) for row in rows], schema)


def renamed(batch: Any, names: Mapping[str, str]) -> Any:
    """Give some columns of a batch other names."""
    return batch.rename_columns([names.get(name, name) for name in batch.schema.names]) if names else batch


def arrow_type(kind: type) -> Any:
    """Return the Arrow type of a column of a file."""
    import pyarrow

    types = {float: pyarrow.float64, str: pyarrow.string, int: pyarrow.int64, bool: pyarrow.bool_}
    return types[kind]()


def as_json(values: Sequence[Any]) -> Any:
    """Make an Arrow array of JSON of values that are of several types; None is a missing value."""
    import pyarrow

    texts = [None if value is None else json.dumps(value) for value in values]
    return pyarrow.array(texts, pyarrow.json_())


def _encodable(row: Row) -> Row:
    """Escape half characters in texts: JSON can name them, and no encoding can write them."""
    return {
        name: value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
        for name, value in row.items()
    }


def _json_lines(batch: Any) -> list[str]:
    names = batch.schema.names
    columns = [map(_plain, _values(column)) for column in batch.columns]
    return [
        json.dumps(dict(zip(names, row, strict=True)), allow_nan=False) + "\n"
        for row in zip(*columns, strict=True)
    ]


def _is_cell(kind: Any) -> bool:
    """Tell whether a cell of a CSV can hold an Arrow type."""
    from pyarrow import types

    if types.is_duration(kind) or types.is_interval(kind):
        return False
    texts = types.is_string(kind) or types.is_large_string(kind)
    return bool(texts or types.is_decimal(kind) or types.is_primitive(kind))


def _is_stored(kind: Any) -> bool:
    """Tell whether a Parquet file can hold an Arrow type."""
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
    """Turn values into texts: a text stays as it is, others become JSON."""
    import pyarrow

    plain = [_plain(value) for value in _values(column)]
    texts = [value if value is None or isinstance(value, str) else json.dumps(value) for value in plain]
    return pyarrow.array(texts, pyarrow.string())


def _plain(value: Any) -> Any:
    """Turn a value into one that JSON can hold; NaN becomes a missing value."""
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
