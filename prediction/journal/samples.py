"""A sample of a window's predictions: a few thousand rows are enough for statistics."""

from __future__ import annotations

import random
from collections.abc import Iterator
from math import nan
from typing import Any, NamedTuple

import sqlalchemy as sa
from pydantic_core import from_json

from models_store.targets.said import adapted
from prediction.journal.database import Journal
from prediction.journal.tables import feedback, predictions

SAMPLE_ROWS = 5_000
QUERY_ROWS = 2_000
NEWEST_ROWS = 1_000
"""Labelled predictions of one plot."""

FIRST_ROWS = 10
"""Rows whose `seq` is read at each end of a window, because `seq` follows the times only roughly."""

MAX_DRAWN = 60_000
"""The largest number of rows read for a sample: that of a model with few predictions may be smaller."""


class Sampled(NamedTuple):
    """One prediction of a sample."""

    at_us: int
    version: str
    predicted_class: str
    confidence: float
    features: dict[str, Any]
    unlike_training: list[str]
    """Features whose values were out of the training range."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    """Of a quantity: the answer and its interval; the class is empty then, and its confidence NaN."""

    adapted: float = 1.0
    """How many times as wide as calibrated the interval is."""


class LabelledNumber(NamedTuple):
    """A predicted number with its label."""

    features: dict[str, Any]
    value: float
    label: float


def newest(
    journal: Journal, model: str, version: str, since_us: int, limit: int = NEWEST_ROWS
) -> list[LabelledNumber]:
    """Return the predictions of a version since a time whose labels are the newest numbers."""
    query = (
        sa.select(predictions.c.features, predictions.c.value, feedback.c.value)
        .join(predictions, predictions.c.prediction_id == feedback.c.prediction_id)
        .where(feedback.c.model == model, feedback.c.at_us >= since_us, feedback.c.value.is_not(None))
        .where(predictions.c.version == version, predictions.c.at_us >= since_us)
        .order_by(feedback.c.seq.desc())
    )
    with journal.read() as connection:
        rows = list(connection.execute(query.limit(limit)))
    return [LabelledNumber(from_json(features), value, label) for features, value, label in rows]


def draw(
    journal: Journal, model: str, since_us: int, until_us: int, *, rows: int, limit: int = SAMPLE_ROWS
) -> list[Sampled]:
    """Draw at most `limit` predictions of a model at random from a window; all if there are not more.

    Parameters
    ----------
    rows
        About how many predictions the window has.
    """
    mine = (predictions.c.model == model, predictions.c.at_us >= since_us, predictions.c.at_us < until_us)
    columns = [predictions.c[name] for name in ("at_us", "version", "predicted_class")]
    columns += [predictions.c[name] for name in ("probabilities", "features", "warnings")]
    columns += [predictions.c[name] for name in ("value", "low", "high")]
    query = sa.select(*columns).where(*mine)
    found: list[Sampled] = []
    with journal.read() as connection:
        if rows <= 2 * limit:
            return _at_most(limit, [_sampled(row) for row in connection.execute(query.limit(4 * limit))])
        # by seq alone: with the plain model, a database without statistics may use the model's index
        mine_too = (predictions.c.model.concat("") == model, *mine[1:])
        for seqs in _draw_seqs(connection, mine, rows, limit):
            chosen = sa.select(*columns).where(predictions.c.seq.in_(seqs), *mine_too)
            found += [_sampled(row) for row in connection.execute(chosen)]
            if len(found) >= limit:
                break
    return _at_most(limit, found)


def _at_most(limit: int, found: list[Sampled]) -> list[Sampled]:
    """Return at most `limit` rows, chosen at random: the rows of a query are mostly in order of time."""
    return found if len(found) <= limit else random.Random(0).sample(found, limit)  # noqa: S311


def _draw_seqs(
    connection: sa.Connection, mine: tuple[Any, ...], rows: int, limit: int
) -> Iterator[list[int]]:
    """Yield chunks of random `seq` numbers of the window, enough to find `limit` rows of the model."""
    of_window = sa.select(predictions.c.seq).where(*mine).limit(FIRST_ROWS)
    ends: list[int] = []
    for order in (predictions.c.at_us, predictions.c.at_us.desc()):
        ends += connection.scalars(of_window.order_by(order))
    if not ends:
        return
    everything = range(min(ends), max(ends) + 1)
    wanted = min(len(everything), MAX_DRAWN, 2 * limit * max(1, len(everything) // rows))
    drawn = random.Random(0).sample(everything, wanted)  # noqa: S311 -- the same window, the same sample
    for start in range(0, wanted, QUERY_ROWS):
        yield drawn[start : start + QUERY_ROWS]


def _sampled(row: Any) -> Sampled:
    # by name it takes twice as long
    at_us, version, predicted_class, probabilities, features, warnings, *numbers = row
    confidence = from_json(probabilities)[predicted_class] if predicted_class else nan
    unlike_training = [warning["loc"][0] for warning in from_json(warnings)]
    width = 1.0 if predicted_class else adapted(probabilities)
    named = (at_us, version, predicted_class, float(confidence), from_json(features), unlike_training)
    value, low, high = numbers
    return Sampled(*named, value, low, high, width)
