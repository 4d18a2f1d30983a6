"""False alarms of each kind's tests on resampled data, and what they find."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from models_store.features.category import Category
from models_store.features.feature import Feature
from models_store.features.flag import Flag
from models_store.features.integer import Integer
from models_store.features.moment import Moment
from models_store.features.text import Text
from prediction.figures import drift
from prediction.figures.drift import SIGNIFICANCE, Drift
from prediction.figures.features import kinds

PARIS = ZoneInfo("Europe/Paris")
WORDS = np.array([f"w{number}" for number in range(3_000)])
START = datetime(2023, 1, 2, tzinfo=PARIS)

Draw = Callable[[np.random.Generator, int], list[Any]]


def integers(rng: np.random.Generator, rows: int) -> list[Any]:
    """Draw counts with many ties."""
    return [int(value) for value in rng.poisson(3, rows)]


def flags(rng: np.random.Generator, rows: int) -> list[Any]:
    """Draw a rare flag."""
    return [bool(value) for value in rng.random(rows) < 0.1]


def heavy_tailed(rng: np.random.Generator, rows: int) -> list[Any]:
    """Draw from endlessly many values, some of them frequent: there are always new ones."""
    return [f"v{value}" for value in rng.zipf(1.5, rows)]


def all_alike(rng: np.random.Generator, rows: int) -> list[Any]:
    """Draw from 400 equally frequent values: those that are frequent in a sample are so by chance."""
    return [f"v{value}" for value in rng.integers(0, 400, rows)]


def texts(rng: np.random.Generator, rows: int) -> list[Any]:
    """Draw texts whose words follow Zipf's law, so that many words of each sample are new."""
    ranks = np.minimum(rng.zipf(1.3, (rows, 12)), len(WORDS)) - 1
    lengths = rng.integers(1, 12, rows)
    return [" ".join(WORDS[row[:length]]) for row, length in zip(ranks, lengths, strict=True)]


def times_of(start: datetime, days: float) -> Draw:
    """Return a draw of times in working hours, few of them at weekends."""

    def draw(rng: np.random.Generator, rows: int) -> list[Any]:
        found: list[Any] = []
        while len(found) < rows:
            local = (start + timedelta(days=float(rng.uniform(0, days)))).astimezone(PARIS)
            weight = (0.2 if local.weekday() > 4 else 1.0) * (1.0 if 8 <= local.hour < 18 else 0.1)
            if rng.random() < weight:
                found.append(local.isoformat())
        return found

    return draw


CASES: list[tuple[str, Feature, Draw, Draw]] = [
    ("integers", Integer(name="a", high=99), integers, integers),
    ("flags", Flag(name="a"), flags, flags),
    ("a heavy-tailed open category", Category(name="a", open=True), heavy_tailed, heavy_tailed),
    ("an open category of like values", Category(name="a", open=True), all_alike, all_alike),
    ("texts", Text(name="a", max_length=99), texts, texts),
    (
        "moments",
        Moment(name="a", zone="Europe/Paris"),
        times_of(START, 364),
        times_of(START + timedelta(days=700), 6.97),
    ),
]


def compared(feature: Feature, trained: list[Any], live: list[Any]) -> list[Drift]:
    """Compare without the correction for several tests."""
    part = kinds.of(feature)
    return part.compare(feature, part.profile(feature, trained), live, len(trained))


