"""The written contract of feedback, each clause, on SQLite and PostgreSQL."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from models_store.errors import Error
from prediction.errors import ConflictingLabel, UnknownPrediction
from prediction.journal import feedback, ledger, predictions, tables
from prediction.journal.database import Journal
from prediction.journal.feedback import Label
from prediction.journal.ledger import NewChampion
from prediction.journal.tables import feedback as feedback_table
from prediction.times import now_us
from tests import databases
from tests.databases import insist, prediction, query, record

journal_url = databases.journal_url
journal = databases.journal

GIVE = """
from prediction.journal import feedback, ledger
from prediction.journal.database import Journal
from prediction.journal.feedback import Label
journal = Journal(sys.argv[1])
ledger.champions(journal)
wait()
for prediction_id in sys.argv[3:]:
    print(*feedback.give(journal, "iris", [Label(prediction_id, sys.argv[2])]))
journal.close()
"""


@pytest.fixture
def prediction_id(journal: Journal) -> str:
    """The id of a prediction of iris that has no label yet."""
    return record(journal, [prediction(1)])[0]


def give(journal: Journal, *labels: Label, model: str = "iris") -> list[str]:
    """Give labels; return for each what became of it, an error by its name."""
    answers = feedback.give(journal, model, labels)
    return [type(item).__name__ if isinstance(item, Error) else item for item in answers]


def label_of(journal: Journal, prediction_id: str) -> tuple[str, list[str]]:
    """Return the label of a prediction now, and those before, newest first."""
    found = feedback.find(journal, prediction_id)
    assert found is not None
    return found.label, [old.label for old in found.history]


# -------------------------------------------------------------------------------------- one label


def test_a_first_label_is_recorded(journal: Journal, prediction_id: str) -> None:
    """A prediction without a label gets the one that is given, now, and no history."""
    assert feedback.find(journal, prediction_id) is None

    assert ["recorded"] == give(journal, Label(prediction_id, "setosa"))

    found = feedback.find(journal, prediction_id)
    assert found is not None
    assert ("setosa", []) == (found.label, found.history)
    assert abs(found.at_us - now_us()) < 60e6


@pytest.mark.parametrize("correct", [False, True])
def test_the_same_label_again_changes_nothing(journal: Journal, prediction_id: str, correct: bool) -> None:
    """A repeated label is `unchanged`, with `correct` or without, and keeps the time of the first."""
    give(journal, Label(prediction_id, "setosa"))
    first = feedback.find(journal, prediction_id)

    assert ["unchanged"] == give(journal, Label(prediction_id, "setosa", correct))
    assert first == feedback.find(journal, prediction_id)


def test_another_label_conflicts(journal: Journal, prediction_id: str) -> None:
    """A second label is refused with a sentence that names the first and the way to replace it."""
    give(journal, Label(prediction_id, "setosa"))

    (answer,) = feedback.give(journal, "iris", [Label(prediction_id, "virginica")])

    assert isinstance(answer, ConflictingLabel)
    assert "labelled setosa already: send correct: true" in str(answer)
    assert ("setosa", []) == label_of(journal, prediction_id)


def test_a_correction_keeps_the_old_label(journal: Journal, prediction_id: str) -> None:
    """Each corrected label stands in the history with its time and the time it was replaced."""
    start_us = now_us()
    for label in ("setosa", "virginica", "versicolor"):
        give(journal, Label(prediction_id, label, correct=True))
        time.sleep(0.002)

    found = feedback.find(journal, prediction_id)
    assert found is not None
    assert "versicolor" == found.label
    newest, oldest = found.history
    assert ("virginica", "setosa") == (newest.label, oldest.label)
    assert start_us < oldest.at_us < oldest.replaced_us == newest.at_us < newest.replaced_us == found.at_us


def test_a_label_may_be_corrected_back(journal: Journal, prediction_id: str) -> None:
    """Going back to a former label is a correction like any other."""
    for label in ("setosa", "virginica", "setosa"):
        give(journal, Label(prediction_id, label, correct=True))

    assert ("setosa", ["virginica", "setosa"]) == label_of(journal, prediction_id)


def test_a_first_label_may_be_sent_as_a_correction(journal: Journal, prediction_id: str) -> None:
    """A label with `correct` is recorded although there is nothing to correct."""
    assert ["recorded"] == give(journal, Label(prediction_id, "setosa", correct=True))


def test_the_label_counts_for_the_version_that_predicted(journal: Journal, prediction_id: str) -> None:
    """A label that comes after a promotion belongs to the old version, as its prediction does."""
    ledger.promote(journal, NewChampion("iris", "another", "d" * 64, by="test", reason="because"))
    give(journal, Label(prediction_id, "virginica"))

    ((outcome,),) = feedback.outcomes(journal, "iris")
    assert prediction(1).version == outcome.prediction.version


# --------------------------------------------------------------------------------- refused labels


def test_the_label_of_an_unknown_id_is_refused(journal: Journal) -> None:
    """The error of a label for an unknown id names the model."""
    (answer,) = feedback.give(journal, "iris", [Label(str(prediction(7).prediction_id), "setosa")])

    assert isinstance(answer, UnknownPrediction)
    assert "no prediction of iris has that id" == str(answer)


def test_the_prediction_of_another_model_is_unknown(journal: Journal, prediction_id: str) -> None:
    """An id counts only with its own model, and the other model's label changes nothing."""
    assert ["UnknownPrediction"] == give(journal, Label(prediction_id, "Adelie"), model="penguins")
    assert feedback.find(journal, prediction_id) is None

    give(journal, Label(prediction_id, "setosa"))
    assert ["UnknownPrediction"] == give(
        journal, Label(prediction_id, "Adelie", correct=True), model="penguins"
    )
    assert ("setosa", []) == label_of(journal, prediction_id)


