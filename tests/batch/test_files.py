"""Files of rows by column: what each kind holds, and what is no such file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models_store.errors import InvalidInput
from models_store.spec import Spec
from prediction.batch import files
from prediction.batch.files import Source
from tests.scoring import IRIS, PENGUIN, read, write


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
        ("rows.csv", "", "is empty"),
        ("rows.csv", ";".join(IRIS) + "\n5.1;3.5;1.4;0.2\n", "parted by ';'"),
        ("rows.csv", ",".join(IRIS) + ',a\n1,1,1,1,"x\n' + "1,1,1,1,y\n" * 1_200_000, "row 1 is .* mark"),
        ("rows.csv", "sepal length,sepal width\n5.1,3.5\n", "and there is sepal length, sepal width"),
        ("rows.jsonl", json.dumps(IRIS) + '\n\n{"sepal_length_cm": NaN}\n', "line 3: NaN is no JSON"),
        ("rows.jsonl", json.dumps(IRIS) + "\n{a}\n", "line 2: Expecting .* quotes at character 2$"),
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


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
@pytest.mark.parametrize("open_in", ["first", "last"])
@pytest.mark.parametrize("rows", [3, 400_000])
def test_a_quotation_mark_that_is_left_open_is_told(
    rows: int, open_in: str, end: str, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """With the row it begins in, for all that follows would be one cell; a row before is short."""
    path = tmp_path / "rows.csv"
    lines = ["Biscoe,217,x"] * rows + ["Dream", *["Biscoe,217,x"] * 3]
    lines[-3] = '"Biscoe,217,x' if open_in == "first" else 'Biscoe,217,"5 inch'
    path.write_text("island,flipper_length_mm,who\n" + "\n".join(lines) + end)

    with pytest.raises(InvalidInput, match=f"a quotation mark is left open in row {rows + 2},"):
        read(path, specs["penguins"], 100_000)


@pytest.mark.parametrize("last", ['"5"', '""', '5"', '"a ""b"""', "", '"x\ny"', '"x,,,"', ",,,"])
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_quotation_mark_that_is_closed_is_none_left_open(
    last: str, end: str, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """However the file ends; marks within a cell, and rows of commas too."""
    path = tmp_path / "rows.csv"
    path.write_text(f"island,flipper_length_mm,who\nBiscoe,217,\nBiscoe,217,{last}{end}")

    assert 2 == sum(len(part.kept) for part in read(path, specs["penguins"]))


@pytest.mark.parametrize("chunk_rows", [1, 7, 100])
def test_a_row_of_too_few_or_too_many_cells_is_refused(
    chunk_rows: int, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """With its number and the cells it has; all other rows keep theirs, through all chunks."""
    path = tmp_path / "rows.csv"
    lines = ["5.1,3.5,1.4,0.2"] * 50
    lines[0] = lines[20] = lines[21] = "5.1,3.5"
    lines[30], lines[40], lines[49] = "5.1,99,1.4,0.2", "", "5.1,3.5,1.4,0.2,"
    path.write_text("\n".join([",".join(IRIS), *lines]))

    found = read(path, specs["iris"], chunk_rows)

    short = "has 2 cells where the header has 4"
    assert [
        (1, "", short),
        (21, "", short),
        (22, "", short),
        (31, "sepal_width_cm", "must be a number from 0.1 to 30 cm"),
        (49, "", "has 5 cells where the header has 4"),
    ] == [(item.row, item.field, item.reason) for part in found for item in part.problems]
    kept = np.concatenate([part.kept for part in found])
    assert (49, 44) == (len(kept), kept.sum())


def test_rows_are_numbered_through_blocks_of_broken_ones(
    tmp_path: Path, specs: dict[str, Spec], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though a whole block has no row that is one, and optional features could all be missing."""
    monkeypatch.setattr(files, "CSV_BLOCK_BYTES", 4_096)
    path = tmp_path / "rows.csv"
    rows = ["Biscoe,217", *["Dream"] * 8_000, "Dream,190", "Dream"]
    path.write_text("island,flipper_length_mm\n" + "\n".join(rows))

    found = read(path, specs["penguins"])

    problems = [item for part in found for item in part.problems]
    assert (8_003, 2) == (sum(len(part.kept) for part in found), sum(map(len, found)))
    assert [2, 8_000, 8_001, 8_003] == [problems[at].row for at in (0, -3, -2, -1)]


def test_a_header_that_fits_no_row_is_told(
    tmp_path: Path, specs: dict[str, Spec], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is broken in a stretch is held, so that there is a limit."""
    monkeypatch.setattr(files, "MAX_BROKEN_ROWS", 1_000)
    path = tmp_path / "rows.csv"
    path.write_text("island,flipper_length_mm\nBiscoe,217\n" + "a\n" * 1_001)

    with pytest.raises(InvalidInput, match="from row 2 on, 1,000 rows have not as many cells"):
        read(path, specs["penguins"])


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
@pytest.mark.parametrize("rows", [1_000, 400_000])
def test_what_is_not_utf_8_is_told(name: str, rows: int, tmp_path: Path, specs: dict[str, Spec]) -> None:
    """With the line and what to do, early in a file or late."""
    line, bad = "Biscoe,217,x\n", "Biscoe,217,caf\u00e9\n"
    if name == "rows.jsonl":
        line, bad = (json.dumps(PENGUIN | {"who": who}, ensure_ascii=False) + "\n" for who in "x\u00e9")
    head = "island,flipper_length_mm,who\n" if name == "rows.csv" else ""
    (tmp_path / name).write_text(head + line * rows + bad, encoding="latin-1")

    number = rows + (2 if head else 1)
    with pytest.raises(InvalidInput, match=f"line {number} is not UTF-8: save the file as UTF-8$"):
        read(tmp_path / name, specs["penguins"])


def test_a_header_that_is_not_utf_8_is_told(tmp_path: Path, specs: dict[str, Spec]) -> None:
    """A spreadsheet's other way to save a CSV."""
    (tmp_path / "rows.csv").write_text("island\nDream\n", encoding="utf-16")

    with pytest.raises(InvalidInput, match=r"rows\.csv can't be read: it is not UTF-8: save it as UTF-8$"):
        read(tmp_path / "rows.csv", specs["penguins"])


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
