"""Columns are read in a dialect, from files and from frames."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow
import pytest
from pyarrow import compute

from models_store.spec import Dialect, Spec
from prediction.batch import dialects
from prediction.batch.cells import Cells
from prediction.batch.chunks import Chunk

COLUMNS = [
    ("number", "1234,5", ["1,5", " 1,5 ", "NA", "2,"], [1.5, 1.5, None, 2.0]),
    ("number", "1234,5", ["1,5", "1.5", None], [1.5, "1.5", None]),
    ("number", "", ["1.5", "nan", "Infinity", None], [1.5, None, None, None]),
    ("integer", "", ["1", "?", "+2"], [1.0, None, 2.0]),
    ("integer", "", [1, None, 3], [1, None, 3]),
    ("number", "", [1.5, math.inf, None], [1.5, None, None]),
    ("number", "", ["NA", "NA", None], [None, None, None]),
    ("flag", "", ["TRUE", "false", "-", None], [True, False, None, None]),
    ("flag", "", ["TRUE", "1"], [True, "1"]),
    ("flag", "", [True, None], [True, None]),
    ("category", "", [" a ", "N/A", None, "b"], ["a", None, None, "b"]),
    ("category", "", [7, None, 8], ["7", None, "8"]),
    ("text", "", ["a\0b", "null"], ["a b", None]),
    ("moment", "%d.%m.%Y", ["31.12.2020", "2020-12-31", "?", "x"], ["2020-12-31", "2020-12-31", None, "x"]),
    ("moment", "", [date(2020, 12, 31), None], [date(2020, 12, 31), None]),
]


@pytest.mark.parametrize(("kind", "way", "raw", "expected"), COLUMNS)
def test_a_column_is_read(kind: str, way: str, raw: list[Any], expected: list[Any]) -> None:
    """What can't be read stays as it is, and is refused with its text."""
    chunk = Chunk({"a": pyarrow.array(raw), "other": pyarrow.array(raw)}, len(raw))

    found = dialects.read(chunk, {"a": Cells(kind, way)})

    column = found.columns["a"]
    assert expected == (column if isinstance(column, list) else column.to_pylist())
    assert raw == found.columns["other"].to_pylist() or math.inf in raw


@pytest.mark.parametrize(
    ("kind", "raw", "expected"),
    [
        ("number", [1, "2.5", "NA", None, math.nan, math.inf], [1, 2.5, None, None, None, None]),
        ("number", [Decimal(2), "x"], [Decimal(2), "x"]),
        ("category", [1, "a", True, 2.5, None], ["1", "a", "True", "2.5", None]),
        ("category", [[1], "a"], [[1], "a"]),
        ("number", [1, np.arange(2)], None),
        ("number", [object(), object()], None),
    ],
)
def test_a_column_of_several_types_is_read(kind: str, raw: list[Any], expected: list[Any]) -> None:
    """JSON Lines and frames have them."""
    (column,) = dialects.read(Chunk({"a": raw}, len(raw)), {"a": Cells(kind)}).columns.values()

    if expected is None:
        assert column is raw or column == raw
    else:
        assert expected == (column if isinstance(column, list) else column.to_pylist())


def test_bytes_that_are_no_text_stay_bytes() -> None:
    """The validator refuses them, row by row."""
    raw = pyarrow.array([b"\xff", b"a"])

    assert raw == dialects.read(Chunk({"a": raw}, 2), {"a": Cells("category")}).columns["a"]


def test_plain_numbers_are_read_at_once_as_one_by_one() -> None:
    """Arrow reads a whole column, and is no other rule."""
    rng = np.random.default_rng(0)
    digits = list("0123456789.-+eE")
    texts = ["".join(rng.choice(digits, rng.integers(1, 8))) for _ in range(4_000)]
    texts += [repr(value) for value in rng.normal(0, 1, 1_000) * 10.0 ** rng.integers(-300, 300, 1_000)]
    cells = Cells("number")
    for text in texts:
        one, (column,) = (
            cells.value(text),
            dialects.read(Chunk({"a": pyarrow.array([text])}, 1), {"a": cells}).columns.values(),
        )
        many = column[0] if isinstance(column, list) else column[0].as_py()
        assert (one if isinstance(one, float | None) else text) == many, text


def test_a_table_with_commas_has_decimal_points(specs: dict[str, Spec]) -> None:
    """If the dialect has another separator; a spec without a dialect reads nothing."""
    dialect = Dialect(
        separator=";",
        numbers={"bill_length_mm": "1234,5", "bill_depth_mm": "1,234.5"},
        missing={"island": ["unknown"]},
    )
    spec = replace(specs["penguins"], dialect=dialect)

    own, plain = dialects.cells_of(spec), dialects.cells_of(spec, has_commas=True)
    assert ("1234,5", "1,234.5", "") == tuple(
        own[name].way for name in ("bill_length_mm", "bill_depth_mm", "island")
    )
    assert ("", "1,234.5") == tuple(plain[name].way for name in ("bill_length_mm", "bill_depth_mm"))
    assert frozenset({"unknown"}) == plain["island"].missing
    assert {} == dialects.cells_of(specs["penguins"])
    assert compute.count(dialects.read(Chunk({"a": pyarrow.array([1])}, 1), {}).columns["a"]).as_py() == 1
