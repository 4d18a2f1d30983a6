"""The distribution of a category: its counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from models_store.features.category import Category
from models_store.validation import clip, listing
from prediction.figures import drift
from prediction.figures.drift import Drift

KEY = "counts"


def profile(feature: Category, present: list[str]) -> dict[str, Any]:
    """Return `counts`, with zeros."""
    counts = Counter(present)
    return {KEY: {name: counts[name] for name in feature.categories}}


def compare(feature: Category, seen: dict[str, Any], live: list[str], rows: int) -> list[Drift]:
    """Compare counts by chi-squared."""
    return [drift.chi_squared(feature.name, seen[KEY], Counter(live))]


def unlike(feature: Category, seen: dict[str, Any]) -> Callable[[Sequence[Any]], list[tuple[int, str]]]:
    """Make the check of categories that the training data does not have."""
    known = frozenset(name for name, count in seen[KEY].items() if count)
    words = listing(sorted(known))

    def check(values: Sequence[Any]) -> list[tuple[int, str]]:
        return [
            (row, f"{clip(value)} is not in the training data ({words})")
            for row, value in enumerate(values)
            if value is not None and value not in known
        ]

    return check
