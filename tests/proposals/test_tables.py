"""Tables as people have them: every encoding and separator, or one sentence with a remedy."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from models_store.errors import InvalidInput
from prediction.proposals import tables

CSV = "name;größe\nAnna;1,5\n\nJörg;2,0\n"


def written(folder: Path, content: bytes, name: str = "rows.csv") -> Path:
    """Write a file."""
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_every_encoding_is_read(encoding: str, tmp_path: Path) -> None:
    """With or without a mark; blank lines are no rows; what is not UTF-8 is said."""
    table = tables.read(written(tmp_path, CSV.encode(encoding)))

    assert {"name": ["Anna", "Jörg"], "größe": ["1,5", "2,0"]} == table.columns
    assert (2, ";") == (table.rows, table.dialect.separator)
    assert "cells are separated by semicolons" in table.notes
    assert (len(table.notes) == 1) == encoding.startswith("utf-8")


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_every_separator_is_found(separator: str, tmp_path: Path) -> None:
    """Also beside cells in quotation marks that hold another one."""
    lines = [["a", "b", "c"], ['"1;2,3"', "2", "3"], ["4", "5", '"a\nb"']]
    text = "\r\n".join(separator.join(cells) for cells in lines)

    table = tables.read(written(tmp_path, text.encode()))

    assert (["a", "b", "c"], ["1;2,3", "4"]) == (list(table.columns), table.columns["a"])
    assert ["3", "a\nb"] == table.columns["c"]


def test_the_names_of_rows_of_r_are_a_column(tmp_path: Path) -> None:
    """R writes no name above them."""
    table = tables.read(written(tmp_path, b"a b\n".replace(b" ", b",") + b'"1",2,3\n"2",4,5\n'))

    assert {"column_1": ["1", "2"], "a": ["2", "4"], "b": ["3", "5"]} == table.columns


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty: its first line must name the columns"),
        (b"\xef\xbb\xbf \n", "is empty"),
        (b"a,b\n", "has no rows: a model learns from rows"),
        (b"a\n1\n", "has one column, 'a': a table has features and a target"),
        (b"a,b,a\n1,2,3\n", "two columns are named a: rename one of them"),
        (b"a,b\n1,2\n3\n", "row 2 has 1 cell where the header has 2: put quotation marks"),
        (b"PK\x03\x04\x00\x00\xff\xfe\x00\x00", "is no text: save it as CSV in UTF-8"),
        (b"a,b\0\n1,2\n", "is no text: save it as CSV in UTF-8"),
    ],
)
def test_what_is_no_table_is_one_sentence(content: bytes, words: str, tmp_path: Path) -> None:
    """With a remedy."""
    with pytest.raises(InvalidInput, match=words):
        tables.read(written(tmp_path, content))


def test_other_files_keep_their_types(tmp_path: Path) -> None:
    """JSON Lines whatever a row lacks; Parquet without the index of pandas, with its categories."""
    rows = [{"a": 1, "b": "x"}, {"a": 2.5, "c": True}]
    table = tables.read(written(tmp_path, "\n".join(map(json.dumps, rows)).encode(), "rows.jsonl"))
    frame = pd.DataFrame({"a": pd.Categorical(["x", "y"]), "b": [1.0, None]}, index=[3, 5])
    frame.to_parquet(tmp_path / "rows.parquet")

    assert {"a": [1, 2.5], "b": ["x", None], "c": [None, True]} == table.columns
    found = tables.read(tmp_path / "rows.parquet")
    assert ["a", "b"] == list(found.columns)
    assert frozenset({"a"}) == found.categories
