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
    frame = pd.DataFrame(rows)
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        frame.to_parquet(path)
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
        ("rows.csv", "a,a\n1,2\n", "two columns are named a"),
        ("rows.csv", ",".join(IRIS) + "\n1,2\n", "can't be read"),
        ("rows.csv", "", "a column is missing"),
    ],
)
def test_a_file_that_is_none_is_told_in_a_sentence(
    name: str, content: str | None, words: str, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """Whatever is wrong with it."""
    if content is not None:
        (tmp_path / name).write_text(content)

    with pytest.raises(InvalidInput, match=words):
        read(tmp_path / name, specs["iris"])
