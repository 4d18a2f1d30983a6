"""The distribution of a moment: its hours, weekdays and months, each over whole cycles.

`days` is neither compared nor warned of: it exceeds the training data in every live row. Half a week of
live rows differs from the weeks of the training data although nothing has changed: only whole cycles count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from models_store.features.moment import Moment
from prediction.figures import drift
from prediction.figures.drift import Drift

KEY = "cycles"
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
VALUES: dict[str, Sequence[str]] = {
    "hour": [str(hour) for hour in range(24)],
    "weekday": WEEKDAYS,
    "month": [str(month) for month in range(1, 13)],
}
CYCLES = {"hour": timedelta(days=7), "weekday": timedelta(days=7), "month": timedelta(days=365.2425)}
"""Hours differ between the days of a week, so they need whole weeks too."""

QUIET = {"hour": 1, "weekday": 1, "month": 14}
"""Days without rows at the ends of a cycle: a week of a shop may begin on Monday and end on Saturday."""


def profile(feature: Moment, present: list[str]) -> dict[str, Any]:
    """Return `cycles` (counts of each part over whole cycles) and `seen` (the values of each part)."""
    local = _local(feature, present)
    parts = [part for part in feature.parts if part in VALUES]
    return {
        KEY: {part: _count(part, _whole_cycles(local, part)) for part in parts},
        "seen": {part: sorted({_value(part, each) for each in local}) for part in parts},
    }


def _local(feature: Moment, values: Sequence[Any]) -> list[datetime]:
    return [each for each in feature.local([value for value in values if value]) if each is not None]


def _value(part: str, local: datetime) -> str:
    if part == "weekday":
        return WEEKDAYS[local.weekday()]
    return str(getattr(local, part))


def _whole_cycles(local: list[datetime], part: str) -> list[datetime]:
    """Return the rows of the last whole cycles; none if there is no whole cycle."""
    if not local:
        return []
    last, cycle = max(local), CYCLES[part]
    days = last.toordinal() - min(local).toordinal() + 1 + QUIET[part]
    cycles = timedelta(days=days) // cycle
    return [each for each in local if last - each < cycles * cycle]


def _count(part: str, local: list[datetime]) -> dict[str, int]:
    counts = Counter(_value(part, each) for each in local)
    return {value: counts[value] for value in VALUES[part]} if local else {}


def compare(feature: Moment, seen: dict[str, Any], live: list[str], rows: int) -> list[Drift]:
    """Compare each part by chi-squared, if training data and live data span a whole cycle."""
    local, found = _local(feature, live), []
    for part, trained in seen[KEY].items():
        counts = _count(part, _whole_cycles(local, part))
        if trained and counts:
            found.append(drift.chi_squared(f"{feature.name}_{part}", trained, counts))
    return found


def unlike(feature: Moment, seen: dict[str, Any]) -> Callable[[Sequence[Any]], list[tuple[int, str]]]:
    """Make the check of hours, weekdays and months that the training data does not have."""
    known = {part: frozenset(values) for part, values in seen["seen"].items()}

    def check(values: Sequence[Any]) -> list[tuple[int, str]]:
        found = []
        for row, local in enumerate(feature.local(values)):
            gone = [part for part in known if local is not None and _value(part, local) not in known[part]]
            if local is not None and gone:
                words = ", ".join(f"{part} {_value(part, local)}" for part in gone)
                found.append((row, f"{words}: not in the training data"))
        return found

    return check
