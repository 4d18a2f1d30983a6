"""The journal on real SQLite files: one order of promotions, and never a wait that nobody asked for."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from prediction.errors import JournalBusy, JournalTooNew, JournalUnavailable, UnknownPrediction
from prediction.journal import database, tables
from prediction.journal.predictions import FORGOTTEN_US, Journal, Prediction, Promotion, now_us
from tests.databases import locked, run_at_once

DIGEST = "d" * 64
PREDICTION_ID = "01a20576-e6f4-7194-8645-000000000001"

PROMOTE = """
from prediction.journal.predictions import Journal
url, process, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
journal = Journal(url)
wait()
for number in range(count):
    journal.promote("iris", f"{process}-{number}", "d" * 64, by="test", reason="at once")
journal.close()
"""

MIGRATE = """
from prediction.journal.predictions import Journal
journal = Journal(sys.argv[1])
wait()
journal.migrate()
journal.close()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal's file is."""
    return tmp_path / "journal.db"


@pytest.fixture
def url(path: Path) -> str:
    """The URL of an empty database."""
    return f"sqlite:///{path}"


@pytest.fixture
def opened(url: str) -> Iterator[Journal]:
    """A migrated journal."""
    opened = Journal(url)
    opened.migrate()
    yield opened
    opened.close()


def prediction(number: int, **changes: Any) -> Prediction:
    """Make the prediction of that number."""
    made = Prediction(
        prediction_id=f"01a20576-e6f4-7194-8645-{number:012d}",
        at_us=1_795_388_008_180_575 + number,
        model="iris",
        version="p7cwx3xgy6tw6ax4",
        features='{"petal_width_cm":0.1}',
        predicted_class="setosa",
        probabilities={"setosa": 0.9, "virginica": 0.1},
        warnings=[{"loc": ["petal_width_cm"], "msg": "0.05 is below"}],
    )
    return made._replace(**changes)


def promote(opened: Journal, version: str, model: str = "iris") -> Promotion:
    """Promote a version."""
    return opened.promote(model, version, DIGEST, by="test", reason="because")


def promote_first(opened: Journal, version: str, model: str = "iris") -> Promotion | None:
    """Promote a version where there is no champion."""
    return opened.promote_first(model, version, DIGEST, by="server", reason="first start")


# ------------------------------------------------------------------------------------ migrations


def test_migrating_twice_changes_nothing(opened: Journal, path: Path) -> None:
    """A journal that is up to date is left as it is, rows included."""
    promote(opened, "a")
    before = dump(path)

    opened.migrate()

    assert before == dump(path)


def dump(path: Path) -> list[str]:
    """Return the whole database as statements."""
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def test_migrations_make_the_tables_that_the_code_expects(opened: Journal, url: str) -> None:
    """Every migration together gives exactly the declared tables, columns and indexes."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, tables.tables)
        head = ScriptDirectory(str(database.MIGRATIONS)).get_current_head()
        current = context.get_current_revision()
    engine.dispose()

    assert [] == differences
    assert head == current


def test_migrations_form_one_line() -> None:
    """There is one newest revision, so that two branches can't both be the journal's future."""
    assert 1 == len(ScriptDirectory(str(database.MIGRATIONS)).get_heads())


def test_processes_may_migrate_a_new_journal_at_once(url: str, opened: Journal, tmp_path: Path) -> None:
    """Several processes that meet a journal for the first time all find it migrated."""
    fresh = f"sqlite:///{tmp_path / 'fresh.db'}"

    run_at_once(MIGRATE, [[fresh]] * 4)

    def schema(path: Path) -> set[str]:  # a table that is made anew gets its indexes back in any order
        return {statement for statement in dump(path) if statement.startswith("CREATE")}

    assert schema(tmp_path / "journal.db") == schema(tmp_path / "fresh.db")


def test_a_journal_of_a_newer_release_is_not_touched(opened: Journal, path: Path) -> None:
    """A revision that this release does not know ends with a sentence that says what to do."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = dump(path)

    with pytest.raises(JournalTooNew, match="newer release") as caught:
        opened.migrate()

    assert "PREDICTION_DATABASE_URL" in str(caught.value)
    assert before == dump(path)


# ----------------------------------------------------------------------------------- predictions


def test_a_prediction_comes_back_as_it_was_written(opened: Journal) -> None:
    """Every field survives the journal, the last bit of a probability included."""
    written = prediction(1, probabilities={"setosa": 0.1 + 0.2, "virginica": 1e-300})
    writer = opened.writer()

    writer.insert([written])
    writer.close()

    assert written == opened.prediction(str(written.prediction_id))


