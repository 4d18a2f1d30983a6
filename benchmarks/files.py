"""Many files on two cores: `python -m benchmarks.files`.

One process on one core, `processes=2` and Dask with two workers score the same folder of Parquet files,
beside Ray Data with two actors, and pandas with scikit-learn, file by file. All write one file or more with
the same columns. Each run is a process of its own and in turns; the time is that of the whole work without
imports and without the start of Dask and Ray: one process and Dask's workers have scored a few rows before.
The memory is that of the largest process at its peak.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil

from benchmarks import environments, machine, scoring
from benchmarks.peers import SAME
from models_store import catalog, store
from prediction import batch
from tests import dask_clusters
from tests.dask_clusters import Scheduler

PROJECT = Path(__file__).parent.parent
CACHE = PROJECT / ".cache" / "benchmarks"
OUTPUT = CACHE / "parts"
ROWS = {"iris": 20_000_000, "penguins": 5_000_000}
FILES = 20
GROUP_ROWS = 100_000
"""Rows of a row group: a process reads one at a time, so memory depends on it."""

PRELOAD = ("--preload", "prediction.batch")
"""Workers import the project when they start, and not with their first unit."""

KEEPING = {"MALLOC_TRIM_THRESHOLD_": "268435456", "MALLOC_MMAP_THRESHOLD_": "33554432"}
"""Variables of Dask's workers, as docs/scale.md advises: they keep memory that they have freed."""

RAY = ["ray[data]", "psutil", "pydantic", *SAME]
TARGET = 1.7
"""Dask with two workers against one process, at least; of the rate."""

FLAT = 1.1
"""The memory of a worker for ten times the rows, at most; of that before."""

WARM, FEW_ROWS = ("one", "dask"), 2_000
"""Who scores so many rows first, and then the folder that is measured."""

POLL_SECONDS, LONGEST_SECONDS = 1.0, 1_800.0
Figures = dict[str, float]


