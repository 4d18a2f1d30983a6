"""JSON Lines: columns found in any row, values that keep their types, and lines that are not JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow
import pytest

from models_store.errors import InvalidInput
from models_store.spec import Spec
from prediction.batch.sources import Source
from tests.scoring import PENGUIN, read, write

MANY = 12_000
"""Rows that are more than two chunks."""


def column(path: Path, name: str) -> list[Any]:
    """Return a column of all chunks."""
    return [row[name] for chunk in Source(path, 100_000) for row in chunk.by_row()]


def test_a_column_may_begin_in_the_last_row(tmp_path: Path, specs: dict[str, Spec]) -> None:
    """It counts there, and is checked there."""
    rows: list[dict[str, Any]] = [{"island": "Biscoe"} for _ in range(MANY)]
    rows[-2]["flipper_length_mm"] = 217
    rows[-1]["flipper_length_mm"] = -5

    found = read(write(tmp_path / "rows.jsonl", rows), specs["penguins"])

    assert 217.0 == found[-1].columns["flipper_length_mm"][-1]
    assert [(MANY, "flipper_length_mm")] == [(item.row, item.field) for item in found[-1].bad_values]


@pytest.mark.parametrize(
    ("early", "late", "expected"),
    [
        (1, 1.5, [1.0, 1.5]),
        (None, 2, [None, 2]),
        (2**60 + 1, None, [2**60 + 1, None]),
        (2**60 + 1, 1.5, [2**60 + 1, 1.5]),
        (2**53, 1.5, [float(2**53), 1.5]),
        (2**53 + 1, 1.5, [2**53 + 1, 1.5]),
        (2**63 - 1, -(2**63), [2**63 - 1, -(2**63)]),
        (2**63, 1, [2**63, 1]),
        (10**30, 1, [10**30, 1]),
        (1, "n/a", [1, "n/a"]),
        (True, 1, [True, 1]),
        ([1], {"a": None}, [[1], {"a": None}]),
        ("half \ud800", "x", ["half \ud800", "x"]),
    ],
)
def test_values_do_not_change(early: Any, late: Any, expected: list[Any], tmp_path: Path) -> None:
    """Whatever comes thousands of rows later, to the last digit."""
    rows = [PENGUIN | {"x": early} for _ in range(MANY)] + [PENGUIN | {"x": late, "new": 1}]
    path = write(tmp_path / "rows.jsonl", rows)

    found = column(path, "x")

    assert expected == [found[0], found[-1]]
    assert [type(value) for value in expected] == [type(found[0]), type(found[-1])]
    assert [*[None] * MANY, 1] == column(path, "new")


def test_blank_lines_are_not_rows(tmp_path: Path, specs: dict[str, Spec]) -> None:
    """Between rows or at the end, where many programs leave one; a byte order mark means nothing."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"island": "Dream"}\r\n\r\n  \n{"island": "Biscoe"}\n\n')

    (found,) = read(path, specs["penguins"])

    assert ["Dream", "Biscoe"] == found.columns["island"].tolist()


def test_values_of_mixed_types_are_refused_one_by_one(tmp_path: Path, specs: dict[str, Spec]) -> None:
    """A text among numbers costs no other row."""
    values: list[Any] = [217, True, "217", 217.5, [217], None, 10**400, "half \ud800"]
    rows = [{"island": "Dream", "flipper_length_mm": value} for value in values]

    (found,) = read(write(tmp_path / "rows.jsonl", rows), specs["penguins"])

    assert [True, False, False, True, False, True, False, False] == found.kept.tolist()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("name: setosa", "line 2: Expecting value at character 1"),
        ('["setosa"]', "line 2 is not a JSON object"),
        ('{"name": NaN}', "line 2: NaN is not JSON: write null where a value is missing"),
        ('{"name": -Infinity}', "line 2: -Infinity is not JSON: write null where a value is missing"),
        ('{"name": 1, "name": 2}', 'line 2: "name" is given twice: write each field once'),
        ('{"name": ' + "[" * 100_000, "line 2 has more than 100 brackets within each other"),
        ('{"name": ' + "[" * 100 + "]" * 100 + "}", "line 2 has more than 100 brackets within each other"),
        ('{"a":' * 300 + "1" + "}" * 300, "line 2 has more than 100 brackets within each other"),
        ("null", "line 2 is not a JSON object"),
    ],
)
def test_a_line_that_is_not_an_object_is_named(line: str, words: str, tmp_path: Path) -> None:
    """With the place in the line if it is not JSON."""
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"name": 1}}\n{line}\n')

    with pytest.raises(InvalidInput) as caught:
        Source(path, 100)
    assert str(caught.value).startswith(f"{path} can't be read: {words}")


@pytest.mark.parametrize("rows", [1_000, 400_000])
def test_a_line_that_is_not_utf_8_is_named(rows: int, tmp_path: Path) -> None:
    """Early in a file or late."""
    line, bad = (json.dumps({"who": who}, ensure_ascii=False) for who in "x\u00e9")
    (tmp_path / "rows.jsonl").write_text("\n".join([*[line] * rows, bad]), encoding="latin-1")

    with pytest.raises(InvalidInput, match=f"line {rows + 1} is not UTF-8: save the file as UTF-8$"):
        Source(tmp_path / "rows.jsonl", 100)


def test_a_name_that_no_encoding_can_write_is_an_error(tmp_path: Path) -> None:
    """JSON can hold half a character, which no file of columns can."""
    path = write(tmp_path / "rows.jsonl", [{"half \ud800": 1}])

    with pytest.raises(InvalidInput, match=r'the name "half \\ud800" holds half a character: rename it$'):
        Source(path, 100)


def test_an_empty_file_has_the_columns_that_are_wanted(tmp_path: Path) -> None:
    """And one chunk without rows."""
    (tmp_path / "rows.jsonl").write_text("\n")

    source = Source(tmp_path / "rows.jsonl", 100, {"size": float})

    assert ["size"] == source.names
    assert [0] == [chunk.rows for chunk in source]


def test_a_chunk_is_not_too_long(tmp_path: Path) -> None:
    """Python objects need much memory, however many rows a chunk may have."""
    path = write(tmp_path / "rows.jsonl", [{"x": 1}] * MANY)

    assert [5_000, 5_000, 2_000] == [chunk.rows for chunk in Source(path, 100_000)]
    assert 40 == len(list(Source(path, 300)))


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 2**53 + 1, 0])
def test_integers_of_64_bits_are_an_arrow_column(value: int, tmp_path: Path) -> None:
    """Longer ones are a list."""
    (chunk,) = Source(write(tmp_path / "rows.jsonl", [{"x": value}]), 100)
    (longer,) = Source(write(tmp_path / "longer.jsonl", [{"x": 2**63}]), 100)

    assert pyarrow.int64() == chunk.columns["x"].type
    assert [2**63] == longer.columns["x"]
