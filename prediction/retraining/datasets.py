"""The rows that a model learns from: the spec's dataset and labelled predictions, split into parts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models_store.errors import InvalidInput, InvalidSpec
from models_store.spec import Columns, Spec

HOLDOUT_SHARE = 0.25
FEEDBACK_SHARE = 1.0


@dataclass(frozen=True)
class Example:
    """A labelled prediction, as training sees it."""

    prediction_id: str
    features: dict[str, Any]
    label: str


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
    digest
        SHA-256 of all rows and labels.
    """

    columns: Columns
    labels: list[str]
    own_rows: int
    training: list[int]
    weights: list[float]
    holdout: list[int]
    feedback_holdout: list[int]
    digest: str

    def part(self, rows: Sequence[int]) -> tuple[Columns, list[str]]:
        """Return the columns and labels of some rows."""
        columns = {name: [values[row] for row in rows] for name, values in self.columns.items()}
        return columns, [self.labels[row] for row in rows]

    def count(self) -> dict[str, int]:
        """Count the rows of each part."""
        learnt = sum(row >= self.own_rows for row in self.training)
        return {
            "training": len(self.training),
            "of_feedback": learnt,
            "holdout": len(self.holdout),
            "feedback_holdout": len(self.feedback_holdout),
        }


def load(spec: Spec, examples: Sequence[Example] = ()) -> Dataset:
    """Load a spec's dataset, add examples to it, and split both.

    An example with the features of a held-out row is not trained on. An example that repeats the
    features and the label of another row is used once. All examples together weigh at most
    `FEEDBACK_SHARE` times the dataset's training rows: each weighs
    min(1, FEEDBACK_SHARE * dataset rows / examples).

    Raises
    ------
    InvalidSpec
        When the dataset can't be read, or does not match the spec.
    """
    columns, labels = _own_rows(spec)
    hashes = _row_hashes(columns)
    own = len(labels)
    holdout = _holdout(hashes, labels)
    training = sorted(set(range(own)) - set(holdout))
    for example in examples:
        labels.append(example.label)
        for name in columns:
            columns[name].append(example.features.get(name))
    hashes += _row_hashes({name: values[own:] for name, values in columns.items()})
    feedback_holdout, learnt = _split_examples(examples, hashes, labels, own, holdout)
    weight = min(1.0, FEEDBACK_SHARE * len(training) / len(learnt)) if learnt else 0.0
    lines = "\n".join(f"{row} {label}" for row, label in zip(hashes, labels, strict=True))
    return Dataset(
        columns=columns,
        labels=labels,
        own_rows=own,
        training=training + learnt,
        weights=[1.0] * len(training) + [weight] * len(learnt),
        holdout=holdout,
        feedback_holdout=feedback_holdout,
        digest=hashlib.sha256(lines.encode()).hexdigest(),
    )


def _own_rows(spec: Spec) -> tuple[Columns, list[str]]:
    """Load a spec's dataset as columns, and validate each row as the service validates requests."""
    try:
        X, y = spec.load()
    except OSError as error:
        raise InvalidSpec(f"{spec.name}: load() can't read its data: {error}") from error
    lacking = [name for name in spec.inputs if name not in X.columns]
    if lacking:
        raise InvalidSpec(f"{spec.name}: the frame of load() lacks the columns {', '.join(lacking)}")
    if len(X) != len(y):
        raise InvalidSpec(f"{spec.name}: load() returns {len(X)} rows and {len(y)} labels")
    columns = spec.columns_of(X)
    rows = []
    for number, values in enumerate(zip(*columns.values(), strict=True)):
        try:
            rows.append(spec.rows.object(dict(zip(columns, values, strict=True))))
        except InvalidInput as error:
            place, words = error.detail[0]["loc"][0], error.detail[0]["msg"]
            raise InvalidSpec(f"{spec.name}: row {number} of load(): {place} {words}") from error
    try:
        return spec.columns(rows), spec.target.read(y)
    except InvalidSpec as error:
        raise InvalidSpec(f"{spec.name}: {error}") from error


def _split_examples(
    examples: Sequence[Example], hashes: list[str], labels: list[str], own: int, holdout: list[int]
) -> tuple[list[int], list[int]]:
    """Return the row numbers of the examples to hold out, and of those to learn from."""
    held: list[int] = []
    learnt: list[int] = []
    for row, example in enumerate(examples, start=own):
        draw = hashlib.sha256(example.prediction_id.encode()).digest()[0] / 256
        (held if draw < HOLDOUT_SHARE else learnt).append(row)
    held = _once(held, hashes, labels, set())
    never = {hashes[row] for row in [*holdout, *held]}
    seen = {(hashes[row], labels[row]) for row in range(own)}
    return held, [row for row in _once(learnt, hashes, labels, seen) if hashes[row] not in never]


def _once(rows: list[int], hashes: list[str], labels: list[str], seen: set[tuple[str, str]]) -> list[int]:
    """Leave out rows whose features and label are in `seen` or in a row before."""
    chosen = []
    for row in rows:
        key = hashes[row], labels[row]
        if key not in seen:
            seen.add(key)
            chosen.append(row)
    return chosen


def _row_hashes(columns: Columns) -> list[str]:
    rows = zip(*columns.values(), strict=True)
    return [hashlib.sha256(json.dumps(row).encode()).hexdigest() for row in rows]


def _holdout(hashes: list[str], labels: list[str]) -> list[int]:
    """Choose, in each class, the `HOLDOUT_SHARE` of rows with the smallest hashes.

    The choice depends only on the rows, not on the seed. Rows with the same features go together, so
    no held-out row has a copy that was trained on.
    """
    chosen: set[str] = set()
    for name in sorted(set(labels)):
        of_class = sorted(row for row, label in zip(hashes, labels, strict=True) if label == name)
        chosen.update(of_class[: round(len(of_class) * HOLDOUT_SHARE)])
    return [row for row, digest in enumerate(hashes) if digest in chosen]
