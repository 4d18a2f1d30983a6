"""What may happen to a run: deaths, full disks, damaged files, signals. Nothing is lost or scored twice."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from models_store.errors import InvalidInput
from models_store.spec import Spec
from prediction import batch
from prediction.batch.bulk import runs
from prediction.batch.bulk.places import OutputFolder
from prediction.batch.bulk.runs import Workers
from prediction.batch.bulk.units import Sizes
from prediction.batch.jobs import Summary
from tests import disks, scoring
from tests.batch.bulk.test_runs import digests
from tests.servers import interruptible, run

SIZES = Sizes(bytes=8_000, rows=300, small=0)
AGAIN = "units are done: give the same command again to go on"


@pytest.fixture(scope="module")
def home(module_home: Path) -> Path:
    """A home that runs only read."""
    return module_home


@pytest.fixture
def rows(home: Path, tmp_path: Path, specs: dict[str, Spec]) -> Path:
    """Ten row groups, two of them with a refused row; a unit each."""
    frame = scoring.random_frame(specs["iris"], 3_000)
    frame.loc[[7, 2_500], "petal_width_cm"] = 99.0
    (tmp_path / "in").mkdir()
    frame.to_parquet(tmp_path / "in" / "rows.parquet", row_group_size=300)
    return tmp_path / "in"


def score(
    spec: Spec, rows: Path, target: Path, watch: Callable[[Summary, float], None] | None = None
) -> Summary:
    """Score files in small units, in one thread of this process, which is at most two units ahead."""
    with ThreadPoolExecutor(1) as executor:
        workers = Workers(executor, outstanding=2)
        return runs.score(spec, [rows], OutputFolder(target), workers=workers, sizes=SIZES, watch=watch)


def children() -> set[int]:
    """Return the processes that this one has started."""
    found = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return {int(process) for path in found for process in path.read_text().split()}


def test_a_worker_that_is_killed_costs_its_unit_only(
    rows: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """Another process scores it, and the parts are the same."""
    before, killed = children(), set[int]()

    def kill(*_: object) -> None:
        if not killed:
            killed.add(max(children() - before))
            os.kill(max(killed), signal.SIGKILL)

    workers, output = Workers(processes=2), OutputFolder(tmp_path / "out")
    summary = runs.score(specs["iris"], [rows], output, workers=workers, sizes=SIZES, watch=kill)
    score(specs["iris"], rows, tmp_path / "other")

    assert (3_000, 2, {}) == (summary.rows, summary.refused, summary.failed)
    assert killed
    assert digests(tmp_path / "other") == digests(tmp_path / "out")


def test_a_full_disk_ends_a_run_that_goes_on_later(
    rows: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """One sentence; what was done stays done."""
    small = tmp_path / "small"
    with disks.small(small, "2m"):

        def fill(summary: Summary, _: float) -> None:
            if summary.units == 3:
                disks.fill(small)

        with pytest.raises(InvalidInput, match=rf"small/out.* can't be written: .*; \d+ of 10 {AGAIN}$"):
            score(specs["iris"], rows, small / "out", fill)
        disks.free(small)
        done = len(list((small / "out").glob("part-*")))
        summary = score(specs["iris"], rows, small / "out")
        score(specs["iris"], rows, tmp_path / "other")

        assert 3 <= done < 10
        assert (3_000, 300 * done) == (summary.rows, summary.rows_before)
        assert digests(tmp_path / "other") == digests(small / "out")


def test_a_folder_that_cant_be_written_is_one_sentence(
    rows: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """Before anything is read."""
    (tmp_path / "file").write_text("mine")

    with pytest.raises(InvalidInput, match=r"file/out can't be (read|written): Not a directory$"):
        score(specs["iris"], rows, tmp_path / "file" / "out")


def test_damaged_row_groups_fail_alone(rows: Path, tmp_path: Path, specs: dict[str, Spec]) -> None:
    """The others have parts; the summary names the place, and a second call tries it again."""
    import pyarrow.parquet

    path = rows / "rows.parquet"
    start = pyarrow.parquet.ParquetFile(path).metadata.row_group(4).column(0).data_page_offset
    content = path.read_bytes()
    path.write_bytes(content[:start] + b"\xff" * 200 + content[start + 200 :])

    first = score(specs["iris"], rows, tmp_path / "out")
    second = score(specs["iris"], rows, tmp_path / "out")

    assert [f"{path}, row group 4"] == list(first.failed)
    assert f"{path} can't be read: " in first.failed[f"{path}, row group 4"]
    assert (2_700, 9, 2) == (first.rows, first.units, first.refused)
    assert (2_700, 2_700, first.failed) == (second.rows, second.rows_before, second.failed)
    listed = pd.read_csv(tmp_path / "out" / "refused.csv")
    assert ["8", ""] == ["" if pd.isna(row) else f"{row:.0f}" for row in listed["row"]]


@pytest.mark.parametrize("change", ["changed", "gone"])
def test_a_file_that_changes_midway_fails(
    change: str, rows: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """Its parts would be of two contents. The run can't go on with it, and says so."""
    path = rows / "rows.parquet"

    def do(summary: Summary, _: float) -> None:
        if summary.units == 2 and not summary.failed:
            path.rename(tmp_path / "kept.parquet")
            if change == "changed":
                path.write_bytes((tmp_path / "kept.parquet").read_bytes())
            scoring.random_frame(specs["iris"], 10).to_parquet(rows / "new.parquet")

    summary = score(specs["iris"], rows, tmp_path / "out", do)

    words = "has changed since the run began" if change == "changed" else "is gone: put it back"
    assert all(f"{path} {words}" in reason for reason in summary.failed.values())
    assert 10 == summary.units + len(summary.failed)
    assert 2 < len(summary.failed)
    (rows / "new.parquet").unlink() if change == "changed" else None
    words = "has changed since" if change == "changed" else "is not among them any more"
    with pytest.raises(InvalidInput, match=rf"rows\.parquet {words}: name another folder to write$"):
        score(specs["iris"], rows, tmp_path / "out")


