"""What ten million predictions cost, on SQLite and on PostgreSQL: `python -m benchmarks.large_journal`.

Each figure is measured once; those of an empty journal come first, for comparison.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa

from benchmarks import journals, load
from benchmarks.monitoring import wait_counted
from benchmarks.scoring import CACHE, prepare
from models_store import catalog
from prediction.errors import JournalBusy
from prediction.journal import feedback, retention
from prediction.journal.database import Journal
from prediction.journal.feedback import Label
from prediction.retraining import examples
from tests.databases import KINDS, start_postgres
from tests.servers import Server

ROWS = 10_000_000
LABELS = 200_000
BATCH = 10_000
LOAD_SECONDS = 5.0
ASKED = 5
DAYS_TO_KEEP = 27
"""With predictions of 30 days, a tenth is pruned."""

ROUTES = (
    *(f"/iris/monitoring?window={window}" for window in ("1h", "24h", "30d")),
    "/dashboard?window=7d",
    "/metrics",
)


def main(arguments: list[str]) -> int:
    """Measure both databases."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large_journal", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--only", choices=KINDS)
    options = parser.parse_args(arguments)
    prepare()
    for kind in [options.only] if options.only else KINDS:
        print(f"## {kind}")
        with lend(kind) as (home, url), Server(home, workers=2, database_url=url) as server:
            tell_load("an empty journal", server)
        with lend(kind) as (home, url):
            measure(kind, home, url, options.rows)
    return 0


@contextmanager
def lend(kind: str) -> Iterator[tuple[Path, str]]:
    """Lend a home with trained models, and the URL of its journal."""
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        home = Path(shutil.copytree(CACHE / "trained", Path(folder) / "home", symlinks=True))
        if kind == "sqlite":
            yield home, f"sqlite:///{home / 'journal.db'}"
        else:
            with start_postgres().database() as url:
                yield home, url


def measure(kind: str, home: Path, url: str, rows: int) -> None:
    """Fill a journal, serve from it, and print what each thing costs."""
    with Server(home, workers=2, database_url=url) as server:
        for name, spec in catalog.load().items():
            server.post(f"/{name}/predict_batch", [spec.example] * 50).raise_for_status()
    tell("fill", lambda: fill(kind, home, url, rows))
    with closing(Journal(url)) as journal:
        print(f"on disk: {size_mb(journal, home):,.0f} MB", flush=True)
        with Server(home, workers=2, database_url=url) as server:
            tell_load(f"{rows:,} predictions, being counted", server)
            print(f"counted {wait_counted(journal):.0f} s later", flush=True)
            tell_load(f"{rows:,} predictions", server)
            ids = some_ids(journal)
            seconds = tell(f"{len(ids):,} labels of predictions of all times", lambda: label(journal, ids))
            print(f"{len(ids) / seconds:,.0f} labels/s")
            for route in ROUTES:
                taken = [timed(partial(ask, server, route)) for _ in range(ASKED)]
                print(f"{route}: {statistics.median(taken) * 1000:.0f} ms", flush=True)
            tell("a retraining's read", lambda: examples.read(catalog.load()["iris"], journal))
            started, pruned = time.monotonic(), 0
            for done in retention.prune(journal, DAYS_TO_KEEP):
                pruned += done
            seconds = time.monotonic() - started
            print(
                f"prune: {pruned:,} predictions in {seconds:.0f} s, {pruned / seconds:,.0f}/s", flush=True
            )
    print(f"peak memory of this process: {psutil.Process().memory_info().rss >> 20:,} MiB")


def fill(kind: str, home: Path, url: str, rows: int) -> None:
    """Put rows into a journal whose server has ended."""
    if kind == "sqlite":
        journals.fill(home / "journal.db", rows)
    else:
        journals.fill_postgresql(url, rows)


def size_mb(journal: Journal, home: Path) -> float:
    """Return what the journal occupies."""
    if journal.is_sqlite:
        return (home / "journal.db").stat().st_size / 1e6
    with journal.read() as connection:
        found = connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one()
    return float(found) / 1e6


def some_ids(journal: Journal) -> list[str]:
    """Draw ids of predictions of iris, of all times."""
    draw = random.Random(0)
    with journal.read() as connection:
        first, last = connection.exec_driver_sql("SELECT min(seq), max(seq) FROM predictions").one()
        found: list[str] = []
        query = sa.text("SELECT prediction_id FROM predictions WHERE model = 'iris' AND seq IN :seqs")
        query = query.bindparams(sa.bindparam("seqs", expanding=True))
        while len(found) < LABELS:
            seqs = [draw.randint(first, last) for _ in range(BATCH)]
            found += connection.execute(query, {"seqs": seqs}).scalars()
    return list(dict.fromkeys(found))[:LABELS]


def label(journal: Journal, ids: list[str]) -> None:
    """Give a label to each prediction."""
    classes = catalog.load()["iris"].target.texts
    for start in range(0, len(ids), BATCH):
        labels = [Label(each, classes[at % 3], True) for at, each in enumerate(ids[start : start + BATCH])]
        while True:
            try:
                feedback.give(journal, "iris", labels)
                break
            except JournalBusy:
                continue


def tell_load(what: str, server: Server) -> None:
    """Ask on 16 connections, and print what comes."""
    body = catalog.load()["iris"].example
    order = load.Order(
        port=server.port,
        connections=16,
        seconds=LOAD_SECONDS,
        warm_up_seconds=1.0,
        requests=[load.request(server.port, "/iris/predict", body)],
        core=0,
    )
    found = load.run(order)
    print(
        f"predict, {what}: {found.requests_per_second:,.0f} requests/s, p50 {found.p50_ms:.1f} ms,"
        f" p99 {found.p99_ms:.1f} ms, {found.failed} failed",
        flush=True,
    )


def ask(server: Server, route: str) -> None:
    """Ask for a page or figures."""
    server.get(route).raise_for_status()


def tell(what: str, act: Callable[[], Any]) -> float:
    """Do something, print how long it took, and return that."""
    seconds = timed(act)
    print(f"{what}: {seconds:.1f} s", flush=True)
    return seconds


def timed(act: Callable[[], Any]) -> float:
    """Return how long something takes, s."""
    started = time.monotonic()
    act()
    return time.monotonic() - started


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