MALFORMED = {
    "empty": "",
    "a zero character": "\x00" * 36,
    "a zero character at the end": "01a20576-e6f4-7194-8645-00000000000\x00",
    "upper case": "01A20576-E6F4-7194-8645-000000000001",
    "36 characters": "x" * 36,
    "no hyphens": "01a20576xe6f4x7194x8645x000000000001",
    "a line more": "01a20576-e6f4-7194-8645-000000000001\n",
    "other digits": "\u0660" * 8 + "-e6f4-7194-8645-000000000001",
    "half a character": "\ud800" * 36,
    "SQL": "' OR 1=1 --",
    "a pattern": "%",
    "endless": "0" * 100_000,
}


@pytest.mark.parametrize("malformed", MALFORMED.values(), ids=MALFORMED)
def test_a_text_that_is_not_an_id_is_unknown(journal: Journal, prediction_id: str, malformed: str) -> None:
    """Any text in the place of an id is an unknown prediction; the other labels are recorded."""
    answers = give(journal, Label(malformed, "setosa"), Label(prediction_id, "setosa"))

    assert ["UnknownPrediction", "recorded"] == answers


# --------------------------------------------------------------------------------------- batches


def test_the_labels_of_a_batch_are_recorded_in_order(journal: Journal) -> None:
    """Several labels of one prediction in a batch have the same effect as one after the other."""
    one, two, three = record(journal, [prediction(number) for number in range(3)])
    give(journal, Label(three, "setosa"))

    answers = give(
        journal,
        Label(one, "setosa"),
        Label(one, "setosa"),
        Label(one, "virginica"),
        Label(two, "virginica"),
        Label(one, "virginica", correct=True),
        Label(one, "versicolor", correct=True),
        Label(three, "virginica", correct=True),
        Label(three, "setosa", correct=True),
        Label(two, "setosa"),
    )

    assert [
        "recorded",
        "unchanged",
        "ConflictingLabel",
        "recorded",
        "corrected",
        "corrected",
        "corrected",
        "corrected",
        "ConflictingLabel",
    ] == answers
    assert ("versicolor", ["virginica", "setosa"]) == label_of(journal, one)
    assert ("virginica", []) == label_of(journal, two)
    assert ("setosa", ["virginica", "setosa"]) == label_of(journal, three)


