"""The distribution of a category: its counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from models_store.features.category import Category
from models_store.validation import MAX_NAMES, clip, listing
from prediction.figures import drift
from prediction.figures.drift import Drift
from prediction.figures.features import halves

KEY = "counts"
MAX_KNOWN = 50_000
"""Values of an open category that are kept, the most frequent first; others count as new."""


def profile(feature: Category, present: list[str]) -> dict[str, Any]:
    """Return `counts`, with zeros.

    An open category also has `first`, the values of one half of the rows, and `expected`, the counts of
    the other half by them.
    """
    counts = Counter(present)
    if not feature.open:
        return {KEY: {name: counts[name] for name in feature.categories}}
    first, second = halves.split(present)
    known = dict(Counter(first).most_common(MAX_KNOWN))
    named = halves.top(first)
    return {
        KEY: dict(counts.most_common(MAX_KNOWN)),
        "first": list(known),
        "expected": halves.count(second, named, known),
    }


def compare(feature: Category, seen: dict[str, Any], live: list[str], rows: int) -> list[Drift]:
    """Compare counts by chi-squared; new values are compared with how many were to be expected."""
    expected = seen.get("expected")
    if expected is None:
        return [drift.chi_squared(feature.name, seen[KEY], Counter(live))]
    named = [name for name in expected if name not in (halves.OTHER, halves.UNSEEN)]
    return [drift.chi_squared(feature.name, expected, halves.count(live, named, seen["first"]))]


def unlike(feature: Category, seen: dict[str, Any]) -> Callable[[Sequence[Any]], list[tuple[int, str]]]:
    """Make the check of categories that the training data does not have."""
    known = frozenset(name for name, count in seen[KEY].items() if count)
    words = listing(sorted(known)) if len(known) <= MAX_NAMES else f"which has {len(known):,} others"

    def check(values: Sequence[Any]) -> list[tuple[int, str]]:
        found = []  # a loop, because a comprehension takes longer for one row
        for row, value in enumerate(values):
            if value is not None and value not in known:
                found.append((row, f"{clip(value)} is not in the training data ({words})"))
        return found

    return check
