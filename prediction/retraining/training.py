"""From a spec to a version: fit, evaluate, compile, save. It promotes nothing.

Rows stay columns from `datasets.load` to the saved golden requests; frames are made in `pipelines` only.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version as package_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models_store import compiled, pipelines, store
from models_store.errors import InvalidSpec
from models_store.spec import Columns, Spec
from prediction.figures import profiles, scores
from prediction.retraining import datasets
from prediction.retraining.datasets import Dataset, Example

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sklearn.base import ClassifierMixin

GOLDEN_ROWS_A_CLASS = 4
PACKAGES = ("scikit-learn", "numpy", "pandas", "skl2onnx", "onnxruntime", "bentoml")

OnStep = Callable[[str], None]
"""Called with the name of each step as it begins."""


def ignore(_words: str) -> None:
    """Do nothing with a report."""


@dataclass(frozen=True)
class Candidate:
    """A fitted pipeline and everything else that its version will hold.

    Parameters
    ----------
    seconds
        How long the training took.
    notes
        More entries for the version's metadata.
    """

    spec: Spec
    dataset: Dataset
    pipeline: ClassifierMixin
    metrics: scores.Metrics
    compiled: compiled.Compiled
    seed: int
    seconds: float
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def runtime(self) -> str:
        """The runtime that will serve it: `onnx` or `scikit-learn`."""
        return "onnx" if self.compiled.onnx is not None else "scikit-learn"

    def probabilities(self, columns: Columns) -> NDArray[np.float64]:
        """Return the pipeline's probability of each class, shape (n, classes)."""
        return pipelines.probabilities(self.pipeline, self.spec.layout, columns)


def train(spec: Spec, seed: int, report: OnStep = ignore, examples: Sequence[Example] = ()) -> Candidate:
    """Fit a spec's pipeline, evaluate it on the dataset's holdout and compile it.

    Parameters
    ----------
    seed
        With the same data, code and packages, the same seed gives the same figures.
    examples
        Labelled predictions to learn from, in addition to the dataset.

    Raises
    ------
    InvalidSpec
        When the dataset or the pipeline does not match the spec.
    """
    started = time.monotonic()
    report("load the data")
    dataset = datasets.load(spec, examples)
    report(f"fit on {len(dataset.training)} rows")
    columns, labels = dataset.part(dataset.training)
    pipeline = pipelines.fit(spec, seed, columns, labels, dataset.weights)
    if tuple(pipeline.classes_) != spec.classes:
        found = ", ".join(map(str, pipeline.classes_))
        raise InvalidSpec(f"{spec.name}: the rows to train on have the classes {found}")
    report(f"evaluate on {len(dataset.holdout)} rows")
    columns, labels = dataset.part(dataset.holdout)
    probabilities = pipelines.probabilities(pipeline, spec.layout, columns)
    metrics = scores.metrics(np.array(labels, object), probabilities, spec.classes)
    report(f"compile and compare on {len(dataset.labels) + compiled.RANDOM_ROWS} rows")
    graph = compiled.build(pipeline, spec, dataset.columns, seed)
    return Candidate(spec, dataset, pipeline, metrics, graph, seed, time.monotonic() - started)


def save(
    candidate: Candidate, home: Path, report: OnStep = ignore, name: str | None = None
) -> store.Version:
    """Write a candidate into the model store, completely or not at all.

    Parameters
    ----------
    name
        Its name in the store; by default the name of the spec.
    """
    import joblib

    report("save")
    spec, dataset = candidate.spec, candidate.dataset
    with store.stage(home) as staged:
        joblib.dump(candidate.pipeline, staged / store.PIPELINE)
        if candidate.compiled.onnx is not None:
            (staged / store.ONNX).write_bytes(candidate.compiled.onnx)
        profile = profiles.profile(spec, *dataset.part(dataset.training))
        _write_json(staged / store.PROFILE, profile)
        _write_json(staged / store.GOLDEN, _golden(candidate))
        metadata = _metadata(candidate) | candidate.notes
        return store.publish(home, staged, name or spec.name, _labels(candidate), metadata)


def _golden(candidate: Candidate) -> dict[str, Any]:
    """Choose a few holdout rows of each class, with the answers that each load must repeat."""
    spec, dataset = candidate.spec, candidate.dataset
    chosen: list[int] = []
    for name in spec.classes:
        of_class = [row for row in dataset.holdout if dataset.labels[row] == name]
        chosen += of_class[:GOLDEN_ROWS_A_CLASS]
    columns, _ = dataset.part(chosen)
    if candidate.compiled.onnx is not None:
        answers = compiled.Session(candidate.compiled.onnx, spec.layout).probabilities(columns)
    else:
        answers = candidate.probabilities(columns)
    return {"columns": columns, "probabilities": answers.tolist()}


def _labels(candidate: Candidate) -> dict[str, str]:
    return {
        "spec": candidate.spec.name,
        "runtime": candidate.runtime,
        "estimator": type(pipelines.estimator(candidate.pipeline)).__name__,
    }


def _metadata(candidate: Candidate) -> dict[str, Any]:
    agreement = candidate.compiled.agreement
    return {
        "title": candidate.spec.title,
        "classes": list(candidate.spec.classes),
        "runtime": candidate.runtime,
        "compiled": candidate.compiled.reason,
        "agreement": agreement.as_dict() if agreement else {},
        "metrics": candidate.metrics.as_dict(),
        "rows": candidate.dataset.count(),
        "data_digest": candidate.dataset.digest,
        "seed": candidate.seed,
        "seconds": round(candidate.seconds, 3),
        "python": platform.python_version(),
        "packages": {name: package_version(name) for name in PACKAGES},
    }


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
