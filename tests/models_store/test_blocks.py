"""Blocks of rows, and columns of numbers in arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models_store import blocks
from models_store.blocks import Floats

GAPS = [0.5, None, 2.0]
FLOATS = Floats(np.array([0.5, np.nan, 2.0]))


def test_blocks_are_all_rows_in_their_order() -> None:
    """The last one may be smaller; each says which row is its first."""
    columns: dict[str, list[Any]] = {"a": list(range(7)), "b": list("abcdefg")}
    found = list(blocks.of(columns, 3))

    assert [0, 3, 6] == [start for start, _ in found]
    assert columns == {name: [each for _, block in found for each in block[name]] for name in columns}


def test_no_rows_are_no_blocks() -> None:
    """An empty part of a dataset is asked for nothing."""
    assert [] == list(blocks.of({"a": []}))


def test_an_array_of_numbers_reads_as_a_list() -> None:
    """Its values are Python's floats, and a missing one is None."""
    assert GAPS == list(FLOATS)
    assert GAPS == [FLOATS[0], FLOATS[1], FLOATS[-1]]
    assert {float, type(None)} == {type(value) for value in FLOATS}
    assert GAPS[1:] == FLOATS[1:]
    assert len(GAPS) == len(FLOATS)
    assert FLOATS == GAPS
    assert FLOATS == Floats(np.array(FLOATS))
    assert FLOATS != [0.5, None]


def test_many_numbers_are_read_in_blocks() -> None:
    """Rows are not lost between them, and each block may have gaps."""
    numbers = np.arange(2.0 * blocks.ROWS + 1)
    numbers[blocks.ROWS] = np.nan

    expected = [None if row == blocks.ROWS else float(row) for row in range(len(numbers))]
    assert expected == list(Floats(numbers))


def test_numpy_reads_arrays_and_lists_beside_each_other() -> None:
    """A frame is made of both."""
    np.testing.assert_array_equal(
        [[0.5, np.nan, 2.0], [1.0, 2.0, np.nan]], np.array([FLOATS, [1.0, 2.0, None]], np.float64)
    )


def test_rows_are_taken_and_joined() -> None:
    """An array stays an array, and a list a list."""
    columns = {"a": FLOATS, "b": ["x", "y", "z"]}
    some = blocks.taken(columns, [2, 1])
    more = blocks.joined(columns, {"a": [None, 3], "b": ["u", None]})

    assert {"a": [2.0, None], "b": ["z", "y"]} == some
    assert {"a": [*GAPS, None, 3.0], "b": ["x", "y", "z", "u", None]} == more
    assert [Floats, list] == [type(values) for values in some.values()]
    assert [Floats, list] == [type(values) for values in more.values()]
    assert GAPS == list(FLOATS), "neither changes what is there"


def test_rows_of_rows_are_taken_without_a_copy() -> None:
    """A part of a dataset costs the numbers of its rows, whatever its columns hold."""
    numbers = np.array([0.5, np.nan, 2.0, 3.0])
    some = blocks.taken(blocks.taken({"a": Floats(numbers)}, [3, 1, 0]), [1, 0, 2])["a"]

    assert [None, 3.0, 0.5] == some == list(some)
    assert [None, 3.0, 0.5] == [some[0], some[1], some[-1]]
    assert [3.0, 0.5] == some[1:]
    numbers[3] = 4.0
    assert [None, 4.0, 0.5] == some


@pytest.mark.parametrize("other", ["abc", 3, None])
def test_an_array_is_not_equal_to_something_else(other: Any) -> None:
    """It is compared, and not refused."""
    assert FLOATS != other
