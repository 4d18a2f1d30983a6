"""Blocks of rows."""

from __future__ import annotations

from typing import Any

from models_store import blocks


def test_blocks_are_all_rows_in_their_order() -> None:
    """The last one may be smaller; each says which row is its first."""
    columns: dict[str, list[Any]] = {"a": list(range(7)), "b": list("abcdefg")}
    found = list(blocks.of(columns, 3))

    assert [0, 3, 6] == [start for start, _ in found]
    assert columns == {name: [each for _, block in found for each in block[name]] for name in columns}


def test_no_rows_are_no_blocks() -> None:
    """An empty part of a dataset is asked for nothing."""
    assert [] == list(blocks.of({"a": []}))
