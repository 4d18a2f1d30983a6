"""CSV: the header, texts, numbers, and what spreadsheets and people write."""

from __future__ import annotations

from pathlib import Path

import pytest

from models_store.errors import InvalidInput
from models_store.spec import Spec
from prediction.batch.sources import Source
from tests.scoring import IRIS, read, source


def test_a_csv_of_a_spreadsheet_is_read(tmp_path: Path, specs: dict[str, Spec]) -> None:
    """Byte order mark, Windows' line ends, spaces around cells, blank lines, no last line end."""
    (tmp_path / "rows.csv").write_bytes(
        b'\xef\xbb\xbf\r\nwho, island ,flipper_length_mm,sex\r\n"two\r\nlines", Biscoe , 217 , \r\n\r\n'
        b"007,Dream,190,male"
    )

    (found,) = read(tmp_path / "rows.csv", specs["penguins"])
    (chunk,) = source(tmp_path / "rows.csv", specs["penguins"])

    assert [] == found.bad_values
    assert ["Biscoe", "Dream"] == found.columns["island"].tolist()
    assert [217.0, 190.0] == found.columns["flipper_length_mm"].tolist()
    assert [None, "male"] == found.columns["sex"].tolist()
    assert ["two\r\nlines", "007"] == chunk.columns["who"].to_pylist()


@pytest.mark.parametrize("end", ["", "\n", "\n\n"])
def test_a_csv_of_a_header_has_columns_and_no_rows(
    end: str, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """Whatever ends its one line."""
    (tmp_path / "rows.csv").write_text(",".join([*IRIS, "who"]) + end)

    (chunk,) = source(tmp_path / "rows.csv", specs["iris"])

    assert dict.fromkeys([*IRIS, "who"], 0) == {name: len(column) for name, column in chunk.columns.items()}


@pytest.mark.parametrize("text", ["2_17", "nan", "NaN", "inf", "NA", "0x64", "\u0661\u0662\u0663", "2,17"])
@pytest.mark.parametrize("neighbour", ["217", "wide"])
def test_only_plain_numbers_are_numbers(
    text: str, neighbour: str, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """As over HTTP, whatever the other cells are; only an empty cell is a missing value."""
    path = tmp_path / "rows.csv"
    path.write_text(f'island,flipper_length_mm\nDream,"{text}"\nDream,+2.17e2\nDream,\nDream,{neighbour}\n')

    (found,) = read(path, specs["penguins"])

    assert (1, "flipper_length_mm") == (found.bad_values[0].row, found.bad_values[0].field)
    assert [False, True, True, neighbour == "217"] == found.kept.tolist()
    assert 217.0 == found.columns["flipper_length_mm"][0]


def test_a_text_in_place_of_a_number_costs_no_other_row(tmp_path: Path, specs: dict[str, Spec]) -> None:
    """One bad cell of a CSV does not cost its neighbours."""
    path = tmp_path / "rows.csv"
    header = ",".join(IRIS)
    path.write_text(f"{header}\n5.1,3.5,1.4,0.2\n5.1,wide,1.4,0.2\n 5.2 ,3.5,1.4,0.2\n5.1,3.5,inf,0.2\n")

    (found,) = read(path, specs["iris"])

    assert [(2, "sepal_width_cm"), (4, "petal_length_cm")] == [(p.row, p.field) for p in found.bad_values]
    assert [5.1, 5.2] == found.columns["sepal_length_cm"].tolist()


def test_a_header_that_is_not_utf_8_is_an_error(tmp_path: Path, specs: dict[str, Spec]) -> None:
    """Some spreadsheets save UTF-16."""
    (tmp_path / "rows.csv").write_text("island\nDream\n", encoding="utf-16")

    with pytest.raises(InvalidInput, match=r"rows\.csv can't be read: it is not UTF-8: save it as UTF-8$"):
        read(tmp_path / "rows.csv", specs["penguins"])


def test_a_csv_written_by_hand_is_read(tmp_path: Path) -> None:
    """Spaces after commas and blank lines mean nothing; a broken row is kept apart."""
    (tmp_path / "rows.csv").write_text('\nname, size\n"a, b", 1\n\nb\nc, "2" \nd, "3", x\n')

    chunks = list(Source(tmp_path / "rows.csv", 100))

    rows = [row for chunk in chunks for row in chunk.by_row()]
    broken = [row for chunk in chunks for row in chunk.broken.values()]
    assert [{"name": "a, b", "size": "1"}, {"name": "c", "size": "2"}] == [rows[0], rows[2]]
    assert [(2, ["b"]), (4, ["d", "3", "x"])] == [(row.number, row.values()) for row in broken]


def test_a_column_of_no_known_type_is_text_as_it_stands(tmp_path: Path) -> None:
    """With its spaces, though the others are read as what they are."""
    (tmp_path / "rows.csv").write_text("number,text,other\n 1 , a , b \n")

    (chunk,) = Source(tmp_path / "rows.csv", 100, {"number": float, "text": str})

    assert [{"number": 1.0, "text": "a", "other": " b "}] == chunk.by_row()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty: its first line must name the columns"),
        ("\n\n", "is empty: its first line must name the columns"),
        ("a;b\n1;2\n", ": cells are separated by ';': write it with commas"),
        ("a\tb\n", r": cells are separated by '\t': write it with commas"),
    ],
)
def test_a_csv_without_a_header_of_commas_is_refused(content: str, words: str, tmp_path: Path) -> None:
    """Spreadsheets write semicolons in some countries."""
    path = tmp_path / "rows.csv"
    path.write_text(content)

    with pytest.raises(InvalidInput) as caught:
        Source(path, 100)
    assert f"{path} {words}".replace(" :", ":") == str(caught.value)


def test_a_name_may_hold_another_separator(tmp_path: Path) -> None:
    """If commas separate it from others."""
    (tmp_path / "rows.csv").write_text("a;b,c|d\n1,2\n")

    assert ["a;b", "c|d"] == Source(tmp_path / "rows.csv", 100).names


def test_one_column_needs_no_comma(tmp_path: Path) -> None:
    """A name without any separator is a header; blank lines are not rows."""
    (tmp_path / "rows.csv").write_text("name\na\n\nb\n")

    (chunk,) = Source(tmp_path / "rows.csv", 100)

    assert ["a", "b"] == [row["name"] for row in chunk.by_row()]
