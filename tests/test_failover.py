"""Connections of a real server to PostgreSQL; a restart and a failover to another address, under load."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from models_store.spec import Spec
from prediction.journal import ledger, threads
from prediction.journal.database import KEPT_CONNECTIONS, MOST_CONNECTIONS, Journal
from tests import databases, failovers
from tests.databases import query
from tests.documents import DOCS
from tests.failovers import Pair
from tests.load import Load
from tests.servers import Server
from tests.timing import eventually

TOKEN = "a-token-of-the-tests"
WORKERS = 2
PAGE = (DOCS / "scale.md").read_text()
CLIENTS = 40
CONNECTIONS = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
)


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """A primary and a synchronous standby."""
    with failovers.pair() as pair:
        yield pair


@pytest.fixture(scope="module")
def server(pair: Pair, trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that knows both."""
    home = tmp_path_factory.mktemp("failover") / "home"
    shutil.copytree(trained_home, home, symlinks=True)
    with Server(home, workers=WORKERS, database_url=pair.url, admin_token=TOKEN) as server:
        yield server


def printed(row: str) -> tuple[int, int]:
    """Return how many connections the page says that something keeps open, and opens at most."""
    (found,) = re.findall(rf"^\| {row}[^|]*\| (\d+) \| (\d+) \|", PAGE, re.MULTILINE)
    return int(found[0]), int(found[1])


def test_each_thread_has_its_connection() -> None:
    """The page says how many connections a worker opens: one a thread, and that of the predictions."""
    pools = (threads.READING_THREADS, threads.FEEDBACK_THREADS, threads.ADMIN_THREADS)
    scrape, periodic, deletions = 1, 4, 1

    assert MOST_CONNECTIONS == sum(pool.count for pool in pools) + scrape + periodic + deletions
    assert (KEPT_CONNECTIONS + 1, MOST_CONNECTIONS + 1) == printed("a worker")


def test_a_server_opens_as_many_connections_as_the_page_says(
    pair: Pair, server: Server, specs: dict[str, Spec]
) -> None:
    """Under many requests of all sorts at once no more, and afterwards only those that stay open."""
    kept, most = printed("a worker")
    seen, statuses = [], set[int]()

    def ask(number: int) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=server.url, headers=headers, timeout=60) as client:
            for name, spec in specs.items():
                answer = client.post(f"/{name}/predict", json=spec.example).json()
                label = {"prediction_id": answer.get("prediction_id"), "label": spec.target.example}
                statuses.add(client.post(f"/{name}/feedback", json=label).status_code)
                for path in ("/metrics", f"/{name}/monitoring", f"/{name}/predictions", "/models"):
                    statuses.add(client.get(path).status_code)
        if not number % 4:
            seen.append(query(pair.primary.url, CONNECTIONS)[0][0])

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(ask, range(CLIENTS)))

    assert 200 in statuses
    assert WORKERS <= max(seen) <= WORKERS * most
    eventually(lambda: query(pair.primary.url, CONNECTIONS)[0][0] <= WORKERS * kept)


def test_nothing_acknowledged_is_lost(pair: Pair, server: Server, specs: dict[str, Spec]) -> None:
    """Requests fail with 503 while no PostgreSQL takes writes; then the same server answers them again."""
    outages = []
    load = Load(server, specs)
    with load.running():
        for fault in (pair.restart_primary, pair.fail_over):
            began = time.monotonic()
            fault()
            load.go_on()
            outages.append((began, time.monotonic()))
            load.go_on()

    assert 200 == server.get("/readyz").status_code
    assert {200, 503} == load.statuses
    failed = [each for each in load.requests if each.status != 200]
    assert [] == [
        each for each in failed if not any(each.ended > down and each.began < up for down, up in outages)
    ]
    load.assert_recorded(pair.standby.url)
    with databases.opened(pair.url) as journal:
        assert set(specs) <= set(ledger.champions(journal))


def test_a_command_finds_the_host_that_takes_writes(pair: Pair) -> None:
    """In any order of the hosts; without the requirement it may get one that only reads, or none."""
    one, other = pair.primary.port, pair.standby.port
    for ports in ((one, other), (other, one)):
        url = pair.url.replace(f"{one}", "first").replace(f"{other}", "second")
        url = url.replace("first", str(ports[0])).replace("second", str(ports[1]))
        with databases.opened(url) as journal:
            assert writes(journal)


def writes(journal: Journal) -> bool:
    """Return whether its PostgreSQL takes writes."""
    with journal.write() as connection:
        return not connection.exec_driver_sql("SELECT pg_is_in_recovery()").scalar_one()
