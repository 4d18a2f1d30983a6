"""The end of a run: refused rows with their numbers in the files, and a summary of what was done."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from prediction.batch.bulk import endings
from prediction.batch.bulk.parts import Result
from prediction.batch.bulk.places import InputFile, OutputFolder
from prediction.batch.bulk.plans import Bounds, PlannedFile, RunPlan
from prediction.batch.files import Unwritable
from prediction.batch.jobs import Summary
from prediction.batch.scorers import Pinned
from tests import disks

PLAN = RunPlan(
    format=1,
    model="iris",
    asked=None,
    pinned=Pinned("k3x", "0" * 64, 1.0),
    files=[PlannedFile(InputFile(f"/in/{name}", 10, "1")) for name in ("a.csv", "b.csv")],
    units=[Bounds(0, 0, 5), Bounds(0, 5, 8), Bounds(0, 8), Bounds(1)],
)


@pytest.fixture
def output(tmp_path: Path) -> OutputFolder:
    """A folder with the refused rows of each unit: its first one."""
    for number in range(4):
        lines = f'"row","field","reason"\n1,"x","of unit {number}"\n'
        (tmp_path / f"refused-0000{number}.csv").write_text(lines)
    return OutputFolder(tmp_path)


def end(output: OutputFolder, results: list[Result]) -> Summary:
    """Count the results, and write the end."""
    summary = Summary("iris")
    for result in results:
        endings.add(summary, PLAN, result)
    endings.write(PLAN, output, {each.number: each for each in results}, summary)
    return summary


def test_rows_are_numbered_within_their_file(output: OutputFolder, tmp_path: Path) -> None:
    """Behind the units before; in the order of the rows, whatever was ready first."""
    results = [Result(number, 10 + number, 1, {"a": 9 + number}, ["island"]) for number in (3, 1, 0, 2)]

    summary = end(output, results)

    found = pd.read_csv(tmp_path / "refused.csv")
    assert ["/in/a.csv"] * 3 + ["/in/b.csv"] == found["file"].tolist()
    assert [1, 11, 22, 1] == found["row"].tolist()
    assert [f"of unit {number}" for number in range(4)] == found["reason"].tolist()
    assert (46, 4, {"a": 42}, ["island"]) == (
        summary.rows,
        summary.refused,
        dict(summary.classes),
        summary.absent,
    )
    assert {"refused.csv", "summary.json"} == {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert endings.read(output) == json.loads((tmp_path / "summary.json").read_text())


def test_behind_a_failed_unit_rows_have_no_number(output: OutputFolder, tmp_path: Path) -> None:
    """Nobody knows how many rows it has. The lists of the units stay, for the next try."""
    results = [Result(0, 10, 1), Result(1, error="is damaged"), Result(2, 10, 1), Result(3, 10, 1)]

    summary = end(output, results)

    found = pd.read_csv(tmp_path / "refused.csv")
    assert ["1", "", "1"] == ["" if pd.isna(row) else f"{row:.0f}" for row in found["row"]]
    assert {"/in/a.csv, bytes 5 to 8": "is damaged"} == summary.failed
    assert 4 == len(list(tmp_path.glob("refused-*")))
    assert endings.read(output) is None
    assert summary.failed == json.loads((tmp_path / "summary.json").read_text())["failed"]


def test_a_full_disk_names_the_list_and_not_its_draft(tmp_path: Path) -> None:
    """Nobody knows the folders of drafts."""
    folder = tmp_path / "small"
    with disks.small(folder, "64k"):
        output = OutputFolder(folder / "out")
        output.put("refused-00000.csv", b'"row","field","reason"\n1,"x","y"\n')
        disks.fill(folder)
        with pytest.raises(
            Unwritable, match=rf"^{folder}/out(/refused\.csv)? can't be written: .*No space"
        ):
            end(output, [Result(0, 10, 1)])


def test_without_refused_rows_there_is_no_list(tmp_path: Path) -> None:
    """As for single files."""
    end(OutputFolder(tmp_path / "out"), [Result(number, 10) for number in range(4)])

    assert ["summary.json"] == [path.name for path in (tmp_path / "out").iterdir() if path.is_file()]
