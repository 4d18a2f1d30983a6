"""What is deleted when, on SQLite and PostgreSQL, and that nobody waits for it."""

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


def test_what_is_older_than_it_is_kept_is_deleted(journal: Journal) -> None:
    """Predictions without a label go after so many days, those with one stay ten times as long."""
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


def test_labels_go_with_their_prediction(journal: Journal, journal_url: str) -> None:
    """No label and no correction is left of a prediction that was deleted; those of others stay."""
    old, young = made(journal, 1, days=301, label="setosa"), made(journal, 2, days=30, label="setosa")
    feedback.give(journal, "iris", [Label(each, "virginica", correct=True) for each in (old, young)])

    assert 1 == sum(retention.prune(journal, days=30))
    for table in ("predictions", "feedback", "corrections"):
        assert [(young,)] == query(journal_url, f"SELECT prediction_id FROM {table}")


def test_the_newest_stays_however_old(journal: Journal) -> None:
    """Its number is not given again, so that who reads on by numbers misses nothing."""
    ids = [made(journal, number, days=3) for number in range(3)]

    assert 2 == sum(retention.prune(journal, days=1))
    assert [False, False, True] == kept(journal, ids)


def test_an_empty_journal_has_nothing_to_delete(journal: Journal) -> None:
    """Nothing there is nothing done."""
    assert [] == list(retention.prune(journal, days=1))


def test_many_go_in_short_transactions(journal: Journal, journal_url: str) -> None:
    """A long list is deleted in chunks, each told, and predictions of one moment are all met."""
    old_us = now_us() - 2 * DAY_US
    record(journal, [prediction(number, at_us=old_us) for number in range(2 * PRUNED_ROWS + 10)])
    record(journal, [prediction(number) for number in range(90_000, 90_005)])

    assert [PRUNED_ROWS, PRUNED_ROWS, 10] == list(retention.prune(journal, days=1))
    assert [(5,)] == query(journal_url, "SELECT count(*) FROM predictions")


def test_old_outcomes_are_passed_over(journal: Journal) -> None:
    """Whole chunks of labelled predictions that stay do not hide what is behind them."""
    old_us = now_us() - 2 * DAY_US
    ids = record(journal, [prediction(number, at_us=old_us) for number in range(PRUNED_ROWS + 500)])
    feedback.give(journal, "iris", [Label(each, "setosa") for each in ids])
    gone = made(journal, 90_000, days=1.5)
    made(journal, 90_001, days=0)

    assert 1 == sum(retention.prune(journal, days=1))
    assert [True, True, False] == kept(journal, [ids[0], ids[-1], gone])


def test_a_label_that_comes_meanwhile_saves_its_prediction(journal: Journal, journal_url: str) -> None:
    """A prediction that is labelled after it was found old, and before it is deleted, stays."""
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


def test_serving_goes_on_meanwhile(journal: Journal) -> None:
    """While 10,000 rows are deleted, predictions are recorded and labelled, none has to give up."""
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


def test_a_server_prunes_a_turn_at_a_time(journal: Journal) -> None:
    """A long list takes several short turns; once it is done, the next one begins after an hour."""
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
