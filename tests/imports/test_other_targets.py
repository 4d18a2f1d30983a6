"""Models from elsewhere of a quantity, and of classes whose errors have costs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from models_store import store
from models_store.catalog import iris
from models_store.imported import pipeline_files
from models_store.spec import Cost, Spec, classes
from prediction.imports import candidates, examining, files
from prediction.imports.candidates import Found
from prediction.imports.examining import MODEL, Examination
from prediction.retraining import datasets, refits, training
from prediction.retraining.datasets import Dataset
from prediction.serving import predictor
from prediction.serving.predictor import Predictor
from tests import rents
from tests.elsewhere import mlflow_folder, skops_file

COST = Cost(false_alarm=1, miss=9)
COLUMNS = ["area", "rooms"]
RENTS = replace(rents.SPEC.ordered(COLUMNS), load=lambda: flats())
KEPT = FunctionTransformer(np.log1p)
"""A step that skops keeps, and that does not compile."""


class Brought(NamedTuple):
    """A version of a model from elsewhere, as a server loads it, and the rows of its spec."""

    version: store.Version
    served: Predictor
    dataset: Dataset


def flats() -> tuple[Any, Any]:
    """Return two columns of the flats, and their rents."""
    X, y = rents.load()
    return X[COLUMNS], y


def regressor(*steps: Any) -> Any:
    """Fit on all flats."""
    return make_pipeline(SimpleImputer(), *steps, Ridge(alpha=0.5)).fit(*flats())


def bring(spec: Spec, path: Path, folder: Path) -> Brought:
    """Import what a user names, without a process of its own."""
    dataset, file = datasets.load(spec), files.find(path, trust_pickle=False)
    read = folder / "read"
    read.mkdir()
    file.copy_to(read / MODEL)
    signature = None if file.columns is None else list(file.columns)
    rows = (dataset.columns, dataset.labels, dataset.training)
    said = examining.examine(Examination(read, file.format, signature, 0, *rows), spec)
    assert [] == said["faults"]
    origin = {"file": file.name, "format": file.format, "sha256": "ab" * 32, "by": "a", "at": "b"}
    found = Found(read, file.format, signature, json.loads(json.dumps(said)), origin | {"libraries": {}})
    made = candidates.make(spec, dataset, found, training.ignore)
    version = training.save(made, folder / "home")
    return Brought(version, predictor.load(spec, version, version.digest), dataset)


def of_skops(folder: Path, model: Any) -> Path:
    """Save a model as a file of skops."""
    return skops_file(folder / "model.skops", model)


def of_mlflow(folder: Path, model: Any) -> Path:
    """Save a regressor as MLflow does, with the types of its columns."""
    inputs = json.dumps([{"name": name, "type": "double", "required": True} for name in COLUMNS])
    made = mlflow_folder(folder / "flats", signature={"inputs": inputs})
    skops_file(made / "model.skops", model)
    return made


@pytest.mark.parametrize("save", [of_skops, of_mlflow])
@pytest.mark.parametrize(("steps", "runtime"), [((), "onnx"), ((KEPT,), "scikit-learn")])
def test_a_regressor_answers_with_intervals(save: Any, steps: Any, runtime: str, tmp_path: Path) -> None:
    """They are learned from the rows held out, as no pipeline that was fitted here says anything of it."""
    model = regressor(*steps)
    version, served, dataset = bring(RENTS, save(tmp_path, model), tmp_path)
    columns, labels = dataset.part(dataset.holdout)
    (first, *_) = served.predict([RENTS.features.model_validate({"area": 80, "rooms": 3})])
    profile = version.read_json(store.PROFILE)
    said = served.score(columns)
    truth = np.array([float(each) for each in labels])

    assert runtime == version.runtime
    assert np.allclose(model.predict(RENTS.frame(columns)), said.values)
    decision = version.read_json(store.GOLDEN)["decision"]
    assert ("holdout", len(labels)) == (decision["method"], decision["rows"])
    assert None not in (first.low, first.value, first.high)
    assert sorted([first.low, first.value, first.high]) == [first.low, first.value, first.high]  # type: ignore[type-var]
    assert np.mean((said.low <= truth) & (truth <= said.high)) >= RENTS.target.as_dict()["level"] - 0.01
    assert len(labels) == profile["predicted"]["rows"] == profile["errors"]["rows"]
    assert version.metrics["rows"] == len(labels)


def test_the_retraining_of_a_regressor_fits_its_parameters(tmp_path: Path) -> None:
    """Not the boosted trees of the spec; its intervals come from folds then."""
    version, _, dataset = bring(RENTS, of_mlflow(tmp_path, regressor()), tmp_path)
    refit = refits.plan(RENTS, version)
    candidate = training.fit(refit.spec, 0, dataset)
    columns, labels = dataset.part(dataset.training)
    expected = make_pipeline(SimpleImputer(), Ridge(alpha=0.5)).fit(
        RENTS.frame(columns), [float(each) for each in labels]
    )
    held_out, _ = dataset.part(dataset.holdout)

    assert "onnx" == candidate.runtime
    assert ("Ridge", 0.5) == (type(candidate.pipeline[-1]).__name__, candidate.pipeline[-1].alpha)
    assert np.allclose(expected.predict(RENTS.frame(held_out)), candidate.answers(held_out).values)
    assert "folds" == candidate.compiled.decision.method


@pytest.mark.parametrize(("steps", "runtime"), [((), "onnx"), ((KEPT,), "scikit-learn")])
def test_costs_choose_the_threshold_of_a_model_from_elsewhere(
    steps: Any, runtime: str, tmp_path: Path
) -> None:
    """Nine times as dear is a miss: the threshold is below a half, and answers follow it."""

    def load() -> tuple[Any, Any]:
        X, y = (each[50:] for each in iris.load())
        return X, y.where(np.arange(100) % 9 > 0, "virginica")  # some of these look like the others

    target = classes("versicolor", "virginica", positive="virginica", cost=COST)
    spec = replace(iris.SPEC, target=target, load=load)
    model = make_pipeline(*steps, LogisticRegression()).fit(*load())
    version, served, dataset = bring(spec, of_skops(tmp_path, model), tmp_path)
    threshold = version.read_json(store.GOLDEN)["decision"]["threshold"]
    p = model.predict_proba(spec.frame(dataset.columns))[:, 1]
    said = served.score(dataset.columns)
    names = [path.name for path in version.path.iterdir()]

    assert runtime == version.runtime
    assert (pipeline_files.SKOPS in names) is (runtime == "scikit-learn")
    assert 0 < threshold < 0.5
    assert [int(each >= threshold) for each in p] == list(said.best)
    assert list(said.best) != [int(each >= 0.5) for each in p]
