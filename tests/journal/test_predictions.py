"""Predictions in the journal: rows of one insert are one commit, and no insert waits for a lock."""

from __future__ import annotations

import json
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from prediction.errors import JournalBusy, JournalUnavailable, UnknownPrediction
from prediction.journal import database, ledger, predictions
from prediction.journal.database import Journal
from prediction.journal.predictions import JOINED_ROWS, Inserter
from tests.databases import locked, prediction
from tests.journal.test_ledger import promote

PREDICTION_ID = "01a20576-e6f4-7194-8645-000000000001"


def test_a_prediction_comes_back_as_it_was_written(opened: Journal) -> None:
    """Every field survives the journal, the last bit of a probability included."""
    written = prediction(
        1,
        probabilities=json.dumps({"setosa": 0.1 + 0.2, "virginica": 1e-300}),
        warnings=json.dumps([{"loc": ["petal_width_cm"], "msg": "0.05 is below"}]),
    )
    writer = Inserter(opened)

    writer.insert([written])
    writer.close()

    found = predictions.find(opened, str(written.prediction_id))
    assert written == found
    assert {"setosa": 0.1 + 0.2, "virginica": 1e-300} == found.read_probabilities()
    assert [{"loc": ["petal_width_cm"], "msg": "0.05 is below"}] == found.read_warnings()


@pytest.mark.parametrize("rows", [JOINED_ROWS - 1, JOINED_ROWS, 2 * JOINED_ROWS + 1])
def test_many_rows_come_back_as_they_were_written(opened: Journal, rows: int) -> None:
    """Whether they share a statement or not; written again after a lost answer, they are there once."""
    written = [prediction(number, value=float(number)) for number in range(rows)]
    writer = Inserter(opened)

    writer.insert(written)
    writer.insert(written, again=True)
    writer.close()

    assert written == [predictions.find(opened, str(each.prediction_id)) for each in written]


def test_text_of_any_alphabet_survives(opened: Journal) -> None:
    """Classes and features may be written in any script."""
    written = prediction(1, predicted_class="帝企鹅 🐧 'quoted\"", features='{"île":"Ωmega"}')
    writer = Inserter(opened)

    writer.insert([written])
    writer.close()

    assert written == predictions.find(opened, str(written.prediction_id))


def test_the_error_names_an_unknown_id(opened: Journal) -> None:
    """A well-formed id without a prediction is an error that names the id."""
    unknown = prediction(7).prediction_id or ""

    with pytest.raises(UnknownPrediction, match=unknown):
        predictions.find(opened, unknown)


@pytest.mark.parametrize(
    "unknown", ["", "abc", "' OR 1=1 --", "%", "x" * 10_000, "\x00", "\ud800", PREDICTION_ID + "\n"]
)
def test_a_text_that_is_not_an_id_is_an_unknown_prediction(opened: Journal, unknown: str) -> None:
    """Any text in the place of an id raises the same error, not one of the database."""
    writer = Inserter(opened)
    writer.insert([prediction(1)])
    writer.close()

    with pytest.raises(UnknownPrediction):
        predictions.find(opened, unknown)


@pytest.mark.parametrize("locked_before", [False, True], ids=["at once", "after a lock"])
def test_rows_are_inserted_all_or_none(opened: Journal, path: Path, locked_before: bool) -> None:
    """When one row is refused, no row of the same insert is written; the next insert works."""
    writer = Inserter(opened)
    writer.insert([prediction(1)])
    if locked_before:
        with locked(f"sqlite:///{path}"), pytest.raises(JournalBusy):
            writer.insert([prediction(2)])

    with pytest.raises((sqlite3.IntegrityError, JournalUnavailable)):
        writer.insert([prediction(2), prediction(1)])
    with pytest.raises(UnknownPrediction):
        predictions.find(opened, str(prediction(2).prediction_id))

    third = prediction(3)
    writer.insert([third])
    writer.close()
    assert third == predictions.find(opened, str(third.prediction_id))


def test_a_group_is_one_commit_even_after_a_lock(opened: Journal, path: Path) -> None:
    """Others never see a part of an insert, also after an insert that met a lock."""
    writer = Inserter(opened)
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
    """While another process writes, an insert fails at once; afterwards it works."""
    writer = Inserter(opened)
    with locked(f"sqlite:///{path}"):
        started = time.monotonic()
        for _ in range(10):
            with pytest.raises(JournalBusy):
                writer.insert([prediction(1)])
        assert time.monotonic() - started < 10 * database.LOCK_PATIENCE_MS / 1000

    written = prediction(1)
    writer.insert([written])
    writer.close()
    assert written == predictions.find(opened, str(written.prediction_id))


def test_a_writer_can_be_opened_while_another_process_writes(opened: Journal, path: Path) -> None:
    """Opening needs no lock, so a worker can start while another process holds it."""
    with locked(f"sqlite:///{path}"):
        writer = Inserter(opened)
        writer.connect()
        writer.close()


def test_the_timeout_of_the_writer_is_not_the_pool_s(opened: Journal, path: Path) -> None:
    """Other calls still wait for a lock that is released soon."""
    writer = Inserter(opened)
    writer.connect()
    writer.close()

    with ThreadPoolExecutor(1) as pool:
        with locked(f"sqlite:///{path}"):
            promised = pool.submit(promote, opened, "a")
            time.sleep(0.3)
            assert not promised.done()
        assert promised.result(timeout=10) is not None


def test_reading_does_not_wait_for_a_writer(opened: Journal, path: Path) -> None:
    """A query works while another process holds the write lock."""
    promote(opened, "a")

    with locked(f"sqlite:///{path}"):
        assert "a" == ledger.champions(opened)["iris"].to_version
