"""The rows that a model learns from: the spec's dataset and labelled predictions, split into parts.

`splits.py` has the rules of the split.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from models_store import blocks, failures
from models_store.errors import InvalidInput, InvalidSpec
from models_store.spec import Columns, Spec
from models_store.validation import listing
from prediction.retraining import fingerprints, splits
from prediction.retraining.splits import HOLDOUT_SHARE, Point, Ranked, Split

if TYPE_CHECKING:
    import pandas as pd

FEEDBACK_SHARE = 1.0


@dataclass(frozen=True)
class Example:
    """A labelled prediction, as training sees it; `at_us` is the time of the prediction."""

    prediction_id: str
    features: dict[str, Any]
    label: str
    at_us: int = 0


@dataclass(frozen=True)
class Dataset:
    """Labelled rows and their parts. The parts are lists of row numbers; no row is in two of them.

    Parameters
    ----------
    own_rows
        How many rows are of the spec's dataset. They are the first ones; the others are examples.
    training, weights
        The rows to fit on, and the weight of each.
    holdout
        Rows of the spec's dataset that are never trained on. Feedback does not change them.
    feedback_holdout
        Examples that are never trained on.
    repeated
        How many examples are in no part, because they repeat a row that is known.
    known
        Held-out rows that another version may have been trained on, so that they can't judge it.
    split
        How the parts were made.
    keys
        Of each row: rows with the same key have equal features, or are of one group. They stay together.
    digest, training_digest, holdout_digest
        SHA-256 of all rows and labels, of those to fit on with their weights, and of `holdout`.
    """

    columns: Columns
    labels: list[str]
    own_rows: int
    training: list[int]
    weights: list[float]
    holdout: list[int]
    feedback_holdout: list[int]
    repeated: int
    known: frozenset[int]
    split: Split
    keys: list[str]
    digest: str
    training_digest: str
    holdout_digest: str

    def part(self, rows: Sequence[int]) -> tuple[Columns, list[str]]:
        """Return the columns and labels of some rows."""
        return blocks.taken(self.columns, rows), [self.labels[row] for row in rows]

    def count(self) -> dict[str, int]:
        """Count the rows of each part."""
        learnt = sum(row >= self.own_rows for row in self.training)
        return {
            "training": len(self.training),
            "of_feedback": learnt,
            "holdout": len(self.holdout),
            "feedback_holdout": len(self.feedback_holdout),
            "repeated": self.repeated,
        }


def load(
    spec: Spec,
    examples: Sequence[Example] = (),
    learn: bool = True,
    judged: Split | Ranked | None = None,
) -> Dataset:
    """Load a spec's dataset, add examples to it, and split both.

    An example with the features of a held-out row is not trained on. An example that repeats the
    features and the label of another row is used once. All examples together weigh at most
    `FEEDBACK_SHARE` times the dataset's training rows: each weighs
    min(1, FEEDBACK_SHARE * dataset rows / examples).

    Parameters
    ----------
    learn
        Whether to learn from the examples. Those that are held out judge in any case.
    judged
        How the rows of the version were split with which the new one will be compared: `known` is
        then what it may have been trained on.

    Raises
    ------
    InvalidSpec
        When the dataset can't be read, or does not match the spec.
    """
    columns, labels, frame = _own_rows(spec)
    own = len(labels)
    hashes = fingerprints.of(columns)
    split, holdout = _split_own(spec, frame, hashes, labels)
    held = set(holdout)
    training = [row for row in range(own) if row not in held]
    proven = _proven(judged, frame, columns, hashes, labels)
    added = {name: [example.features.get(name) for example in examples] for name in columns}
    columns, labels = blocks.joined(columns, added), [*labels, *(example.label for example in examples)]
    hashes += fingerprints.of(added)
    split = _cut_examples(split, examples)
    rows = _Examples(spec, examples, hashes[own:], own)
    feedback_holdout, learnt = _split_examples(rows, split, hashes, labels, holdout)
    repeated = len(examples) - len(feedback_holdout) - len(learnt)
    if not learn:
        learnt, split = [], replace(split, feedback_cut_us=None)
    weight = min(1.0, FEEDBACK_SHARE * len(training) / len(learnt)) if learnt else 0.0
    fitted, weights = training + learnt, [1.0] * len(training) + [weight] * len(learnt)
    return Dataset(
        columns=columns,
        labels=labels,
        own_rows=own,
        training=fitted,
        weights=weights,
        holdout=holdout,
        feedback_holdout=feedback_holdout,
        repeated=repeated,
        known=frozenset(held.difference(proven)) | rows.trained_on(judged, feedback_holdout),
        split=split,
        keys=_keys(split, frame, hashes) + rows.keys(split),
        digest=splits.digest(splits.lines(hashes, labels, range(len(labels) if learn else own))),
        training_digest=splits.digest(splits.lines(hashes, labels, fitted, weights)),
        holdout_digest=splits.digest(sorted(splits.lines(hashes, labels, holdout))),
    )


def _own_rows(spec: Spec) -> tuple[Columns, list[str], pd.DataFrame]:
    """Load a spec's columns, labels and frame, and validate each row as the service validates requests."""
    X, y = loaded(spec)
    columns: Columns = spec.columns_of(X)
    try:
        if not spec.is_plain(X):
            columns = _validated(spec, columns)
        return columns, spec.target.read(y), X
    except InvalidSpec as error:
        raise InvalidSpec(f"{spec.name}: {error}") from error


