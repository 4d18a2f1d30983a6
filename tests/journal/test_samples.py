"""Samples of a window: all where there are few, evenly drawn where there are many."""

from __future__ import annotations

import json
from collections import Counter

from prediction.journal import samples
from prediction.journal.database import Journal
from prediction.times import now_us
from tests import databases
from tests.databases import prediction, record

journal_url = databases.journal_url
journal = databases.journal


def test_few_rows_are_all_drawn(journal: Journal) -> None:
    """Only rows of the model and of the window, with the columns for statistics."""
    now = now_us()
    warning = {"loc": ["petal_width_cm"], "msg": "0.1 is below the training range"}
    record(
        journal,
        [
            prediction(1, at_us=now - 5, version="old", warnings=json.dumps([warning])),
            prediction(2, at_us=now - 5, model="penguins"),
            prediction(3, at_us=now - 500),
            prediction(4, at_us=now + 5),
        ],
    )
    (found,) = samples.draw(journal, "iris", now - 100, now, rows=1)

    assert (now - 5, "old", "setosa", 0.9) == found[:4]
    assert {"petal_width_cm": 0.1} == found.features
    assert ["petal_width_cm"] == found.unlike_training


def test_many_rows_are_drawn_evenly(journal: Journal) -> None:
    """At most `limit` rows, each once, equally many of each tenth of the window; models are mixed."""
    now = now_us()
    rows = [
        prediction(
            number, at_us=now - 10_000 + number, model="iris" if number % 3 else "penguins"
        )._replace(version=str(number))
        for number in range(10_000)
    ]
    record(journal, rows)
    found = samples.draw(journal, "iris", now - 9_000, now, rows=6_000, limit=1_000)

    assert 1_000 == len(found) == len({row.version for row in found})
    assert not [row for row in found if int(row.version) % 3 == 0 or int(row.version) < 1_000]
    tenths = Counter((row.at_us - (now - 9_000)) // 900 for row in found)
    assert 10 == len(tenths)
    assert min(tenths.values()) > 60


def test_an_empty_window_has_an_empty_sample(journal: Journal) -> None:
    """Also if the caller says that the window has rows."""
    assert [] == samples.draw(journal, "iris", 0, now_us(), rows=0)
    assert [] == samples.draw(journal, "iris", 0, now_us(), rows=1_000_000)


def test_a_rare_model_has_a_sample_too(journal: Journal) -> None:
    """Its rows are one in twenty."""
    now = now_us()
    record(
        journal,
        [
            prediction(number, at_us=now - 20_000 + number, model="penguins" if number % 20 else "iris")
            for number in range(20_000)
        ],
    )

    assert 300 == len(samples.draw(journal, "iris", 0, now, rows=1_000, limit=300))