def test_text_of_any_alphabet_survives(opened: Journal) -> None:
    """Classes and features may be written in any script."""
    written = prediction(1, predicted_class="帝企鹅 🐧 'quoted\"", features='{"île":"Ωmega"}')
    writer = opened.writer()

    writer.insert([written])
    writer.close()

    assert written == opened.prediction(str(written.prediction_id))


def test_an_unknown_prediction_is_told_by_its_id(opened: Journal) -> None:
    """An id that nobody was given is an error that names it."""
    unknown = prediction(7).prediction_id or ""

    with pytest.raises(UnknownPrediction, match=unknown):
        opened.prediction(unknown)


@pytest.mark.parametrize(
    "unknown", ["", "abc", "' OR 1=1 --", "%", "x" * 10_000, "\x00", "\ud800", PREDICTION_ID + "\n"]
)
def test_what_is_no_id_is_an_unknown_prediction(opened: Journal, unknown: str) -> None:
    """Text of any kind in the place of an id is an unknown prediction, and no error of the database."""
    writer = opened.writer()
    writer.insert([prediction(1)])
    writer.close()

    with pytest.raises(UnknownPrediction):
        opened.prediction(unknown)


@pytest.mark.parametrize("locked_before", [False, True], ids=["at once", "after a lock"])
def test_rows_are_inserted_all_or_none(opened: Journal, path: Path, locked_before: bool) -> None:
    """When one row can't be written, none of its group is, and the writer goes on."""
    writer = opened.writer()
    writer.insert([prediction(1)])
    if locked_before:
        with locked(f"sqlite:///{path}"), pytest.raises(JournalBusy):
            writer.insert([prediction(2)])

    with pytest.raises((sqlite3.IntegrityError, JournalUnavailable)):
        writer.insert([prediction(2), prediction(1)])
    with pytest.raises(UnknownPrediction):
        opened.prediction(str(prediction(2).prediction_id))

    writer.insert([prediction(3)])
    writer.close()
    assert prediction(3) == opened.prediction(str(prediction(3).prediction_id))


def test_a_group_is_one_commit_even_after_a_lock(opened: Journal, path: Path) -> None:
    """Others never see part of a group, also when the writer was turned away before."""
    writer = opened.writer()
    with locked(f"sqlite:///{path}"), pytest.raises(JournalBusy):
        writer.insert([prediction(0)])
    with closing(sqlite3.connect(path)) as other:
        versions = [data_version(other)]
        for start in (10, 20, 30):
            writer.insert([prediction(start + number) for number in range(5)])
            versions.append(data_version(other))
        log = path.with_name("journal.db-wal").stat().st_size
        writer.insert([prediction(100 + number) for number in range(200)])
        grown = path.with_name("journal.db-wal").stat().st_size - log
    writer.close()

    assert 4 == len(set(versions))
    assert grown < 200 * 4096  # a commit a row writes at least a page each


def data_version(connection: sqlite3.Connection) -> int:
    """Return a number that changes whenever another connection has committed."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def test_the_writer_never_waits_for_a_lock(opened: Journal, path: Path) -> None:
    """While another process writes, the writer says so at once, and works again afterwards."""
    writer = opened.writer()
    with locked(f"sqlite:///{path}"):
        started = time.monotonic()
        for _ in range(10):
            with pytest.raises(JournalBusy):
                writer.insert([prediction(1)])
        assert time.monotonic() - started < 10 * database.LOCK_PATIENCE_MS / 1000

    writer.insert([prediction(1)])
    writer.close()
    assert prediction(1) == opened.prediction(str(prediction(1).prediction_id))


def test_a_writer_can_be_opened_while_another_process_writes(opened: Journal, path: Path) -> None:
    """Opening the writer needs no lock, so a worker may start while a backup or a save holds it."""
    with locked(f"sqlite:///{path}"):
        opened.writer().close()


def test_a_closed_writer_leaves_the_pool_as_patient_as_before(opened: Journal, path: Path) -> None:
    """The writer's impatience is its own: other calls still wait for a lock that is soon released."""
    opened.writer().close()

    with ThreadPoolExecutor(1) as pool:
        with locked(f"sqlite:///{path}"):
            promised = pool.submit(promote, opened, "a")
            time.sleep(0.3)
            assert not promised.done()
        assert promised.result(timeout=10) is not None


def test_reading_does_not_wait_for_a_writer(opened: Journal, path: Path) -> None:
    """Looking something up works while another process holds the write lock."""
    promote(opened, "a")

    with locked(f"sqlite:///{path}"):
        assert "a" == opened.champions()["iris"].to_version


# ------------------------------------------------------------------------------------ the ledger


def test_the_first_promotion_comes_from_nothing(opened: Journal) -> None:
    """The first entry has position 1 and no version before it."""
    made = promote_first(opened, "a")

    assert made is not None
    assert (1, None, "a", DIGEST) == (made.position, made.from_version, made.to_version, made.digest)
    assert ("server", "first start") == (made.by, made.reason)
    assert abs(made.at_us - time.time() * 1e6) < 60e6
    assert [made] == opened.promotions("iris", limit=10)


