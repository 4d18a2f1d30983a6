"""What can be wrong with the parts of a spec. Each function returns every fault that it finds.

It knows plain values only: `spec` declares the parts and raises the error.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any, get_args, get_origin, get_type_hints

from models_store.errors import Detail
from models_store.validation import clip, listing

RESERVED_NAMES = frozenset(
    {
        "assets",
        "dashboard",
        "docs",
        "healthz",
        "livez",
        "metrics",
        "models",
        "readyz",
        "static_content",
        "v2",
    }
)

RESERVED_FEATURES = re.compile(
    "at|label|labelled_at|model|predicted_(class|value|low|high)|prediction_id|probabilities|probability_.*"
    "|refused|version"
)
"""Names of other columns in files of predictions."""


@dataclass(frozen=True)
class Fault:
    """One wrong part of a spec: its place, and what would be right."""

    place: tuple[str, ...]
    words: str

    @property
    def detail(self) -> Detail:
        """The fault as errors list it."""
        return {"loc": list(self.place), "msg": self.words}

    def __str__(self) -> str:
        return f"{'.'.join(self.place)}: {self.words}"


def sentence(found: Sequence[Fault]) -> str:
    """Return all faults as one line, numbered if there are several."""
    if len(found) == 1:
        return str(found[0])
    numbered = [f"({number}) {fault}" for number, fault in enumerate(found, start=1)]
    return f"{len(found)} faults: {'; '.join(numbered)}"


def of_name(name: Any) -> list[Fault]:
    """Check a model's name: it is a part of routes, a folder of the store, and a module."""
    if not isinstance(name, str) or not re.fullmatch(r"[a-z]([a-z0-9_]{0,48}[a-z0-9])?", name):
        words = "use up to 50 lower-case letters, digits and _, a letter first and no _ last"
        return [Fault(("name",), f"{name!r} is no name of a model: {words}")]
    if name in RESERVED_NAMES:
        return [Fault(("name",), f"{name!r} is a route of the service: choose another")]
    return []


def of_texts(**texts: Any) -> list[Fault]:
    """Check texts for people."""
    return [
        Fault((name,), "give a text that is not empty")
        for name, text in texts.items()
        if not isinstance(text, str) or not text.strip()
    ]


def of_split(group: Any, time: Any) -> list[Fault]:
    """Check the columns that say what is held out."""
    named = {name: column for name, column in (("group", group), ("time", time)) if column is not None}
    found = [
        Fault((name,), f"give the name of a column of load(), not {column!r}")
        for name, column in named.items()
        if not isinstance(column, str) or not column
    ]
    return found + [Fault(("time",), "give group= or time=, not both")] * (len(named) == 2)


def of_functions(**functions: Any) -> list[Fault]:
    """Check functions."""
    return [
        Fault((name,), f"give a function, not {type(function).__name__}")
        for name, function in functions.items()
        if not callable(function)
    ]


def of_categories(categories: Sequence[Any]) -> list[str]:
    """Check the categories of a feature."""
    strange = [repr(each) for each in categories if not isinstance(each, str) or not each]
    words = [f"each category is a text that is not empty, not {listing(strange)}"] if strange else []
    return words + of_repeats(categories)


def of_repeats(values: Sequence[Any]) -> list[str]:
    """Check that no value is there twice; `1` and `True` are two values."""
    double = sorted(each for each, times in Counter(map(repr, values)).items() if times > 1)
    return [f"{listing(double)} is there more than once"] if double else []


def of_feature_name(name: str) -> list[str]:
    """Check the name of a feature."""
    taken = bool(RESERVED_FEATURES.fullmatch(name))
    return ["files of predictions have a column of that name"] * taken


def named(annotation: Any) -> str:
    """Return an annotation as it stands in the code."""
    if annotation is None:
        return "a union of several types"
    is_plain = isinstance(annotation, type) and get_origin(annotation) is None
    return f"`{clip(annotation.__name__ if is_plain else str(annotation).replace('typing.', ''))}`"


def of_range(low: Any, high: Any) -> list[str]:
    """Check the physical range of a number."""
    if not (_is_number(low) and _is_number(high)):
        return [f"low and high are finite numbers, not {low!r} and {high!r}"]
    return [f"low is {low!r}, which is above high, {high!r}"] * bool(low > high)


def of_gate(gate: Any, kind: type) -> list[Fault]:
    """Check gate rules: each field has one of its allowed texts, or a number that is not negative."""
    if not isinstance(gate, kind):
        return [Fault(("gate",), f"give {kind.__name__}(...), not {type(gate).__name__}")]
    hints, found = get_type_hints(kind), []
    for field in fields(kind):
        value, allowed = getattr(gate, field.name), get_args(hints[field.name])
        words = _of_rule(value, allowed)
        found += [Fault(("gate", field.name), words)] if words else []
    return found


def _of_rule(value: Any, allowed: tuple[Any, ...]) -> str:
    if allowed:
        return "" if value in allowed else f"{value!r} is unknown: give one of {listing(allowed)}"
    return "" if _is_number(value) and value >= 0 else f"give a number from 0 on, not {value!r}"


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
