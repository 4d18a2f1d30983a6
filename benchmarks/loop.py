"""What the loop promises while it turns, at full length: `python -m benchmarks.loop`.

Fifty swaps under load, with every answer checked; and what a retraining that goes on for a while does
to the latency of predictions beside it.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import httpx

from benchmarks.scoring import CACHE, prepare
from models_store import catalog, store
from prediction.journal import feedback
from prediction.journal.database import Journal
from prediction.journal.predictions import Inserter
from prediction.serving import predictor
from tests import swapping
from tests.databases import insist
from tests.servers import Server
from tests.swapping import ADMIN, TOKEN

RETRAINING_SECONDS = 20.0
SETTLE_SECONDS = 15.0
OUTCOMES = 110_000
CHUNK_ROWS = 5_000
ASKS_A_SECOND = 100.0
"""Of one client that waits between requests: latency, not throughput."""


class Latency(NamedTuple):
    """99th percentiles while nothing else goes on and beside a retraining, and how long that took."""

    idle_ms: float
    busy_ms: float
    seconds: float


def main(arguments: list[str]) -> int:
    """Measure, print a line for each promise, and fail if one is broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loop", description=__doc__)
    parser.add_argument("--swaps", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    prepare()
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        home = Path(shutil.copytree(CACHE / "trained", Path(folder) / "swaps", symlinks=True))
        swapped = tell_swaps(swapping.swap_under_load(home, options.swaps))
        home = Path(shutil.copytree(CACHE / "trained", Path(folder) / "retraining", symlinks=True))
        retrained = tell_latencies(latencies(home, options.rounds))
    return 0 if swapped and retrained else 1


def tell_swaps(shown: swapping.Shown) -> bool:
    """Tell what clients saw, and whether that is as promised."""
    slowest = max(shown.seconds)
    print(
        f"{len(shown.seconds)} swaps, 4 workers: {shown.requests:,} requests, {len(shown.failures)} failed,"
        f" {len(shown.wrong)} with another version's numbers; all workers agreed after"
        f" {statistics.median(shown.seconds):.2f} s at the median, {slowest:.2f} s at most",
        flush=True,
    )
    return not shown.failures and not shown.wrong and slowest <= 2.0 and shown.requests >= 10_000


def label_much(home: Path) -> None:
    """Fill the journal with outcomes of penguins, so many that one retraining takes its time."""
    spec, version = catalog.load()["penguins"], store.newest(home, "penguins")
    answering = predictor.load(spec, version, version.digest)
    X, y = spec.load()
    columns, draw = spec.columns_of(X), random.Random(0)
    journal = Journal(f"sqlite:///{home / 'journal.db'}")
    writer = Inserter(journal)
    for _ in range(OUTCOMES // CHUNK_ROWS):
        chosen = [draw.randrange(len(y)) for _ in range(CHUNK_ROWS)]
        rows = [{name: values[row] for name, values in columns.items()} for row in chosen]
        for row in rows:  # none is like another, or they would count once
            row["body_mass_g"] = draw.uniform(0.98, 1.02) * (row["body_mass_g"] or 4000)
        predictions = answering.predict([spec.rows.object(row) for row in rows])
        insist(partial(writer.insert, predictions))
        pairs = zip(predictions, chosen, strict=True)
        labels = [feedback.Label(str(item.prediction_id), str(y.iloc[row])) for item, row in pairs]
        feedback.give(journal, spec.name, labels)
    writer.close()
    journal.close()


def latencies(home: Path, rounds: int) -> list[Latency]:
    """Measure predictions in turns: nothing else goes on, and penguins is retrained, once and at length."""
    label_much(home)
    found = []
    with Server(home, workers=2, admin_token=TOKEN) as running:
        time.sleep(SETTLE_SECONDS)  # what was filled in is counted first
        for _ in range(rounds):
            until = time.monotonic() + RETRAINING_SECONDS / 2
            idle = p99_ms(running, lambda: time.monotonic() < until)  # noqa: B023 -- called at once
            started = time.monotonic()
            busy = p99_ms(running, retrain(running))
            found.append(Latency(idle, busy, time.monotonic() - started))
    return found


def retrain(server: Server) -> Callable[[], bool]:
    """Start a retraining; return what tells whether it goes on."""
    answer = server.client.post("/penguins/retrain", json={"force": True}, headers=ADMIN)
    path = f"/penguins/runs/{answer.raise_for_status().json()['run_id']}"
    checked, goes_on = [0.0], [True]

    def is_going() -> bool:
        if time.monotonic() - checked[0] > 0.5:
            checked[0] = time.monotonic()
            goes_on[0] = server.client.get(path).json()["status"] in ("queued", "running")
        return goes_on[0]

    return is_going


def p99_ms(server: Server, goes_on: Callable[[], bool]) -> float:
    """Ask steadily, and return the 99th percentile of the answers' times."""
    body, taken = catalog.load()["iris"].example, []
    with httpx.Client(base_url=server.url) as client:
        while goes_on():
            started = time.perf_counter()
            client.post("/iris/predict", json=body).raise_for_status()
            taken.append(time.perf_counter() - started)
            time.sleep(1 / ASKS_A_SECOND)
    return statistics.quantiles(taken, n=100)[98] * 1000


def tell_latencies(found: list[Latency]) -> bool:
    """Tell the ratios, and whether they are as promised."""
    ratios = [each.busy_ms / each.idle_ms for each in found]
    idle, busy, seconds = (statistics.median(column) for column in zip(*found, strict=True))
    ratio, is_long = statistics.median(ratios), min(each.seconds for each in found) >= RETRAINING_SECONDS
    print(
        f"predict beside a retraining of {seconds:.0f} s: p99 {busy:.1f} ms, idle {idle:.1f} ms,"
        f" ratio {ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f}), at most 2:"
        f" {'met' if ratio <= 2 else 'missed'}{'' if is_long else ', but it was too short'}",
        flush=True,
    )
    return ratio <= 2 and is_long


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
