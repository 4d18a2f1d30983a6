"""Which rows are held out: by a hash of each row or of its group, or by time. It loads nothing.

A version notes how its rows were split, so that it is never judged on rows that it was trained on.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from models_store.errors import InvalidSpec
from models_store.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

HOLDOUT_SHARE = 0.25

Rule = Literal["hash", "group", "time"]


class Point(NamedTuple):
    """Where a row stands. Rows with the same key stay together; `at` is compared with the cut."""

    key: str
    at: float


@dataclass(frozen=True)
class Split:
    """How the rows of a version were split.

    Parameters
    ----------
    rule
        `hash`: by the features of a row; `group` and `time`: by a column of the dataset.
    column
        Its name; "" for the rule `hash`.
    cut
        A hash below it is held out, and a time from it on.
    trained, held
        Keys that are on the other side than the cut says: otherwise a class would have no row to learn
        from, or none to judge by.
    feedback_cut_us
        For the rule `time`: predictions from then on were held out. None if none were learnt from.
    """

    rule: Rule
    column: str
    cut: float
    trained: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    feedback_cut_us: int | None = None

    def holds(self, point: Point) -> bool:
        """Return whether a row is held out."""
        if point.key in self.trained:
            return False
        return point.key in self.held or self.cuts(point.at)

    def cuts(self, at: float) -> bool:
        """Return whether a row is held out if nothing depends on its class."""
        return at >= self.cut if self.rule == "time" else at < self.cut

    def as_note(self) -> dict[str, Any]:
        """Return it as plain values, for the metadata of a version."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }


@dataclass(frozen=True)
class Ranked:
    """How earlier releases split: they held out the quarter of each class with the smallest hashes.

    Where that cut was depends on the rows of that day. But the golden requests of a version are rows
    that it held out, and so it held out every row of their class with a smaller hash.

    Parameters
    ----------
    golden
        The hashes of the golden requests, as `plain_hashes` makes them.
    """

    golden: frozenset[str]

    def proves(self, hashes: Sequence[str], labels: Sequence[str]) -> list[bool]:
        """Return for each row whether it certainly was not trained on."""
        classes = defaultdict[str, set[str]](set)
        for row, label in zip(hashes, labels, strict=True):
            classes[row].add(label)
        largest: dict[str, str] = {}
        for row in sorted(self.golden & classes.keys()):
            if len(classes[row]) == 1:  # else it may have been held out for the sake of another class
                largest[min(classes[row])] = row
        return [
            row in self.golden or all(row <= largest.get(label, "") for label in classes[row])
            for row in hashes
        ]


def read_note(note: dict[str, Any]) -> Split:
    """Return what `Split.as_note` wrote."""
    lists = {name: tuple(note.get(name, ())) for name in ("trained", "held")}
    return Split(**{"column": "", **note, **lists})


def rule_of(spec: Spec) -> tuple[Rule, str]:
    """Return the rule that a spec asks for, and its column."""
    if spec.group is not None:
        return "group", spec.group
    return ("time", spec.time) if spec.time is not None else ("hash", "")


def points(rule: Rule, values: pd.Series | None, hashes: Sequence[str]) -> list[Point]:
    """Return where each row stands.

    Parameters
    ----------
    values
        The column that the rule names; None for the rule `hash`.
    hashes
        Of the features of each row. A row without a group is a group of its own.

    Raises
    ------
    InvalidSpec
        When the column does not hold times.
    """
    if values is None:
        return [hashed(row) for row in hashes]
    if rule == "time":
        return [Point(repr(moment), moment) for moment in _moments(values)]
    return [
        hashed(row if gone else group_key(value))
        for value, gone, row in zip(values.tolist(), values.isna(), hashes, strict=True)
    ]


def hashed(key: str) -> Point:
    """Return where a hash stands, between 0 and 1."""
    return Point(key, int(key[:13], 16) / 16**13)


