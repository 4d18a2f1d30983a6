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
from models_store.spec import Columns, Spec
from prediction import drift, evaluate

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin

HOLDOUT_SHARE = 0.25
GOLDEN_ROWS_A_CLASS = 4
PACKAGES = ("scikit-learn", "numpy", "pandas", "skl2onnx", "onnxruntime", "bentoml")

Report = Callable[[str], None]
"""Told the name of each step as it begins."""


def ignore(_step: str) -> None:
    """Report to nobody."""


@dataclass(frozen=True)
class Dataset:
    """Labelled rows and their split. `training` and `holdout` are row numbers, and share none."""

    columns: Columns
    labels: list[str]
    training: list[int]
    holdout: list[int]
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
    metrics: evaluate.Metrics
    compiled: compiled.Compiled
    seed: int
    seconds: float

    @property
    def runtime(self) -> str:
        """What will serve it."""
        return "onnx" if self.compiled.onnx is not None else "scikit-learn"


def load_dataset(spec: Spec) -> Dataset:
    """Load a spec's dataset and split it."""
    X, y = spec.load()
    columns, labels = spec.columns_of(X), [str(label) for label in y]
    hashes = _row_hashes(columns)
    holdout = _holdout(hashes, labels)
    training = sorted(set(range(len(labels))) - set(holdout))
    lines = "\n".join(f"{row} {label}" for row, label in zip(hashes, labels, strict=True))
    return Dataset(columns, labels, training, holdout, hashlib.sha256(lines.encode()).hexdigest())


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


def train(spec: Spec, seed: int, report: Report = ignore) -> Candidate:
    """Fit a spec's pipeline, evaluate it on the holdout and compile it.

    Parameters
    ----------
    seed
        With the same data, code and packages, the same seed gives the same figures.
    """
    started = time.monotonic()
    report("load the data")
    dataset = load_dataset(spec)
    report(f"fit on {len(dataset.training)} rows")
    columns, labels = dataset.part(dataset.training)
    pipeline = spec.pipeline(seed).fit(spec.frame(columns), np.array(labels, object))
    if tuple(pipeline.classes_) != spec.classes:
        raise ValueError(f"{spec.name}: the data has the classes {list(pipeline.classes_)}")
    report(f"evaluate on {len(dataset.holdout)} rows")
    columns, labels = dataset.part(dataset.holdout)
    probabilities = pipeline.predict_proba(spec.frame(columns))
    metrics = evaluate.metrics(np.array(labels, object), probabilities, spec.classes)
    report(f"compile and compare on {len(dataset.labels) + compiled.RANDOM_ROWS} rows")
    graph = compiled.build(pipeline, spec, dataset.columns, seed)
    return Candidate(spec, dataset, pipeline, metrics, graph, seed, time.monotonic() - started)


def save(candidate: Candidate, home: Path, report: Report = ignore) -> store.Version:
    """Write a candidate into the model store, whole or not at all."""
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
        return store.publish(home, staged, spec.name, _labels(candidate), _metadata(candidate))


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
        "rows": {"training": len(dataset.training), "holdout": len(dataset.holdout)},
        "data_digest": dataset.digest,
        "seed": candidate.seed,
        "seconds": round(candidate.seconds, 3),
        "python": platform.python_version(),
        "packages": {name: package_version(name) for name in PACKAGES},
    }


def _estimator(pipeline: ClassifierMixin) -> Any:
    steps = getattr(pipeline, "steps", None)
    return steps[-1][1] if steps else pipeline


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1))