@pytest.mark.parametrize("live_rows", [60, 500])
@pytest.mark.parametrize(
    ("feature", "before", "after"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_a_test_gives_few_false_alarms(feature: Feature, before: Draw, after: Draw, live_rows: int) -> None:
    """At most about 5 of 100 p-values of each test are below 0.05 if nothing has changed.

    Of 200 windows 10 are expected at most; 20 would be there once in five hundred runs.
    """
    rng = np.random.default_rng(7)
    low: dict[str, int] = {}
    alarms = 0
    for _ in range(200):
        found = compared(feature, before(rng, 600), after(rng, live_rows))
        for item in found:
            low[item.name] = low.get(item.name, 0) + ((item.p or 0.0) < SIGNIFICANCE)
        alarms += any(item.state == "drifted" for item in drift.judge(found))

    assert low
    assert max(low.values()) <= 20, low
    assert alarms <= 20


@pytest.mark.parametrize(
    ("feature", "before", "after"),
    [
        (Integer(name="a", high=99), integers, lambda rng, rows: [int(x) for x in rng.poisson(6, rows)]),
        (Flag(name="a"), flags, lambda rng, rows: [bool(x) for x in rng.random(rows) < 0.6]),
        (Category(name="a", open=True), heavy_tailed, lambda _, rows: [f"new{x}" for x in range(rows)]),
        (Category(name="a", open=True), all_alike, lambda _, rows: ["v1"] * rows),
        (Text(name="a", max_length=99), texts, lambda _, rows: ["some other language now"] * rows),
        (
            Moment(name="a", zone="Europe/Paris"),
            times_of(START, 364),
            times_of(START.replace(hour=20), 0.2),
        ),
    ],
    ids=["integers", "flags", "new values", "one value", "texts", "moments of an evening"],
)
def test_what_has_changed_is_found(feature: Feature, before: Draw, after: Draw) -> None:
    """In a hundred rows, except where they do not span a whole week."""
    rng = np.random.default_rng(1)
    judged = drift.judge(compared(feature, before(rng, 600), after(rng, 100)))

    if isinstance(feature, Moment):
        assert [] == judged
    else:
        assert "drifted" in {item.state for item in judged}


def test_hours_that_have_changed_are_found_in_a_whole_week() -> None:
    """Night shifts, in a window of seven days; the days themselves are never compared."""
    feature, rng = Moment(name="a", zone="Europe/Paris"), np.random.default_rng(2)
    nights = [(START + timedelta(days=700 + row % 7, hours=1 + row % 3)).isoformat() for row in range(140)]
    found = drift.judge(compared(feature, times_of(START, 364)(rng, 600), nights))

    assert {"a_hour": "drifted", "a_weekday": "drifted"} == {item.name: item.state for item in found}


def test_moments_of_the_first_year_are_compared() -> None:
    """A whole cycle before them is in no calendar."""
    feature = Moment(name="a", zone="UTC")
    days = [(datetime(1, 1, 3, tzinfo=UTC) + timedelta(days=day)).isoformat() for day in range(358)]

    assert {"a_hour", "a_weekday", "a_month"} == {item.name for item in compared(feature, days, days)}


def test_a_profile_of_texts_holds_no_words() -> None:
    """Only numbers: lengths, shares and checksums of words."""
    profile = kinds.of(Text()).profile(Text(max_length=99), ["secret word", "another"])

    assert {int, float} >= {type(value) for values in profile.values() for value in values}


def test_hours_and_weekdays_are_in_their_order() -> None:
    """A plot of them is read from left to right."""
    feature, rng = Moment(name="a", zone="Europe/Paris"), np.random.default_rng(3)
    draw = times_of(START, 364)
    hours, weekdays = (item.histogram for item in compared(feature, draw(rng, 900), draw(rng, 900))[:2])

    assert hours is not None
    assert weekdays is not None
    assert [str(hour) for hour in range(24)] == hours.bins
    assert ["Monday", "Tuesday"] == weekdays.bins[:2]


def test_new_values_of_an_open_category_are_one_bar() -> None:
    """Beside the frequent ones and all others that are known."""
    (item,) = compared(
        Category(name="a", open=True), ["x", "y", "y", "x", "z", "z"] * 20, ["x", "new"] * 50
    )

    assert item.histogram is not None
    assert {"x": 0.5, "(new)": 0.5} == {
        name: share for name, share in zip(item.histogram.bins, item.histogram.live, strict=True) if share
    }
