"""Moments: which texts are taken, in which zone they are told, and the numbers made of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models_store.errors import InvalidInput
from models_store.features.moment import Moment
from tests.models_store.features.rows import validator

PARIS = Moment(name="a", zone="Europe/Paris", since="2024-01-01")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("2024-06-01T12:00:00+02:00", "2024-06-01T12:00:00+02:00"),
        ("2024-06-01T10:00:00Z", "2024-06-01T12:00:00+02:00"),
        ("2024-06-01t10:00:00z", "2024-06-01T12:00:00+02:00"),
        (" 2024-06-01 10:00:00+00:00 ", "2024-06-01T12:00:00+02:00"),
        ("2024-01-01T00:30:00.250-05:00", "2024-01-01T06:30:00.250000+01:00"),
        ("2024-06-01T10:00:00.123456789Z", "2024-06-01T12:00:00.123456+02:00"),
        ("2024-06-01", "2024-06-01T00:00:00+02:00"),
        ("2024-10-27T00:30:00Z", "2024-10-27T02:30:00+02:00"),
        ("2024-10-27T01:30:00Z", "2024-10-27T02:30:00+01:00"),
        (date(2024, 6, 1), "2024-06-01T00:00:00+02:00"),
        (datetime(2024, 6, 1, 10, tzinfo=UTC), "2024-06-01T12:00:00+02:00"),
        (datetime(2024, 6, 1, tzinfo=timezone(timedelta(hours=9))), "2024-05-31T17:00:00+02:00"),
        (pd.Timestamp("2024-06-01T10:00:00.000000001Z"), "2024-06-01T12:00:00+02:00"),
        ("1850-01-01T00:00:00Z", "1850-01-01T00:09:21+00:09:21"),
    ],
)
def test_a_moment_is_told_in_its_zone(value: Any, told: str) -> None:
    """However it is written; a date is its midnight there, and what is told is read again."""
    rows = validator(datetime, PARIS)

    assert told == rows.object({"a": value}).a == rows.object({"a": told}).a


def test_a_midnight_that_does_not_exist_is_the_first_time_of_its_day() -> None:
    """In Beirut the clock went from 0:00 to 1:00 that day."""
    assert "2022-03-27T01:00:00+03:00" == Moment(name="a", zone="Asia/Beirut").canonical("2022-03-27")


@pytest.mark.parametrize("value", ["2024-06-01T12:00:00", "2024-06-01 12:00:00", datetime(2024, 6, 1)])  # noqa: DTZ001
def test_a_time_without_its_offset_is_refused_with_the_reason(value: Any) -> None:
    """Nobody knows which moment it is."""
    with pytest.raises(InvalidInput, match=r"or a date; this one has no offset: add it, \+00:00 for UTC"):
        validator(datetime, PARIS).object({"a": value})


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("2024-06-01 12:00:00", "2024-06-01T12:00:00+02:00"),
        (pd.Timestamp("2024-01-01T12:00:00"), "2024-01-01T12:00:00+01:00"),
        ("2024-03-31T02:30:00", "2024-03-31T03:30:00+02:00"),
        ("2024-06-01T10:00:00Z", "2024-06-01T12:00:00+02:00"),
    ],
)
def test_a_naive_moment_takes_a_time_without_offset_as_one_of_its_zone(value: Any, told: str) -> None:
    """If the spec says so: also a time that the clock there has skipped."""
    naive = Moment(name="a", zone="Europe/Paris", naive=True)

    assert told == validator(datetime, naive).object({"a": value}).a
    assert "or a date" in naive.expected
    assert "in Europe/Paris if it has none" in naive.expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("2024-02-30", "there is no such day or time"),
        ("0000-01-01", "there is no such day or time"),
        ("2024-06-01T24:00:00Z", "there is no such day or time"),
        ("2016-12-31T23:59:60Z", "leap seconds are not supported: send second 59"),
        ("0001-01-01", "in Europe/Paris this one is not in the years 1 to 9999"),
        ("9999-12-31T23:59:59Z", "in Europe/Paris this one is not in the years 1 to 9999"),
    ],
)
def test_a_time_that_does_not_exist_is_refused_with_the_reason(value: str, reason: str) -> None:
    """RFC 3339 has some that no calendar of Python has."""
    with pytest.raises(InvalidInput, match=f"a: must be a time .* or a date; {reason}$"):
        validator(datetime, PARIS).object({"a": value})


@pytest.mark.parametrize(
    "value",
    [
        *("", "now", "20240601", "2024-W22-6", "2024-06-31", "2024-06-01T25:00:00Z", "2024-06-01T12:00Z"),
        *(
            "2024-06-01T12:00:00+25:00",
            "2024-06-01T12:00:00+05:99",
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-12:00",
        ),
        *("٢٠٢٤-06-01", 1717236000, 1.5, True, None, []),
    ],
)
def test_everything_else_is_refused(value: Any) -> None:
    """Also times that no calendar of Python has in the zone."""
    with pytest.raises(
        InvalidInput, match="a: must be a time with its offset, such as 2013-01-01T05:15:00"
    ):
        validator(datetime, PARIS).object({"a": value})


def test_the_pipeline_gets_numbers() -> None:
    """Hour, weekday (Monday is 0), month, and whole days since the day of the spec, in the zone."""
    assert ("a_hour", "a_weekday", "a_month", "a_days") == PARIS.columns
    assert [[0, None], [1, None], [1, None], [1, None]] == [
        list(column) for column in PARIS.spread(["2024-01-02T00:30:00+01:00", None])
    ]
    assert [[-1]] == Moment(name="a", parts=("days",), since="2024-01-02").spread(
        ["2024-01-01T23:59:59+00:00"]
    )


def test_another_zone_later_does_not_change_what_a_version_is_given() -> None:
    """A text that is told in one zone has the numbers of the version's own zone."""
    version = Moment(name="a", zone="UTC", parts=("hour",))
    told = Moment(name="a", zone="Asia/Tokyo").canonical("2024-06-01T00:00:00Z")

    assert [[0]] == version.spread([told])
    assert "" == PARIS.refuses(version)


def test_the_first_and_the_last_day_have_numbers_in_every_zone() -> None:
    """A version whose zone is another one must answer a row that is valid in the zone of the spec."""
    ends = ["0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59+00:00"]

    for zone in ("America/New_York", "Asia/Tokyo"):
        (days,) = Moment(name="a", zone=zone, parts=("days",)).spread(ends)
        assert [-730119, 2921939] == days


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"zone": "Europe/Atlantis"}, "there is no zone 'Europe/Atlantis': name one such as Europe/Paris"),
        ({"zone": "../../etc/passwd"}, "there is no zone"),
        ({"parts": ()}, "name one part or more, each once"),
        (
            {"parts": ("hour", "minute")},
            "there is no part 'minute': the parts are hour, weekday, month, days",
        ),
        ({"since": "1.1.2000"}, "since is a day such as 2000-01-01, not '1.1.2000'"),
    ],
)
def test_a_wrong_declaration_is_a_fault(changes: dict[str, Any], words: str) -> None:
    """With what would be right."""
    (fault,) = Moment(name="a", **changes).faults(datetime)

    assert fault.startswith(words)


def test_drawn_moments_are_valid_and_spread_over_decades() -> None:
    """The proof sees days before and after those of the dataset."""
    drawn = PARIS.draw(300, np.random.default_rng(0), [])

    assert drawn == [PARIS.canonical(each) for each in drawn]
    assert min(drawn) < "2010"
    assert max(drawn) > "2050"
