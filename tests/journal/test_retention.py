"""Pruning on SQLite and PostgreSQL: which rows it deletes, and that nobody waits for it."""

from __future__ import annotations

import threading
import time
from functools import partial

from models_store.errors import Error
from prediction.errors import UnknownPrediction
from prediction.journal import feedback, predictions, retention, tables
from prediction.journal.database import Journal
from prediction.journal.feedback import Label
from prediction.journal.retention import OUTCOME_FACTOR, PRUNED_ROWS
from prediction.times import DAY_US, now_us
from tests import databases
from tests.databases import insist, prediction, query, record

journal_url = databases.journal_url
journal = databases.journal


def made(journal: Journal, number: int, days: float, label: str = "", model: str = "iris") -> str:
    """Make a prediction that is so many days old, with a label if one is named; return its id."""
    at_us = now_us() - round(days * DAY_US)
    (prediction_id,) = record(journal, [prediction(number, at_us=at_us, model=model)])
    if label:
        (answer,) = feedback.give(journal, model, [Label(prediction_id, label)])
        assert not isinstance(answer, Error)
    return prediction_id


def kept(journal: Journal, ids: list[str]) -> list[bool]:
    """Return for each id whether its prediction is there."""
    found = []
    for prediction_id in ids:
        try:
            found.append(predictions.find(journal, prediction_id).prediction_id == prediction_id)
        except UnknownPrediction:
            found.append(False)
    return found


def test_old_predictions_are_deleted(journal: Journal) -> None:
    """Those without a label after so many days, those with one after ten times as many."""
    ids = [
        made(journal, 1, days=29.9),
        made(journal, 2, days=30.1),
        made(journal, 3, days=30.1, label="setosa"),
        made(journal, 4, days=30 * OUTCOME_FACTOR - 0.1, label="setosa"),
        made(journal, 5, days=30 * OUTCOME_FACTOR + 0.1, label="setosa"),
        made(journal, 6, days=30.1, model="penguins"),
        made(journal, 7, days=1, model="penguins"),
    ]

    assert 3 == sum(retention.prune(journal, days=30))
    assert [True, False, True, True, False, False, True] == kept(journal, ids)
    assert 0 == sum(retention.prune(journal, days=30))


def test_labels_are_deleted_with_their_prediction(journal: Journal, journal_url: str) -> None:
    """Labels and corrections of a deleted prediction are deleted; those of others stay."""
    old, young = made(journal, 1, days=301, label="setosa"), made(journal, 2, days=30, label="setosa")
    feedback.give(journal, "iris", [Label(each, "virginica", correct=True) for each in (old, young)])

    assert 1 == sum(retention.prune(journal, days=30))
    for table in ("predictions", "feedback", "corrections"):
        assert [(young,)] == query(journal_url, f"SELECT prediction_id FROM {table}")


def test_counts_and_sums_by_hour_are_kept_as_long_as_outcomes(journal: Journal, journal_url: str) -> None:
    """Ten times as long as predictions without a label."""
    hours = [now_us() - round(days * DAY_US) for days in (299.9, 300.1)]
    key = {"model": "iris", "version": "v"}
    with journal.write() as connection:
        for hour_us in hours:
            counted = key | {"hour_us": hour_us, "predicted_class": "setosa", "label": "", "rows": 1}
            connection.execute(tables.rollups.insert(), counted)
            summed = key | {"hour_us": hour_us, "name": "n", "total": 1}
            connection.execute(tables.sums.insert(), summed)

    assert 0 == sum(retention.prune(journal, days=30))
    for table in ("rollups", "sums"):
        assert [(hours[0],)] == query(journal_url, f"SELECT hour_us FROM {table}")


def test_the_newest_prediction_stays_however_old_it_is(journal: Journal) -> None:
    """So its number is not used again, and readers that continue after it miss no row."""
    ids = [made(journal, number, days=3) for number in range(3)]

    assert 2 == sum(retention.prune(journal, days=1))
    assert [False, False, True] == kept(journal, ids)


