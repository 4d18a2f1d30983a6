"""How long monitoring takes on a million predictions, half of them labelled, and what it costs others:
`python -m benchmarks.monitoring`.
"""

from __future__ import annotations

import argparse
import itertools
import random
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx

from benchmarks import journals
from benchmarks.loop import p99_ms
from benchmarks.scoring import CACHE, prepare
from models_store import catalog
from prediction.errors import JournalBusy
from prediction.journal import feedback
from prediction.journal.database import Journal
from prediction.journal.feedback import Label
from tests.servers import Server

ROWS = 1_000_000
LABELS = ROWS // 2
CORRECTED = LABELS // 10
BATCH = 10_000
PATHS = (
    *(f"/iris/monitoring?window={window}" for window in ("1h", "4h", "24h", "7d", "30d")),
    "/dashboard?window=7d",
    "/metrics",
)
LIMIT_MS = 300
PHASE_SECONDS = 8.0
POLL_SECONDS = 3.0
"""How often an open dashboard asks."""


def main(arguments: list[str]) -> int:
    """Measure, print a line for each route, and fail if one takes too long."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.monitoring", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args(arguments)
    prepare()
    slowest = max(measure(days, options.rounds) for days in (1, journals.DAYS))
    return 0 if slowest <= LIMIT_MS else 1


def measure(days: int, rounds: int) -> float:
    """Measure with so many predictions in so many days; return the slowest route's median, ms."""
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        home = Path(shutil.copytree(CACHE / "trained", Path(folder) / "home", symlinks=True))
        with Server(home, workers=1) as first:
            for name, spec in catalog.load().items():
                first.post(f"/{name}/predict_batch", [spec.example] * 50).raise_for_status()
        journals.fill(home / "journal.db", ROWS, days)
        with (
            Server(home, workers=2) as running,
            closing(Journal(f"sqlite:///{home / 'journal.db'}")) as journal,
        ):
            print(f"{ROWS:,} predictions in {days} days: counted in {wait_counted(journal):.1f} s")
            started = time.monotonic()
            late = label(journal)
            next(late)
            seconds = time.monotonic() - started
            print(f"{LABELS:,} labels, {CORRECTED:,} of them corrected: {seconds:.0f} s", flush=True)
            slowest = max(tell_route(running, path, rounds) for path in PATHS)
            print(f"while labels of predictions of all times come, {BATCH:,} before each question:")
            for path in PATHS:
                slowest = max(slowest, tell_route(running, path, rounds, lambda: next(late)))
            tell_cost(running, rounds)
    return slowest


def wait_counted(journal: Journal) -> float:
    """Wait until a server has counted all predictions, and return how long that takes, s."""
    started = time.monotonic()
    left = "SELECT max(seq) - (SELECT prediction_seq FROM rollup_state) FROM predictions"
    while True:
        with journal.read() as connection:
            if not connection.exec_driver_sql(left).scalar():
                return time.monotonic() - started
        time.sleep(0.2)


def label(journal: Journal) -> Iterator[None]:
    """Label half of the predictions and correct some; from then on correct one batch more at each step."""
    with journal.read() as connection:
        ids = list(
            connection.exec_driver_sql(
                "SELECT prediction_id FROM predictions WHERE model = 'iris'"
            ).scalars()
        )
    classes = catalog.load()["iris"].target.texts
    random.Random(0).shuffle(ids)
    batches = [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]

    def give(batch: list[str], shift: int) -> None:
        labels = [Label(each, classes[(number + shift) % 3], True) for number, each in enumerate(batch)]
        while True:
            try:
                feedback.give(journal, "iris", labels)
                return
            except JournalBusy:
                continue

    for batch in batches[: LABELS // BATCH]:
        give(batch, 0)
    for batch in batches[: CORRECTED // BATCH]:
        give(batch, 1)
    for shift in itertools.count(2):
        for batch in batches:
            yield
            give(batch, shift)


def lasting() -> Callable[[], bool]:
    """Return what tells for some seconds that it goes on."""
    until = time.monotonic() + PHASE_SECONDS
    return lambda: time.monotonic() < until


def watch(url: str, ended: threading.Event) -> None:
    """Ask for the page as an open one does."""
    with httpx.Client(base_url=url, timeout=60) as client:
        while not ended.wait(POLL_SECONDS):
            client.get("/dashboard?window=24h").raise_for_status()


def tell_route(server: Server, path: str, rounds: int, before: Callable[[], None] = lambda: None) -> float:
    """Measure one route, and return its median, ms."""
    taken = []
    for _ in range(rounds):
        before()
        started = time.perf_counter()
        server.get(path).raise_for_status()
        taken.append((time.perf_counter() - started) * 1000)
    median = statistics.median(taken)
    print(f"{path}: {median:.0f} ms ({min(taken):.0f} to {max(taken):.0f})", flush=True)
    return median


def tell_cost(server: Server, rounds: int) -> None:
    """Measure predictions with and without an open dashboard, in turns."""
    found = []
    for _ in range(rounds):
        idle = p99_ms(server, lasting())
        ended = threading.Event()
        thread = threading.Thread(target=watch, args=(server.url, ended))
        thread.start()
        found.append((idle, p99_ms(server, lasting())))
        ended.set()
        thread.join()
    ratios = [watched / idle for idle, watched in found]
    idle, watched = (statistics.median(column) for column in zip(*found, strict=True))
    print(
        f"predict while a dashboard is open: p99 {watched:.1f} ms, without {idle:.1f} ms,"
        f" ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
