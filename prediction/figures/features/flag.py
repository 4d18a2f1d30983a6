"""The distribution of a boolean: its counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from models_store.features.flag import Flag
from prediction.figures import drift
from prediction.figures.drift import Drift

KEY = "counts"
WORDS = {True: "true", False: "false"}


def profile(feature: Flag, present: list[bool]) -> dict[str, Any]:
    """Return `counts`, with zeros."""
    return {KEY: {words: present.count(value) for value, words in WORDS.items()}}


def compare(feature: Flag, seen: dict[str, Any], live: list[bool], rows: int) -> list[Drift]:
    """Compare counts by chi-squared."""
    counts = Counter(WORDS.get(value, str(value)) for value in live)
    return [drift.chi_squared(feature.name, seen[KEY], counts)]


def unlike(feature: Flag, seen: dict[str, Any]) -> Callable[[Sequence[Any]], list[tuple[int, str]]]:
    """Make the check of a value that the training data does not have."""
    gone = {value for value, words in WORDS.items() if not seen[KEY][words]}

    def check(values: Sequence[Any]) -> list[tuple[int, str]]:
        return [
            (row, f"{WORDS[value]} is not in the training data")
            for row, value in enumerate(values)
            if value is not None and value in gone
        ]

    return check