def test_an_empty_batch_is_an_empty_answer(journal: Journal) -> None:
    """Nothing given is nothing recorded."""
    assert [] == give(journal)


def test_predictions_are_recorded_beside_ten_thousand_labels(journal: Journal) -> None:
    """They are recorded between the transactions of the labels, before the last of these."""
    ids = record(journal, [prediction(number) for number in range(10_000)])
    labels = [Label(each, "setosa") for each in ids]
    with ThreadPoolExecutor(1) as pool:
        giving = pool.submit(give, journal, *labels)
        beside = 0
        while not giving.done():
            with journal.write(patience_ms=60_000) as connection:
                journal.order(connection)
                connection.execute(tables.workers.delete())
            beside += 1

    assert ["recorded"] * 10_000 == giving.result()
    assert beside >= 10_000 / feedback.CHUNK_LABELS / 2


def test_each_label_has_an_answer_if_the_journal_fails_midway(journal: Journal, journal_url: str) -> None:
    """Recorded labels are answered as recorded; the others, or all of them, can be sent again."""
    ids = record(journal, [prediction(number) for number in range(10_000)])
    labels = [Label(each, "setosa") for each in ids]
    with ThreadPoolExecutor(1) as pool:
        giving = pool.submit(give, journal, *labels)
        while not query(journal_url, "SELECT 1 FROM feedback LIMIT 1"):
            assert not giving.done()
        with databases.locked(journal_url):
            answers = giving.result()

    taken = answers.count("recorded")
    assert 0 < taken < 10_000
    assert ["recorded"] * taken + ["JournalBusy"] * (10_000 - taken) == answers
    assert ["unchanged"] * taken + ["recorded"] * (10_000 - taken) == give(journal, *labels)


def test_ten_thousand_labels_at_once(journal: Journal, journal_url: str) -> None:
    """The largest batch is recorded whole, the second time unchanged, the third time corrected."""
    ids = record(journal, [prediction(number) for number in range(10_000)])
    for label, status in [("setosa", "recorded"), ("setosa", "unchanged"), ("virginica", "corrected")]:
        answers = give(journal, *(Label(each, label, correct=True) for each in ids))
        assert [status] * 10_000 == answers

    assert [("virginica", 10_000)] == query(
        journal_url, "SELECT label, count(*) FROM feedback GROUP BY label"
    )
    assert [("setosa", 10_000)] == query(
        journal_url, "SELECT label, count(*) FROM corrections GROUP BY label"
    )


def test_a_batch_is_recorded_whole_or_not_at_all(journal: Journal, journal_url: str) -> None:
    """When the journal fails in the middle of a batch, none of its labels is there."""
    ids = record(journal, [prediction(number) for number in range(10)])
    labels = [*(Label(each, "setosa") for each in ids), Label(ids[0], "x" * 300 + "\x00\ud800", True)]

    with pytest.raises(Exception):  # noqa: B017, PT011 -- what each database makes of such a text
        feedback.give(journal, "iris", labels)

    assert [] == query(journal_url, "SELECT * FROM feedback")
    assert ["recorded"] * 10 == give(journal, *labels[:10])


# ---------------------------------------------------------------------------------- all at once


def say(journal: Journal, label: Label) -> str:
    """Give a label, however long others hold the journal."""
    return insist(partial(give, journal, label))[0]


def at_once(count: int, act: Callable[[int], Any]) -> list[Any]:
    """Do something in many threads, released together; return what each returned."""
    barrier = threading.Barrier(count)

    def wait_and_act(number: int) -> Any:
        barrier.wait()
        return act(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(wait_and_act, range(count)))


