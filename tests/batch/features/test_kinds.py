"""Each kind reads Arrow arrays as its validator reads JSON: the same rows in all files are the same."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pytest
from pyarrow import parquet

from models_store.features.category import Category
from models_store.features.feature import Feature
from models_store.features.flag import Flag
from models_store.features.integer import Integer
from models_store.features.moment import Moment
from models_store.features.number import Number
from models_store.features.text import Text
from models_store.spec import Spec
from prediction.batch import frames
from prediction.batch.chunks import Chunk
from prediction.batch.features import kinds
from prediction.batch.sources import Source
from tests.zoo import flights

NUMBER = Number(name="a", low=0, high=9, optional=True)
INTEGER = Integer(name="a", low=0, high=9, optional=True)
FLAG = Flag(name="a", optional=True)
CATEGORY = Category(name="a", categories=("x", "y"), optional=True)
CITY = Category(name="a", open=True, optional=True)
NOTE = Text(name="a", max_length=5, optional=True)
MOMENT = Moment(name="a", zone="Europe/Paris", optional=True)
NOON, TOLD = datetime(2024, 6, 1, 10, tzinfo=UTC), "2024-06-01T12:00:00+02:00"
EPOCH, EPOCH_DAY = "1970-01-01T01:00:00+01:00", "1970-01-01T00:00:00+01:00"


@pytest.mark.parametrize(
    ("feature", "array", "values", "wrong"),
    [
        (NUMBER, pyarrow.array([1, None, 10]), [1.0, None, 10.0], "  x"),
        (NUMBER, pyarrow.array(["1", "2"]), [None, None], "xx"),
        (NUMBER, pyarrow.array([True]), [None], "x"),
        (INTEGER, pyarrow.array([1.0, None, 3.0]), [1, None, 3], "   "),
        (INTEGER, pyarrow.array([2, 10], pyarrow.int8()), [2, 10], " x"),
        (FLAG, pyarrow.array([True, False, None]), [True, False, None], "   "),
        (FLAG, pyarrow.array([1, 0]), [None, None], "xx"),
        (FLAG, pyarrow.array([None]), [None], " "),
        (CATEGORY, pyarrow.array(["x", None, "z", " y ", ""]), ["x", None, None, "y", None], "  x  "),
        (CATEGORY, pyarrow.array(["y"]).dictionary_encode(), ["y"], " "),
        (CATEGORY, pyarrow.array([1]), [None], "x"),
        (CITY, pyarrow.array([" Metz", "", "x" * 201]), ["Metz", None, "x" * 201], "  x"),
        (NOTE, pyarrow.array(["a b", "123456", "a\0"]), ["a b", "123456", "a\0"], " xx"),
        (NOTE, pyarrow.array([1]), [None], "x"),
        (MOMENT, pyarrow.array([TOLD, "", "2024-06-01"]), [TOLD, None, "2024-06-01T00:00:00+02:00"], "   "),
        (MOMENT, pyarrow.array([NOON, None], pyarrow.timestamp("ns", "UTC")), [TOLD, None], "  "),
        (MOMENT, pyarrow.array([date(2024, 6, 1)]), ["2024-06-01T00:00:00+02:00"], " "),
        (MOMENT, pyarrow.array([NOON], pyarrow.timestamp("us")), [None], "x"),
        (MOMENT, pyarrow.array([5]), [None], "x"),
        (MOMENT, pyarrow.array([0, 10**12, 10**15], pyarrow.timestamp("s", "UTC")), [EPOCH, 0, 0], " xx"),
        (MOMENT, pyarrow.array([0, 3_000_000, -(10**6)], pyarrow.date32()), [EPOCH_DAY, 0, 0], " xx"),
        (MOMENT, pyarrow.array([86_400_000 * 10**7], pyarrow.date64()), [0], "x"),
        (NUMBER, pyarrow.array([Decimal("0.3"), Decimal("0.1")]), [0.3, 0.1], "  "),
        (INTEGER, pyarrow.array([Decimal("3.00"), Decimal("3.50")]), [3, 0], " x"),
    ],
)
def test_an_array_is_read(feature: Feature, array: pyarrow.Array, values: list[object], wrong: str) -> None:
    """Its values are as in JSON; those that look wrong are marked."""
    part = kinds.of(feature)
    found, suspect = part.read(feature, array)

    shown = [value for value, mark in zip(part.plain(found), wrong, strict=True) if mark == " "]
    assert [value for value, mark in zip(values, wrong, strict=True) if mark == " "] == shown
    assert [type(value) for value in shown] == [
        type(value) for value, mark in zip(values, wrong, strict=True) if mark == " "
    ]
    assert wrong == "".join("x" if mark else " " for mark in suspect)


GOOD: list[dict[str, Any]] = [
    flights.SPEC.example,
    flights.SPEC.example | {"wind_kn": None, "tail": None, "remarks": None, "is_holiday": True},
    flights.SPEC.example | {"tail": "Ž 1", "remarks": 'two "words", one\nline', "departs_at": "2013-07-01"},
    flights.SPEC.example | {"carrier": " UA ", "remarks": "  ", "tail": "", "distance_mi": 800.0},
    flights.SPEC.example | {"departs_at": "2013-07-01T12:00:00Z", "tail": "\tnan ", "wind_kn": 3},
]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows as people do, in the kind of file that the name says."""
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".csv":
        pd.DataFrame(rows).to_csv(path, index=False)
    else:
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def read(source: Any, spec: Spec) -> list[dict[str, Any]]:
    """Validate chunks; return the rows as the journal would hold them."""
    found = []
    for chunk in source:
        rows = frames.validate(spec, chunk, 1)
        assert [] == rows.bad_values
        columns = [kinds.of(spec.inputs[name]).plain(rows.columns[name]) for name in spec.inputs]
        found += [dict(zip(spec.inputs, row, strict=True)) for row in zip(*columns, strict=True)]
    return found


