"""Spans of time as people write them: 30m, 24h, 7d."""

import re

from models_store.errors import InvalidInput

UNITS_US = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}

MAX_DIGITS = 6


def parse(text: str) -> int:
    """Return a span in us.

    Raises
    ------
    InvalidInput
        When it is not a whole number, of up to `MAX_DIGITS`, of s, m, h or d.
    """
    found = re.fullmatch(r"0*([1-9][0-9]*)([smhd])", text.strip())
    if not found:
        raise InvalidInput(f"{text[:20]!r} is no span of time: write 30m, 24h or 7d")
    if len(found[1]) > MAX_DIGITS:
        raise InvalidInput("that is too long a span of time: write 30m, 24h or 7d")
    return int(found[1]) * UNITS_US[found[2]]
