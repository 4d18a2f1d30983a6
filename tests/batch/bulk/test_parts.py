"""One unit into one part: whole or not at all, with its counts, and one sentence for what is wrong."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow
import pytest
from pyarrow import parquet

from models_store import catalog
from models_store.errors import DamagedVersion, InvalidInput
from models_store.spec import Spec
from prediction.batch import scorers
from prediction.batch.bulk import parts, places, plans
from prediction.batch.bulk.parts import Result
from prediction.batch.bulk.places import OutputFolder
from prediction.batch.bulk.plans import Bounds, PlannedFile, RunPlan
from prediction.batch.files import Unwritable
from prediction.batch.formats.csv_blocks import Form
from tests import disks, scoring


@pytest.fixture(autouse=True, scope="module")
def home(module_home: Path) -> Path:
    """A home that runs only read."""
    return module_home


@pytest.fixture
def plan(specs: dict[str, Spec], tmp_path: Path) -> RunPlan:
    """Two units of three row groups each; the fifth row is refused."""
    frame = scoring.random_frame(specs["iris"], 600)
    frame.loc[4, "petal_width_cm"] = 99.0
    frame.to_parquet(tmp_path / "rows.parquet", row_group_size=100)
    (file,) = places.find([tmp_path / "rows.parquet"])
    pinned = scorers.pin(specs["iris"], None)
    units = [Bounds(0, 0, 3), Bounds(0, 3)]
    return RunPlan(
        format=1, model="iris", asked=None, pinned=pinned, files=[PlannedFile(file)], units=units
    )


def test_a_part_keeps_its_counts(plan: RunPlan, tmp_path: Path) -> None:
    """So the part is all that says that a unit is done; its refused rows are there before."""
    output = OutputFolder(tmp_path / "out")
    plans.write(plan, output)
    first, second = (parts.score(parts.unit(plan, number, output)) for number in (0, 1))

    assert (300, 1, 299) == (first.rows, first.refused, sum(first.classes.values()))
    assert (300, 0) == (second.rows, second.refused)
    assert [first, second] == list(parts.done(plan, output))
    assert {"plan.json", "part-00000.parquet", "part-00001.parquet", "refused-00000.csv"} == {
        path.name for path in (tmp_path / "out").iterdir() if path.is_file()
    }
    assert ["5"] == pd.read_csv(tmp_path / "out" / "refused-00000.csv", dtype=str)["row"].tolist()


def test_a_unit_that_cant_be_read_has_no_part(plan: RunPlan, tmp_path: Path) -> None:
    """Its file is damaged, changed or gone; the other units of a run go on."""
    output, path = OutputFolder(tmp_path / "out"), tmp_path / "rows.parquet"
    plans.write(plan, output)
    task = parts.unit(plan, 0, output)
    content, state = path.read_bytes(), path.stat()

    path.write_bytes(content[:100] + b"\0" * 900 + content[1_000:])
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    damaged = parts.score(task)
    path.write_bytes(content)
    changed = parts.score(task)
    path.unlink()
    gone = parts.score(task)

    assert damaged.error.startswith(f"{path} can't be read: ")
    assert f"{path} has changed since the run began: score it into another folder" == changed.error
    assert f"{path} is gone: put it back, or score the others into another folder" == gone.error
    assert ["plan.json"] == [path.name for path in (tmp_path / "out").glob("*") if path.is_file()]


def test_rows_in_the_midst_of_a_file_are_counted_from_a_place_that_is_told(
    plan: RunPlan, tmp_path: Path
) -> None:
    """Nobody has counted the rows before them."""
    path, output = tmp_path / "rows.csv", OutputFolder(tmp_path / "out")
    frame = scoring.random_frame(catalog.load()["iris"], 1)
    head, row = (f"{each}\n".encode() for each in frame.to_csv(index=False).split())
    path.write_bytes(head + row * 99 + b'"open,1\n')
    (file,) = places.find([path])
    form, start = Form(list(frame)), len(head) + 70 * len(row)
    planned = PlannedFile(file, form, len(head))
    made = plan.model_copy(update={"files": [planned], "units": [Bounds(0, 0, start), Bounds(0, start)]})
    plans.write(made, output)

    first, second = (parts.score(parts.unit(made, number, output)) for number in (0, 1))

    words = "a quotation mark is left open in row 30, which has no end"
    where = f"rows and lines are counted from byte {start:,} on, and the header is line 1"
    assert (70, "") == (first.rows, first.error)
    assert f"{path} can't be read: {words} ({where})" == second.error


def test_a_full_disk_is_raised_and_leaves_nothing(plan: RunPlan, tmp_path: Path) -> None:
    """It concerns all units."""
    output, folder = OutputFolder(tmp_path / "small" / "out"), tmp_path / "small"
    with disks.small(folder, "64k"):
        plans.write(plan, output)
        disks.fill(folder)
        with pytest.raises(
            Unwritable, match=r"^/.*/small/out/[a-z0-9-]*\.[a-z]* can't be written: .*No space"
        ):
            parts.score(parts.unit(plan, 0, output))
        assert {"filler", "plan.json"} == {path.name for path in folder.rglob("*") if path.is_file()}


def test_a_version_of_another_digest_is_raised(plan: RunPlan, tmp_path: Path) -> None:
    """A worker loads what the plan names, and nothing else."""
    output = OutputFolder(tmp_path / "out")
    plans.write(plan, output)
    task = parts.unit(plan, 0, output)

    with pytest.raises(DamagedVersion):
        parts.score(replace(task, pinned=replace(task.pinned, digest="0" * 64)))


def test_a_part_of_something_else_is_refused(plan: RunPlan, tmp_path: Path) -> None:
    """A run does not count rows that it has not scored."""
    output = OutputFolder(tmp_path / "out")
    output.put("plan.json", b"{}")
    pd.DataFrame({"id": [1]}).to_parquet(tmp_path / "out" / "part-00001.parquet")

    with pytest.raises(InvalidInput, match=r"part-00001\.parquet is no part of a run: name another folder"):
        list(parts.done(plan, output))


@pytest.mark.parametrize("facts", ["{}x", '{"rowz": 1}', "[1]"])
def test_a_part_with_other_facts_is_refused(facts: str, plan: RunPlan, tmp_path: Path) -> None:
    """Another program has written it."""
    output = OutputFolder(tmp_path / "out")
    output.put("plan.json", b"{}")
    rows = pyarrow.table({"id": [1]}).replace_schema_metadata({parts.FACTS: facts})
    parquet.write_table(rows, tmp_path / "out" / "part-00001.parquet")

    with pytest.raises(InvalidInput, match=r"part-00001\.parquet is no part of a run: name another folder"):
        list(parts.done(plan, output))


@pytest.mark.parametrize("kept", [0, 100])
def test_a_damaged_part_is_named_with_the_remedy(kept: int, plan: RunPlan, tmp_path: Path) -> None:
    """A disk may lose what it had."""
    output = OutputFolder(tmp_path / "out")
    plans.write(plan, output)
    parts.score(parts.unit(plan, 0, output))
    path = tmp_path / "out" / "part-00000.parquet"
    path.write_bytes(path.read_bytes()[:kept])

    with pytest.raises(InvalidInput, match=rf"^{path} is damaged: delete it, and its unit is"):
        list(parts.done(plan, output))


def test_json_lines_are_looked_into(tmp_path: Path) -> None:
    """Columns come in the order in which they are met, with all kinds of their values."""
    (tmp_path / "rows.jsonl").write_text('{"b": 1, "a": null}\n{"a": "x", "b": 1.5}\n[]\n')
    (file,) = places.find([tmp_path / "rows.jsonl"])

    number, found = parts.look((7, file, Bounds(0, 0, file.size - 3)))

    assert 7 == number
    assert [("b", ["float", "int"]), ("a", ["NoneType", "str"])] == list(found.items())
    with pytest.raises(InvalidInput, match=r"rows\.jsonl can't be read: line 3 is not a JSON object"):
        parts.look((0, file, Bounds(0)))


def test_a_result_without_an_error_is_of_a_part() -> None:
    """Its defaults are those of a unit without rows."""
    assert (0, 0, "") == (Result(1).rows, Result(1).refused, Result(1).error)