def _validated(spec: Spec, columns: Columns) -> Columns:
    """Return valid columns; equal ones stay as loaded, because earlier releases hashed them so."""
    found: dict[str, list[Any]] = {}
    for start, part in blocks.of(columns):
        rows = []
        for number, values in enumerate(zip(*part.values(), strict=True), start=start):
            try:
                rows.append(spec.rows.object(dict(zip(part, values, strict=True))))
            except InvalidInput as error:
                place, words = error.detail[0]["loc"][0], error.detail[0]["msg"]
                raise InvalidSpec(f"row {number} of load(): {place} {words}") from error
        for name, valid in spec.columns(rows).items():
            if name not in found and valid != part[name]:
                found[name] = [*columns[name][:start]]
            if name in found:
                found[name] += valid
    return {**columns, **found}


def _split_own(
    spec: Spec, frame: pd.DataFrame, hashes: list[str], labels: list[str]
) -> tuple[Split, list[int]]:
    """Split the rows of the dataset; return also the numbers of those that are held out."""
    rule, column = splits.rule_of(spec)
    try:
        points = splits.points(rule, frame[column] if column else None, hashes)
    except InvalidSpec as error:
        raise InvalidSpec(f"{spec.name}: {error}, and Spec({rule}=) names it") from error
    split = splits.make(rule, column, points, [str(each) for each in spec.target.strata(labels)])
    return split, _held(split, points)


def _cut_examples(split: Split, examples: Sequence[Example]) -> Split:
    """By the rule `time`, predictions have a cut of their own: they are later than the dataset."""
    if split.rule != "time" or not examples:
        return split
    return replace(split, feedback_cut_us=int(splits.latest_quarter(item.at_us for item in examples)))


def _held_by(split: Split, frame: pd.DataFrame, hashes: list[str]) -> list[int]:
    """Return the numbers of the dataset's rows that a split holds out."""
    return _held(split, splits.points(split.rule, frame[split.column] if split.column else None, hashes))


def _held(split: Split, points: Sequence[Point]) -> list[int]:
    return [row for row, point in enumerate(points) if split.holds(point)]


def _keys(split: Split, frame: pd.DataFrame, hashes: list[str]) -> list[str]:
    """Return the key of each row of the dataset."""
    own = hashes[: len(frame)]
    if split.rule != "group":
        return own
    return [point.key for point in splits.points(split.rule, frame[split.column], own)]


def _proven(
    judged: Split | Ranked | None,
    frame: pd.DataFrame,
    columns: Columns,
    hashes: list[str],
    labels: list[str],
) -> Iterable[int]:
    """Return the numbers of the dataset's rows that the version to compare with was not trained on."""
    if judged is None:
        return range(len(labels))
    if isinstance(judged, Ranked):
        proven = judged.proves(fingerprints.plain(columns), labels)
        return {row for row, is_proven in enumerate(proven) if is_proven}
    if judged.column and judged.column not in frame.columns:
        return set()
    try:
        return set(_held_by(judged, frame, hashes))
    except InvalidSpec:  # the column holds something else now
        return set()


