"""The plan of a run: written once, read strictly, and compared with what is asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from models_store.errors import InvalidInput
from prediction.batch.bulk import plans
from prediction.batch.bulk.places import InputFile, OutputFolder
from prediction.batch.bulk.plans import Bounds, PlannedFile, RunPlan
from prediction.batch.formats.csv_blocks import Form
from prediction.batch.scorers import Pinned

FILES = [InputFile("/in/a.csv", 100, "1"), InputFile("/in/b.parquet", 200, "2")]
PLAN = RunPlan(
    format=1,
    model="iris",
    asked=None,
    pinned=Pinned("k3x", "0" * 64, 1.25),
    files=[
        PlannedFile(FILES[0], Form(["a", "b"], ";", "cp1252"), 4),
        PlannedFile(FILES[1], kinds={"b": ["int"], "a": ["str"]}),
    ],
    units=[Bounds(0, 0, 50), Bounds(0, 50), Bounds(1, 0, 1), Bounds(1, 1, 3), Bounds(1, 3)],
)


def test_a_plan_is_written_once_and_read_as_it_was(tmp_path: Path) -> None:
    """A second run finds the first one's."""
    output = OutputFolder(tmp_path / "out")

    assert plans.read(output) is None
    assert plans.write(PLAN, output)
    assert not plans.write(PLAN.model_copy(update={"model": "penguins"}), output)
    found = plans.read(output)
    assert PLAN == found
    assert found is not None
    assert ["b", "a"] == list(found.files[1].kinds or ())


def test_units_are_called_by_their_numbers_and_places() -> None:
    """Names sort as the rows do, also of a million units."""
    assert ["part-00000.parquet", "part-00004.parquet"] == [PLAN.part(0), PLAN.part(4)]
    assert "refused-00003.csv" == PLAN.refused(3)
    assert ["/in/a.csv, bytes 0 to 50", "/in/a.csv, bytes 50 to 100"] == [PLAN.place(0), PLAN.place(1)]
    assert "/in/b.parquet, row group 0" == PLAN.place(2)
    assert "/in/b.parquet, row groups 1 to 2" == PLAN.place(3)
    large = PLAN.model_copy(update={"units": [Bounds(0)] * 1_000_001})
    assert "part-0000007.parquet" == large.part(7)


@pytest.mark.parametrize(
    ("model", "asked", "found", "words"),
    [
        ("penguins", None, FILES, "a run of the model iris, and not of penguins"),
        ("iris", "z9", FILES, "a run of version k3x, and not of z9"),
        ("iris", None, FILES[:1], r"/in/b\.parquet is not among them any more"),
        ("iris", None, [*FILES, InputFile("/in/c.csv", 1, "1")], r"/in/c\.csv is new"),
        ("iris", None, [FILES[0], replace(FILES[1], size=9)], r"/in/b\.parquet has changed since"),
        ("iris", None, [replace(FILES[0], etag="9"), FILES[1]], r"/in/a\.csv has changed since"),
    ],
)
def test_another_run_is_refused(
    model: str, asked: str | None, found: list[InputFile], words: str, tmp_path: Path
) -> None:
    """The sentence says what differs, and what to do."""
    with pytest.raises(InvalidInput, match=rf"{words}: name another folder to write$"):
        plans.demand_same(PLAN, OutputFolder(tmp_path), model, asked, found)


@pytest.mark.parametrize("asked", [None, "k3x", "iris:k3x"])
def test_the_same_run_goes_on(asked: str | None, tmp_path: Path) -> None:
    """Also if the version is named that it has pinned."""
    plans.demand_same(PLAN, OutputFolder(tmp_path), "iris", asked, FILES)


@pytest.mark.parametrize("text", ["", "{}", '{"format": 2}', "[]", PLAN.model_dump_json()[:-1]])
def test_a_plan_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    """It is not written over."""
    (tmp_path / "plan.json").write_text(text)

    with pytest.raises(InvalidInput, match=r"plan\.json can't be used: .* name another folder to write$"):
        plans.read(OutputFolder(tmp_path))
    assert text == (tmp_path / "plan.json").read_text()


@pytest.mark.parametrize(
    "units",
    [
        [],
        PLAN.units[:-1],
        PLAN.units[1:],
        PLAN.units[:1] + PLAN.units[2:],
        [PLAN.units[0], *PLAN.units],
        [*PLAN.units, Bounds(2)],
        [Bounds(-1), *PLAN.units],
        [Bounds(0, 0, 60), *PLAN.units[1:]],
        [Bounds(0, 0, 50), Bounds(0, 50, 40), Bounds(0, 40), *PLAN.units[2:]],
    ],
)
def test_a_plan_that_leaves_rows_out_or_has_them_twice_is_refused(
    units: list[Bounds], tmp_path: Path
) -> None:
    """Somebody has edited it, or a disk has."""
    text = PLAN.model_copy(update={"units": units}).model_dump_json()
    (tmp_path / "plan.json").write_text(text)

    with pytest.raises(InvalidInput, match=r"plan\.json can't be used: .* name another folder to write$"):
        plans.read(OutputFolder(tmp_path))


@pytest.mark.parametrize("head", [-1, 0, 101])
def test_a_header_lies_in_its_file(head: int, tmp_path: Path) -> None:
    """Else rows would be read as a header."""
    files = [replace(PLAN.files[0], head=head), PLAN.files[1]]
    (tmp_path / "plan.json").write_text(PLAN.model_copy(update={"files": files}).model_dump_json())

    with pytest.raises(InvalidInput, match=r"plan\.json can't be used"):
        plans.read(OutputFolder(tmp_path))


def test_parts_without_a_plan_are_refused(tmp_path: Path) -> None:
    """They are of something else."""
    (tmp_path / "part-00003.parquet").write_text("mine")

    with pytest.raises(InvalidInput, match=r"holds part-00003\.parquet, and no plan\.json of a run"):
        plans.read(OutputFolder(tmp_path))
