"""Files of rows by column: every kind holds the same, and a file that can't be read is one sentence."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from models_store.errors import InvalidInput
from models_store.spec import Spec
from prediction.batch.chunks import Row
from prediction.batch.files import KINDS
from prediction.batch.sources import Source
from tests.scoring import IRIS, PENGUIN, read, write


@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".parquet"])
def test_every_kind_of_file_holds_the_same_rows(kind: str, tmp_path: Path, specs: dict[str, Spec]) -> None:
    """Numbers, categories and missing values are the same, in chunks of the size that was asked."""
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
    assert [] == found[0].bad_values


def test_a_feature_without_a_column_is_an_error(tmp_path: Path, specs: dict[str, Spec]) -> None:
    """Once for the file, not once a row; optional features need no column."""
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
        ("rows.csv", ";".join(IRIS) + "\n5.1;3.5;1.4;0.2\n", "separated by ';'"),
        ("rows.csv", ",".join(IRIS) + ',a\n1,1,1,1,"x\n' + "1,1,1,1,y\n" * 1_200_000, "row 1 is .* mark"),
        ("rows.csv", "sepal length,sepal width\n5.1,3.5\n", "and there is sepal length, sepal width"),
        ("rows.jsonl", json.dumps(IRIS) + '\n\n{"sepal_length_cm": NaN}\n', "line 3: NaN is not JSON"),
        ("rows.jsonl", json.dumps(IRIS) + "\n{a}\n", "line 2: Expecting .* quotes at character 2$"),
        ("rows.jsonl", json.dumps(IRIS | {"half \ud800": 1}) + "\n", "can't be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(
    name: str, content: str | None, words: str, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """Whatever is wrong with it, the sentence names the file."""
    if content is not None:
        (tmp_path / name).write_text(content)

    with pytest.raises(InvalidInput, match=words) as caught:
        read(tmp_path / name, specs["iris"])
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def rows_of(path: Path) -> list[Row]:
    """Return all rows of a file."""
    return [row for chunk in Source(path, 1_000) for row in chunk.by_row()]


@pytest.mark.parametrize("kind", KINDS)
def test_a_source_can_be_read_again(kind: str, tmp_path: Path) -> None:
    """And tells how much of it has been read, at its end all."""
    path = write(tmp_path / f"rows{kind}", [{"x": str(number)} for number in range(250)])
    source = Source(path, 100)

    fractions = []
    for _ in range(2):
        rows = []
        for chunk in source:
            rows += chunk.by_row()
            fractions.append(source.fraction)
        assert [{"x": str(number)} for number in range(250)] == rows
        assert 1.0 == source.fraction
    assert all(0 < fraction <= 1 for fraction in fractions)


@pytest.mark.parametrize(("name", "content"), [("rows.csv", "x\n"), ("rows.jsonl", "\n")])
def test_a_file_without_rows_is_read_to_its_end(name: str, content: str, tmp_path: Path) -> None:
    """One chunk without rows, and then all of it has been read."""
    (tmp_path / name).write_text(content)
    source = Source(tmp_path / name, 100)

    assert 0.0 == source.fraction
    assert [0] == [chunk.rows for chunk in source]
    assert 1.0 == source.fraction


@pytest.mark.parametrize("kind", [pyarrow.int64(), pyarrow.string(), pyarrow.list_(pyarrow.int64())])
def test_a_parquet_file_without_rows_has_its_columns(kind: Any, tmp_path: Path) -> None:
    """One chunk without rows, of the file's types."""
    parquet.write_table(pyarrow.table({"x": pyarrow.array([], kind)}), tmp_path / "rows.parquet")

    (chunk,) = Source(tmp_path / "rows.parquet", 100)

    assert (0, kind) == (chunk.rows, chunk.columns["x"].type)


MALFORMED = {
    "another encoding.csv": "name\nmäßig\n".encode("latin-1"),
    "an open quotation mark.csv": b'name,size\na,1\n"b,2\nc,3\n',
    "an endless cell.csv": b"name\n" + b"x" * 10_000_000,
    "no JSON.jsonl": b"name: setosa\n",
    "no object.jsonl": b'["setosa"]\n',
    "NaN.jsonl": b'{"name": NaN}\n',
    "infinity.jsonl": b'{"name": -Infinity}\n',
    "half an object.jsonl": b'{"name": "setosa"}\n{"name": ',
    "another encoding.jsonl": '{"name": "mäßig"}'.encode("latin-1"),
    "endlessly deep.jsonl": b'{"name": ' + b"[" * 100_000,
    "text.parquet": b"name,size\na,1\n",
    "empty.parquet": b"",
    "only its frame.parquet": b"PAR1" + b"\x00" * 100 + b"PAR1",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_file_is_one_clear_error(tmp_path: Path, name: str) -> None:
    """A file that is not what its name says is an error that names it, in one line."""
    path = tmp_path / name
    path.write_bytes(MALFORMED[name])

    with pytest.raises(InvalidInput) as caught:
        rows_of(path)
    assert_one_sentence(caught.value, f"{path} can't be read: ")


def assert_one_sentence(error: InvalidInput, beginning: str) -> None:
    """Assert that an error is one short line that begins so."""
    assert str(error).startswith(beginning)
    assert "\n" not in str(error)
    assert len(str(error)) < len(beginning) + 200


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_half_a_parquet_is_one_clear_error(tmp_path: Path, kept: float) -> None:
    """A Parquet file that was cut off anywhere is an error that names it."""
    whole, half = tmp_path / "whole.parquet", tmp_path / "half.parquet"
    write(whole, [IRIS] * 4_000)
    half.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * kept)])

    with pytest.raises(InvalidInput) as caught:
        rows_of(half)
    assert_one_sentence(caught.value, f"{half} can't be read: ")


def test_a_damaged_parquet_is_one_clear_error(tmp_path: Path) -> None:
    """A Parquet file whose middle was overwritten is an error that names it."""
    path = tmp_path / "rows.parquet"
    write(path, [{"name": os.urandom(20).hex(), "size": 1.0} for _ in range(5_000)])
    content = bytearray(path.read_bytes())
    content[4:2_000] = b"\xff" * 1_996
    path.write_bytes(content)

    with pytest.raises(InvalidInput) as caught:
        rows_of(path)
    assert str(caught.value).startswith(f"{path} can't be read: ")


@pytest.mark.parametrize("kind", KINDS)
def test_columns_of_another_name_get_the_name_of_their_feature(kind: str, tmp_path: Path) -> None:
    """And are read as its type; `called` says how the file names them."""
    path = write(tmp_path / f"rows{kind}", [{"Mass (g)": 750, "who": "a"}, {"Mass (g)": 500, "who": "b"}])

    source = Source(path, 10, {"mass_g": float}, {"Mass (g)": "mass_g", "Width": "width"})

    assert ["mass_g", "who"] == source.names
    assert {"mass_g": "Mass (g)"} == source.called
    assert [750, 500] == [row["mass_g"] for chunk in source for row in chunk.by_row()]
