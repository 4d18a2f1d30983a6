"""Validation by column: which rows are refused, in the validator's words."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow
import pytest
from pyarrow import parquet

from models_store.errors import InvalidInput
from models_store.spec import Features, Spec, category, classes, number
from prediction.batch import frames
from prediction.batch.chunks import BrokenRow, Chunk
from tests import kinds
from tests.scoring import IRIS, PENGUIN, read, write


@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".parquet"])
def test_the_same_values_are_refused_as_over_http(
    kind: str, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """Each with its row, counted from 1, its field and the validator's sentence."""
    rows = [IRIS | {"sepal_length_cm": 5.0 + number / 1000} for number in range(200)]
    rows[0]["petal_width_cm"] = 99.0
    rows[150]["petal_length_cm"] = None  # type: ignore[assignment]
    rows[150]["sepal_width_cm"] = -1.0

    found = read(write(tmp_path / f"rows{kind}", rows), specs["iris"])

    problems = [problem for part in found for problem in part.bad_values]
    assert [(1, "petal_width_cm"), (151, "sepal_width_cm"), (151, "petal_length_cm")] == [
        (problem.row, problem.field) for problem in problems
    ]
    with pytest.raises(InvalidInput) as over_http:
        specs["iris"].rows.object(rows[0])
    assert over_http.value.detail[0]["msg"] == problems[0].reason
    assert [99, 99] == [len(part) for part in found]


