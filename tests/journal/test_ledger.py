"""The ledger: concurrent promotions get one order, and nobody else writes the table."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from prediction.errors import AlreadyChampion, JournalBusy
from prediction.journal import database, ledger
from prediction.journal.database import Journal
from prediction.journal.ledger import Entry, NewChampion
from tests import databases
from tests.databases import Postgres, locked, run_at_once
from tests.servers import PROJECT

postgres = databases.postgres

DIGEST = "d" * 64


PROMOTE = """
from prediction.journal import ledger
from prediction.journal.database import Journal
from prediction.journal.ledger import NewChampion
url, process, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
journal = Journal(url)
wait()
for number in range(count):
    new = NewChampion("iris", f"{process}-{number}", "d" * 64, by="test", reason="at once")
    ledger.promote(journal, new)
journal.close()
"""


def promote(opened: Journal, version: str, model: str = "iris") -> Entry:
    """Promote a version."""
    return ledger.promote(opened, NewChampion(model, version, DIGEST, by="test", reason="because"))


def promote_first(opened: Journal, version: str, model: str = "iris") -> Entry | None:
    """Promote a version where there is no champion."""
    return ledger.promote_first(
        opened, NewChampion(model, version, DIGEST, by="server", reason="first start")
    )


def test_the_first_promotion_has_no_version_before_it(opened: Journal) -> None:
    """The first entry has position 1 and no version before it."""
    made = promote_first(opened, "a")

    assert made is not None
    assert (1, None, "a", DIGEST) == (made.position, made.from_version, made.to_version, made.digest)
    assert ("server", "first start") == (made.by, made.reason)
    assert abs(made.at_us - time.time() * 1e6) < 60e6
    assert [made] == ledger.entries(opened, "iris", limit=10)


def test_each_promotion_follows_the_one_before(opened: Journal) -> None:
    """The ledger is a chain: each entry comes from the version that the last one went to."""
    for version in "abc":
        promote(opened, version)

    assert chain("a", "b", "c") == [links(item) for item in ledger.entries(opened, "iris", limit=10)]


def chain(*versions: str) -> list[tuple[int, str | None, str]]:
    """Return position, from and to of promotions in that order, newest first."""
    before = [None, *versions]
    every = [(place, before[place - 1], version) for place, version in enumerate(versions, 1)]
    return every[::-1]


def links(item: Entry) -> tuple[int, str | None, str]:
    """Return what ties a promotion to its neighbours."""
    return item.position, item.from_version, item.to_version


def test_a_first_promotion_leaves_a_champion_alone(opened: Journal) -> None:
    """A first start promotes only a model that has no champion."""
    assert promote_first(opened, "a") is not None
    assert promote_first(opened, "b") is None
    assert promote_first(opened, "z", model="penguins") is not None

    assert {"iris": "a", "penguins": "z"} == champions(opened)
    assert 1 == len(ledger.entries(opened, "iris", limit=10))


def champions(opened: Journal) -> dict[str, str]:
    """Return each model's champion."""
    return {name: item.to_version for name, item in ledger.champions(opened).items()}


def test_a_promotion_can_ask_for_the_entry_before_it(opened: Journal) -> None:
    """If somebody else has promoted meanwhile, nothing is done."""
    first = promote(opened, "a")
    new = NewChampion("iris", "b", DIGEST, by="train", reason="because")

    made = ledger.promote_after(opened, new, first.position)
    assert made is not None
    assert (2, "a", "b") == links(made)
    assert ledger.promote_after(opened, replace(new, version="c"), first.position) is None
    assert ledger.promote_after(opened, replace(new, model="penguins"), 1) is None
    assert {"iris": "b"} == champions(opened)


def test_the_champion_is_not_promoted_again(opened: Journal) -> None:
    """The same version with other files is another promotion: it is vouched for anew."""
    promote(opened, "a")
    with pytest.raises(AlreadyChampion, match="a is the champion of iris already, since 2"):
        promote(opened, "a")

    mended = ledger.promote(opened, NewChampion("iris", "a", "e" * 64, by="test", reason="mended"))
    assert (2, "a", "a") == links(mended)


def test_champions_are_the_last_of_each_ledger(opened: Journal) -> None:
    """Each model has one champion, the version it was promoted to last, an old one included."""
    assert {} == ledger.champions(opened)
    for model, version in [("iris", "a"), ("penguins", "z"), ("iris", "b"), ("iris", "a")]:
        promote(opened, version, model=model)

    assert {"iris": "a", "penguins": "z"} == champions(opened)
    assert 3 == ledger.champions(opened)["iris"].position


def test_the_ledger_is_read_in_pages(opened: Journal) -> None:
    """Each page continues below the last position of the page before: every entry once, newest first."""
    for number in range(7):
        promote(opened, f"v{number}")
        promote(opened, f"z{number}", model="penguins")

    pages, before = [], None
    while page := ledger.entries(opened, "iris", limit=3, before=before):
        pages.append([item.to_version for item in page])
        before = page[-1].position

    assert [["v6", "v5", "v4"], ["v3", "v2", "v1"], ["v0"]] == pages