def test_each_promotion_follows_the_one_before(opened: Journal) -> None:
    """The ledger is a chain: each entry comes from the version that the last one went to."""
    for version in "abc":
        promote(opened, version)

    assert chain("a", "b", "c") == [links(item) for item in opened.promotions("iris", limit=10)]


def chain(*versions: str) -> list[tuple[int, str | None, str]]:
    """Return position, from and to of promotions in that order, newest first."""
    before = [None, *versions]
    every = [(place, before[place - 1], version) for place, version in enumerate(versions, 1)]
    return every[::-1]


def links(item: Promotion) -> tuple[int, str | None, str]:
    """Return what ties a promotion to its neighbours."""
    return item.position, item.from_version, item.to_version


def test_a_first_promotion_leaves_a_champion_alone(opened: Journal) -> None:
    """A first start promotes where there is no champion, and nothing where there is one."""
    assert promote_first(opened, "a") is not None
    assert promote_first(opened, "b") is None
    assert promote_first(opened, "z", model="penguins") is not None

    assert {"iris": "a", "penguins": "z"} == champions(opened)
    assert 1 == len(opened.promotions("iris", limit=10))


def champions(opened: Journal) -> dict[str, str]:
    """Return each model's champion."""
    return {name: item.to_version for name, item in opened.champions().items()}


def test_champions_are_the_last_of_each_ledger(opened: Journal) -> None:
    """Each model has one champion, the version it was promoted to last, an old one included."""
    assert {} == opened.champions()
    for model, version in [("iris", "a"), ("penguins", "z"), ("iris", "b"), ("iris", "a")]:
        promote(opened, version, model=model)

    assert {"iris": "a", "penguins": "z"} == champions(opened)
    assert 3 == opened.champions()["iris"].position


def test_the_ledger_is_read_in_pages(opened: Journal) -> None:
    """Pages from below the last position of the one before give every entry once, newest first."""
    for number in range(7):
        promote(opened, f"v{number}")
        promote(opened, f"z{number}", model="penguins")

    pages, before = [], None
    while page := opened.promotions("iris", limit=3, before=before):
        pages.append([item.to_version for item in page])
        before = page[-1].position

    assert [["v6", "v5", "v4"], ["v3", "v2", "v1"], ["v0"]] == pages


def test_threads_promote_in_one_order(opened: Journal) -> None:
    """Promotions from 32 threads at once make one chain without a gap, a fork or a loss."""
    names = [f"v{number}" for number in range(32)]

    with ThreadPoolExecutor(32) as pool:
        made = list(pool.map(lambda name: promote(opened, name), names))

    assert_one_chain(opened, names)
    assert sorted(opened.promotions("iris", limit=100), key=lambda item: item.position) == sorted(
        made, key=lambda item: item.position
    )


def test_processes_promote_in_one_order(opened: Journal, url: str) -> None:
    """Promotions from four processes at once make one chain without a gap, a fork or a loss."""
    run_at_once(PROMOTE, [[url, f"p{process}", "10"] for process in range(4)])

    assert_one_chain(opened, [f"p{process}-{number}" for process in range(4) for number in range(10)])


def assert_one_chain(opened: Journal, versions: list[str]) -> None:
    """Assert that the ledger holds these versions, once each, each from the one before."""
    found = opened.promotions("iris", limit=1000)[::-1]
    assert list(range(1, len(versions) + 1)) == [item.position for item in found]
    assert [None, *(item.to_version for item in found[:-1])] == [item.from_version for item in found]
    assert sorted(versions) == sorted(item.to_version for item in found)


def test_only_one_of_many_first_starts_promotes(opened: Journal) -> None:
    """When several servers start at once on one empty ledger, one of them promotes."""
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: promote_first(opened, f"v{number}"), range(8)))

    assert 1 == sum(item is not None for item in made)
    assert 1 == len(opened.promotions("iris", limit=10))


# ----------------------------------------------------------------------------------- the workers


def test_a_worker_s_report_replaces_its_last_one(opened: Journal) -> None:
    """What a worker serves is what it said last; others' reports stay."""
    opened.report_worker("host", 1, {"iris": ("a", 10), "penguins": ("z", 10)})
    opened.report_worker("host", 2, {"iris": ("a", 11)})
    opened.report_worker("host", 1, {"iris": ("b", 20)})

    assert [(1, "b", 20), (2, "a", 11)] == serving(opened, "iris")
    assert [] == serving(opened, "penguins")


