"""Files of rows by column: what each kind holds, and what is no such file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models_store.errors import InvalidInput
from models_store.spec import Spec
from prediction import frames
from prediction.files import Source
from prediction.frames import Rows

IRIS = {"sepal_length_cm": 5.1, "sepal_width_cm": 3.5, "petal_length_cm": 1.4, "petal_width_cm": 0.2}
PENGUIN = {"island": "Biscoe", "flipper_length_mm": 217.0}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows as the name says."""
    if path.suffix == ".csv":
        pd.DataFrame(rows).to_csv(path, index=False)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pd.DataFrame(rows).to_parquet(path)
    return path


def read(path: Path, spec: Spec, chunk_rows: int = 100) -> list[Rows]:
    """Read and validate a file."""
    found, first = [], 1
    for chunk in Source(path, spec, chunk_rows):
        found.append(frames.validate(spec, chunk, first))
        first += frames.length(chunk)
    return found


@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".parquet"])
def test_every_kind_of_file_holds_the_same_rows(kind: str, tmp_path: Path, specs: dict[str, Spec]) -> None:
    """Numbers, categories and what is missing come out alike, in chunks of the size that was asked."""
    rows = [PENGUIN | {"sex": "male", "who": f"p{number}"} for number in range(250)]
    rows[7]["flipper_length_mm"] = None
    rows[8]["sex"] = None

    found = read(write(tmp_path / f"rows{kind}", rows), specs["penguins"])

    assert 250 == sum(map(len, found))
    assert [100, 100, 50] == [len(part) for part in found]
    columns = found[0].columns
    assert np.isnan(columns["flipper_length_mm"][7])
    assert 217.0 == columns["flipper_length_mm"][0]
    assert ["male", None] == columns["sex"][7:9].tolist()
    assert np.isnan(columns["bill_length_mm"]).all()
    assert [] == found[0].problems