@dataclass(frozen=True)
class _Examples:
    """Examples, the hashes of their features, and the row number of the first."""

    spec: Spec
    items: Sequence[Example]
    hashes: Sequence[str]
    first: int

    def held_by(self, split: Split) -> set[int]:
        """Return the row numbers of the examples that a split holds out."""
        if split.rule == "time":
            cut = split.feedback_cut_us
            held = [cut is None or example.at_us >= cut for example in self.items]
        else:
            held = [split.holds(point) for point in self._points(split)]
        return {row for row, is_held in enumerate(held, start=self.first) if is_held}

    def keys(self, split: Split) -> list[str]:
        """Return the key of each example."""
        return [point.key for point in self._points(split)]

    def _points(self, split: Split) -> list[Point]:
        """Return where examples stand: by their group if it is a feature, else by their features."""
        if split.rule != "group" or split.column not in self.spec.inputs:
            return [splits.hashed(row) for row in self.hashes]
        groups = [example.features.get(split.column) for example in self.items]
        return [
            splits.hashed(row if group is None else splits.group_key(group))
            for group, row in zip(groups, self.hashes, strict=True)
        ]

    def trained_on(self, judged: Split | Ranked | None, rows: Sequence[int]) -> set[int]:
        """Return those of some examples that the version to compare with may have been trained on."""
        if judged is None:
            return set()
        if isinstance(judged, Split):
            return set(rows) - self.held_by(judged)
        # Earlier releases drew a number for each id.
        learnt = {
            row
            for row, example in zip(self.hashes, self.items, strict=True)
            if hashlib.sha256(example.prediction_id.encode()).digest()[0] / 256 >= HOLDOUT_SHARE
        }
        return {row for row in rows if self.hashes[row - self.first] in learnt}


def loaded(spec: Spec) -> tuple[Any, Any]:
    """Call `load()`, and check that it returns a frame of the features and as many labels."""
    remedy = "it must return rows and labels, each time the same"
    with failures.blamed(spec.name, "load()", spec.load, remedy):
        found = spec.load()
    fault = _fault(spec, found)
    if fault:
        raise InvalidSpec(f"{spec.name}: load() returns {fault}")
    return found


def _fault(spec: Spec, found: Any) -> str:
    import pandas as pd

    if not isinstance(found, tuple | list) or len(found) != 2:
        return f"{type(found).__name__}: return two things, the rows and their labels"
    X, y = found
    if not isinstance(X, pd.DataFrame):
        return f"rows as {type(X).__name__}: return a pandas DataFrame with a column for each feature"
    if isinstance(y, str) or not hasattr(y, "__len__"):
        return f"labels as {type(y).__name__}: return a label for each row, as a pandas Series or a list"
    _, named = splits.rule_of(spec)
    lacking = [name for name in [*spec.inputs, named] if name and name not in X.columns]
    if lacking:
        return f"a frame that lacks the columns {listing(lacking)}"
    double = [name for name in spec.inputs if list(X.columns).count(name) > 1]
    if double:
        return f"a frame that has the columns {listing(double)} more than once"
    if len(X) != len(y):
        return f"{len(X)} rows and {len(y)} labels: return a label for each row"
    return "" if len(X) else "no rows"


def _split_examples(
    examples: _Examples, split: Split, hashes: list[str], labels: list[str], holdout: list[int]
) -> tuple[list[int], list[int]]:
    """Return the row numbers of the examples to hold out, and of those to learn from."""
    out = examples.held_by(split)
    every = range(examples.first, len(labels))
    held = _once([row for row in every if row in out], hashes, labels, set())
    never = {hashes[row] for row in [*holdout, *held]}
    known = range(examples.first if examples.items else 0)
    seen = {(hashes[row], labels[row]) for row in known}
    learnt = _once([row for row in every if row not in out], hashes, labels, seen)
    return held, [row for row in learnt if hashes[row] not in never]


def _once(rows: list[int], hashes: list[str], labels: list[str], seen: set[tuple[str, str]]) -> list[int]:
    """Leave out rows whose features and label are in `seen` or in a row before."""
    chosen = []
    for row in rows:
        key = hashes[row], labels[row]
        if key not in seen:
            seen.add(key)
            chosen.append(row)
    return chosen
