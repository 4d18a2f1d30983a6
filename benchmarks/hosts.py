"""What hosts cost that share one PostgreSQL: `python -m benchmarks.hosts`.

Hosts, PostgreSQL and the load share the cores of this machine, so the processor time of each part says
more than requests/s: from it follows what other machines do.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks import load
from benchmarks.scoring import CACHE, prepare
from models_store import catalog
from tests.databases import Postgres
from tests.servers import Server

HOSTS = (1, 2, 3)
BATCH = 1_000
CONNECTIONS = 16


@dataclass
class Cost:
    """What one kind of work took.

    Parameters
    ----------
    rate
        Rows or labels a second, of all hosts together.
    p99_ms
        Of one request, at the slowest host.
    host_ms, database_ms
        Processor time for one row or label, of the hosts and of the database.
    """

    rate: float
    p99_ms: float
    host_ms: float
    database_ms: float


class Processors:
    """The processor time of programs and what they started."""

    def __init__(self, pids: list[int]) -> None:
        self._parents = [psutil.Process(pid) for pid in pids]

    def seconds(self) -> float:
        """Return what they have used until now; that of ended children counts too."""
        total = 0.0
        for parent in self._parents:
            for process in [parent, *parent.children(recursive=True)]:
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total


def main(arguments: list[str]) -> int:
    """Measure one host with SQLite, and some with one PostgreSQL, in turns."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hosts", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args(arguments)
    prepare()
    postgres = Postgres()
    found: dict[tuple[str, str], list[Cost]] = {}
    for _ in range(options.rounds):
        for hosts in (0, *HOSTS):
            with started(postgres, hosts) as (servers, database):
                for work, act in WORKS.items():
                    name = f"{hosts} on PostgreSQL" if hosts else "1 on SQLite"
                    found.setdefault((work, name), []).append(act(servers, database, options.seconds))
    print("| work | hosts | rows/s | p99 ms | host, ms of processor a row | PostgreSQL, ms a row |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for (work, name), costs in found.items():
        columns = zip(*map(_figures, costs), strict=True)
        rate, p99, host, database = (statistics.median(column) for column in columns)
        print(f"| {work} | {name} | {rate:,.0f} | {p99:.1f} | {host:.4f} | {database:.4f} |")
    return 0


def _figures(cost: Cost) -> tuple[float, float, float, float]:
    return cost.rate, cost.p99_ms, cost.host_ms, cost.database_ms


@contextmanager
def started(postgres: Postgres, hosts: int) -> Iterator[tuple[list[Server], Processors]]:
    """Start hosts of one worker each, on one new database; 0 is one host with SQLite."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=CACHE)))
        settings: dict[str, Any] = {"workers": 1}
        if hosts:
            settings["database_url"] = stack.enter_context(postgres.database())
        servers = []
        for number in range(max(1, hosts)):
            home = Path(shutil.copytree(CACHE / "trained", folder / f"home{number}", symlinks=True))
            servers.append(stack.enter_context(Server(home, **settings)))
        yield servers, Processors([postgres._server.get_pid()] if hosts else [])


def _ask(path: str, rows: int, connections: int) -> Callable[[list[Server], Processors, float], Cost]:
    example = catalog.load()["iris"].example
    body = example if rows == 1 else [example] * rows

    def act(servers: list[Server], database: Processors, seconds: float) -> Cost:
        results: list[load.Figures] = []

        def send(server: Server) -> None:
            order = load.Order(
                port=server.port,
                connections=connections,
                seconds=seconds,
                warm_up_seconds=0.5,
                requests=[load.request(server.port, path, body)],
                core=0,
            )
            results.append(load.run(order))

        hosts = Processors([server.process.pid for server in servers])
        used, asked = hosts.seconds(), database.seconds()
        threads = [threading.Thread(target=send, args=(server,)) for server in servers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not any(each.failed for each in results), results
        sent = sum(each.sent for each in results) * rows
        return Cost(
            sum(each.requests_per_second for each in results) * rows,
            max(each.p99_ms for each in results),
            (hosts.seconds() - used) / sent * 1000,
            (database.seconds() - asked) / sent * 1000,
        )

    return act


def give_labels(servers: list[Server], database: Processors, seconds: float) -> Cost:
    """Label predictions that were just made, a thousand in each request, on each host."""
    example = catalog.load()["iris"].example
    prepared: list[list[list[dict[str, Any]]]] = []
    for server in servers:
        answers = [
            server.post("/iris/predict_batch", [example] * BATCH).json() for _ in range(round(5 * seconds))
        ]
        ids = [[row["prediction_id"] for row in rows] for rows in answers]
        prepared.append([[{"prediction_id": each, "label": "setosa"} for each in some] for some in ids])
    hosts = Processors([server.process.pid for server in servers])
    taken: list[float] = []
    given = [0] * len(servers)

    def give(number: int) -> None:
        for labels in prepared[number]:
            began = time.perf_counter()
            servers[number].post("/iris/feedback_batch", labels).raise_for_status()
            taken.append(time.perf_counter() - began)
            given[number] += len(labels)

    used, asked, began = hosts.seconds(), database.seconds(), time.perf_counter()
    threads = [threading.Thread(target=give, args=(number,)) for number in range(len(servers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    passed = time.perf_counter() - began
    assert sum(given) == sum(len(rows) for labels in prepared for rows in labels)
    return Cost(
        sum(given) / passed,
        max(taken) * 1000,
        (hosts.seconds() - used) / sum(given) * 1000,
        (database.seconds() - asked) / sum(given) * 1000,
    )


WORKS = {
    "predict": _ask("/iris/predict", 1, CONNECTIONS),
    "predict_batch of 1,000": _ask("/iris/predict_batch", BATCH, 2),
    "feedback_batch of 1,000": give_labels,
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