def serving(opened: Journal, model: str, seen_since_us: int = 0) -> list[tuple[int, str, int]]:
    """Return worker, version and since of every worker that serves a model."""
    found = opened.workers(model, seen_since_us)
    return [(row["worker"], row["version"], row["since_us"]) for row in found]


def test_a_worker_signs_off_with_an_empty_report(opened: Journal) -> None:
    """A worker that serves nothing is not listed."""
    opened.report_worker("host", 1, {"iris": ("a", 10)})
    opened.report_worker("host", 1, {})

    assert [] == serving(opened, "iris")


def test_workers_of_the_same_number_on_two_hosts_are_two(opened: Journal) -> None:
    """Process ids repeat across hosts, so a worker is its host and its number."""
    opened.report_worker("left", 1, {"iris": ("a", 10)})
    opened.report_worker("right", 1, {"iris": ("b", 10)})

    assert ["left", "right"] == [row["host"] for row in opened.workers("iris", 0)]


def test_a_silent_worker_is_passed_over(opened: Journal) -> None:
    """A worker that was killed signs nothing off, so only recent reports count."""
    opened.report_worker("host", 1, {"iris": ("a", 10)})
    now = now_us()

    assert [(1, "a", 10)] == serving(opened, "iris", now - 60_000_000)
    assert [] == serving(opened, "iris", now + 1)


# ------------------------------------------------------------------------------- what can't be used


NEEDS_TABLES: list[Callable[[Journal], Any]] = [
    Journal.champions,
    lambda opened: opened.prediction(PREDICTION_ID),
    lambda opened: promote(opened, "a"),
    lambda opened: opened.promotions("iris", 1),
    lambda opened: opened.report_worker("host", 1, {}),
    lambda opened: opened.workers("iris", 0),
]


@pytest.mark.parametrize("use", [Journal.migrate, Journal.writer, *NEEDS_TABLES])
@pytest.mark.parametrize("name", ["missing/journal.db", "letter.txt"])
def test_a_journal_that_can_t_be_used_says_so(
    tmp_path: Path, use: Callable[[Journal], Any], name: str
) -> None:
    """Where the folder is missing or the file is no database, each call raises the one error for it."""
    (tmp_path / "letter.txt").write_text("this is a letter, and not a database " * 100)
    broken = Journal(f"sqlite:///{tmp_path / name}")

    with pytest.raises(JournalUnavailable):
        use(broken)
    broken.close()


@pytest.mark.parametrize("use", NEEDS_TABLES)
def test_a_journal_without_tables_says_so(url: str, use: Callable[[Journal], Any]) -> None:
    """A journal that nobody migrated is an error of the same kind."""
    empty = Journal(url)

    with pytest.raises(JournalUnavailable):
        use(empty)
    empty.close()


def test_a_read_only_journal_can_be_read_and_not_written(opened: Journal, path: Path) -> None:
    """A file that may not be written answers questions and refuses promotions."""
    promote(opened, "a")
    read_only = Journal(f"sqlite:///file:{path}?mode=ro&uri=true")

    assert {"iris": "a"} == champions(read_only)
    with pytest.raises(JournalUnavailable, match="does not answer"):
        promote(read_only, "b")
    read_only.close()


def test_a_promotion_waits_for_a_lock_that_never_ends_only_so_long(opened: Journal, path: Path) -> None:
    """A promotion behind a stuck writer ends with an error that says to try again."""
    with locked(f"sqlite:///{path}"):
        started = time.monotonic()
        with pytest.raises(JournalBusy, match="try again"):
            promote(opened, "a")
        assert time.monotonic() - started < 2 * database.WRITE_PATIENCE_MS / 1000
    assert {} == opened.champions()


def test_a_worker_that_is_long_dead_is_forgotten(opened: Journal) -> None:
    """What it served holds no version back for ever; who reports next removes it."""
    opened.report_worker("host", 1, {"iris": ("a", 10)})
    with opened.database.write() as connection:
        connection.execute(sa.update(tables.workers).values(seen_us=now_us() - FORGOTTEN_US - 1))

    opened.report_worker("host", 2, {"iris": ("b", 10)})

    assert [(2, "b", 10)] == serving(opened, "iris", 0)


def test_a_rollback_goes_where_it_was_said_to_go(opened: Journal) -> None:
    """When somebody promotes between the look and the rollback, nothing is done."""
    for version in ("a", "b"):
        opened.promote("iris", version, "d" * 64, "me", "because")
    before = opened.champion_before("iris")
    opened.promote("iris", "c", "d" * 64, "somebody", "because")

    assert opened.rollback("iris", before, "me", "worse") is None
    assert "c" == opened.champions()["iris"].to_version
    again = opened.rollback("iris", opened.champion_before("iris"), "me", "worse")
    assert again is not None
    assert "b" == opened.champions()["iris"].to_version == again.to_version