KILL_LATER = """
import os, sys

EVENTS = {"open", "os.rename", "os.link", "os.mkdir", "os.rmdir", "os.remove"}

def kill_later(target, moments):
    def watch(event, arguments):
        nonlocal moments
        if event in EVENTS and target in str(arguments[0]):
            moments -= 1
            if moments < 0:
                os.kill(os.getpid(), 9)
    sys.addaudithook(watch)
"""
"""Lets a process kill itself once it has done so many things in a folder."""

KILLED = """
import json
from pathlib import Path
from prediction.batch.bulk import parts, plans
from prediction.batch.bulk.places import OutputFolder

target = sys.argv[1]
output = OutputFolder(target)
plan = plans.read(output)
parts.score(parts.unit(plan, 1, output))  # all that it needs is loaded once

def score(moments):
    kill_later(target, moments)
    parts.score(parts.unit(plan, 0, output))
    os._exit(0)

found, code = [], -9
while code == -9:
    child = os.fork()
    if child == 0:
        score(len(found))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    found.append({path.name: path.stat().st_size for path in Path(target).iterdir() if path.is_file()})
output.clean()
left = sorted(path.name for path in Path(target, ".drafts").rglob("*"))
print(json.dumps([code, left, found]))
"""
"""Scores a unit again and again, and kills it each time at the next thing that it does in the output."""