def group_key(value: Any) -> str:
    """Return the hash of a group's name. 7 and 7.0 are one group: a gap in a column makes floats of it."""
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    return hashlib.sha256(json.dumps(whole, default=str).encode()).hexdigest()


def _moments(values: pd.Series) -> list[float]:
    """Read times: numbers as they are; dates and ISO texts as microseconds since 1970, UTC if no zone."""
    import pandas as pd

    missing = values.isna()
    if missing.any():
        raise InvalidSpec(f"row {int(missing.to_numpy().argmax())} of load(): {values.name} is missing")
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        return [float(value) for value in values.tolist()]
    try:
        read = pd.to_datetime(values, utc=True, format="ISO8601")
    except (ValueError, TypeError) as error:
        words = "must be numbers, dates, or texts such as 2026-01-31T12:00:00Z"
        raise InvalidSpec(f"load(): the values of {values.name} {words}") from error
    return [float(value) for value in read.dt.as_unit("us").astype("int64").tolist()]


def latest_quarter(moments: Iterable[float]) -> float:
    """Return the time from which rows are held out: at most a quarter of them, but the latest moment.

    If all are of one moment, none is held out.
    """
    ordered = sorted(moments)
    if not ordered or ordered[0] == ordered[-1]:
        return (ordered[-1] if ordered else 0.0) + 1
    place = len(ordered) - max(1, int(len(ordered) * HOLDOUT_SHARE))
    first = ordered[place]
    if first > ordered[place - 1]:
        return first
    return next((moment for moment in ordered[place:] if moment > first), first)


def make(rule: Rule, column: str, rows: Sequence[Point], labels: Sequence[str]) -> Split:
    """Split rows. At least one row of each class is trained on; where possible, some are held out.

    The side of a row depends on the row alone (or on its group), with the exceptions in `Split.trained`
    and `Split.held`: if all rows of a class are on one side, the one nearest to the cut changes side.
    The rule `time` holds out no row that is earlier than the cut.
    """
    cut = latest_quarter(row.at for row in rows) if rule == "time" else HOLDOUT_SHARE
    split = Split(rule, column, cut)
    keys_of = defaultdict[str, dict[str, float]](dict)
    for row, label in zip(rows, labels, strict=True):
        keys_of[label][row.key] = row.at
    out = {row.key for row in rows if split.cuts(row.at)}
    held = [] if rule == "time" else _hold(keys_of, out)
    trained = []
    for label in sorted(keys_of):
        keys = keys_of[label]
        if keys.keys() <= out:
            nearest = min(keys, key=keys.__getitem__) if rule == "time" else max(keys, key=keys.__getitem__)
            out.remove(nearest)
            trained.append(nearest)
    return Split(rule, column, cut, tuple(trained), tuple(held))


def _hold(keys_of: dict[str, dict[str, float]], out: set[str]) -> list[str]:
    """Hold out one more key for each class that has none out, if every class keeps one to learn from."""
    held = []
    for label in sorted(keys_of):
        keys = keys_of[label]
        if not out.isdisjoint(keys):
            continue
        for key in sorted(keys, key=keys.__getitem__):
            classes = [others for others in keys_of.values() if key in others]
            if all(len(others.keys() - out) > 1 for others in classes):
                out.add(key)
                held.append(key)
                break
    return held


def digest(lines: Iterable[str]) -> str:
    """Return the SHA-256 of lines, which are too many to be joined into one text."""
    found, before = hashlib.sha256(), ""
    for line in lines:
        found.update(f"{before}{line}".encode())
        before = "\n"
    return found.hexdigest()


def lines(
    hashes: Sequence[str],
    labels: Sequence[str],
    rows: Iterable[int],
    weights: Sequence[float] | None = None,
) -> Iterator[str]:
    """Write rows as lines to be digested: the hash of the features, the label, and the weight if given."""
    if weights is None:
        return (f"{hashes[row]} {labels[row]}" for row in rows)
    pairs = zip(rows, weights, strict=True)
    return (f"{hashes[row]} {labels[row]} {weight}" for row, weight in pairs)