def test_texts_that_are_no_numbers_are_refused_and_the_rest_is_read(
    tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """One bad cell of a CSV does not cost its neighbours."""
    path = tmp_path / "rows.csv"
    header = ",".join(IRIS)
    path.write_text(f"{header}\n5.1,3.5,1.4,0.2\n5.1,wide,1.4,0.2\n 5.2 ,3.5,1.4,0.2\n5.1,3.5,inf,0.2\n")

    (found,) = read(path, specs["iris"])

    assert [(2, "sepal_width_cm"), (4, "petal_length_cm")] == [(p.row, p.field) for p in found.problems]
    assert [5.1, 5.2] == found.columns["sepal_length_cm"].tolist()


def test_a_column_that_is_needed_must_be_there(tmp_path: Path, specs: dict[str, Spec]) -> None:
    """Told once for the file, not once a row; optional features need no column."""
    rows = [{name: value for name, value in IRIS.items() if name != "petal_width_cm"}]

    with pytest.raises(InvalidInput, match="iris needs petal_width_cm"):
        read(write(tmp_path / "rows.csv", rows), specs["iris"])
    with pytest.raises(InvalidInput, match="penguins needs"):
        read(write(tmp_path / "rows.parquet", [{"colour": "red"}]), specs["penguins"])


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("rows.txt", "", "the name must end with"),
        ("gone.csv", None, "there is no file"),
        ("rows.parquet", "no parquet", "can't be read"),
        ("rows.jsonl", "{", "can't be read"),
        ("rows.csv", "a,a\n1,2\n", "two columns are named 'a'"),
        ("rows.csv", ",".join(IRIS) + "\n1,2\n", "can't be read"),
        ("rows.csv", "", "is empty"),
        ("rows.csv", ";".join(IRIS) + "\n5.1;3.5;1.4;0.2\n", "parted by ';'"),
        ("rows.csv", ",".join(IRIS) + ',a\n1,1,1,1,"x\n' + "1,1,1,1,y\n" * 1_200_000, "quotation mark"),
        ("rows.csv", "sepal length,sepal width\n5.1,3.5\n", "and there is sepal length, sepal width"),
        ("rows.jsonl", json.dumps(IRIS) + '\n\n{"sepal_length_cm": NaN}\n', "line 3: NaN is no JSON"),
        ("rows.jsonl", json.dumps(IRIS | {"half \ud800": 1}) + "\n", "can't be read"),
    ],
)
def test_a_file_that_is_none_is_told_in_a_sentence(
    name: str, content: str | None, words: str, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """Whatever is wrong with it, the sentence names the file."""
    if content is not None:
        (tmp_path / name).write_text(content)

    with pytest.raises(InvalidInput, match=words) as caught:
        read(tmp_path / name, specs["iris"])
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_file(tmp_path: Path, specs: dict[str, Spec]) -> None:
    """Whatever its name ends with."""
    (tmp_path / "rows.csv").mkdir()

    with pytest.raises(InvalidInput, match="is a folder"):
        read(tmp_path / "rows.csv", specs["iris"])


# --------------------------------------------------------------------------------------------- CSV


def test_a_csv_of_a_spreadsheet_is_read(tmp_path: Path, specs: dict[str, Spec]) -> None:
    """Byte order mark, Windows' line ends, spaces around cells, blank lines, no last line end."""
    (tmp_path / "rows.csv").write_bytes(
        b'\xef\xbb\xbf\r\nwho, island ,flipper_length_mm,sex\r\n"two\r\nlines", Biscoe , 217 , \r\n\r\n'
        b"007,Dream,190,male"
    )

    (found,) = read(tmp_path / "rows.csv", specs["penguins"])
    (chunk,) = Source(tmp_path / "rows.csv", specs["penguins"], 100)

    assert [] == found.problems
    assert ["Biscoe", "Dream"] == found.columns["island"].tolist()
    assert [217.0, 190.0] == found.columns["flipper_length_mm"].tolist()
    assert [None, "male"] == found.columns["sex"].tolist()
    assert ["two\r\nlines", "007"] == chunk["who"].to_pylist()


@pytest.mark.parametrize("end", ["", "\n", "\n\n"])
def test_a_csv_of_a_header_has_columns_and_no_rows(
    end: str, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """However its one line ends."""
    (tmp_path / "rows.csv").write_text(",".join([*IRIS, "who"]) + end)

    (chunk,) = Source(tmp_path / "rows.csv", specs["iris"], 100)

    assert dict.fromkeys([*IRIS, "who"], 0) == {name: len(column) for name, column in chunk.items()}


@pytest.mark.parametrize("text", ["2_17", "nan", "NaN", "inf", "NA", "0x64", "\u0661\u0662\u0663", "2,17"])
@pytest.mark.parametrize("neighbour", ["217", "wide"])
def test_only_plain_numbers_are_numbers(
    text: str, neighbour: str, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """Nothing that HTTP would refuse, whatever stands beside; only an empty cell is a missing value."""
    path = tmp_path / "rows.csv"
    path.write_text(f'island,flipper_length_mm\nDream,"{text}"\nDream,+2.17e2\nDream,\nDream,{neighbour}\n')

    (found,) = read(path, specs["penguins"])

    assert (1, "flipper_length_mm") == (found.problems[0].row, found.problems[0].field)
    assert [False, True, True, neighbour == "217"] == found.kept.tolist()
    assert 217.0 == found.columns["flipper_length_mm"][0]


# -------------------------------------------------------------------------------------- JSON Lines

MANY = 12_000
"""Rows that are more than two chunks."""


def column(path: Path, spec: Spec, name: str) -> list[Any]:
    """Return a column that is carried along, of all chunks."""
    return [value for chunk in Source(path, spec, 100_000) for value in chunk[name].to_pylist()]


def test_a_feature_that_comes_late_is_read(tmp_path: Path, specs: dict[str, Spec]) -> None:
    """A column that only the last rows have counts there, and is checked there."""
    rows: list[dict[str, Any]] = [{"island": "Biscoe"} for _ in range(MANY)]
    rows[-2]["flipper_length_mm"] = 217
    rows[-1]["flipper_length_mm"] = -5

    found = read(write(tmp_path / "rows.jsonl", rows), specs["penguins"])

    assert 217.0 == found[-1].columns["flipper_length_mm"][-1]
    assert [(MANY, "flipper_length_mm")] == [(item.row, item.field) for item in found[-1].problems]


@pytest.mark.parametrize(
    ("early", "late", "expected"),
    [
        (1, 1.5, [1.0, 1.5]),
        (None, 2, [None, 2]),
        (2**60 + 1, None, [2**60 + 1, None]),
        (2**60 + 1, 1.5, [str(2**60 + 1), "1.5"]),
        (10**30, 1, [str(10**30), "1"]),
        (1, "n/a", ["1", '"n/a"']),
        (True, 1, ["true", "1"]),
        ([1], {"a": None}, ["[1]", '{"a": null}']),
        ("half \ud800", "x", ['"half \\ud800"', '"x"']),
    ],
)
def test_what_is_carried_keeps_its_values(
    early: Any, late: Any, expected: list[Any], tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """Whatever comes thousands of rows later, to the last digit; as JSON where there is no one type."""
    rows = [PENGUIN | {"x": early} for _ in range(MANY)] + [PENGUIN | {"x": late, "new": 1}]
    path = write(tmp_path / "rows.jsonl", rows)

    found = column(path, specs["penguins"], "x")

    assert expected == [found[0], found[-1]]
    assert [type(value) for value in expected] == [type(found[0]), type(found[-1])]
    assert [*[None] * MANY, 1] == column(path, specs["penguins"], "new")


def test_blank_lines_are_no_rows(tmp_path: Path, specs: dict[str, Spec]) -> None:
    """Neither in the midst nor at the end, where many programs leave one."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"island": "Dream"}\r\n\r\n  \n{"island": "Biscoe"}\n\n')

    (found,) = read(path, specs["penguins"])

    assert ["Dream", "Biscoe"] == found.columns["island"].tolist()


def test_values_of_mixed_types_are_refused_one_by_one(tmp_path: Path, specs: dict[str, Spec]) -> None:
    """A text among numbers is no number, and costs no other row."""
    values: list[Any] = [217, True, "217", 217.5, [217], None, 10**400, "half \ud800"]
    rows = [{"island": "Dream", "flipper_length_mm": value} for value in values]

    (found,) = read(write(tmp_path / "rows.jsonl", rows), specs["penguins"])

    assert [True, False, False, True, False, True, False, False] == found.kept.tolist()
