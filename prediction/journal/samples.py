"""A sample of a window's predictions: statistics need a few thousand rows, however many there are."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import sqlalchemy as sa
from pydantic_core import from_json

from prediction.journal.database import Journal
from prediction.journal.tables import predictions

SAMPLE_ROWS = 5_000
QUERY_ROWS = 2_000
FIRST_ROWS = 10
"""Rows are numbered about in the order of their times: the first and the last of a window are of these."""

MAX_DRAWN = 60_000
"""Rows looked at for a sample; where a model is rare among others, its sample is smaller."""


class Sampled(NamedTuple):
    """One prediction of a sample."""

    at_us: int
    version: str
    predicted_class: str
    confidence: float
    features: dict[str, Any]
    unlike_training: list[str]
    """The features whose values were out of the training range."""


def draw(
    journal: Journal, model: str, since_us: int, until_us: int, *, rows: int, limit: int = SAMPLE_ROWS
) -> list[Sampled]:
    """Draw at most `limit` predictions of a model evenly from a window; all where there are no more.

    Parameters
    ----------
    rows
        About how many the window has.
    """
    mine = (predictions.c.model == model, predictions.c.at_us >= since_us, predictions.c.at_us < until_us)
    columns = [predictions.c[name] for name in ("at_us", "version", "predicted_class")]
    columns += [predictions.c[name] for name in ("probabilities", "features", "warnings")]
    query = sa.select(*columns).where(*mine)
    found: list[Sampled] = []
    with journal.read() as connection:
        if rows <= 2 * limit:
            return _at_most(limit, [_sampled(row) for row in connection.execute(query.limit(4 * limit))])
        # by seq alone: with the model as it is, a database without statistics may take its index
        mine_too = (predictions.c.model.concat("") == model, *mine[1:])
        for seqs in _draw_seqs(connection, mine, rows, limit):
            chosen = sa.select(*columns).where(predictions.c.seq.in_(seqs), *mine_too)
            found += [_sampled(row) for row in connection.execute(chosen)]
            if len(found) >= limit:
                break
    return _at_most(limit, found)


def _at_most(limit: int, found: list[Sampled]) -> list[Sampled]:
    """Leave some out, whichever: a query gives its rows in some order, mostly that of their times."""
    return found if len(found) <= limit else random.Random(0).sample(found, limit)  # noqa: S311


def _draw_seqs(
    connection: sa.Connection, mine: tuple[Any, ...], rows: int, limit: int
) -> Iterator[list[int]]:
    """Yield random row numbers of the window, in chunks, that will hit the model's rows often enough."""
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
    at_us, version, predicted_class, probabilities, features, warnings = row  # by name takes twice as long
    confidence = float(from_json(probabilities)[predicted_class])
    unlike_training = [warning["loc"][0] for warning in from_json(warnings)]
    return Sampled(at_us, version, predicted_class, confidence, from_json(features), unlike_training)
