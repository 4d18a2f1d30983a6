"""From a spec to a version: fit, evaluate, compile, save. It promotes nothing.

Rows stay columns from `datasets.load` to the saved golden requests; frames are made in `pipelines` only.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import pickle
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

from models_store import compiled, failures, pipelines, store
from models_store.errors import InvalidSpec
from models_store.imported import pipeline_files
from models_store.spec import Columns, Spec
from models_store.targets import estimators
from prediction.figures import profiles
from prediction.figures.targets import kinds
from prediction.figures.targets.kinds import TargetMetrics
from prediction.retraining import datasets
from prediction.retraining.datasets import Dataset, Example
from prediction.retraining.out_of_fold import OutOfFold
from prediction.retraining.targets import kinds as calibrations
from prediction.retraining.targets.kinds import Calibrated

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
    answered
        Counts of its answers to rows that were not trained on.
    seconds
        How long the training took.
    recipe
        The digest of all that the fit depended on beside its rows; None if it is not known.
    notes
        More entries for the version's metadata.
    files
        More files of the version, by name.
    estimator
        The name of a model's type, if the model was trained elsewhere. Then `pipeline` is None if only its
        graph is kept.
    """

    spec: Spec
    dataset: Dataset
    pipeline: Any
    metrics: TargetMetrics
    calibrated: Calibrated
    compiled: compiled.Compiled
    seed: int
    seconds: float
    recipe: str | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    estimator: str = ""

    @property
    def runtime(self) -> str:
        """The runtime that will serve it: `onnx` or `scikit-learn`."""
        return "onnx" if self.compiled.onnx is not None else "scikit-learn"

    def answers(self, columns: Columns) -> Any:
        """Let the pipeline answer rows; the answers are of the spec's kind of target."""
        beside = _beside(self.spec, self.calibrated)
        if self.pipeline is None and self.compiled.onnx is not None:
            session = compiled.Session(self.compiled.onnx, self.spec)
            return session.scorer(self.compiled.decision, beside)(columns)
        return pipelines.answers(self.pipeline, self.spec, columns, self.compiled.decision, beside=beside)


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
    report("load the data")
    return fit(spec, seed, datasets.load(spec, examples), report)


def fit(spec: Spec, seed: int, dataset: Dataset, report: OnStep = ignore) -> Candidate:
    """Fit a spec's pipeline on a loaded dataset, evaluate and compile it; see `train`."""
    started = time.monotonic()
    if not dataset.holdout:
        raise InvalidSpec(
            f"{spec.name}: no row of load() can be held out to judge by: each class must keep one to learn"
            " from, so give at least two different rows of a class, of two moments if Spec(time=) is given"
        )
    report(f"fit on {len(dataset.training)} rows")
    columns, labels = dataset.part(dataset.training)
    pipeline = pipelines.fit(spec, seed, columns, labels, dataset.weights)
    unseen, decision = OutOfFold(spec, seed, dataset), None
    if spec.target.chooses:
        report(f"choose the threshold on {len(dataset.training)} rows")
        decision = unseen.choose()
        pipeline = pipelines.decided(pipeline, spec, decision)
    report(f"evaluate on {len(dataset.holdout)} rows")
    columns, labels = dataset.part(dataset.holdout)
    answers = pipelines.checked(pipeline, spec, columns, "the holdout")
    report(f"calibrate on {len(dataset.training) + len(dataset.holdout)} rows")
    calibrated = calibrations.of(spec.target).calibrate(unseen, answers, decision)
    report(f"compile and compare on {len(dataset.labels) + compiled.RANDOM_ROWS} rows")
    graph = compiled.build(pipeline, spec, dataset.columns, seed, labels=dataset.labels)
    graph = replace(graph, decision=calibrated.refine(graph.decision))
    answers = pipelines.answers(pipeline, spec, columns, graph.decision, beside=_beside(spec, calibrated))
    metrics = kinds.of(spec.target).metrics(spec.target, labels, answers)
    seconds = time.monotonic() - started
    return Candidate(spec, dataset, pipeline, metrics, calibrated, graph, seed, seconds, recipe(spec, seed))


