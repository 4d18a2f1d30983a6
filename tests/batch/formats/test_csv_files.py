"""CSV: the header, texts, numbers, and what spreadsheets and people write."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models_store.errors import InvalidInput
from models_store.spec import Dialect, Spec
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


GERMAN = Dialect(encoding="cp1252", separator=";")


def rows_of(path: Path, dialect: Dialect | None, chunk_rows: int = 1_000) -> list[dict[str, Any]]:
    """Return all rows of a file."""
    return [row for chunk in Source(path, chunk_rows, dialect=dialect) for row in chunk.by_row()]


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_file_of_any_encoding_is_read_in_blocks(encoding: str, tmp_path: Path) -> None:
    """More than one block of each reader, with characters that have several bytes on their borders."""
    path = tmp_path / "rows.csv"
    cities = ["Köln", "München", "€ 5", "Bonn"]
    lines = [f"{row};{cities[row % 4]}" for row in range(120_000)]
    path.write_bytes("\r\n".join(["nr;größe", *lines]).encode(encoding))

    found = rows_of(path, GERMAN, 100_000)

    assert lines == [f"{row['nr']};{row['größe']}" for row in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a;b\n1;2\n", [{"a": "1", "b": "2"}]),
        ("a,b,c\n1,2;3,\n", [{"a": "1", "b": "2;3", "c": None}]),
        (
            "\n\na;b\n1;2;3\n4;5;6\n",
            [{"column_1": "1", "a": "2", "b": "3"}, {"column_1": "4", "a": "5", "b": "6"}],
        ),
        (";a\n1;2\n", [{"column_1": "1", "a": "2"}]),
        ("a;b\n1;2\n;\n ; \n\n3;\n;\n", [{"a": "1", "b": "2"}, {"a": "3", "b": None}]),
        ("a;b\n;\n;\n", []),
    ],
)
def test_a_file_in_a_dialect_is_read(text: str, expected: list[dict[str, Any]], tmp_path: Path) -> None:
    """Its separator or commas, the names of rows of R, columns without a name, blank rows."""
    path = tmp_path / "rows.csv"
    path.write_text(text)

    assert expected == rows_of(path, replace(GERMAN, separator=";"))


def test_blank_rows_are_dropped_beside_broken_ones(tmp_path: Path) -> None:
    """A broken row keeps its place among the others."""
    path = tmp_path / "rows.csv"
    path.write_text("a;b;c\n;;\n1;2;3\n4\n;;\n5;6;7\n")

    (chunk,) = Source(path, 100, dialect=GERMAN)

    assert ["1", None, "5"] == chunk.columns["a"].to_pylist()
    assert {1: "has 1 cell where the header has 3"} == {
        at: each.reason for at, each in chunk.broken.items()
    }


@pytest.mark.parametrize(
    ("content", "dialect", "words"),
    [
        (b"a|b\n1|2\n", GERMAN, "cells are separated by '|': write it with ';'"),
        ("größe;b\n".encode("cp1252"), Dialect(separator=";"), "it is not UTF-8: save it as UTF-8"),
        (b"a;b\n1;\x81\n", GERMAN, "it is not of the encoding that its spec names: save it as UTF-8"),
        (b'a;b\n1;"2\n', GERMAN, "a quotation mark is left open in row 1"),
    ],
)
def test_a_file_in_another_dialect_is_one_sentence(
    content: bytes, dialect: Dialect, words: str, tmp_path: Path
) -> None:
    """With the place and the remedy."""
    path = tmp_path / "rows.csv"
    path.write_bytes(content)

    with pytest.raises(InvalidInput, match=re.escape(words)):
        rows_of(path, dialect)
