"""A restart of PostgreSQL and a failover to another address, under load."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from models_store.spec import Spec
from prediction.journal import ledger
from prediction.journal.database import Journal
from tests import databases, failovers
from tests.failovers import Pair
from tests.load import Load
from tests.servers import Server


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """A primary and a synchronous standby."""
    with failovers.pair() as pair:
        yield pair


def test_nothing_acknowledged_is_lost(pair: Pair, home: Path, specs: dict[str, Spec]) -> None:
    """Requests fail with 503 while no PostgreSQL takes writes; then the same server answers them again."""
    outages = []
    with Server(home, database_url=pair.url) as server:
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
