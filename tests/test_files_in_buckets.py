"""Files scored from a bucket into one: the same bytes as on disk, also after a store or process failed."""

from __future__ import annotations

import io
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pandas as pd
import pyarrow
import pytest
from pyarrow import csv, parquet

from models_store import catalog
from models_store.errors import InvalidInput
from models_store.spec import Spec
from prediction import batch
from prediction.batch.bulk import buckets as bulk_buckets
from prediction.batch.bulk import places, runs
from prediction.batch.bulk.places import OutputFolder
from prediction.batch.bulk.runs import Workers
from prediction.batch.bulk.units import Sizes
from prediction.batch.jobs import Summary
from prediction.commands import cli
from prediction.errors import PlaceUnavailable
from tests import buckets
from tests.buckets import S3, Wire
from tests.scoring import random_frame
from tests.servers import PROJECT, environment

s3 = buckets.s3
ROWS = 6_000
SIZES = Sizes(bytes=40_000, rows=1_000, small=0)


@pytest.fixture(scope="module")
def iris() -> Spec:
    """The spec."""
    return catalog.load()["iris"]


@pytest.fixture(scope="module")
def folder(
    s3: S3, iris: Spec, trained_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """Files of each kind in a folder, and the same in the bucket at `models/in`; one row is refused."""
    made = tmp_path_factory.mktemp("in")
    frame = random_frame(iris, ROWS)
    frame.loc[ROWS - 2, "petal_width_cm"] = 99.0
    table = pyarrow.Table.from_pandas(frame, preserve_index=False)
    parquet.write_table(table, made / "a.parquet", row_group_size=1_000)
    csv.write_csv(table, made / "b.csv")
    frame.to_json(made / "c.jsonl", orient="records", lines=True)
    output = OutputFolder("s3://models/of-runs/in")
    for path in made.iterdir():
        output.put(path.name, path.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        home = shutil.copytree(trained_home, made.with_name("home"), symlinks=True)
        patch.setenv("BENTOML_HOME", str(home))
        yield made


def score(spec: Spec, rows: str | Path, out: str | Path, **more: object) -> Summary:
    """Score in small units, by threads."""
    with ThreadPoolExecutor(2) as pool:
        workers = Workers(executor=pool, outstanding=2)
        return runs.score(spec, [rows], OutputFolder(out), workers=workers, sizes=SIZES, **more)  # type: ignore[arg-type]


def parts(out: str | Path) -> dict[str, bytes]:
    """Return the bytes of each part."""
    output = OutputFolder(out)
    return {name: output.read(name) or b"" for name in output.list() if name.startswith(places.PART)}


@pytest.fixture(scope="module")
def on_disk(iris: Spec, folder: Path) -> dict[str, bytes]:
    """The parts of the same files on disk."""
    summary = score(iris, folder, folder.with_name("out"))
    assert (3 * ROWS, 3) == (summary.rows, summary.refused)
    found = parts(folder.with_name("out"))
    assert len(found) > 12
    return found


def test_a_bucket_gives_the_bytes_of_a_folder(iris: Spec, on_disk: dict[str, bytes]) -> None:
    """Parts and refused rows, with the places in the files."""
    summary = score(iris, "s3://models/of-runs/in/", "s3://models/of-runs/out/")

    assert on_disk == parts("s3://models/of-runs/out")
    assert "s3://models/of-runs/out/refused.csv" == summary.refused_file
    refused = OutputFolder("s3://models/of-runs/out").read("refused.csv")
    assert refused is not None
    found = pd.read_csv(io.BytesIO(refused))
    names = ("a.parquet", "b.csv", "c.jsonl")
    assert [[f"s3://models/of-runs/in/{name}", ROWS - 1] for name in names] == found[
        ["file", "row"]
    ].to_numpy().tolist()


def test_the_command_scores_from_a_bucket_into_a_bucket(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its processes read and write by themselves."""
    rows, out = "s3://models/of-runs/in/*.parquet", "s3://models/of-runs/by-loop/"
    code = cli.main(["score", "iris", rows, out, "--processes", "1", "--json"])

    said = json.loads(capsys.readouterr().out)
    assert 1 == code  # a row is refused
    assert (ROWS, 1, f"{out}refused.csv") == (said["rows"], said["refused"], said["refused_file"])
    assert [f"{out}part-00000.parquet"] == [each.url for each in places.find([out])]


def test_a_run_goes_on_after_a_store_that_was_down(
    s3: S3, iris: Spec, on_disk: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run ends with a sentence that says so; what it has written stays, and is not scored again."""
    monkeypatch.setattr(bulk_buckets, "PATIENCE_SECONDS", 0.0)
    out = "s3://models/of-runs/goes-down/"
    with Wire(s3.port) as wire:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{wire.port}")

        def cut(done: Summary, _: float) -> None:
            if done.units == 3:
                wire.cut()

        with pytest.raises(PlaceUnavailable, match=r"it does not answer; .* are done: give the same"):
            score(iris, "s3://models/of-runs/in/", out, watch=cut)
        with pytest.raises(
            PlaceUnavailable, match="s3://models/of-runs/in can't be read: it does not answer"
        ):
            score(iris, "s3://models/of-runs/in/", out)
        wire.connect()
        before = parts(out)
        assert 3 <= len(before) < len(on_disk)
        left: list[int] = []
        summary = score(iris, "s3://models/of-runs/in/", out, watch=lambda done, _: left.append(done.units))

        assert on_disk == parts(out)

    assert len(on_disk) - len(before) == len(left)
    assert 3 * ROWS == summary.rows


SCORED = """
import sys
from concurrent.futures import ThreadPoolExecutor
from models_store import catalog
from prediction.batch.bulk import runs
from prediction.batch.bulk.places import OutputFolder
from prediction.batch.bulk.units import Sizes

source, target = sys.argv[1:]
(spec,) = catalog.select(["iris"])
with ThreadPoolExecutor(2) as pool:
    workers = runs.Workers(pool, outstanding=2)
    runs.score(spec, [source], OutputFolder(target), workers=workers, sizes=Sizes(40_000, 1_000, 0))
"""


def kill_after(pieces: int, process: subprocess.Popen[bytes]) -> Callable[[], None]:
    """Return what a line calls for each piece that a process sends: the process dies of the last one."""
    left = count(pieces, -1)

    def watch() -> None:
        if next(left) == 0:
            process.kill()

    return watch


def test_a_run_that_is_killed_again_and_again_ends_as_another(
    s3: S3, folder: Path, on_disk: dict[str, bytes]
) -> None:
    """Killed while it reads and writes, and while it sends a part: no part is half there."""
    source, out = "s3://models/of-runs/in/", "s3://models/of-runs/killed/"
    lives = 0
    with Wire(s3.port) as wire:
        code: int | None = -signal.SIGKILL
        while code == -signal.SIGKILL:
            process = subprocess.Popen(
                [sys.executable, "-c", SCORED, source, out],
                cwd=PROJECT,
                env=environment(folder.with_name("home")) | s3.environment(wire.port),
            )
            wire.watch = kill_after(20 + 200 * lives, process)
            code = process.wait(timeout=60)
            lives += 1
            assert on_disk.items() >= parts(out).items(), lives

    assert 0 == code
    assert 3 < lives
    assert on_disk == parts(out)


def test_the_same_place_is_not_read_and_written(iris: Spec, folder: Path) -> None:
    """Neither the folder nor one above it."""
    for out in ("s3://models/of-runs/in/", "s3://models/"):
        with pytest.raises(InvalidInput, match="is read, and lies in"):
            score(iris, "s3://models/of-runs/in/*.csv", out)


def test_a_single_object_is_scored(iris: Spec, folder: Path) -> None:
    """By `batch.score`, as a path is."""
    with ThreadPoolExecutor(1) as pool:
        summary = batch.score(
            "iris", "s3://models/of-runs/in/b.csv", "s3://models/of-runs/single", executor=pool
        )

    assert ROWS == summary.rows
    assert ["part-00000.parquet"] == list(parts("s3://models/of-runs/single"))
