"""Predictions on PostgreSQL: every value survives, one message is one transaction."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import closing

import pytest

from prediction.errors import UnknownPrediction
from prediction.journal import predictions
from prediction.journal.database import Journal
from prediction.journal.predictions import Inserter, Prediction
from tests import databases
from tests.databases import Line, prediction, query

NUMBERS = (0.1 + 0.2, 1e-300, -0.0, 1.7976931348623157e308, math.inf, -math.inf, None)
TEXTS = (
    "帝企鹅 🐧 'quoted\"",
    "back\\slash %s %(x)s",
    "{}",
    "",
    "line\nbreak\ttab",
    "$1; DROP TABLE predictions",
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """An empty database."""
    with databases.start_postgres().database() as url:
        yield url


@pytest.fixture(scope="module")
def journal(url: str) -> Iterator[Journal]:
    """A migrated journal."""
    with databases.opened(url) as opened:
        yield opened


@pytest.fixture
def inserter(journal: Journal) -> Iterator[Inserter]:
    """Inserts into it."""
    with closing(Inserter(journal)) as inserter:
        yield inserter


def odd(start: int) -> list[Prediction]:
    """Make predictions with values that are easily changed on the way."""
    made = [
        prediction(start + number, value=value, low=value, high=None, predicted_class=text, features=text)
        for number, (value, text) in enumerate((v, t) for v in NUMBERS for t in TEXTS)
    ]
    probabilities = json.dumps({"setosa": 0.1 + 0.2, "\\u0000": 1e-300})
    return [each._replace(probabilities=probabilities) for each in made]


@pytest.mark.parametrize("size", [1, 2, 50])
def test_values_come_back_as_they_were_written(journal: Journal, inserter: Inserter, size: int) -> None:
    """One row and many rows go by different statements; both keep texts and the last bit of numbers."""
    written = odd(1_000 * size)
    for start in range(0, len(written), size):
        inserter.insert(written[start : start + size])

    assert written == [predictions.find(journal, str(each.prediction_id)) for each in written]


def test_not_a_number_is_kept(journal: Journal, inserter: Inserter) -> None:
    """As it was with a parameter a value."""
    inserter.insert([prediction(1, value=math.nan), prediction(2, value=math.nan)])

    assert math.isnan(predictions.find(journal, prediction(1).prediction_id or "").value or 0)


@pytest.mark.parametrize("size", [1, 5])
def test_rows_that_are_there_are_an_error_or_left_alone(
    journal: Journal, inserter: Inserter, size: int
) -> None:
    """Nothing of the failed insert stays, and the connection goes on working."""
    written = [
        prediction(10_000_000 + 1_000 * size + number, predicted_class="first") for number in range(size)
    ]
    new = prediction(10_000_000 + 1_000 * size + 999)
    inserter.insert(written)

    with pytest.raises(Exception, match="predictions_id"):
        inserter.insert([new, *written] if size > 1 else written)
    if size > 1:
        with pytest.raises(UnknownPrediction):
            predictions.find(journal, str(new.prediction_id))
    inserter.insert([each._replace(predicted_class="second") for each in written], again=True)

    assert {"first"} == {
        predictions.find(journal, str(each.prediction_id)).predicted_class for each in written
    }


@pytest.mark.parametrize("size", [1, 5])
def test_a_refused_text_fails_alone(journal: Journal, inserter: Inserter, size: int) -> None:
    """PostgreSQL stores no NUL: the rows of that insert are refused, and the next insert works."""
    rows = [prediction(20_000_000 + 1_000 * size + number, features="a\0b") for number in range(size)]
    with pytest.raises(Exception, match=r"NUL|Unicode escape"):
        inserter.insert(rows)
    inserter.insert([each._replace(features="{}") for each in rows])

    assert "{}" == predictions.find(journal, str(rows[0].prediction_id)).features


@pytest.mark.parametrize("size", [1, 250])
def test_a_transaction_is_one_round_trip(url: str, size: int) -> None:
    """Timeouts, rows and commit are one message."""
    start = 30_000_000 + 1_000 * size
    with (
        Line(databases.start_postgres()) as line,
        closing(Journal(line.url(url))) as journal,
        closing(Inserter(journal)) as inserter,
    ):
        inserter.insert([prediction(start)])
        before = line.turns
        inserter.insert([prediction(start + 1 + number) for number in range(size)])
        assert 1 == line.turns - before


def test_numbers_follow_the_order_of_rows(url: str, inserter: Inserter) -> None:
    """Readers that continue after a number find the rows in the order of the request."""
    written = [prediction(40_000 + number, model="ordered") for number in range(100)]
    inserter.insert(written)

    found = query(url, "SELECT prediction_id FROM predictions WHERE model = 'ordered' ORDER BY seq")
    assert [each.prediction_id for each in written] == [row[0] for row in found]
