"""Good and hostile clients on one server for a while: `python -m benchmarks.soak`.

No good request may fail, and memory, descriptors and the latency of single predictions must stay flat.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import httpx
import psutil

from benchmarks import hostile, machine
from benchmarks.scoring import CACHE, prepare
from models_store import catalog
from tests.servers import Server

RESULTS = Path(__file__).parent / "results"
INTERVAL_SECONDS = 10.0
WARM_UP_SECONDS = 30.0
"""Time until each kind of client was refused for the first time; it is not measured."""
BATCH_ROWS = 1_000
MOST_GROWTH = 1.1
PATIENCE_SECONDS = 60.0

SINGLES, SINGLES_PAUSE = 4, 0.04
BATCH_PAUSE, FEEDBACK_PAUSE = 1.0, 0.2


class Tally:
    """Counts the answers of all clients, from one sample to the next."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: list[float] = []
        self._good: Counter[str] = Counter()
        self._hostile: Counter[str] = Counter()
        self.failures: list[str] = []

    def add(self, path: str, answer: httpx.Response, seconds: float) -> None:
        """Count the answer to a good request."""
        with self._lock:
            self._good[str(answer.status_code)] += 1
            if path.endswith("/predict"):
                self._taken.append(seconds)
            if answer.status_code != 200:
                self.failures.append(f"{path}: {answer.status_code} {answer.text[:200]}")

    def fail(self, path: str, error: Exception) -> None:
        """Count a good request without an answer."""
        with self._lock:
            self._good["none"] += 1
            self.failures.append(f"{path}: {type(error).__name__}: {error}")

    def add_hostile(self, kind: str, outcome: str) -> None:
        """Count the outcome of a hostile connection."""
        with self._lock:
            self._hostile[f"{kind}: {outcome}"] += 1

    def take(self) -> tuple[list[float], Counter[str], Counter[str]]:
        """Return the times of single predictions and both counts, and begin anew."""
        with self._lock:
            found = self._taken, self._good, self._hostile
            self._taken, self._good, self._hostile = [], Counter(), Counter()
            return found


@dataclass(frozen=True)
class Sample:
    """What one interval showed; memory (MiB) and descriptors are those of each worker at its end."""

    seconds: float
    pids: list[int]
    memory: list[float]
    descriptors: list[int]
    p50_ms: float
    p99_ms: float
    good: dict[str, int]
    hostile: dict[str, int]


class Good:
    """A good client on a connection of its own, that pauses between requests."""

    def __init__(self, url: str, tally: Tally, ended: threading.Event) -> None:
        self._client = httpx.Client(base_url=url, timeout=PATIENCE_SECONDS)
        self._tally, self._ended = tally, ended
        self._spec = catalog.load()["iris"]

    def single(self) -> None:
        """Ask for the prediction of one row."""
        self._ask("/iris/predict", self._spec.example)

    def batch(self) -> None:
        """Ask for the predictions of many rows."""
        self._ask("/iris/predict_batch", [self._spec.example] * BATCH_ROWS)

    def feedback(self) -> None:
        """Ask for a prediction, and give its label."""
        answer = self._ask("/iris/predict", self._spec.example)
        if answer is not None and answer.status_code == 200:
            label = {"prediction_id": answer.json()["prediction_id"], "label": self._spec.target.texts[0]}
            self._ask("/iris/feedback", label)

    def repeat(self, work: Callable[[], None], pause_seconds: float) -> None:
        """Work until the end."""
        with self._client:
            while not self._ended.wait(pause_seconds):
                work()

    def _ask(self, path: str, body: object) -> httpx.Response | None:
        started = time.perf_counter()
        try:
            answer = self._client.post(path, json=body)
        except httpx.HTTPError as error:
            self._tally.fail(path, error)
            return None
        self._tally.add(path, answer, time.perf_counter() - started)
        return answer


