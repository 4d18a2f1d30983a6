"""What the loop promises while it turns, at full length: `python -m benchmarks.loop`.

Fifty swaps under load, with every answer checked; and what a retraining that goes on for a while does
to the latency of predictions beside it.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from benchmarks.scoring import CACHE, prepare
from models_store import catalog
from tests import swapping
from tests.serving import Server
from tests.swapping import ADMIN, TOKEN

RETRAINING_SECONDS = 20.0
ASKS_A_SECOND = 100.0
"""Of one client that waits between requests: latency, not throughput."""


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


def latencies(home: Path, rounds: int) -> list[tuple[float, float]]:
    """Measure p99 (ms) of predictions in turns: nothing else goes on, and penguins is retrained."""
    found = []
    with Server(home, workers=2, admin_token=TOKEN) as running:
        for _ in range(rounds):
            until = time.monotonic() + RETRAINING_SECONDS / 2
            idle = p99_ms(running, lambda: time.monotonic() < until)  # noqa: B023 -- called at once
            found.append((idle, p99_ms(running, retrain_for(running, RETRAINING_SECONDS))))
    return found


def retrain_for(server: Server, seconds: float) -> Callable[[], bool]:
    """Keep a retraining going for a time; return what tells whether it goes on."""
    until, checked, goes_on = time.monotonic() + seconds, [0.0], [True]

    def is_going() -> bool:
        if time.monotonic() - checked[0] > 0.5:
            checked[0] = time.monotonic()
            answer = server.client.post("/penguins/retrain", json={"force": True}, headers=ADMIN)
            run = answer.raise_for_status().json()  # the one that goes on, or a new one
            goes_on[0] = checked[0] < until
            if not goes_on[0]:
                server.client.post("/penguins/cancel", json={"run_id": run["run_id"]}, headers=ADMIN)
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


def tell_latencies(found: list[tuple[float, float]]) -> bool:
    """Tell the ratios, and whether they are as promised."""
    ratios = [busy / idle for idle, busy in found]
    idle, busy = (statistics.median(column) for column in zip(*found, strict=True))
    ratio = statistics.median(ratios)
    print(
        f"predict beside a retraining of {RETRAINING_SECONDS:g} s: p99 {busy:.1f} ms, idle {idle:.1f} ms,"
        f" ratio {ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f}), at most 2:"
        f" {'met' if ratio <= 2 else 'missed'}",
        flush=True,
    )
    return ratio <= 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
