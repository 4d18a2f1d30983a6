"""Parquet read whole, or by row groups, from this machine or from anywhere."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pandas as pd
import pytest

from prediction.batch.files import Readable, Stretch
from prediction.batch.formats.parquet_files import ParquetRows


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Ten rows in row groups of four."""
    path = tmp_path / "rows.parquet"
    pd.DataFrame({"id": range(10), "name": list("abcdefghij")}).to_parquet(path, row_group_size=4)
    return path


def ids(file: Readable, groups: slice, rows: int = 3) -> list[list[int]]:
    """Read the ids by chunk."""
    return [chunk.columns["id"].to_pylist() for chunk in ParquetRows(file, groups).chunks(rows)]


def test_row_groups_are_read_by_their_numbers(path: Path) -> None:
    """The same rows as in the whole file; a file that is only opened gives the same as one by its path."""
    whole = Stretch(str(path), lambda: path.open("rb"), path.stat().st_size)

    for file in (path, whole):
        assert list(range(10)) == list(chain.from_iterable(ids(file, slice(None))))
        assert list(range(4, 10)) == list(chain.from_iterable(ids(file, slice(1, 3))))
        assert [[0, 1, 2, 3]] == ids(file, slice(1), rows=100)


def test_no_row_groups_are_one_chunk_without_rows(path: Path, tmp_path: Path) -> None:
    """It names the columns; so does a file without rows."""
    pd.DataFrame({"id": [], "name": []}).to_parquet(tmp_path / "none.parquet")

    assert [[]] == ids(path, slice(0))
    assert [[]] == ids(tmp_path / "none.parquet", slice(None))
    assert ["id", "name"] == ParquetRows(tmp_path / "none.parquet").names
