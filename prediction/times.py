"""Times and spans of time. A time is UTC, kept as microseconds since 1970."""

import re
import time
from datetime import UTC, datetime

from models_store.errors import InvalidInput

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
UNITS_US = {"s": SECOND_US, "m": MINUTE_US, "h": HOUR_US, "d": DAY_US}

MAX_DIGITS = 6


def now_us() -> int:
    """Return the present time."""
    return time.time_ns() // 1000


def iso(at_us: int) -> str:
    """Write a time in ISO 8601."""
    return datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(timespec="microseconds")


def parse_span(text: str) -> int:
    """Return a time span such as 30m, 24h or 7d in us.

    Raises
    ------
    InvalidInput
        When it is not a whole number of s, m, h or d, or has more than `MAX_DIGITS` digits.
    """
    found = re.fullmatch(r"0*([1-9][0-9]*)([smhd])", text.strip())
    if not found:
        raise InvalidInput(f"{text[:20]!r} is not a time span: write 30m, 24h or 7d")
    if len(found[1]) > MAX_DIGITS:
        raise InvalidInput("the time span is too long: write 30m, 24h or 7d")
    return int(found[1]) * UNITS_US[found[2]]