def test_copies_of_one_label_give_one_row(journal: Journal, journal_url: str, prediction_id: str) -> None:
    """Of 32 threads with the same label, one records it and the others find it unchanged."""
    answers = at_once(32, lambda _: say(journal, Label(prediction_id, "setosa")))

    assert ["recorded"] + ["unchanged"] * 31 == sorted(answers)
    assert [("setosa",)] == query(journal_url, "SELECT label FROM feedback")
    assert ("setosa", []) == label_of(journal, prediction_id)


def test_one_of_many_different_labels_wins(journal: Journal, journal_url: str, prediction_id: str) -> None:
    """Of 32 threads that each say something else, one is recorded and the others conflict with it."""
    answers = at_once(32, lambda number: say(journal, Label(prediction_id, f"label {number}")))

    assert ["ConflictingLabel"] * 31 + ["recorded"] == sorted(answers)
    assert [(f"label {answers.index('recorded')}",)] == query(journal_url, "SELECT label FROM feedback")


def test_corrections_at_once_make_one_history(
    journal: Journal, journal_url: str, prediction_id: str
) -> None:
    """32 threads that correct each other leave one label, and each of the others once in its history."""
    labels = [f"label {number}" for number in range(32)]

    answers = at_once(32, lambda number: say(journal, Label(prediction_id, labels[number], True)))

    assert ["corrected"] * 31 + ["recorded"] == sorted(answers)
    now, before = label_of(journal, prediction_id)
    assert sorted(labels) == sorted([now, *before])
    assert [(now,)] == query(journal_url, "SELECT label FROM feedback")
    found = feedback.find(journal, prediction_id)
    assert found is not None
    times = [found.at_us, *(old.at_us for old in found.history)]
    assert sorted(times, reverse=True) == times
    assert times[:-1] == [old.replaced_us for old in found.history]


def test_processes_label_the_same_predictions_once(journal: Journal, journal_url: str) -> None:
    """Workers that are given the same labels at once agree on who came first, for each prediction."""
    ids = record(journal, [prediction(number) for number in range(20)])

    written = databases.run_at_once(GIVE, [[journal_url, "setosa", *ids] for _ in range(2)])

    by_prediction = zip(*(output.split() for output in written), strict=True)
    assert [["recorded", "unchanged"]] * 20 == [sorted(answers) for answers in by_prediction]


def test_batches_in_opposite_orders_do_not_wait_for_each_other(journal: Journal) -> None:
    """Batches that name the same predictions the other way round are both done, none is given up."""
    ids = record(journal, [prediction(number) for number in range(200)])

    def label_all(number: int) -> list[str]:
        return give(journal, *(Label(each, "setosa") for each in ids[:: 1 if number % 2 else -1]))

    answers = at_once(8, label_all)

    assert [["recorded"] * 200] + [["unchanged"] * 200] * 7 == sorted(answers)


# -------------------------------------------------------------------------------------- outcomes


def numbers(chunks: Sequence[Sequence[feedback.Outcome]]) -> list[list[int]]:
    """Return the numbers of the predictions in each chunk."""
    return [[int(str(item.prediction.prediction_id)[-12:], 16) for item in chunk] for chunk in chunks]


@pytest.fixture
def labelled(journal: Journal) -> Journal:
    """A journal of ten predictions of iris, of which 7, 5, 3, 1 and 9 were labelled, in that order."""
    ids = record(journal, [prediction(number) for number in range(10)])
    record(journal, [prediction(99, model="penguins")])
    for number in (7, 5, 3, 1, 9):
        assert ["recorded"] == give(journal, Label(ids[number], "setosa"))
    give(journal, Label(str(prediction(99).prediction_id), "Adelie"), model="penguins")
    return journal


