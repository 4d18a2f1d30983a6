"""Runs: the same parts for any workers, the rows of single files, and nothing lost by what may happen."""

from __future__ import annotations

import hashlib
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from models_store.errors import InvalidInput
from models_store.spec import Spec
from prediction import batch, settings
from prediction.batch.bulk import runs
from prediction.batch.bulk.places import OutputFolder
from prediction.batch.bulk.runs import Workers
from prediction.batch.bulk.units import Sizes
from prediction.batch.jobs import Summary
from prediction.journal import ledger
from prediction.journal.database import Journal
from prediction.journal.ledger import NewChampion
from tests import scoring

SIZES = Sizes(bytes=8_000, rows=300, small=0)
FILES = ("a.csv", "b.jsonl", "c.parquet")
BAD = [3, 700]


@pytest.fixture(scope="module")
def home(module_home: Path) -> Path:
    """A home that runs only read."""
    return module_home


@pytest.fixture(scope="module")
def folder(home: Path, tmp_path_factory: pytest.TempPathFactory, specs: dict[str, Spec]) -> Path:
    """A file of each kind, with notes of several lines and refused rows."""
    folder = tmp_path_factory.mktemp("in")
    frame = scoring.random_frame(specs["iris"], 1_000).assign(note='a "note"\nof two lines')
    frame.loc[BAD, "petal_width_cm"] = 99.0
    frame.to_csv(folder / "a.csv", index=False)
    frame.to_json(folder / "b.jsonl", orient="records", lines=True)
    frame.to_parquet(folder / "c.parquet", row_group_size=150)
    return folder


def run(spec: Spec, rows: Path, target: Path, workers: Workers, version: str | None = None) -> Summary:
    """Score files in small units."""
    output = OutputFolder(target)
    return runs.score(spec, [rows], output, version=version, workers=workers, sizes=SIZES)


def threads(spec: Spec, rows: Path, target: Path, count: int = 2) -> Summary:
    """Score files in small units, in threads of this process."""
    with ThreadPoolExecutor(count) as executor:
        return run(spec, rows, target, Workers(executor))


def digests(target: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a run."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in target.iterdir()
        if path.is_file()
    }


