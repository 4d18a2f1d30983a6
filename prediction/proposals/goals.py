"""The column that a model shall predict: classes or a quantity, and the labels."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from models_store.errors import InvalidInput
from models_store.targets.classes import Classes
from models_store.targets.kinds import Target
from models_store.targets.labels import MAX_INTEGER, MAX_LABEL
from models_store.targets.quantity import Quantity
from prediction.proposals import names, ranges
from prediction.proposals.kinds import Read

MAX_INTEGERS = 10
"""Integers of at most so many different values are classes."""

ROWS_A_CLASS = 10
"""On average, for integers to be classes."""

MAX_CLASSES = 100
YES = frozenset({"yes", "y", "true", "1"})


@dataclass(frozen=True)
class Goal:
    """A target and its labels.

    Parameters
    ----------
    labels
        Of each row; None where the table has none.
    words
        What was decided, and the option that says otherwise.
    """

    target: Target
    labels: list[Any]
    words: str
    notes: list[str] = field(default_factory=list)


def find(header: str, found: Read, wish: str | None) -> Goal:
    """Choose the kind of target of a column.

    Parameters
    ----------
    wish
        `classes` or `quantity`, if the user has said it.

    Raises
    ------
    InvalidInput
        When the column can be no target.
    """
    present = [value for value in found.values if value is not None]
    if not present:
        raise InvalidInput(f"{header} has no values: name another column by --target")
    if found.kind in ("moment", "other"):
        kind = "times" if found.kind == "moment" else found.notes[0]
        raise InvalidInput(f"{header} can be no target: {kind}: name a column of classes or numbers")
    is_number = found.kind in ("number", "integer")
    if wish == "quantity" and not is_number:
        raise InvalidInput(f"{header} holds no numbers: leave out --as quantity")
    if wish == "quantity" or (wish is None and is_number and not _few(present)):
        return _quantity(header, found, present)
    return _classes(header, found, present)


def _few(present: list[Any]) -> bool:
    whole = all(float(value).is_integer() for value in present)
    different = len(set(present))
    return whole and (
        different == 2 or (different <= MAX_INTEGERS and len(present) >= ROWS_A_CLASS * different)
    )


def _quantity(header: str, found: Read, present: list[Any]) -> Goal:
    low, high = ranges.guess(present)
    if min(present) == max(present):
        raise InvalidInput(f"{header} is {present[0]:g} in each row: there is nothing to learn")
    target = Quantity(names.description(header, "target"), names.unit(header), low, high)
    words = f"{header} is a quantity, {min(present):g} to {max(present):g}: say --as classes for classes"
    return Goal(target, [None if value is None else float(value) for value in found.values], words)


def _classes(header: str, found: Read, present: list[Any]) -> Goal:
    labels, is_plain = found.values, True
    if found.kind in ("number", "integer"):
        is_plain = all(float(value).is_integer() and abs(value) <= MAX_INTEGER for value in present)
        convert: Any = int if is_plain else str
        labels = [None if value is None else convert(value) for value in labels]
    counts = Counter(label for label in labels if label is not None)
    _demand(header, counts)
    ordered = sorted(counts)
    target = Classes(tuple(ordered), _positive(counts))
    otherwise = (
        ": say --as quantity for a number" if found.kind in ("number", "integer") and is_plain else ""
    )
    shown = ", ".join(f"{label} ({counts[label]:,})" for label in ordered[:6])
    more = f" and {len(ordered) - 6} more" if len(ordered) > 6 else ""
    notes = [f"the class {label} has only one row" for label in ordered if counts[label] == 1]
    return Goal(target, labels, f"{header} has {len(ordered)} classes: {shown}{more}{otherwise}", notes)


def _demand(header: str, counts: Counter[Any]) -> None:
    rows = sum(counts.values())
    if len(counts) == 1:
        raise InvalidInput(f"{header} has one class, {next(iter(counts))}: there is nothing to learn")
    if len(counts) > MAX_CLASSES or (len(counts) > 2 and 2 * len(counts) > rows):
        seen = f"{len(counts):,} different values in {rows:,} rows"
        raise InvalidInput(f"{header} has {seen}: a class needs several rows: name another column")
    long = [label for label in counts if isinstance(label, str) and len(label) > MAX_LABEL]
    if long:
        raise InvalidInput(
            f"{header}: {long[0][:30]}… is longer than {MAX_LABEL} characters: it is no class"
        )


def _positive(counts: Counter[Any]) -> Any:
    """Return the class that people look for, if the names of two classes say which."""
    if len(counts) != 2:
        return None
    found = [label for label in counts if str(label).lower() in YES]
    return found[0] if len(found) == 1 else None
