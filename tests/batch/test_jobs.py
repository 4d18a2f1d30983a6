"""The core of scoring: a stretch of a file gives the rows that the whole file gives there."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pytest
from pyarrow import parquet

from models_store.errors import InvalidInput
from models_store.spec import Spec
from prediction.batch import jobs, scorers
from prediction.batch.files import Readable, Stretch
from prediction.batch.jobs import Job, Summary
from prediction.batch.sinks import Writer
from tests import scoring


@pytest.fixture
def job(home: Path, monkeypatch: pytest.MonkeyPatch, specs: dict[str, Spec]) -> Job:
    """The champion of iris."""
    monkeypatch.setenv("BENTOML_HOME", str(home))
    return Job(specs["iris"], scorers.load(specs["iris"], None, False), strict=False)


def scored(job: Job, path: Readable, folder: Path) -> tuple[Summary, pd.DataFrame, list[dict[str, Any]]]:
    """Score a file; return the counts, the rows, and the refused ones."""
    summary, target, bad = Summary("iris"), folder / "out.parquet", folder / "refused.jsonl"
    with Writer(target) as rows, Writer(bad, jobs.REFUSED_COLUMNS) as refused:
        job.write(job.open(path), rows, refused, summary)
    return summary, pd.read_parquet(target), pd.read_json(bad, lines=True).to_dict("records")


def test_a_stretch_is_scored_as_in_the_whole_file(job: Job, tmp_path: Path) -> None:
    """Its rows are numbered from 1."""
    frame = scoring.random_frame(job.spec, 100)
    frame.loc[60, "petal_width_cm"] = 99.0
    frame.to_csv(tmp_path / "rows.csv", index=False)
    lines = (tmp_path / "rows.csv").read_bytes().splitlines(keepends=True)
    rest = b"".join(lines[51:])
    stretch = Stretch("rows.csv", lambda: io.BytesIO(rest), len(rest), lines[0])

    whole, expected, refused = scored(job, tmp_path / "rows.csv", tmp_path)
    summary, found, own = scored(job, stretch, tmp_path)

    assert (100, 1, 50, 1) == (whole.rows, whole.refused, summary.rows, summary.refused)
    pd.testing.assert_frame_equal(expected.iloc[50:].reset_index(drop=True), found, check_exact=True)
    assert [61] == [each["row"] for each in refused]
    assert [11] == [each["row"] for each in own]


@pytest.mark.parametrize(
    "kind", [pyarrow.string_view(), pyarrow.binary_view(), pyarrow.list_(pyarrow.string_view())], ids=str
)
def test_columns_of_views_are_copied(kind: Any, job: Job, tmp_path: Path) -> None:
    """Beside a refused row, too: Arrow has no filter for them."""
    frame = scoring.random_frame(job.spec, 3)
    frame.loc[1, "petal_width_cm"] = 99.0
    values = [["a"], ["b"], None] if pyarrow.types.is_list(kind) else ["a", "b", None]
    table = pyarrow.Table.from_pandas(frame).append_column("note", pyarrow.array(values, kind))
    parquet.write_table(table, tmp_path / "rows.parquet")

    with Writer(tmp_path / "out.parquet") as rows, Writer(tmp_path / "refused.csv") as refused:
        job.write(job.open(tmp_path / "rows.parquet"), rows, refused, Summary("iris"))

    found = parquet.read_table(tmp_path / "out.parquet")["note"].to_pylist()
    assert table["note"].to_pylist()[::2] == found


def test_a_file_is_opened_only_with_its_columns(job: Job, tmp_path: Path) -> None:
    """Those of the model, and none that would be added."""
    frame = scoring.random_frame(job.spec, 3)
    frame.assign(model="mine").to_csv(tmp_path / "rows.csv", index=False)
    frame.drop(columns="petal_width_cm").to_csv(tmp_path / "few.csv", index=False)

    with pytest.raises(InvalidInput, match=r"rows\.csv: there is a column model already"):
        job.open(tmp_path / "rows.csv")
    with pytest.raises(InvalidInput, match=r"few\.csv: a column is missing: iris needs petal_width_cm"):
        job.open(tmp_path / "few.csv")