def _beside(spec: Spec, calibrated: Calibrated) -> list[pipelines.Beside]:
    """Return the graphs that a decision names beside the model's."""
    return [compiled.Session(graph, spec).first for graph in calibrated.graphs.values()]


def recipe(spec: Spec, seed: int) -> str | None:
    """Return a digest of all that a fit depends on beside its rows; None if that can't be found out.

    It covers the pipeline with its parameters, the text of the spec's file, the target, the seed and the
    packages. Code of modules that the spec imports is not covered.
    """
    import joblib

    pipeline = pipelines.make(spec, seed)
    try:
        unfitted = joblib.hash(pipeline)
        file = inspect.getsourcefile(spec.pipeline)
        text = Path(file or "").read_bytes()
    except (pickle.PicklingError, AttributeError, TypeError, OSError):
        return None
    target = spec.target.as_dict()  # its costs and limits may be declared in another file
    parts = [
        unfitted,
        hashlib.sha256(text).hexdigest(),
        target,
        seed,
        platform.python_version(),
        _packages(),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _packages() -> dict[str, str]:
    return {name: package_version(name) for name in PACKAGES}


def save(
    candidate: Candidate, home: Path, report: OnStep = ignore, name: str | None = None
) -> store.Version:
    """Write a candidate into the model store, completely or not at all.

    Parameters
    ----------
    name
        Its name in the store; by default the name of the spec.

    Raises
    ------
    InvalidSpec
        When the pipeline can't be pickled.
    """
    report("save")
    spec, dataset = candidate.spec, candidate.dataset
    with store.stage(home) as staged:
        if candidate.pipeline is not None and pipeline_files.SKOPS not in candidate.files:
            _pickle(candidate, staged / store.PIPELINE)
        if candidate.compiled.onnx is not None:
            (staged / store.ONNX).write_bytes(candidate.compiled.onnx)
        for file, content in {**candidate.calibrated.graphs, **candidate.files}.items():
            (staged / file).write_bytes(content)
        columns, labels = dataset.part(dataset.training)
        profile = profiles.profile(spec, {name: columns[name] for name in spec.inputs}, labels)
        _write_json(staged / store.PROFILE, profile | candidate.calibrated.profile())
        _write_json(staged / store.GOLDEN, _golden(candidate))
        metadata = _metadata(candidate) | candidate.notes
        return store.publish(home, staged, name or spec.name, _labels(candidate), metadata)


def _pickle(candidate: Candidate, path: Path) -> None:
    import joblib

    spec, remedy = candidate.spec, "a pipeline of scikit-learn is saved by pickle: each part must allow it"
    with path.open("wb") as file, failures.blamed(spec.name, "save", spec.pipeline, remedy):
        try:
            joblib.dump(candidate.pipeline, file)
        except OSError as error:  # the disk is full: not the fault of the spec
            full = error
        else:
            return
    raise full


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
        beside = _beside(spec, candidate.calibrated)
        answers = compiled.Session(graph.onnx, spec).scorer(graph.decision, beside)(columns)
    else:
        answers = candidate.answers(columns)
    shown = {name: list(values) for name, values in columns.items()}
    return {"columns": shown, **spec.target.golden(answers, graph.decision)}


def _labels(candidate: Candidate) -> dict[str, str]:
    return {
        "spec": candidate.spec.name,
        "runtime": candidate.runtime,
        "estimator": candidate.estimator or type(estimators.last_step(candidate.pipeline)).__name__,
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
        "training_digest": candidate.dataset.training_digest,
        "holdout_digest": candidate.dataset.holdout_digest,
        "split": candidate.dataset.split.as_note(),
        "recipe": candidate.recipe,
        "seed": candidate.seed,
        "seconds": round(candidate.seconds, 3),
        "python": platform.python_version(),
        "packages": _packages(),
    }


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