@pytest.fixture(scope="module")
def scored(folder: Path, specs: dict[str, Spec], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a run in threads. To be read only."""
    target = tmp_path_factory.mktemp("scored") / "out"
    summary = threads(specs["iris"], folder, target)
    assert (3_000, 6, {}) == (summary.rows, summary.refused, summary.failed)
    return target


def test_parts_have_the_rows_of_single_files(scored: Path, folder: Path, tmp_path: Path) -> None:
    """In their order, with the same columns, types and answers, to the last bit."""
    single = []
    for name in FILES:
        batch.score("iris", folder / name, tmp_path / f"{name}.parquet")
        single.append(pd.read_parquet(tmp_path / f"{name}.parquet"))
    parts = [pd.read_parquet(path) for path in sorted(scored.glob("part-*.parquet"))]

    assert 20 < len(parts)
    pd.testing.assert_frame_equal(
        pd.concat(single, ignore_index=True), pd.concat(parts, ignore_index=True), check_exact=True
    )


def test_refused_rows_have_their_place_in_the_input(scored: Path, folder: Path) -> None:
    """In one list; those of single units are gone."""
    found = pd.read_csv(scored / "refused.csv")

    expected = [[str(folder / name), row + 1, "petal_width_cm"] for name in FILES for row in BAD]
    assert expected == found[["file", "row", "field"]].to_numpy().tolist()
    assert [] == list(scored.glob("refused-*"))
    summary = json.loads((scored / "summary.json").read_text())
    assert (True, 3_000, 6) == (summary["is_complete"], summary["rows"], summary["refused"])


def test_any_number_of_workers_writes_the_same_bytes(
    scored: Path, folder: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """All files of the run, in processes as in threads."""
    threads(specs["iris"], folder, tmp_path / "one", 1)
    run(specs["iris"], folder, tmp_path / "three", Workers(processes=3))

    assert digests(scored) == digests(tmp_path / "one") == digests(tmp_path / "three")


def test_a_run_goes_on_where_it_stopped(
    scored: Path, folder: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """Parts that are there are not written again, and in the end all is as if nothing had happened."""
    target = tmp_path / "out"
    target.mkdir()
    kept = ["plan.json", "part-00000.parquet", "part-00007.parquet", "refused-00000.csv"]
    for path in scored.iterdir():
        if path.name in kept:
            (target / path.name).write_bytes(path.read_bytes())
    (target / "refused-00000.csv").write_text('"row","field","reason"\n4,"petal_width_cm","mine"\n')
    before = {name: (target / name).stat().st_mtime_ns for name in kept[:3]}

    summary = threads(specs["iris"], folder, target)

    assert before == {name: (target / name).stat().st_mtime_ns for name in kept[:3]}
    assert (3_000, 6) == (summary.rows, summary.refused)
    assert 0 < summary.rows_before < 3_000
    assert "mine" == pd.read_csv(target / "refused.csv")["reason"][0]
    expected, found = digests(scored), digests(target)
    assert expected.keys() == found.keys()
    assert ["refused.csv"] == [name for name in expected if expected[name] != found[name]]


def test_a_run_that_is_done_is_told_again(scored: Path, folder: Path, specs: dict[str, Spec]) -> None:
    """Nothing is written."""
    before = {path.name: path.stat().st_mtime_ns for path in scored.iterdir() if path.is_file()}

    summary = threads(specs["iris"], folder, scored)

    assert (3_000, 3_000, 6) == (summary.rows, summary.rows_before, summary.refused)
    assert before == {path.name: path.stat().st_mtime_ns for path in scored.iterdir() if path.is_file()}


@pytest.mark.parametrize(
    "lost", ["refused.csv", "summary.json", "part-00000.parquet", "part-00000.parquet refused.csv"]
)
def test_what_is_lost_of_a_run_that_is_done_is_written_again(
    lost: str, scored: Path, folder: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """Lists of single units are deleted at the end: those that are needed are made again."""
    target = Path(shutil.copytree(scored, tmp_path / "out"))
    for name in lost.split():
        (target / name).unlink()

    threads(specs["iris"], folder, target)

    assert digests(scored) == digests(target)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"is_complete": 1'])
def test_a_damaged_summary_is_written_again(
    text: str, scored: Path, folder: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """The parts say what is done."""
    target = Path(shutil.copytree(scored, tmp_path / "out"))
    (target / "summary.json").write_text(text)

    threads(specs["iris"], folder, target)

    assert digests(scored) == digests(target)


def test_parts_in_a_folder_below_the_output_are_not_those_of_the_run(
    scored: Path, folder: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """Somebody has put one away."""
    target = Path(shutil.copytree(scored, tmp_path / "out"))
    (target / "part-old").mkdir()
    (target / "part-00003.parquet").rename(target / "part-old" / "part-00003.parquet")

    threads(specs["iris"], folder, target)

    assert digests(scored) == digests(target)


def test_reading_and_writing_in_one_place_is_refused(
    folder: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """Its parts would be read by the next run."""
    before = sorted(folder.iterdir())

    with pytest.raises(InvalidInput, match=r"a\.csv is read, and lies in .*: name another folder to write"):
        threads(specs["iris"], folder / "a.csv", folder)
    with pytest.raises(InvalidInput, match=r"/out lies in .*, which is read: name another folder to write"):
        threads(specs["iris"], folder, folder / "out")
    assert before == sorted(folder.iterdir())


def test_a_damaged_file_fails_alone(folder: Path, tmp_path: Path, specs: dict[str, Spec]) -> None:
    """Wherever its damage is noticed: when it is cut, or when it is read."""
    source = tmp_path / "in"
    source.mkdir()
    lines = (folder / "b.jsonl").read_bytes()
    (source / "a.jsonl").write_bytes(lines + b"[]\n")
    (source / "b.parquet").write_bytes((folder / "c.parquet").read_bytes()[:-9])
    (source / "c.csv").write_bytes((folder / "a.csv").read_bytes().replace(b"note", b"model"))
    (source / "d.csv").write_bytes((folder / "a.csv").read_bytes())
    (source / "e.jsonl").write_bytes(b"")

    summary = threads(specs["iris"], source, tmp_path / "out")

    assert 1_000 == summary.rows
    found = {
        place.removeprefix(f"{source}/").partition(",")[0]: why for place, why in summary.failed.items()
    }
    assert {"a.jsonl", "b.parquet", "c.csv"} == found.keys()
    assert f"{source}/a.jsonl can't be read: line 1001 is not a JSON object" == found["a.jsonl"]
    assert f"{source}/b.parquet can't be read" in found["b.parquet"]
    assert f"{source}/c.csv: there is a column model already" in found["c.csv"]


def test_a_promotion_midway_changes_nothing(
    scored: Path, folder: Path, home: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """The plan's version answers, from the first row to the last; another one that is named is refused."""
    plan = (scored / "plan.json").read_bytes()
    version = json.loads(plan)["pinned"]["version"]
    own, target = Path(shutil.copytree(home, tmp_path / "home", symlinks=True)), tmp_path / "out"
    target.mkdir()
    (target / "plan.json").write_bytes(plan)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_HOME", str(own))
        with closing(Journal(settings.load().journal_url)) as journal:
            ledger.promote(journal, NewChampion("iris", "newer", "0" * 64, "me", "it is newer", "0" * 64))
        summary = threads(specs["iris"], folder, target)
        with pytest.raises(
            InvalidInput, match=rf"a run of version {version}, and not of newer: name anoth"
        ):
            run(specs["iris"], folder, target, Workers(processes=1), "newer")

    assert {version: 2_994} == dict(summary.versions)
    assert digests(scored) == digests(target)


def test_a_plan_is_not_believed_about_the_content_of_a_version(
    scored: Path, folder: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """Whoever can write into the folder could else name what is loaded."""
    target = Path(shutil.copytree(scored, tmp_path / "out"))
    plan = json.loads((target / "plan.json").read_text())
    plan["pinned"]["digest"] = "0" * 64
    (target / "plan.json").write_text(json.dumps(plan))
    (target / "part-00000.parquet").unlink()

    with pytest.raises(InvalidInput, match="another content of version"):
        threads(specs["iris"], folder, target)


def test_any_executor_scores_a_run_called_as_people_call_it(
    folder: Path, home: Path, tmp_path: Path
) -> None:
    """Several files, a pattern or a folder, into a folder that is named as one; parts are a run's input."""
    with ThreadPoolExecutor(2) as executor:
        summary = batch.score("iris", [folder / name for name in FILES], tmp_path / "a", executor=executor)
        same = batch.score("iris", f"{folder}/*", tmp_path / "b", executor=executor, outstanding=1)
        single = batch.score("iris", folder / "a.csv", f"{tmp_path}/c/", executor=executor)

    assert (3_000, 3_000, 1_000) == (summary.rows, same.rows, single.rows)
    parts = [digests(tmp_path / name) for name in "abc"]
    assert parts[0] == parts[1]
    assert parts[0]["part-00000.parquet"] == parts[2]["part-00000.parquet"]


@pytest.mark.parametrize(
    ("target", "choices", "words"),
    [
        ("out.parquet", {}, r"out\.parquet is the name of a file: name a folder to write, such as out/"),
        (None, {}, "name the folder to write"),
        ("out", {"processes": 0}, "processes must be 1 or more"),
        ("out", {"outstanding": 0}, "outstanding must be 1 or more"),
        ("out", {"strict": True}, "strict is for a single file into a file"),
        ("out", {"server": "http://127.0.0.1:1"}, "server is for a single file into a file"),
        ("out", {"processes": 1, "executor": ThreadPoolExecutor(1)}, "leave processes out"),
    ],
)
def test_impossible_runs_are_refused(
    target: str | None, choices: dict[str, Any], words: str, folder: Path, tmp_path: Path
) -> None:
    """In a sentence that says what to do; nothing is written."""
    with pytest.raises(InvalidInput, match=words):
        batch.score("iris", [folder], target and tmp_path / target, **choices)
    assert [] == list(tmp_path.iterdir())


def test_every_model_is_scored_in_units_as_in_one_piece(
    home: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """With gaps, times, flags and predicted numbers."""
    for spec in specs.values():
        source, target = tmp_path / f"{spec.name}.csv", tmp_path / spec.name
        scoring.random_frame(spec, 400).to_csv(source, index=False)

        batch.score(spec.name, source, tmp_path / "whole.parquet")
        summary = threads(spec, source, target)

        found = pd.concat(map(pd.read_parquet, sorted(target.glob("part-*"))), ignore_index=True)
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "whole.parquet"), found, check_exact=True)
        assert 2 <= summary.units