def main(arguments: list[str]) -> int:
    """Measure, print a line for each interval and a verdict, and fail if it is bad."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(arguments)
    intervals = round(options.minutes * 60 / INTERVAL_SECONDS)
    if intervals < 3:
        parser.error("--minutes must be at least 0.5: the first third is compared with the last one")
    prepare()
    tally = Tally()
    date = datetime.now(UTC).isoformat(timespec="seconds")
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        home = Path(shutil.copytree(CACHE / "trained", Path(folder) / "home", symlinks=True))
        with Server(home, workers=options.workers) as server:
            samples = soak(server, tally, intervals)
    write(date, vars(options), samples, tally.failures)
    return 0 if tell(samples, tally.failures) else 1


def soak(server: Server, tally: Tally, intervals: int) -> list[Sample]:
    """Let all clients go on for so many intervals after the warm-up; print each, and return them."""
    ended = threading.Event()
    clients = start_good(server.url, tally, ended)
    spawning = multiprocessing.get_context("spawn")
    outcomes: hostile.Outcomes = spawning.Queue()
    seconds = WARM_UP_SECONDS + intervals * INTERVAL_SECONDS + PATIENCE_SECONDS
    abusers = spawning.Process(target=hostile.run, args=(server.port, seconds, outcomes), daemon=True)
    abusers.start()
    threading.Thread(target=count, args=(outcomes, tally), daemon=True).start()
    samples = []
    try:
        time.sleep(WARM_UP_SECONDS)
        tally.take()
        started = time.monotonic()
        print(heading(), flush=True)
        for number in range(1, intervals + 1):
            time.sleep(max(0.0, started + number * INTERVAL_SECONDS - time.monotonic()))
            if server.process.poll() is not None or not abusers.is_alive():
                raise RuntimeError(f"the server or the hostile clients ended:\n{server.read_log()[-2000:]}")
            samples.append(sample(server.workers, tally, time.monotonic() - started))
            print(line(samples[-1]), flush=True)
    finally:
        ended.set()
        abusers.terminate()
        abusers.join()
        for client in clients:
            client.join()
    return samples


def start_good(url: str, tally: Tally, ended: threading.Event) -> list[threading.Thread]:
    """Start the good clients, each in a thread."""
    works: list[tuple[Callable[[Good], None], float]] = [
        *[(Good.single, SINGLES_PAUSE)] * SINGLES,
        (Good.batch, BATCH_PAUSE),
        (Good.feedback, FEEDBACK_PAUSE),
    ]
    threads = []
    for work, pause in works:
        good = Good(url, tally, ended)
        threads.append(threading.Thread(target=good.repeat, args=(partial(work, good), pause)))
        threads[-1].start()
    return threads


def count(outcomes: hostile.Outcomes, tally: Tally) -> None:
    """Count what happens to hostile connections, as long as this process lives."""
    while True:
        tally.add_hostile(*outcomes.get())


def sample(workers: Sequence[psutil.Process], tally: Tally, seconds: float) -> Sample:
    """Weigh the workers, and take the counts of the interval that ends now."""
    taken, good, bad = tally.take()
    cuts = statistics.quantiles(taken, n=100) if len(taken) > 1 else [float("inf")] * 99
    return Sample(
        seconds=round(seconds),
        pids=[worker.pid for worker in workers],
        memory=[round(worker.memory_info().rss / 2**20, 1) for worker in workers],
        descriptors=[worker.num_fds() for worker in workers],
        p50_ms=round(cuts[49] * 1000, 2),
        p99_ms=round(cuts[98] * 1000, 2),
        good=dict(sorted(good.items())),
        hostile=dict(sorted(bad.items())),
    )


def heading() -> str:
    """Return the names of the columns of `line`."""
    return f"{'s':>5}  {'MiB':<14} {'descriptors':<12} {'p50 ms':>7} {'p99 ms':>7}  answers"


def line(found: Sample) -> str:
    """Tell a sample: hostile answers by status only, as the raw figures have them by kind."""
    statuses: Counter[str] = Counter()
    for name, number in found.hostile.items():
        statuses[name.rpartition(": ")[2]] += number
    memory = " ".join(f"{each:.0f}" for each in found.memory)
    descriptors = " ".join(map(str, found.descriptors))
    return (
        f"{found.seconds:>5.0f}  {memory:<14} {descriptors:<12} {found.p50_ms:>7.2f} {found.p99_ms:>7.2f}"
        f"  good {counted(found.good)}; hostile {counted(statuses)}"
    )


def counted(numbers: dict[str, int]) -> str:
    """Return counts in one line."""
    return ", ".join(f"{name} x {number}" for name, number in sorted(numbers.items())) or "none"


def growth(values: Sequence[float]) -> float:
    """Return the median of the last third, divided by that of the first third."""
    third = max(1, len(values) // 3)
    return statistics.median(values[-third:]) / statistics.median(values[:third])


def largest_growth(of_workers: Sequence[Sequence[float]]) -> float:
    """Return the growth of the worker that grew most; infinity without a worker."""
    return max((growth(values) for values in zip(*of_workers, strict=True)), default=float("inf"))


def tell(samples: Sequence[Sample], failures: Sequence[str]) -> bool:
    """Print the verdict; return whether no good request failed, no worker died and memory is flat."""
    stayed = all(each.pids == samples[0].pids for each in samples)
    same = [each for each in samples if each.pids == samples[-1].pids]
    memory = largest_growth([each.memory for each in same])
    descriptors = largest_growth([each.descriptors for each in same])
    p99 = growth([each.p99_ms for each in samples])
    hostile_counts: Counter[str] = Counter()
    good: Counter[str] = Counter()
    for each in samples:
        hostile_counts.update(each.hostile)
        good.update(each.good)
    print(f"hostile connections: {counted(hostile_counts)}")
    print(
        f"last third / first third: memory {memory:.2f} (at most {MOST_GROWTH:g}:"
        f" {'met' if memory <= MOST_GROWTH else 'missed'}), descriptors {descriptors:.2f}, p99 {p99:.2f};"
        f" {'no worker died' if stayed else 'A WORKER DIED'}"
    )
    print(f"{good.total():,} good requests; failed, also in the warm-up: {len(failures):,}")
    for failure in failures[:5]:
        print(f"  {failure}")
    return not failures and stayed and memory <= MOST_GROWTH


def write(
    date: str, options: dict[str, object], samples: Sequence[Sample], failures: Sequence[str]
) -> None:
    """Write the raw figures."""
    RESULTS.mkdir(exist_ok=True)
    results = {
        "date": date,
        "machine": machine.describe(),
        "versions": machine.versions(),
        "options": options,
        "samples": [asdict(each) for each in samples],
        "failures": failures,
    }
    (RESULTS / f"soak-{date.replace(':', '')}.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
