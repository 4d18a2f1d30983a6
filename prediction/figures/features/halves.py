"""Training data in two halves: one says which values are known, the other how many unknown ones to expect.

In the training data itself no value is unknown, so its own share, 0, is nothing to compare with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

OTHER = "(other)"
UNSEEN = "(new)"
TOP = 10
"""Values that are counted one by one."""

MIN_COUNT = 5


def split(values: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
    """Return every other value, and the values between them: neighbours in a file are alike."""
    return values[::2], values[1::2]


def top(values: Iterable[str]) -> list[str]:
    """Return the values of the first half that are counted one by one, the most frequent first."""
    return [value for value, count in Counter(values).most_common(TOP) if count >= MIN_COUNT]


def count(values: Iterable[str], named: Sequence[str], known: Iterable[str]) -> dict[str, int]:
    """Count values: the named ones one by one, other known ones, and unknown ones."""
    each, every = set(named), set(known)
    found = Counter(value if value in each else OTHER if value in every else UNSEEN for value in values)
    return {name: found[name] for name in (*named, OTHER, UNSEEN)}
