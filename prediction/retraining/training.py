"""From a spec to a version: load, split, fit, evaluate, compile, save. Promotes nothing."""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version as package_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models_store import compiled, store
from models_store.errors import InvalidInput, InvalidSpec
from models_store.spec import Columns, Spec
from prediction.figures import drift, scores

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin

HOLDOUT_SHARE = 0.25
FEEDBACK_SHARE = 1.0
GOLDEN_ROWS_A_CLASS = 4
PACKAGES = ("scikit-learn", "numpy", "pandas", "skl2onnx", "onnxruntime", "bentoml")

Report = Callable[[str], None]
"""Told the name of each step as it begins."""


def ignore(_step: str) -> None:
    """Report to nobody."""


@dataclass(frozen=True)
class Labelled:
    """One outcome as training sees it."""

    prediction_id: str
    features: dict[str, Any]
    label: str


@dataclass(frozen=True)
class Dataset:
    """Labelled rows and their parts, given as row numbers; no row is in two.

    Parameters
    ----------
    own_rows
        How many rows, the first ones, are of the spec's dataset; the others are outcomes.
    training, weights
        What is fitted, and the weight of each of these rows.
    holdout
        Rows of the spec's dataset that are never trained on; feedback does not touch them.
    feedback_holdout
        Outcomes that are never trained on.
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


@dataclass(frozen=True)
class Candidate:
    """A fitted pipeline with all that its version will hold."""

    spec: Spec
    dataset: Dataset
    pipeline: ClassifierMixin
    metrics: scores.Metrics
    compiled: compiled.Compiled
    seed: int
    seconds: float

    @property
    def runtime(self) -> str:
        """What will serve it."""
        return "onnx" if self.compiled.onnx is not None else "scikit-learn"


def load_dataset(spec: Spec, outcomes: Sequence[Labelled] = ()) -> Dataset:
    """Load a spec's dataset, add outcomes to it, and split both.

    An outcome with the features of a held-out row is not trained on, and one that repeats features
    and label of another row is taken once. However many outcomes there are, they weigh together at
    most `FEEDBACK_SHARE` times the dataset's training rows: each weighs
    min(1, FEEDBACK_SHARE * dataset rows / outcomes). Where an estimator takes no weights, so many of
    them are drawn.

    Raises
    ------
    InvalidSpec
        When the dataset can't be read, or is not what the spec says.
    """
    columns, labels = _own_rows(spec)
    hashes = _row_hashes(columns)
    own = len(labels)
    holdout = _holdout(hashes, labels)
    training = sorted(set(range(own)) - set(holdout))
    for outcome in outcomes:
        labels.append(outcome.label)
        for name in columns:
            columns[name].append(outcome.features.get(name))
    hashes += _row_hashes({name: values[own:] for name, values in columns.items()})
    feedback_holdout, learnt = _split_outcomes(outcomes, hashes, labels, own, holdout)
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
    """Load a spec's dataset, and hold each row against the schema, as the service does with requests."""
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
    for number, values in enumerate(zip(*columns.values(), strict=True)):
        try:
            spec.rows.object(dict(zip(columns, values, strict=True)))
        except InvalidInput as error:
            place, words = error.detail[0]["loc"][0], error.detail[0]["msg"]
            raise InvalidSpec(f"{spec.name}: row {number} of load(): {place} {words}") from error
    return columns, [str(label) for label in y]


def _split_outcomes(
    outcomes: Sequence[Labelled], hashes: list[str], labels: list[str], own: int, holdout: list[int]
) -> tuple[list[int], list[int]]:
    """Return the row numbers of outcomes that are held out, and of those that are learnt."""
    held: list[int] = []
    learnt: list[int] = []
    for row, outcome in enumerate(outcomes, start=own):
        draw = hashlib.sha256(outcome.prediction_id.encode()).digest()[0] / 256
        (held if draw < HOLDOUT_SHARE else learnt).append(row)
    held = _once(held, hashes, labels, set())
    never = {hashes[row] for row in [*holdout, *held]}
    seen = {(hashes[row], labels[row]) for row in range(own)}
    return held, [row for row in _once(learnt, hashes, labels, seen) if hashes[row] not in never]


def _once(rows: list[int], hashes: list[str], labels: list[str], seen: set[tuple[str, str]]) -> list[int]:
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
    """Choose, in each class, the rows with the smallest hashes, `HOLDOUT_SHARE` of them.

    The choice depends on nothing but the rows: no seed moves it, and rows with the same features go
    together, so that no holdout row has a twin that was trained on.
    """
    chosen: set[str] = set()
    for name in sorted(set(labels)):
        of_class = sorted(row for row, label in zip(hashes, labels, strict=True) if label == name)
        chosen.update(of_class[: round(len(of_class) * HOLDOUT_SHARE)])
    return [row for row, digest in enumerate(hashes) if digest in chosen]


