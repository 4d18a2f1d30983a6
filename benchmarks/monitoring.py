"""How long monitoring takes on a million predictions, and what it costs those who predict:
`python -m benchmarks.monitoring`.
"""

from __future__ import annotations

import argparse
import shutil
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx

from benchmarks import journals
from benchmarks.loop import p99_ms
from benchmarks.scoring import CACHE, prepare
from models_store import catalog
from tests.serving import Server

ROWS = 1_000_000
PATHS = (
    *(f"/iris/monitoring?window={window}" for window in ("1h", "24h", "7d", "30d")),
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
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        home = Path(shutil.copytree(CACHE / "trained", Path(folder) / "home", symlinks=True))
        with Server(home, workers=1) as first:
            for name, spec in catalog.load().items():
                first.post(f"/{name}/predict_batch", [spec.example] * 50).raise_for_status()
        journals.fill(home / "journal.db", ROWS)
        forget_counts(home / "journal.db")
        with Server(home, workers=2) as running:
            print(f"{ROWS:,} predictions counted by hour: {wait_counted(home / 'journal.db'):.1f} s")
            slowest = max(tell_route(running, path, options.rounds) for path in PATHS)
            tell_cost(running, options.rounds)
    return 0 if slowest <= LIMIT_MS else 1


def forget_counts(path: Path) -> None:
    """Let all predictions be counted anew: some are older than what is counted already."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM rollups")
        connection.execute("DELETE FROM rollup_state")


def wait_counted(path: Path) -> float:
    """Wait until a server has counted them, and return how long that takes, s."""
    started = time.monotonic()
    query = "SELECT count(*) FROM rollup_state WHERE until_us > (unixepoch() - 120) * 1000000"
    while True:
        with closing(sqlite3.connect(path)) as connection:
            (models,) = connection.execute(query).fetchone()
        if models == len(catalog.load()):
            return time.monotonic() - started
        time.sleep(0.2)


def lasting() -> Callable[[], bool]:
    """Return what tells for some seconds that it goes on."""
    until = time.monotonic() + PHASE_SECONDS
    return lambda: time.monotonic() < until


def watch(url: str, ended: threading.Event) -> None:
    """Ask for the page as an open one does."""
    with httpx.Client(base_url=url, timeout=60) as client:
        while not ended.wait(POLL_SECONDS):
            client.get("/dashboard?window=24h").raise_for_status()


def tell_route(server: Server, path: str, rounds: int) -> float:
    """Measure one route, and return its median, ms."""
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        server.get(path).raise_for_status()
        taken.append((time.perf_counter() - started) * 1000)
    median = statistics.median(taken)
    print(
        f"{path}: {median:.0f} ms ({min(taken):.0f} to {max(taken):.0f}), {ROWS:,} predictions", flush=True
    )
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
