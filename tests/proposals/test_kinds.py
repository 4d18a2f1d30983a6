"""What the values of a column are."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from prediction.proposals import kinds


@pytest.mark.parametrize(
    ("values", "kind", "read"),
    [
        (["1", " 2 ", ""], "integer", [1, 2, None]),
        (["1.0", "2.0", "NA"], "integer", [1, 2, None]),
        (["1.0", "2.0"], "number", [1.0, 2.0]),
        (["1.5", "-2e3", "?"], "number", [1.5, -2000.0, None]),
        (["True", "false", "TRUE"], "flag", [True, False, True]),
        (["007", "012"], "text", ["007", "012"]),
        (["12345678901234567890", "2"], "text", ["12345678901234567890", "2"]),
        (["NA", "None", "x"], "text", [None, "None", "x"]),
        (["yes", "no"], "text", ["yes", "no"]),
        (["3+", "1", "2"], "text", ["3+", "1", "2"]),
        ([1, 2, None], "integer", [1, 2, None]),
        ([1.0, float("nan")], "integer", [1, None]),
        ([1.5, float("inf"), Decimal("2.5")], "number", [1.5, None, 2.5]),
        ([True, None], "flag", [True, None]),
        ([1, "a"], "text", ["1", "a"]),
        ([[1], [2]], "other", [[1], [2]]),
    ],
)
def test_the_values_say_their_kind(values: list[Any], kind: str, read: list[Any]) -> None:
    """Whole numbers written with a point are integers only where there are gaps, as pandas writes them."""
    found = kinds.read(values)

    assert (kind, read) == (found.kind, found.values)


@pytest.mark.parametrize(
    ("values", "read", "note"),
    [
        (["1,5", "-,25"], [1.5, -0.25], "a decimal comma"),
        (["1.234,5", "7,0"], [1234.5, 7.0], "a decimal comma"),
        (["1,234", "5"], [1234, 5], "commas between thousands"),
        (["$1,200.50", "$3"], [1200.5, 3.0], "signs such as"),
        (["12%", "3 %"], [12, 3], "signs such as"),
    ],
)
def test_numbers_that_are_not_plain_are_read_and_said(
    values: list[str], read: list[float], note: str
) -> None:
    """Requests and files to score need plain ones."""
    found = kinds.read(values, comma="decimal" in note)

    assert read == found.values
    assert note in found.notes[0]
    assert not found.plain


def test_a_few_words_among_many_numbers_are_missing_values() -> None:
    """And this is said."""
    found = kinds.read([str(number) for number in range(100)] + ["unknown"])

    assert ("integer", None) == (found.kind, found.values[-1])
    assert ["'unknown' is read as missing"] == found.notes


@pytest.mark.parametrize(
    ("values", "first", "note"),
    [
        (["2024-01-31", ""], date(2024, 1, 31), ""),
        (["2024-01-31 05:06:07", "2024-02-01T00:00:00"], datetime(2024, 1, 31, 5, 6, 7), ""),  # noqa: DTZ001
        (["2024-01-31T05:06:07Z"], datetime(2024, 1, 31, 5, 6, 7, tzinfo=UTC), ""),
        (["01/31/2024"], date(2024, 1, 31), "month/day/year"),
        (["31/01/2024"], date(2024, 1, 31), "day/month/year"),
        (["31.01.2024 05:06"], datetime(2024, 1, 31, 5, 6), "day.month.year hour:minute"),  # noqa: DTZ001
        (["Jan 31 2024"], date(2024, 1, 31), "month day year"),
    ],
)
def test_times_are_moments(values: list[str], first: date, note: str) -> None:
    """In the ways that people write them; the way is said if requests must write another one."""
    found = kinds.read(values)

    assert ("moment", first) == (found.kind, found.values[0])
    assert [f"its times are written as {note}"] * bool(note) == found.notes
    assert found.plain is not bool(note)


def test_a_way_that_could_be_another_one_is_said() -> None:
    """The first of January is the first of January in both."""
    found = kinds.read(["01/01/2024", "02/03/2024"])

    assert [date(2024, 1, 1), date(2024, 2, 3)] == found.values
    assert "they could be day/month/year too" in found.notes


def test_what_a_file_calls_a_category_is_one() -> None:
    """Whatever its values look like."""
    assert ["1", "2", None] == kinds.read([1, 2, None], listed=True).values
    assert ["1", "2"] == kinds.read(["1", "2"], listed=True).values
