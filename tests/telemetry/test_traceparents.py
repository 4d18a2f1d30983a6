"""The header `traceparent`: what is taken, and what is ignored."""

from __future__ import annotations

import pytest

from prediction.telemetry import traceparents

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01".encode()


def test_a_parent_has_ids_and_flags() -> None:
    """The header of the standard's own example is read."""
    parent = traceparents.find([(b"host", b"x"), (traceparents.HEADER, GOOD)])

    assert (TRACE, SPAN, 1) == parent


@pytest.mark.parametrize(
    ("flags", "sampled"), [(b"00", False), (b"02", False), (b"03", True), (b"ff", True)]
)
def test_one_bit_of_the_flags_says_whether_the_trace_is_recorded(flags: bytes, sampled: bool) -> None:
    """Other bits have other meanings."""
    parent = traceparents.read(GOOD[:-2] + flags)

    assert parent is not None
    assert (parent if sampled else None) == traceparents.find_sampled(
        [(traceparents.HEADER, GOOD[:-2] + flags)]
    )


def test_a_later_version_may_be_longer() -> None:
    """What it adds is not read."""
    assert (TRACE, SPAN, 1) == traceparents.read(b"01" + GOOD[2:] + b"-what-the-future-brings")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"nonsense",
        GOOD[:-1],
        GOOD + b"0",
        GOOD + b"-more",
        GOOD.upper(),
        b"ff" + GOOD[2:],
        GOOD.replace(TRACE.encode(), b"0" * 32),
        GOOD.replace(SPAN.encode(), b"0" * 16),
        GOOD.replace(b"-", b"_"),
        b"\xff" * 55,
    ],
)
def test_a_malformed_header_is_ignored(text: bytes) -> None:
    """The request is then in no trace."""
    assert traceparents.read(text) is None
    assert traceparents.find_sampled([(traceparents.HEADER, text)]) is None


def test_two_parents_are_none() -> None:
    """Nobody can tell which of them is right."""
    assert traceparents.find([(traceparents.HEADER, GOOD), (traceparents.HEADER, GOOD)]) is None
    assert traceparents.find_sampled([(traceparents.HEADER, GOOD), (traceparents.HEADER, GOOD)]) is None
    assert traceparents.find([]) is None
    assert traceparents.find_sampled([(b"host", b"x")]) is None