def test_an_empty_journal_has_nothing_to_delete(journal: Journal) -> None:
    """Pruning it is no error."""
    assert [] == list(retention.prune(journal, days=1))


def test_many_predictions_are_deleted_in_short_transactions(journal: Journal, journal_url: str) -> None:
    """Each transaction yields its number of rows; predictions of the same time are all deleted."""
    old_us = now_us() - 2 * DAY_US
    record(journal, [prediction(number, at_us=old_us) for number in range(2 * PRUNED_ROWS + 10)])
    record(journal, [prediction(number) for number in range(90_000, 90_005)])

    assert [PRUNED_ROWS, PRUNED_ROWS, 10] == list(retention.prune(journal, days=1))
    assert [(5,)] == query(journal_url, "SELECT count(*) FROM predictions")


def test_old_outcomes_do_not_stop_pruning(journal: Journal) -> None:
    """Predictions behind whole chunks of labelled ones, which stay, are deleted."""
    old_us = now_us() - 2 * DAY_US
    ids = record(journal, [prediction(number, at_us=old_us) for number in range(PRUNED_ROWS + 500)])
    feedback.give(journal, "iris", [Label(each, "setosa") for each in ids])
    gone = made(journal, 90_000, days=1.5)
    made(journal, 90_001, days=0)

    assert 1 == sum(retention.prune(journal, days=1))
    assert [True, True, False] == kept(journal, [ids[0], ids[-1], gone])


def test_a_label_that_comes_meanwhile_keeps_its_prediction(journal: Journal, journal_url: str) -> None:
    """A prediction that gets a label after it was read, and before it is deleted, stays."""
    prediction_id = made(journal, 1, days=2)
    made(journal, 2, days=0)
    deleted: list[int] = []
    with databases.opened(journal_url) as other:
        pruning = threading.Thread(target=lambda: deleted.extend(retention.prune(other, days=1)))
        with journal.write() as connection:  # as `feedback.give` does, but slowly
            connection.execute(tables.predictions.select().with_for_update()).all()
            row = {"prediction_id": prediction_id, "model": "iris", "label": "setosa", "at_us": now_us()}
            connection.execute(tables.feedback.insert(), [row])
            pruning.start()
            time.sleep(0.3)  # it has found the prediction, and waits for us
        pruning.join()

    assert [0] == deleted
    assert [True] == kept(journal, [prediction_id])
    assert feedback.find(journal, prediction_id) is not None


def test_pruning_does_not_stop_serving(journal: Journal) -> None:
    """While 10,000 rows are deleted, predictions are recorded and labelled without an error."""
    old_us = now_us() - 2 * DAY_US
    record(journal, [prediction(number, at_us=old_us + number) for number in range(10_000)])
    made(journal, 40_000, days=0)
    deleted: list[int] = []
    pruning = threading.Thread(target=lambda: deleted.extend(retention.prune(journal, days=1)))
    pruning.start()
    number = 50_000
    while pruning.is_alive():
        (prediction_id,) = insist(partial(record, journal, [prediction(number)]))
        feedback.give(journal, "iris", [Label(prediction_id, "setosa")])
        number += 1

    assert 10_000 == sum(deleted)
    assert number - 50_000 > 5


def test_a_server_prunes_in_short_turns(journal: Journal) -> None:
    """Many rows take several turns; the next pruning begins an hour after the last turn."""
    old_us = now_us() - 2 * DAY_US
    ids = record(journal, [prediction(number, at_us=old_us) for number in range(70 * PRUNED_ROWS)])
    made(journal, 89_999, days=0)
    pruner = retention.Pruner(journal, days=1)

    pruner.turn()

    assert [False, True] == kept(journal, [ids[0], ids[-1]])
    turns = 1
    while kept(journal, [ids[-1]]) == [True]:
        pruner.turn()
        turns += 1
    pruner.turn()
    late = made(journal, 90_000, days=2)
    made(journal, 90_001, days=0)
    pruner.turn()
    assert turns > 1
    assert [True] == kept(journal, [late])