def make_files(model: str, rows: int) -> Path:
    """Write a folder of files with the dataset's own rows, drawn at random."""
    import numpy as np

    folder = CACHE / f"{model}-{rows}-in-{FILES}"
    if folder.exists():
        return folder
    (spec,) = catalog.select([model])
    X, _ = spec.load()
    rng = np.random.default_rng(0)
    draft = folder.with_suffix(".draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for number in range(FILES):
        some = X.iloc[rng.integers(0, len(X), rows // FILES)]
        some.to_parquet(draft / f"{number:02d}.parquet", index=False, row_group_size=GROUP_ROWS)
    draft.rename(folder)
    return folder


def pandas(model: str, source: Path, *_: str) -> None:
    """Score as a notebook would, a file at a time."""
    import bentoml
    import pandas as pd

    from benchmarks.apps.notebook import answer

    tag = bentoml.models.get(f"{model}:latest").tag
    pipeline = bentoml.sklearn.load_model(tag)
    OUTPUT.mkdir()
    for path in sorted(source.iterdir()):
        scored = answer(pipeline, pd.read_parquet(path), model, tag.version)
        scored.to_parquet(OUTPUT / path.name, index=False)


def one(model: str, source: Path, *_: str) -> None:
    """Score in this process on one core."""
    machine.pin(machine.cores()[1])
    with ThreadPoolExecutor(1) as executor:
        batch.score(model, source, f"{OUTPUT}/", executor=executor)


def two(model: str, source: Path, *_: str) -> None:
    """Score in two processes, which are started for this."""
    batch.score(model, source, f"{OUTPUT}/", processes=2)


def dask(model: str, source: Path, *address: str) -> None:
    """Score by a Dask cluster."""
    batch.score(model, source, f"{OUTPUT}/", dask=address[0])


PEERS: dict[str, Callable[..., None]] = {"one": one, "two": two, "dask": dask, "pandas": pandas}


def measure(peer: str, model: str, source: Path, home: Path) -> Figures:
    """Run one peer in processes of its own."""
    shutil.rmtree(OUTPUT, ignore_errors=True)
    own = os.environ | {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
    own |= {"PYTHONPATH": str(PROJECT), "RAY_USAGE_STATS_ENABLED": "0"}
    with ExitStack() as stack:
        command = [sys.executable, "-m", "benchmarks.files", "--run", peer, model, str(source)]
        watched = list[int]()
        if peer == "dask":
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            scheduler = stack.enter_context(Scheduler(Path(folder)))
            watched += [scheduler.work(home, *PRELOAD, variables=KEEPING) for _ in range(2)]
            command.append(scheduler.address)
        if peer == "ray":
            (version,) = store.versions(home, model)[:1]
            python = str(CACHE / "environments" / "ray" / "bin" / "python")
            command = [python, "-m", "benchmarks.apps.ray_files", str(version.path / "saved_model.pkl")]
            command += [str(source), str(OUTPUT), model]
        log = stack.enter_context(tempfile.TemporaryFile("w+"))
        started = subprocess.Popen(command, cwd=PROJECT, env=own, stdout=log, stderr=log)
        peak = _peak_mib(started, watched)
        log.seek(0)
        lines = log.read().splitlines()
    told = [line for line in lines if line.startswith('{"seconds"')]
    if started.returncode or not told:
        raise RuntimeError(f"{peer} ended with {started.returncode}: " + "\n".join(lines[-20:]))
    figures: Figures = json.loads(told[-1])
    return figures | {"peak_mib": peak}


def _peak_mib(started: subprocess.Popen[bytes], watched: list[int]) -> float:
    """Return the most memory that any of the processes held, when `started` has ended."""
    peak, deadline = 0.0, time.monotonic() + LONGEST_SECONDS
    while started.poll() is None:
        if time.monotonic() > deadline:
            dask_clusters.kill(started.pid)
        for pid in (started.pid, *watched):
            with suppress(psutil.NoSuchProcess):  # it has just ended
                for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
                    peak = max(peak, scoring.peak_mib(process.pid))
        time.sleep(POLL_SECONDS)
    return peak


def main(arguments: list[str]) -> int:
    """Measure and print tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.files", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--iris", type=int, default=ROWS["iris"], metavar="ROWS")
    parser.add_argument("--penguins", type=int, default=ROWS["penguins"], metavar="ROWS")
    parser.add_argument("--run", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.run:
        peer, model, source, *more = options.run
        if peer in WARM:
            PEERS[peer](model, make_files(model, FEW_ROWS), *more)
            shutil.rmtree(OUTPUT)
        started = time.perf_counter()
        PEERS[peer](model, Path(source), *more)
        print(json.dumps({"seconds": time.perf_counter() - started}))
        return 0
    home = scoring.prepare()
    peers = [*PEERS, *_ray()]
    for model, rows in (("iris", options.iris), ("penguins", options.penguins)):
        source = make_files(model, rows)
        rounds = [
            {peer: measure(peer, model, source, home) for peer in peers} for _ in range(options.rounds)
        ]
        print(table(model, rows, rounds), flush=True)
    few, many = (
        measure("two", "iris", make_files("iris", rows), home)["peak_mib"]
        for rows in (options.iris // 10, options.iris)
    )
    verdict = "met" if many <= FLAT * few else "missed"
    print(
        f"memory of the largest process of two: {few:.0f} MiB for {options.iris // 10:,} rows,"
        f" {many:.0f} MiB for {options.iris:,}, ratio {many / few:.2f}, target {FLAT:g}: {verdict}"
    )
    return 0


def _ray() -> list[str]:
    try:
        environments.make(CACHE / "environments" / "ray", RAY)
    except environments.CannotInstall as error:
        print(f"ray is left out: {error}")
        return []
    return ["ray"]


def table(model: str, rows: int, rounds: list[dict[str, Figures]]) -> str:
    """Tell a model's figures: medians, and ratios within a round."""
    lines = [f"{model}, {rows:,} rows in {FILES} files, medians of {len(rounds)} rounds"]
    lines += [
        "| | rows/s | largest process, MiB | rate of one process (range) |",
        "| --- | ---: | ---: | ---: |",
    ]
    for peer in rounds[0]:
        rate = rows / statistics.median(each[peer]["seconds"] for each in rounds)
        peak = statistics.median(each[peer]["peak_mib"] for each in rounds)
        ratios = [each["one"]["seconds"] / each[peer]["seconds"] for each in rounds]
        told = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        lines.append(f"| {peer} | {rate:,.0f} | {peak:.0f} | {told} |")
    ratio = statistics.median(each["one"]["seconds"] / each["dask"]["seconds"] for each in rounds)
    lines.append(f"\ndask / one {ratio:.2f}, target {TARGET:g}: {'met' if ratio >= TARGET else 'missed'}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
