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

from models_store import compiled, pipelines, store
from models_store.spec import Columns, Spec
from models_store.targets import estimators
from prediction.figures import profiles
from prediction.figures.targets import kinds
from prediction.figures.targets.kinds import TargetMetrics
from prediction.retraining import datasets
from prediction.retraining.datasets import Dataset, Example

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin

GOLDEN_ROWS_A_STRATUM = 4
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
    metrics: TargetMetrics
    compiled: compiled.Compiled
    seed: int
    seconds: float
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def runtime(self) -> str:
        """The runtime that will serve it: `onnx` or `scikit-learn`."""
        return "onnx" if self.compiled.onnx is not None else "scikit-learn"

    def answers(self, columns: Columns) -> Any:
        """Let the pipeline answer rows; the answers are of the spec's kind of target."""
        return pipelines.answers(self.pipeline, self.spec, columns, self.compiled.decision)


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
    report(f"evaluate on {len(dataset.holdout)} rows")
    columns, labels = dataset.part(dataset.holdout)
    metrics = kinds.of(spec.target).metrics(spec.target, labels, pipelines.answers(pipeline, spec, columns))
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
    """Choose a few holdout rows of each stratum, with the decision and the answers of each load."""
    spec, dataset, graph = candidate.spec, candidate.dataset, candidate.compiled
    strata = spec.target.strata(dataset.labels)
    chosen: list[int] = []
    for stratum in sorted(set(strata)):
        rows = [row for row in dataset.holdout if strata[row] == stratum]
        chosen += rows[:GOLDEN_ROWS_A_STRATUM]
    columns, _ = dataset.part(chosen)
    if graph.onnx is not None:
        answers = compiled.Session(graph.onnx, spec).scorer(graph.decision)(columns)
    else:
        answers = candidate.answers(columns)
    return {"columns": columns, **spec.target.golden(answers, graph.decision)}


def _labels(candidate: Candidate) -> dict[str, str]:
    return {
        "spec": candidate.spec.name,
        "runtime": candidate.runtime,
        "estimator": type(estimators.last_step(candidate.pipeline)).__name__,
    }


def _metadata(candidate: Candidate) -> dict[str, Any]:
    agreement = candidate.compiled.agreement
    return {
        "title": candidate.spec.title,
        **candidate.spec.target.as_dict(),
        "decision": candidate.compiled.decision.as_dict(),
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