def test_promotions_of_threads_make_one_chain(opened: Journal) -> None:
    """32 simultaneous promotions make a chain without a gap, a fork or a loss."""
    names = [f"v{number}" for number in range(32)]

    with ThreadPoolExecutor(32) as pool:
        made = list(pool.map(lambda name: promote(opened, name), names))

    assert_one_chain(opened, names)
    assert sorted(ledger.entries(opened, "iris", limit=100), key=lambda item: item.position) == sorted(
        made, key=lambda item: item.position
    )


def test_promotions_of_processes_make_one_chain(opened: Journal, url: str) -> None:
    """Promotions of four processes at once make a chain without a gap, a fork or a loss."""
    run_at_once(PROMOTE, [[url, f"p{process}", "10"] for process in range(4)])

    assert_one_chain(opened, [f"p{process}-{number}" for process in range(4) for number in range(10)])


def assert_one_chain(opened: Journal, versions: list[str]) -> None:
    """Assert that the ledger holds these versions, once each, each from the one before."""
    found = ledger.entries(opened, "iris", limit=1000)[::-1]
    assert list(range(1, len(versions) + 1)) == [item.position for item in found]
    assert [None, *(item.to_version for item in found[:-1])] == [item.from_version for item in found]
    assert sorted(versions) == sorted(item.to_version for item in found)


def test_only_one_of_many_first_starts_promotes(opened: Journal) -> None:
    """When several servers start at once on one empty ledger, one of them promotes."""
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: promote_first(opened, f"v{number}"), range(8)))

    assert 1 == sum(item is not None for item in made)
    assert 1 == len(ledger.entries(opened, "iris", limit=10))


@contextmanager
def promotion_of_another_host(url: str, version: str) -> Iterator[None]:
    """Let another host promote right after our next query of the ledger."""
    waiting = [version]

    def interrupt(*event: Any) -> None:
        if "FROM ledger" in event[2] and waiting:
            version = waiting.pop()
            with databases.opened(url) as other:
                promote(other, version)

    sa.event.listen(sa.Engine, "after_cursor_execute", interrupt)
    try:
        yield
    finally:
        sa.event.remove(sa.Engine, "after_cursor_execute", interrupt)
    assert not waiting


def test_a_first_promotion_that_another_host_overtakes_does_nothing(postgres: Postgres) -> None:
    """PostgreSQL lets another host commit between our query and our insert."""
    with postgres.database() as url, databases.opened(url) as journal:
        with promotion_of_another_host(url, "a"):
            assert promote_first(journal, "b") is None

        assert chain("a") == [links(item) for item in ledger.entries(journal, "iris", limit=10)]


def test_a_rollback_that_another_host_overtakes_does_nothing(postgres: Postgres) -> None:
    """The champion that it would remove is no longer the champion."""
    with postgres.database() as url, databases.opened(url) as journal:
        for version in "ab":
            promote(journal, version)
        before = ledger.champion_before(journal, "iris")
        with promotion_of_another_host(url, "c"):
            assert ledger.roll_back(journal, before, "me", "worse") is None

        assert chain("a", "b", "c") == [links(item) for item in ledger.entries(journal, "iris", limit=10)]


def test_only_the_ledger_s_module_uses_its_table() -> None:
    """No other module of the product imports the table or names it in SQL."""
    wanted = re.compile(r"tables\.ledger|(FROM|INTO|UPDATE) ledger|tables import [^\n]*\bledger\b")
    found = [
        path.name for path in (PROJECT / "prediction").rglob("*.py") if wanted.search(path.read_text())
    ]

    assert ["ledger.py"] == [name for name in found if not name.startswith("0")]  # migrations have numbers


def test_a_rollback_does_nothing_after_another_promotion(opened: Journal) -> None:
    """When somebody promotes between `champion_before` and the rollback, nothing is done."""
    for version in ("a", "b"):
        ledger.promote(opened, NewChampion("iris", version, "d" * 64, "me", "because"))
    before = ledger.champion_before(opened, "iris")
    ledger.promote(opened, NewChampion("iris", "c", "d" * 64, "somebody", "because"))

    assert ledger.roll_back(opened, before, "me", "worse") is None
    assert "c" == ledger.champions(opened)["iris"].to_version
    again = ledger.roll_back(opened, ledger.champion_before(opened, "iris"), "me", "worse")
    assert again is not None
    assert "b" == ledger.champions(opened)["iris"].to_version == again.to_version


def test_a_promotion_behind_a_long_lock_is_an_error_after_the_timeout(opened: Journal, path: Path) -> None:
    """The error says to try again, and nothing is promoted."""
    with locked(f"sqlite:///{path}"):
        started = time.monotonic()
        with pytest.raises(JournalBusy, match="try again"):
            promote(opened, "a")
        assert time.monotonic() - started < 2 * database.WRITE_PATIENCE_MS / 1000
    assert {} == ledger.champions(opened)