def test_predictions_wait_since_the_newest_label(journal: Journal) -> None:
    """From the first prediction after it, or from the first of all; not where there is none."""
    first, second = now_us() - 2_000_000, now_us() - 1_000_000
    ids = record(journal, [prediction(1, at_us=second), prediction(2, at_us=first)])

    assert first == feedback.waiting_since_us(journal, "iris")
    assert feedback.waiting_since_us(journal, "penguins") is None
    feedback.give(journal, "iris", [Label(ids[0], "setosa")])
    assert feedback.waiting_since_us(journal, "iris") is None
    later = now_us() + 1_000_000
    record(journal, [prediction(3, at_us=later)])
    assert later == feedback.waiting_since_us(journal, "iris")


def test_outcomes_come_in_the_order_of_their_labels(labelled: Journal) -> None:
    """Each labelled prediction of the model is there once, whole, the one labelled first comes first."""
    (chunk,) = feedback.outcomes(labelled, "iris")

    assert [[7, 5, 3, 1, 9]] == numbers([chunk])
    assert [predictions.find(labelled, str(item.prediction.prediction_id)) for item in chunk] == [
        item.prediction for item in chunk
    ]
    assert {"setosa"} == {item.label for item in chunk}
    assert sorted(item.labelled_us for item in chunk) == [item.labelled_us for item in chunk]


def test_outcomes_come_in_chunks(labelled: Journal) -> None:
    """No chunk is longer than was asked for, and none is empty."""
    assert [[7, 5], [3, 1], [9]] == numbers(list(feedback.outcomes(labelled, "iris", chunk_rows=2)))
    assert [[7, 5, 3, 1, 9]] == numbers(list(feedback.outcomes(labelled, "iris", chunk_rows=5)))
    assert [] == list(feedback.outcomes(labelled, "unknown"))


def test_a_corrected_outcome_moves_to_the_end(labelled: Journal) -> None:
    """The new label has a place of its own, and the old one is there no more."""
    give(labelled, Label(str(prediction(7).prediction_id), "virginica", correct=True))

    (found,) = feedback.outcomes(labelled, "iris")
    assert [[5, 3, 1, 9, 7]] == numbers([found])
    assert "virginica" == found[-1].label


def test_an_outcome_that_is_corrected_meanwhile_comes_once(labelled: Journal) -> None:
    """Who has begun to read sees what there was then, to the end: neither twice nor not at all."""
    chunks = feedback.outcomes(labelled, "iris", chunk_rows=2)
    first = next(chunks)
    corrected = [Label(str(prediction(number).prediction_id), "virginica", True) for number in (7, 3)]
    give(labelled, *corrected, Label(str(prediction(0).prediction_id), "setosa"))
    found = [first, *chunks]

    assert [[7, 5], [3, 1], [9]] == numbers(found)
    assert {"setosa"} == {item.label for chunk in found for item in chunk}


def test_a_number_is_given_once(journal: Journal, journal_url: str) -> None:
    """Who reads on from the last number meets every label, though it corrects or follows the newest one."""
    one, two = record(journal, [prediction(number) for number in range(2)])
    numbers = []
    for label in ("setosa", "virginica", "setosa"):
        give(journal, Label(one, label, correct=True))
        numbers += query(journal_url, "SELECT seq FROM feedback")
    with journal.write() as connection:
        connection.execute(feedback_table.delete())
    give(journal, Label(two, "setosa"))
    numbers += query(journal_url, "SELECT seq FROM feedback")

    assert [(1,), (2,), (3,), (4,)] == numbers


def test_outcomes_since_a_time(labelled: Journal) -> None:
    """Labels that were given before are left out, and one that was corrected since is there."""
    time.sleep(0.002)
    since_us = now_us()
    give(labelled, Label(str(prediction(7).prediction_id), "virginica", correct=True))
    give(labelled, Label(str(prediction(0).prediction_id), "setosa"))

    assert [[7, 0]] == numbers(list(feedback.outcomes(labelled, "iris", since_us)))
    assert [] == list(feedback.outcomes(labelled, "iris", now_us() + 1))