@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".parquet"])
def test_a_missing_value_and_a_wrong_one_have_different_reasons(
    kind: str, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """As over HTTP, where a missing value is not sent; a wrong text is shown."""
    rows = [IRIS | {"petal_width_cm": value} for value in (None, "wide", "1,234", "x" * 99)]

    (found,) = read(write(tmp_path / f"rows{kind}", rows), specs["iris"])

    with pytest.raises(InvalidInput) as over_http:
        specs["iris"].rows.object({name: value for name, value in rows[0].items() if value is not None})
    number = "must be a number from 0.1 to 30 cm, and is the text"
    assert [
        over_http.value.detail[0]["msg"],
        f'{number} "wide"',
        f'{number} "1,234"',
        f'{number} "{"x" * 40}"',
    ] == [problem.reason for problem in found.bad_values]
    assert found.bad_values[0].reason.startswith("is required: a number")


@pytest.mark.parametrize(
    "column",
    [
        pyarrow.array(["5.1", "5.2"]),
        pyarrow.array([True, False]),
        pyarrow.array([[5.1], [5.2]]),
    ],
    ids=["texts", "booleans", "lists"],
)
def test_a_parquet_column_of_another_type_is_refused(
    column: Any, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """As over HTTP, where a text is no number either."""
    table = pyarrow.table({**{name: [1.0, 1.0] for name in IRIS}, "sepal_length_cm": column})
    parquet.write_table(table, tmp_path / "rows.parquet")

    (found,) = read(tmp_path / "rows.parquet", specs["iris"])

    assert 0 == len(found)
    assert [1, 2] == [problem.row for problem in found.bad_values]
    assert {"sepal_length_cm"} == {problem.field for problem in found.bad_values}


@pytest.mark.parametrize(
    "kind", [pyarrow.int32(), pyarrow.float32(), pyarrow.float64(), pyarrow.decimal128(38, 2)]
)
def test_a_parquet_column_of_any_numbers_is_read(kind: Any, tmp_path: Path, specs: dict[str, Spec]) -> None:
    """Whole numbers, float32 and decimals are numbers."""
    table = pyarrow.table({name: pyarrow.array([2], pyarrow.int64()).cast(kind) for name in IRIS})
    parquet.write_table(table, tmp_path / "rows.parquet")

    (found,) = read(tmp_path / "rows.parquet", specs["iris"])

    assert [2.0] == found.columns["petal_width_cm"].tolist()


def test_dictionaries_are_texts(tmp_path: Path, specs: dict[str, Spec]) -> None:
    """A pandas category is what Parquet calls a dictionary."""
    frame = pd.DataFrame([PENGUIN, PENGUIN | {"island": "Mars"}]).astype({"island": "category"})
    frame.to_parquet(tmp_path / "rows.parquet")

    (found,) = read(tmp_path / "rows.parquet", specs["penguins"])

    assert ["Biscoe"] == found.columns["island"].tolist()
    (problem,) = found.bad_values
    assert (2, "island") == (problem.row, problem.field)
    assert "Torgersen" in problem.reason


@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".parquet"])
def test_every_valid_random_row_is_kept_and_its_twin_out_of_range_is_not(
    kind: str, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """Columns and the row's own validator never disagree, on every spec."""
    for spec in specs.values():
        columns = spec.random_columns(300, np.random.default_rng(1))
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        numeric = next(name for name, feature in spec.inputs.items() if kinds.is_measured(feature))
        for row in rows[::7]:
            row[numeric] = kinds.limits(spec.inputs[numeric])[1] + 1
        found = read(write(tmp_path / f"{spec.name}{kind}", rows), spec)

        kept = np.concatenate([part.kept for part in found]).tolist()
        assert [number % 7 != 0 for number in range(300)] == kept


def test_a_frame_of_mixed_values_is_read_row_by_row(specs: dict[str, Spec]) -> None:
    """A frame may hold anything in a column."""
    frame = pd.DataFrame([IRIS, IRIS, IRIS]).astype({"sepal_width_cm": object})
    frame.loc[1, "sepal_width_cm"] = "wide"

    found = frames.validate(specs["iris"], frames.from_pandas(frame, specs["iris"]), 1)

    assert [True, False, True] == found.kept.tolist()
    assert [3.5, 3.5] == found.columns["sepal_width_cm"].tolist()
    assert (2, "sepal_width_cm") == (found.bad_values[0].row, found.bad_values[0].field)


@pytest.mark.parametrize(
    "kinds", [{"flipper_length_mm": "Int64", "island": "string"}, {"island": "category"}]
)
def test_a_frame_of_nullable_types_is_read(kinds: dict[str, Any], specs: dict[str, Spec]) -> None:
    """Whatever type pandas has chosen, a missing value stays missing."""
    frame = pd.DataFrame({"island": ["Dream", "Biscoe", None], "flipper_length_mm": [190, None, 217]})

    found = frames.validate(
        specs["penguins"], frames.from_pandas(frame.astype(kinds), specs["penguins"]), 1
    )

    assert ["Dream", "Biscoe"] == found.columns["island"].tolist()
    assert [True, True, False] == found.kept.tolist()
    assert np.array_equal([190.0, np.nan], found.columns["flipper_length_mm"], equal_nan=True)


@pytest.mark.parametrize("good", [217, 217.0, np.int64(217), np.float32(217), Decimal(217)])
@pytest.mark.parametrize("bad", ["wide", 2**70, np.array([1, 2]), True, "half \ud800"], ids=str)
def test_a_bad_value_costs_no_other_row_of_a_frame(good: Any, bad: Any, specs: dict[str, Spec]) -> None:
    """Numbers of any type and missing values in a column that holds anything else too."""
    values = pd.Series([good, bad, None, pd.NA, float("nan")], dtype=object)
    frame = pd.DataFrame({"island": ["Dream"] * 5, "flipper_length_mm": values})

    found = frames.validate(specs["penguins"], frames.from_pandas(frame, specs["penguins"]), 1)

    assert [True, False, True, True, True] == found.kept.tolist()
    assert 217.0 == found.columns["flipper_length_mm"][0]


class Rated(Features):
    """A feature whose categories look like numbers."""

    stars: Literal["1", "2"] = category("Stars", example="1")


def test_a_number_is_no_category(specs: dict[str, Spec]) -> None:
    """As over HTTP, where 1 is refused instead of "1"."""
    spec = Spec("rated", "Rated", Rated, classes("a", "b"), specs["iris"].load, specs["iris"].pipeline)

    for column in (pyarrow.array([1, 2]), pyarrow.array([1, 2]).dictionary_encode()):
        assert 0 == len(frames.validate(spec, Chunk({"stars": column}, 2), 1))
    for column in (pyarrow.array(["1", "2"]), pyarrow.array(["1", "2"]).dictionary_encode()):
        assert 2 == len(frames.validate(spec, Chunk({"stars": column}, 2), 1))


def test_missing_and_repeated_columns_are_named(specs: dict[str, Spec]) -> None:
    """With the columns that are there."""
    with pytest.raises(
        InvalidInput, match=r"the frame: a column is missing: iris needs .*, and there is a, 0"
    ):
        frames.demand(specs["iris"], ["a", 0], "the frame")  # type: ignore[list-item]
    with pytest.raises(InvalidInput, match="the frame: two columns are named 'who': rename one"):
        frames.demand(specs["iris"], [*IRIS, "who", "who"], "the frame")


class Sized(Features):
    """A number and a category that are needed, and one of each that is optional."""

    size: float = number("Size", unit="cm", low=1, high=2, example=1)
    width: float | None = number("Width", unit="cm", low=1, high=2, example=1, optional=True)
    kind: Literal["a", "b"] = category("Kind", example="a")
    hue: Literal["a", "b"] | None = category("Hue", example="a", optional=True)


@pytest.fixture
def sized(specs: dict[str, Spec]) -> Spec:
    """A spec of every sort of feature."""
    return Spec("sized", "Sized", Sized, classes("a", "b"), specs["iris"].load, specs["iris"].pipeline)


@pytest.mark.parametrize(
    ("name", "values", "suspect"),
    [
        ("size", [1.0, 2.0, 0.999, 2.001, None, float("nan")], [2, 3, 4, 5]),
        ("width", [1.0, 2.0, 0.999, 2.001, None, float("nan")], [2, 3]),
        ("width", [None] * 6, []),
        ("size", [None] * 6, [0, 1, 2, 3, 4, 5]),
        ("size", [1, 2, 0, 3, None, 1], [2, 3, 4]),
        ("size", ["1"] * 6, [0, 1, 2, 3, 4, 5]),
        ("kind", ["a", "b", "c", "", None, "a"], [2, 3, 4]),
        ("hue", ["a", "b", "c", "", None, " a "], [2]),
        ("hue", [None] * 6, []),
        ("hue", [b"a", b"b", b"c", b"\xff", None, b"a"], [0, 1, 2, 3, 4, 5]),
    ],
)
def test_only_rows_that_look_wrong_are_suspect(
    name: str, values: list[Any], suspect: list[int], sized: Spec
) -> None:
    """All other rows skip the validator, which is slow; bounds are inside."""
    good = {"size": [1.5] * 6, "width": [1.5] * 6, "kind": ["a"] * 6, "hue": ["a"] * 6}
    chunk = Chunk({key: pyarrow.array(each) for key, each in {**good, name: values}.items()}, 6)

    _, found = frames.check_columns(sized, chunk)

    assert suspect == np.flatnonzero(found).tolist()


def test_a_column_that_is_absent_counts_as_missing_values(sized: Spec) -> None:
    """Each row is refused if the feature is not optional."""
    columns = {"size": pyarrow.array([1.5, 1.5]), "kind": pyarrow.array(["a", "b"])}

    found = frames.validate(sized, Chunk(columns, 2), 1)

    assert [True, True] == found.kept.tolist()
    assert np.isnan(found.columns["width"]).all()
    assert [None, None] == found.columns["hue"].tolist()
    assert [False, False] == frames.check_columns(sized, Chunk(columns, 2))[1].tolist()
    del columns["size"]
    refused = frames.validate(sized, Chunk(columns, 2), 7)
    assert [(7, "size"), (8, "size")] == [(item.row, item.field) for item in refused.bad_values]


def test_a_missing_value_alone_is_refused_if_it_is_needed(sized: Spec) -> None:
    """In a column of numbers or of texts, with nothing else wrong in the row."""
    columns = {"size": pyarrow.array([1.5, None, 1.5]), "kind": pyarrow.array(["a", "a", None])}

    found = frames.validate(sized, Chunk(columns, 3), 1)

    assert [(2, "size"), (3, "kind")] == [(item.row, item.field) for item in found.bad_values]
    assert all(item.reason.startswith("is required") for item in found.bad_values)


def test_a_broken_row_is_refused_whatever_its_columns_hold(sized: Spec) -> None:
    """Once, with the reason of the whole row and its number."""
    columns = {"size": pyarrow.array([1.5, 1.5]), "kind": pyarrow.array(["a", "b"])}
    broken = BrokenRow(12, 1, 2, "x")

    found = frames.validate(sized, Chunk(columns, 2, {1: broken}), 11)

    assert [frames.BadValue(12, "", "has 1 cell where the header has 2")] == found.bad_values
    assert [True, False] == found.kept.tolist()
    assert "has 1 cell where the header has 2" == str(found.bad_values[0])


@pytest.mark.parametrize("missing", [None, float("nan"), np.float32("nan"), Decimal("nan")], ids=repr)
def test_nan_is_a_missing_value_of_any_type(missing: Any, sized: Spec) -> None:
    """In a list of values of several types, and in a column beside one."""
    columns = {"size": [1, "wide"], "width": [missing, 1.5], "kind": pyarrow.array(["a", "b"])}

    found = frames.validate(sized, Chunk(columns, 2), 1)

    assert [True, False] == found.kept.tolist()
    assert np.isnan(found.columns["width"][0])
    beside = Chunk({**columns, "width": pyarrow.array([float("nan"), 1.5])}, 2)
    assert [True, False] == frames.validate(sized, beside, 1).kept.tolist()


def test_a_table_of_no_feature_is_refused(sized: Spec) -> None:
    """Though all features are optional."""

    class Optional(Features):
        width: float | None = number("Width", unit="cm", low=1, high=2, example=1, optional=True)

    spec = Spec("optional", "Optional", Optional, classes("a", "b"), sized.load, sized.pipeline)
    frames.demand(spec, ["width", "other"], "the frame")
    with pytest.raises(InvalidInput, match="optional needs width, and there is other"):
        frames.demand(spec, ["other"], "the frame")