def test_a_unit_that_is_killed_at_any_moment_is_done_or_not(
    rows: Path, home: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """At each moment its part is there, whole and with its list, or is not there; nothing else is left."""
    target = tmp_path / "out"
    score(specs["iris"], rows, tmp_path / "other")
    target.mkdir()
    (target / "plan.json").write_bytes((tmp_path / "other" / "plan.json").read_bytes())

    quiet = ("-W", "ignore::DeprecationWarning")
    done = run("python", *quiet, "-c", KILL_LATER + KILLED, str(target), home=home)
    assert 0 == done.returncode, done.stderr

    code, left, found = json.loads(done.stdout)
    part, listed, second = "part-00000.parquet", "refused-00000.csv", "part-00001.parquet"
    sizes = {name: (tmp_path / "other" / name).stat().st_size for name in ("plan.json", part, second)}
    assert (0, []) == (code, left)
    assert 10 < len(found)
    steps = [sorted(files) for files in found]
    assert steps == sorted(steps, key=len)
    assert [[second, "plan.json"], [second, "plan.json", listed], [part, second, "plan.json", listed]] == [
        step for step, before in zip(steps, [None, *steps], strict=False) if step != before
    ]
    assert all(sizes[name] == size for files in found for name, size in files.items() if name in sizes)
    assert digests(target).items() >= {
        (name, digest) for name, digest in digests(tmp_path / "other").items() if name in (part, second)
    }


KILLED_AGAIN = """
import json
from concurrent.futures import ThreadPoolExecutor
from models_store import catalog
from prediction.batch.bulk import runs
from prediction.batch.bulk.places import OutputFolder
from prediction.batch.bulk.units import Sizes

source, target, warm = sys.argv[1:]
(spec,) = catalog.select(["iris"])
sizes = Sizes(bytes=8_000, rows=300, small=0)

def score(target):
    with ThreadPoolExecutor(1) as executor:
        runs.score(spec, [source], OutputFolder(target), workers=runs.Workers(executor), sizes=sizes)

def live(moments):
    kill_later(target, moments)
    score(target)
    os._exit(0)

score(warm)  # all that it needs is loaded once
lives = [0]
while lives[0] == 0 or code == -9:
    child = os.fork()
    if child == 0:
        live(17 + 13 * lives[0])
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    lives[0] += 1
print(json.dumps([code, lives[0]]))
"""


def test_a_run_that_is_killed_again_and_again_ends_as_another(
    rows: Path, home: Path, tmp_path: Path
) -> None:
    """Wherever it is killed: while it plans, scores, lists refused rows, sums up and cleans."""
    folders = (str(each) for each in (rows, tmp_path / "out", tmp_path / "other"))
    done = run("python", "-c", KILL_LATER + KILLED_AGAIN, *folders, home=home)
    assert 0 == done.returncode, done.stderr

    code, lives = json.loads(done.stdout)
    assert 0 == code
    assert 4 < lives
    assert digests(tmp_path / "other") == digests(tmp_path / "out")
    assert [] == [path for path in (tmp_path / "out").iterdir() if path.is_dir()]


@pytest.fixture
def files(home: Path, tmp_path: Path, specs: dict[str, Spec]) -> Path:
    """Forty files, a unit each."""
    (tmp_path / "in").mkdir()
    frame = scoring.random_frame(specs["iris"], 20_000)
    frame.to_csv(tmp_path / "in" / "00.csv", index=False)
    for number in range(1, 40):
        os.link(tmp_path / "in" / "00.csv", tmp_path / "in" / f"{number:02d}.csv")
    return tmp_path / "in"


def begin(files: Path, target: Path, home: Path) -> subprocess.Popen[str]:
    """Start `loop score`, and wait until it has scored some units."""
    before = len(list(target.glob("part-*")))
    process = interruptible(
        *("python", "-m", "prediction", "score", "iris", files, f"{target}/", "--processes", "1", "--json"),
        home=home,
    )
    while len(list(target.glob("part-*"))) < before + 3:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    return process


def test_a_run_that_is_stopped_goes_on(files: Path, home: Path, tmp_path: Path) -> None:
    """By a signal it ends with a sentence, a known exit code and no draft; by SIGKILL without a word."""
    target = tmp_path / "out"
    process = begin(files, target, home)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert (130, "") == (process.returncode, output)
    assert re.fullmatch(rf"loop score: interrupted; \d+ of 40 {AGAIN}\n", errors)
    process = begin(files, target, home)
    process.kill()
    process.communicate()
    done = {path.name: path.stat().st_mtime_ns for path in target.glob("part-*")}

    with ThreadPoolExecutor(2) as executor:
        summary = batch.score("iris", files, target, executor=executor)

    assert (800_000, 40, {}) == (summary.rows, summary.units, summary.failed)
    assert 6 * 20_000 <= summary.rows_before < 800_000
    assert done.items() <= {path.name: path.stat().st_mtime_ns for path in target.glob("part-*")}.items()
    assert 1 == len({digest for name, digest in digests(target).items() if name.startswith("part-")})
    assert [] == list((target / ".drafts").glob("*"))
