"""From what the reading process has found to a candidate: evaluated here, with what a server will load."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from models_store import compiled, pipelines, store
from models_store.errors import InvalidModel
from models_store.imported import archives, pipeline_files, trusted
from models_store.spec import Spec
from prediction.figures.targets import kinds
from prediction.imports import examining, files, matching
from prediction.imports.matching import Described
from prediction.imports.mlflow_folders import SignedColumn
from prediction.retraining.datasets import Dataset
from prediction.retraining.out_of_fold import OutOfFold
from prediction.retraining.targets import kinds as calibrations
from prediction.retraining.training import Candidate

DOMAINS = {"", "ai.onnx", "ai.onnx.ml"}


@dataclass(frozen=True)
class Found:
    """The folder and the words of a reading process.

    Parameters
    ----------
    origin
        Where the model comes from, for its version.
    """

    folder: Path
    format: str
    signature: list[SignedColumn] | None
    said: Mapping[str, Any]
    origin: dict[str, Any]


def make(spec: Spec, dataset: Dataset, found: Found, report: Callable[[str], None]) -> Candidate:
    """Evaluate a model on the holdout and calibrate it, as training does; nothing is fitted.

    Raises
    ------
    InvalidModel
        When its graph is not one of ours.
    """
    started = time.monotonic()
    described = Described(**found.said["model"])
    taken = matching.taken(spec, described, found.signature)
    graph = _compiled(taken, found)
    pipeline = _pipeline(found) if graph.onnx is None else None
    columns, labels = dataset.part(dataset.holdout)
    report(f"evaluate on {len(dataset.holdout)} rows")
    unseen = OutOfFold(taken, 0, dataset, fits=False)
    learnt = calibrations.of(taken.target).calibrate(
        unseen, _ask(taken, graph, pipeline, columns), graph.decision
    )
    graph = replace(graph, decision=learnt.refine(graph.decision))
    beside = [compiled.Session(each, taken).first for each in learnt.graphs.values()]
    answers = _ask(taken, graph, pipeline, columns, beside)
    metrics = kinds.of(taken.target).metrics(taken.target, labels, answers)
    return Candidate(
        spec=taken,
        dataset=dataset,
        pipeline=pipeline,
        metrics=metrics,
        calibrated=learnt,
        compiled=graph,
        seed=0,
        seconds=time.monotonic() - started,
        notes=_notes(found, described, dataset),
        files=_files(found, pipeline),
        estimator=described.estimator,
    )


def _notes(found: Found, described: Described, dataset: Dataset) -> dict[str, Any]:
    """Return what the version notes of its origin; nobody knows which rows the model was fitted on."""
    return {
        "origin": found.origin
        | {"unrepeatable": found.said["parameters"], "warnings": found.said["warnings"]},
        "training_digest": None,
        "rows": dataset.count() | {"training": 0},
        "packages": {"scikit-learn": described.sklearn},
    }


def _compiled(spec: Spec, found: Found) -> compiled.Compiled:
    path, said = found.folder / store.ONNX, found.said
    onnx = path.read_bytes() if path.is_file() and not path.is_symlink() else None
    if onnx is not None:
        _demand_plain(onnx)
    agreement = SimpleNamespace(as_dict=lambda: said["agreement"]) if said["agreement"] else None
    return compiled.Compiled(onnx, agreement, str(said["reason"]), spec.target.decision(said))


def _demand_plain(onnx: bytes) -> None:
    """Refuse a graph that reads other files, or that the converter can't have made."""
    import onnx as library

    graph = library.load_model_from_string(onnx)
    if any(each.domain not in DOMAINS for each in graph.opset_import) or graph.functions:
        raise InvalidModel("its graph holds other operators than those of scikit-learn's models")
    if any(each.data_location or each.external_data for each in graph.graph.initializer):
        raise InvalidModel("its graph names other files")


def _pipeline(found: Found) -> Any:
    """Load what a server will load."""
    path = found.folder / examining.MODEL
    if found.format == files.SKOPS:
        return archives.load(path, trusted.KEPT)
    import joblib

    return joblib.load(path)  # its owner trusts it, and said so


def _files(found: Found, pipeline: Any) -> dict[str, bytes]:
    """Return the files that the version keeps: the parameters, and the model if it is served itself."""
    kept = {}
    parameters = found.folder / store.PARAMETERS
    if found.said["parameters"] is None:
        archives.load(parameters, trusted.PARAMETERS)
        kept[store.PARAMETERS] = parameters.read_bytes()
    if pipeline is not None and found.format == files.SKOPS:
        kept[pipeline_files.SKOPS] = (found.folder / examining.MODEL).read_bytes()
    return kept


def _ask(spec: Spec, graph: compiled.Compiled, pipeline: Any, columns: Any, beside: Any = ()) -> Any:
    if graph.onnx is not None:
        return compiled.Session(graph.onnx, spec).scorer(graph.decision, beside)(columns)
    return pipelines.answers(pipeline, spec, columns, graph.decision, beside=beside)