@pytest.fixture(scope="module")
def expected() -> list[dict[str, Any]]:
    """The rows as HTTP takes them."""
    return [flights.SPEC.rows.row(json.dumps(row).encode()).model_dump() for row in GOOD]


@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".parquet"])
def test_the_same_rows_are_the_same_in_every_file(
    kind: str, tmp_path: Path, expected: list[dict[str, Any]]
) -> None:
    """Blanks, empty texts, missing values, dates and other zones become what they become over HTTP."""
    spec = flights.SPEC
    path = write(tmp_path / f"rows{kind}", GOOD)

    assert expected == read(Source(path, 1000, frames.column_types(spec)), spec)


@pytest.mark.parametrize(
    "types",
    [
        {},
        {"distance_mi": "Int64", "is_holiday": "boolean", "tail": "string", "carrier": "category"},
        {"distance_mi": "Float64", "wind_kn": "Float64", "remarks": "category", "tail": "category"},
        {"distance_mi": "int16", "is_holiday": "object", "carrier": "object", "remarks": "object"},
        {"departs_at": "datetime64[ns, UTC]"},
        {"departs_at": "datetime64[s, Asia/Tokyo]"},
    ],
    ids=str,
)
def test_the_same_rows_are_the_same_in_frames_of_all_types(
    types: dict[str, str], expected: list[dict[str, Any]]
) -> None:
    """Nullable, categorical, string and datetime types; a frame has real times."""
    frame = pd.DataFrame(GOOD)
    frame["departs_at"] = pd.to_datetime([row["departs_at"] for row in expected], utc=True)

    assert expected == read([frames.from_pandas(frame.astype(types), flights.SPEC)], flights.SPEC)


def test_a_frame_with_times_without_a_zone_is_refused_with_the_reason() -> None:
    """Each of its rows."""
    frame = pd.DataFrame(GOOD[:2]).assign(departs_at=pd.to_datetime(["2013-01-01", "2013-01-02"]))
    (first, _) = frames.validate(flights.SPEC, frames.from_pandas(frame, flights.SPEC), 1).bad_values

    assert ("departs_at", 1) == (first.field, first.row)
    assert "this one has no offset: add it" in first.reason


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("departs_at", [NOON, NOON.replace(tzinfo=None)], ["2024-06-01T06:00:00-04:00", None]),
        (
            "departs_at",
            [date(2024, 6, 1), NOON],
            ["2024-06-01T00:00:00-04:00", "2024-06-01T06:00:00-04:00"],
        ),
        ("departs_at", [np.datetime64("2024-06-01"), pd.NaT], ["2024-06-01T00:00:00-04:00", None]),
        ("distance_mi", [800, True], [800, None]),
        ("is_holiday", [True, 1], [True, None]),
        ("tail", ["N1", 1], ["N1", None]),
    ],
)
def test_objects_of_several_types_are_what_each_of_them_is(
    name: str, values: list[Any], expected: list[Any]
) -> None:
    """Arrow would make a time of UTC of one without offset, and a date of a time."""
    frame = pd.DataFrame([flights.SPEC.example] * 2).assign(**{name: pd.Series(values, dtype=object)})
    rows = frames.validate(flights.SPEC, frames.from_pandas(frame, flights.SPEC), 1)
    found = iter(kinds.of(flights.SPEC.inputs[name]).plain(rows.columns[name]))

    assert expected == [next(found) if kept else None for kept in rows.kept]


@pytest.mark.parametrize(
    ("name", "array", "reason"),
    [
        ("departs_at", pyarrow.array([0, 10**12], pyarrow.timestamp("s", "UTC")), "must be a time"),
        ("departs_at", pyarrow.array([0, 10**7], pyarrow.date32()), "must be a time"),
        ("tail", pyarrow.array([b"N1", b"\xff"]), "must be a text of 1 to 200 characters"),
    ],
)
def test_one_value_that_python_can_not_hold_refuses_one_row(
    name: str, array: pyarrow.Array, reason: str
) -> None:
    """A time after the year 9999, and bytes that are not UTF-8; the other row is answered."""
    columns = {feature: pyarrow.array([value] * 2) for feature, value in flights.SPEC.example.items()}
    rows = frames.validate(flights.SPEC, Chunk(columns | {name: array}, 2), 1)

    assert [True, False] == rows.kept.tolist()
    assert [reason] == [bad.reason[: len(reason)] for bad in rows.bad_values]
