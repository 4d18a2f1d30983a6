"""Rules of time hold at any moment and in any zone: ends of days and years, nights in which clocks change.

The clock of the machine is set by time-machine; nothing of the project is replaced.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import time_machine

from models_store import store
from models_store.catalog import load
from prediction.journal import feedback, ledger, refusals, retention, rollups, tables
from prediction.journal.database import Journal
from prediction.journal.feedback import Label
from prediction.journal.ledger import NewChampion
from prediction.journal.retention import OUTCOME_FACTOR
from prediction.monitoring import health
from prediction.pages import dashboard, pages
from prediction.times import DAY_US, HOUR_US, iso, now_us, parse_span
from tests import command_line, databases
from tests.command_line import Main, iris, read
from tests.databases import prediction, record

journal = databases.journal
main = command_line.main

HARDEST = [
    ("2026-11-26T00:00:00.125", "Pacific/Auckland"),  # a Thursday, as 1970 began
    ("2028-02-29T23:30:00", "Europe/Paris"),  # already in March there
    ("2027-01-01T00:00:00", "America/Los_Angeles"),  # still in the old year there
    ("2026-10-25T01:30:00", "Europe/Paris"),  # 02:30 there, for the second time
    ("2027-03-14T07:00:00", "America/New_York"),  # 03:00 there; there was no 02:00
]
"""In UTC, and the zone of the machine. Tests that need a journal take these only: they are slower."""

MOMENTS = [
    *HARDEST,
    ("2026-11-23T00:00:00", "UTC"),  # a Monday
    ("2026-11-24T23:59:59.875", "UTC"),
    ("2026-11-25T12:00:00", "America/Los_Angeles"),
    ("2026-11-27T18:15:00", "Asia/Kathmandu"),  # whose hours begin within those of UTC
    ("2026-11-28T08:00:00", "America/Los_Angeles"),
    ("2026-11-29T11:00:00", "Pacific/Auckland"),
    ("2027-02-01T00:00:00", "UTC"),
    ("2028-02-29T00:30:00", "America/New_York"),  # still the 28th there
    ("2026-12-31T23:30:00", "Pacific/Auckland"),  # already in the new year there
    ("2026-10-25T00:30:00", "Europe/Paris"),  # 02:30 there, for the first time
    ("2027-03-28T01:00:00", "Europe/Paris"),  # 03:00 there; there was no 02:00
    ("2026-11-01T06:30:00", "America/New_York"),  # 01:30 there, for the second time
]


def name_of(moment: tuple[str, str]) -> str:
    """Name a test by its moment."""
    return f"{moment[0]}, {moment[1]}"


@pytest.fixture(params=MOMENTS, ids=name_of)
def now(request: pytest.FixtureRequest) -> Iterator[datetime]:
    """The time at which the clock stands, in UTC."""
    text, zone = request.param
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    with time_machine.travel(moment.astimezone(ZoneInfo(zone)), tick=False):
        yield moment


@pytest.fixture
def journal_url(now: datetime, tmp_path: Path) -> str:
    """A database of that time."""
    return f"sqlite:///{tmp_path / 'journal.db'}"


def in_us(moment: datetime) -> int:
    """Return a time as the journal keeps it."""
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)


def test_times_are_utc(now: datetime) -> None:
    """As the journal keeps them, as bodies have them, and as people read them."""
    assert in_us(now) == now_us()
    assert now.isoformat(timespec="microseconds") == iso(now_us())
    assert f"{now:%Y-%m-%d %H:%M:%S}" == pages.clock(iso(now_us()))


@pytest.mark.parametrize("text", ["90s", "30m", "24h", "1d", "7d", "366d"])
def test_a_day_has_24_hours(now: datetime, text: str) -> None:
    """A span is as long in a night in which clocks change, and in a leap year."""
    unit = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}[text[-1]]
    before = now - timedelta(**{unit: int(text[:-1])})

    assert before.isoformat(timespec="microseconds") == iso(now_us() - parse_span(text))


@pytest.mark.parametrize("text", ["1s", "30m", "4h", "24h", "7d", "30d", "366d"])
def test_a_window_touches_few_buckets(now: datetime, text: str) -> None:
    """At most ceil(length / bucket) + 1 of them, counted from 1970 in UTC, up to now."""
    span, length_us = health.window(text), parse_span(text)
    buckets = range(span.since_us, span.until_us, span.bucket_us)

    assert in_us(now) == span.until_us
    assert -(-length_us // span.bucket_us) <= len(buckets) <= -(-length_us // span.bucket_us) + 1
    assert span.since_us <= in_us(now) - length_us < span.since_us + span.bucket_us
    assert 0 == span.since_us % span.bucket_us


def test_refusals_are_counted_by_the_hour_of_utc(now: datetime) -> None:
    """Hours of some zones begin at other times."""
    assert in_us(now.replace(minute=0, second=0, microsecond=0)) == refusals.begin(now_us())


@pytest.mark.parametrize("now", HARDEST, ids=name_of, indirect=True)
@pytest.mark.parametrize("text", ["30m", "24h", "366d"])
def test_a_window_holds_its_predictions_each_in_its_piece(
    now: datetime, journal: Journal, tmp_path: Path, text: str
) -> None:
    """One as old as its first bucket is in it, one older is not; a piece is drawn in its middle."""
    spec, span = load()["iris"], health.window(text)
    ages_us = [1, span.bucket_us // 2, parse_span(text) - 1, span.until_us - span.since_us]
    times_us = [span.until_us - age_us for age_us in ages_us]
    made = [*times_us, span.since_us - 1]
    record(journal, [prediction(number, at_us=at_us) for number, at_us in enumerate(made)])
    expected = Counter(iso(at_us // span.bucket_us * span.bucket_us) for at_us in times_us)
    before = health.describe(spec, tmp_path, journal, span)
    rollups.roll_up(journal)
    after = health.describe(spec, tmp_path, journal, span)

    assert before == after
    assert +expected == +Counter({piece["at"]: piece["predictions"] for piece in after["over_time"]})
    assert (iso(span.since_us), iso(in_us(now))) == (after["since"], after["until"])
    figure = dashboard.describe(spec, tmp_path, journal, span)["over_time"]
    middles = [in_us(datetime.fromisoformat(x)) for x in figure["data"][0]["x"]]
    assert [*range(span.since_us, span.until_us, span.bucket_us)] == [
        x - span.bucket_us // 2 for x in middles
    ]


@pytest.mark.parametrize("now", HARDEST, ids=name_of, indirect=True)
def test_what_is_kept_is_kept_to_the_microsecond(now: datetime, journal: Journal) -> None:
    """A prediction for so many days, an outcome ten times as long, and counts by the hour with it."""
    bound_us, outcome_us = now_us() - DAY_US, now_us() - OUTCOME_FACTOR * DAY_US
    times_us = [outcome_us - 1, outcome_us, bound_us - 1, bound_us, now_us()]
    ids = record(journal, [prediction(number, at_us=at_us) for number, at_us in enumerate(times_us)])
    feedback.give(journal, "iris", [Label(each, "setosa") for each in ids[:2]])
    hours = [refusals.begin(outcome_us) - HOUR_US, refusals.begin(outcome_us) + HOUR_US]
    row = {"model": "iris", "reason": "busy", "feature": "", "requests": 1}
    with journal.write() as connection:
        connection.execute(tables.refusals.insert(), [row | {"hour_us": hour_us} for hour_us in hours])

    assert 2 == sum(retention.prune(journal, days=1))
    with journal.read() as connection:
        left = [
            *connection.scalars(tables.predictions.select().with_only_columns(tables.predictions.c.at_us))
        ]
    assert [outcome_us, bound_us, now_us()] == sorted(left)
    assert 1 == sum(item.requests for item in refusals.find(journal, "iris", 0))


@pytest.mark.parametrize("now", HARDEST, ids=name_of, indirect=True)
def test_export_since_a_day(now: datetime, main: Main, journal: Journal, tmp_path: Path) -> None:
    """A label of just 24 hours ago is in it, one that is older by a moment is not; times are UTC."""
    ids = record(journal, [iris(number) for number in range(2)])
    for each, age_us in zip(ids, (DAY_US + 1, DAY_US), strict=True):
        feedback.give(journal, "iris", [Label(each, "setosa")])
        with journal.write() as connection:
            mine = tables.feedback.update().where(tables.feedback.c.prediction_id == each)
            connection.execute(mine.values(at_us=now_us() - age_us))
    path = tmp_path / "outcomes.csv"

    assert 0 == main("export", "iris", str(path), "--since", "24h")[0]
    (row,) = read(path)
    yesterday = now - timedelta(days=1)
    assert [iso(in_us(now)), yesterday.isoformat(timespec="microseconds")] == [
        row["at"],
        row["labelled_at"],
    ]


@pytest.mark.parametrize("now", HARDEST, ids=name_of, indirect=True)
def test_commands_print_utc(now: datetime, main: Main, journal: Journal, tmp_path: Path) -> None:
    """When a version was made, and when it was promoted; versions come in that order."""
    metadata = {"runtime": "onnx", "metrics": {"accuracy": 0.9}}
    with store.stage(tmp_path) as staged:
        made = store.publish(tmp_path, staged, "iris", {}, metadata)
    ledger.promote(journal, NewChampion("iris", made.version, made.digest, by="test", reason="test"))

    assert (now, timedelta(0)) == (made.created_at, made.created_at.utcoffset())
    for command, column, text in (
        ("status", "created (UTC)", f"{now:%Y-%m-%d %H:%M:%S}"),
        ("history", "at (UTC)", f"{now:%Y-%m-%dT%H:%M:%S}"),
    ):
        code, printed, _ = main(command, "iris")
        assert 0 == code
        assert column in printed
        assert text in printed
