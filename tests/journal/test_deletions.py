"""Deletion of predictions whose clients got an error: in the background, retried, and counted no longer."""

from __future__ import annotations

import logging
import time

import pytest

from prediction.journal import rollups
from prediction.journal.database import Journal
from prediction.journal.predictions import CHUNK_ROWS
from prediction.journal.retention import Deletions
from prediction.times import HOUR_US, now_us
from tests import databases
from tests.databases import prediction, query, record
from tests.timing import eventually

journal_url = databases.journal_url
journal = databases.journal


def count(url: str) -> int:
    """Return how many predictions are in the journal."""
    return int(query(url, "SELECT count(*) FROM predictions")[0][0])


def test_queued_predictions_are_deleted_and_counted_no_longer(journal: Journal, journal_url: str) -> None:
    """Of more than one chunk, every row is deleted; other rows stay."""
    made = [prediction(number) for number in range(2 * CHUNK_ROWS + 10)]
    record(journal, made)
    rollups.roll_up(journal)
    deletions = Deletions(journal)

    deletions.add(made[3:])
    deletions.wait(30)

    assert 3 == count(journal_url)
    assert 3 == sum(item.rows for item in rollups.counts(journal, "iris", 0, now_us(), HOUR_US))


def test_a_queue_can_be_used_again(journal: Journal, journal_url: str) -> None:
    """Its thread ends with the last deletion, and starts again with the next."""
    made = [prediction(number) for number in range(2)]
    record(journal, made)
    deletions = Deletions(journal)

    deletions.wait(1)
    deletions.add([])
    for number in range(2):
        deletions.add(made[number : number + 1])
        deletions.wait(30)
        assert 1 - number == count(journal_url)


def test_predictions_are_deleted_when_a_lock_is_released(journal: Journal, journal_url: str) -> None:
    """To queue them takes no time; while the journal is locked they stay."""
    made = [prediction(1)]
    record(journal, made)
    deletions = Deletions(journal)

    with databases.locked(journal_url):
        started = time.monotonic()
        deletions.add(made)
        deletions.wait(0.1)
        assert time.monotonic() - started < 2
    eventually(lambda: count(journal_url) == 0)


@pytest.mark.parametrize("journal_url", ["postgresql"], indirect=True)
def test_deletions_that_fail_are_retried_and_logged_once(
    journal: Journal, journal_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Two attempts fail while PostgreSQL is stopped: one warning with the number of predictions."""
    caplog.set_level(logging.WARNING, "bentoml.prediction")
    made = [prediction(number) for number in range(3)]
    record(journal, made)
    deletions = Deletions(journal)

    with databases.start_postgres().stopped():
        deletions.add(made)
        eventually(lambda: bool(caplog.messages))
        time.sleep(1.5)
    eventually(lambda: count(journal_url) == 0)

    (message,) = caplog.messages
    assert message.startswith("3 predictions whose clients got an error are still in the journal: ")