def train(spec: Spec, seed: int, report: Report = ignore, outcomes: Sequence[Labelled] = ()) -> Candidate:
    """Fit a spec's pipeline, evaluate it on the dataset's holdout and compile it.

    Parameters
    ----------
    seed
        With the same data, code and packages, the same seed gives the same figures.
    outcomes
        Labelled predictions to learn from, beside the dataset.

    Raises
    ------
    InvalidSpec
        When dataset or pipeline are not what the spec says.
    """
    started = time.monotonic()
    report("load the data")
    dataset = load_dataset(spec, outcomes)
    report(f"fit on {len(dataset.training)} rows")
    columns, labels = dataset.part(dataset.training)
    pipeline = _fit(spec, seed, columns, labels, dataset.weights)
    if tuple(pipeline.classes_) != spec.classes:
        found = ", ".join(map(str, pipeline.classes_))
        raise InvalidSpec(f"{spec.name}: the rows to train on have the classes {found}")
    report(f"evaluate on {len(dataset.holdout)} rows")
    columns, labels = dataset.part(dataset.holdout)
    probabilities = pipeline.predict_proba(spec.frame(columns))
    metrics = scores.metrics(np.array(labels, object), probabilities, spec.classes)
    report(f"compile and compare on {len(dataset.labels) + compiled.RANDOM_ROWS} rows")
    graph = compiled.build(pipeline, spec, dataset.columns, seed)
    return Candidate(spec, dataset, pipeline, metrics, graph, seed, time.monotonic() - started)


def _fit(
    spec: Spec, seed: int, columns: Columns, labels: list[str], weights: list[float]
) -> ClassifierMixin:
    pipeline, X, y = spec.pipeline(seed), spec.frame(columns), np.array(labels, object)
    if not hasattr(pipeline, "predict_proba"):
        raise InvalidSpec(f"{spec.name}: its pipeline has no predict_proba")
    if set(weights) == {1.0}:
        return pipeline.fit(X, y)
    from sklearn.utils.validation import has_fit_parameter

    weight = np.array(weights)
    if not has_fit_parameter(_estimator(pipeline), "sample_weight"):
        drawn = np.random.default_rng(seed).random(len(weight)) < weight
        return pipeline.fit(X[drawn], y[drawn])
    steps = getattr(pipeline, "steps", None)
    name = f"{steps[-1][0]}__sample_weight" if steps else "sample_weight"
    return pipeline.fit(X, y, **{name: weight})


def save(
    candidate: Candidate,
    home: Path,
    report: Report = ignore,
    name: str | None = None,
    notes: dict[str, Any] | None = None,
) -> store.Version:
    """Write a candidate into the model store, whole or not at all.

    Parameters
    ----------
    name
        Its name there, where that is not the spec's.
    notes
        More to keep in its metadata.
    """
    import joblib

    report("save")
    spec, dataset = candidate.spec, candidate.dataset
    with store.stage(home) as staged:
        joblib.dump(candidate.pipeline, staged / store.PIPELINE)
        if candidate.compiled.onnx is not None:
            (staged / store.ONNX).write_bytes(candidate.compiled.onnx)
        profile = drift.profile(spec, *dataset.part(dataset.training))
        _write_json(staged / store.PROFILE, profile)
        _write_json(staged / store.GOLDEN, _golden(candidate))
        metadata = _metadata(candidate) | (notes or {})
        return store.publish(home, staged, name or spec.name, _labels(candidate), metadata)


def _golden(candidate: Candidate) -> dict[str, Any]:
    """Choose a few holdout rows of each class, with the answers that every load must repeat."""
    spec, dataset = candidate.spec, candidate.dataset
    chosen: list[int] = []
    for name in spec.classes:
        of_class = [row for row in dataset.holdout if dataset.labels[row] == name]
        chosen += of_class[:GOLDEN_ROWS_A_CLASS]
    columns, _ = dataset.part(chosen)
    if candidate.compiled.onnx is not None:
        answers = compiled.Session(candidate.compiled.onnx, spec).probabilities(columns)
    else:
        answers = candidate.pipeline.predict_proba(spec.frame(columns))
    return {"columns": columns, "probabilities": answers.tolist()}


def _labels(candidate: Candidate) -> dict[str, str]:
    return {
        "spec": candidate.spec.name,
        "runtime": candidate.runtime,
        "estimator": type(_estimator(candidate.pipeline)).__name__,
    }


def _metadata(candidate: Candidate) -> dict[str, Any]:
    dataset, agreement = candidate.dataset, candidate.compiled.agreement
    return {
        "title": candidate.spec.title,
        "classes": list(candidate.spec.classes),
        "runtime": candidate.runtime,
        "compiled": candidate.compiled.reason,
        "agreement": agreement.as_dict() if agreement else {},
        "metrics": candidate.metrics.as_dict(),
        "rows": rows_of(dataset),
        "data_digest": dataset.digest,
        "seed": candidate.seed,
        "seconds": round(candidate.seconds, 3),
        "python": platform.python_version(),
        "packages": {name: package_version(name) for name in PACKAGES},
    }


def rows_of(dataset: Dataset) -> dict[str, int]:
    """Count the rows of each part."""
    learnt = sum(row >= dataset.own_rows for row in dataset.training)
    return {
        "training": len(dataset.training),
        "of_feedback": learnt,
        "holdout": len(dataset.holdout),
        "feedback_holdout": len(dataset.feedback_holdout),
    }


def _estimator(pipeline: ClassifierMixin) -> Any:
    steps = getattr(pipeline, "steps", None)
    return steps[-1][1] if steps else pipeline


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
