"""Chunks: rows by column, and rows of them."""

from __future__ import annotations

import pyarrow
import pytest

from prediction.batch.chunks import BrokenRow, Chunk


@pytest.mark.parametrize(
    ("cells", "expected", "reason"),
    [
        (1, 2, "has 1 cell where the header has 2"),
        (3, 2, "has 3 cells where the header has 2"),
        (0, 1, "has 0 cells where the header has 1"),
    ],
)
def test_a_broken_row_has_a_reason(cells: int, expected: int, reason: str) -> None:
    """In the singular only for one cell."""
    assert reason == BrokenRow(1, cells, expected, "").reason


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a,b,c", ["a", "b", "c"]),
        ('a, "b, c",', ["a", "b, c", None]),
        ('"two\nlines",b', ["two\nlines", "b"]),
        ('"cut in the mid', ["cut in the mid"]),
        ("", []),
    ],
)
def test_a_broken_row_shows_its_cells(text: str, values: list[str | None]) -> None:
    """As many as it has, so that people find the row again."""
    assert values == BrokenRow(1, 0, 0, text).values()


def test_a_chunk_can_be_read_by_row() -> None:
    """Arrow arrays and lists of anything; None is a missing value."""
    chunk = Chunk({"a": pyarrow.array([1, None]), "b": ["x", [2]]}, 2)

    assert [{"a": 1, "b": "x"}, {"a": None, "b": [2]}] == chunk.by_row()


def test_rows_without_columns_are_rows() -> None:
    """JSON Lines may hold objects without a name."""
    assert [{}, {}] == Chunk({}, 2).by_row()