def test_labels_are_numbered_in_the_order_they_become_visible(journal: Journal, journal_url: str) -> None:
    """Who has read up to some label misses none: a later commit never brings a smaller number."""
    ids = record(journal, [prediction(number) for number in range(400)])
    seen: list[int] = []
    stop = threading.Event()

    def read_on() -> None:
        with databases.opened(journal_url) as other:
            while not stop.is_set():
                with other.read() as connection:
                    after = sa.select(feedback_table.c.seq).order_by(feedback_table.c.seq)
                    last = seen[-1] if seen else 0
                    seen.extend(connection.scalars(after.where(feedback_table.c.seq > last)))

    reader = threading.Thread(target=read_on)
    reader.start()
    try:
        at_once(
            8,
            lambda number: [say(journal, Label(each, "setosa")) for each in ids[number::8]],
        )
        time.sleep(0.1)
    finally:
        stop.set()
        reader.join()

    assert [seq for (seq,) in query(journal_url, "SELECT seq FROM feedback ORDER BY seq")] == seen


# --------------------------------------------------------------------------------- the newest rows


def test_the_newest_predictions_come_first_with_their_labels(journal: Journal) -> None:
    """In the order of time, and at the same time in the order of ids; other models are left out."""
    times = {1: 100, 2: 300, 3: 200, 4: 200, 5: 400}
    ids = record(journal, [prediction(number, at_us=at_us) for number, at_us in times.items()])
    record(journal, [prediction(6, at_us=500, model="penguins")])
    give(journal, Label(ids[2], "setosa"))

    found = feedback.latest(journal, "iris", limit=4)

    expected = [(ids[4], None), (ids[1], None), (ids[3], None), (ids[2], "setosa")]
    assert expected == [(item.prediction_id, label) for item, label in found]


def test_pages_of_predictions_have_each_row_once(journal: Journal) -> None:
    """A page begins after the last row of the page before, also among rows of the same time."""
    times = {1: 100, 2: 200, 3: 200, 4: 200, 5: 300}
    ids = record(journal, [prediction(number, at_us=at_us) for number, at_us in times.items()])

    for size in (1, 2, 3):
        pages: list[str | None] = []
        for _ in range(5 // size + 1):
            page = feedback.latest(journal, "iris", size, before=pages[-1] if pages else None)
            pages += [item.prediction_id for item, _ in page]
        assert ids[::-1] == pages


def test_a_page_after_an_unknown_prediction_is_an_error(journal: Journal, prediction_id: str) -> None:
    """There is no place to continue from."""
    with pytest.raises(UnknownPrediction):
        feedback.latest(journal, "iris", 10, before=str(prediction(7).prediction_id))
    assert [] == feedback.latest(journal, "iris", 10, before=prediction_id)


def measured(of: Any, label: str) -> dict[str, int]:
    """Measure a prediction by the length of its label, and by its own probability in percent."""
    return {"letters": len(label), "percent": round(100 * json.loads(of.probabilities)[of.predicted_class])}


def test_sums_follow_the_labels(journal: Journal, journal_url: str) -> None:
    """A label adds what it measures; a corrected one is taken out; an unchanged one adds nothing."""
    ids = record(journal, [prediction(number) for number in range(3)])
    for label in (
        *(Label(each, "setosa") for each in ids),
        Label(ids[0], "setosa"),
        Label(ids[1], "versicolor", correct=True),
    ):
        feedback.give(journal, "iris", [label], measured)

    for table in ("sums", "sum_minutes"):
        assert [("letters", 22), ("percent", 270)] == query(
            journal_url, f"SELECT name, total FROM {table} ORDER BY name"
        )


def test_without_a_measure_there_are_no_sums(journal: Journal, journal_url: str) -> None:
    """The labels are counted all the same."""
    (prediction_id,) = record(journal, [prediction(1)])
    give(journal, Label(prediction_id, "setosa"))

    assert [] == query(journal_url, "SELECT * FROM sums")
