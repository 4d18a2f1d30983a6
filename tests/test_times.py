"""Spans of time: what is one, and what is refused."""

from __future__ import annotations

import pytest

from models_store.errors import InvalidInput
from prediction import times


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1),
        ("90s", 90),
        ("30m", 1_800),
        ("24h", 86_400),
        ("7d", 604_800),
        ("007d", 604_800),
        (" 7d\n", 604_800),
        ("999999d", 86_399_913_600),
    ],
)
def test_a_number_and_a_unit_are_a_span(text: str, seconds: int) -> None:
    """Seconds, minutes, hours and days are counted in microseconds, as the journal does."""
    assert seconds * 1_000_000 == times.parse_span(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        "d",
        "7 d",
        "7D",
        "7w",
        "-7d",
        "+7d",
        "1.5h",
        "0d",
        "000h",
        "1d2h",
        "1e3s",
        "\u0667d",
        "7d\n7d",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    """What is no whole number of a known unit is named, beside examples of what is."""
    with pytest.raises(InvalidInput) as caught:
        times.parse_span(text)

    assert f"{text!r} is not a time span: write 30m, 24h or 7d" == str(caught.value)


def test_too_long_a_span_is_told() -> None:
    """Its number is a number: what is wrong is its length."""
    with pytest.raises(InvalidInput, match="the time span is too long: write 30m, 24h or 7d"):
        times.parse_span("1000000d")
    assert times.parse_span("1d") == times.parse_span("0000000001d")


def test_a_long_text_is_not_repeated_whole() -> None:
    """The sentence shows the beginning only."""
    with pytest.raises(InvalidInput) as caught:
        times.parse_span("9" * 1_000_000)

    assert len(str(caught.value)) < 100
