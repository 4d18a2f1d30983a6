"""What the reading process does with a model, called in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier, IsolationForest
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

from models_store import store
from models_store.catalog import iris
from models_store.errors import InvalidModel
from prediction.imports import examining, files
from prediction.imports.examining import MODEL, Examination
from prediction.retraining import datasets
from tests.elsewhere import Bomb, fitted, pickle_file, skops_file


@pytest.fixture(scope="module")
def dataset() -> datasets.Dataset:
    """The irises."""
    return datasets.load(iris.SPEC)


def task(folder: Path, dataset: datasets.Dataset, format_: str = files.SKOPS) -> Examination:
    """Make the task to examine a model in a folder."""
    return Examination(folder, format_, None, 0, dataset.columns, dataset.labels, dataset.training)


def examine(folder: Path, dataset: datasets.Dataset, model: Any) -> dict[str, Any]:
    """Examine a model that was saved by skops."""
    skops_file(folder / MODEL, model)
    return examining.examine(task(folder, dataset), iris.SPEC)


def test_a_model_is_described_compiled_and_its_parameters_kept(
    tmp_path: Path, dataset: datasets.Dataset
) -> None:
    """All that its version needs, as plain values and files."""
    found = examine(tmp_path, dataset, fitted())

    assert ("LogisticRegression", [], []) == (
        found["model"]["estimator"],
        found["faults"],
        found["warnings"],
    )
    assert "agrees on" in found["reason"]
    assert found["parameters"] is None
    assert {MODEL, store.ONNX, store.PARAMETERS} == {path.name for path in tmp_path.iterdir()}
    assert found == json.loads(json.dumps(found))


def test_without_a_spec_it_is_only_described(tmp_path: Path, dataset: datasets.Dataset) -> None:
    """For a spec that is to be proposed."""
    skops_file(tmp_path / MODEL, fitted())
    found = examining.examine(task(tmp_path, dataset), None)

    assert ["model", "faults"] == list(found)
    assert list(iris.SPEC.inputs) == found["model"]["names"]


@pytest.mark.parametrize(
    ("estimator", "words"),
    [
        (LinearRegression(), "predicts a number: use a classifier"),
        (SVC(), "has no predict_proba after its fit"),
    ],
)
def test_a_model_of_another_target_is_refused(
    estimator: Any, words: str, tmp_path: Path, dataset: datasets.Dataset
) -> None:
    """With the words that a pipeline of a spec gets."""
    X, y = iris.load()
    estimator.fit(X, y.map({"setosa": 0, "versicolor": 1, "virginica": 2}) if "numb" in words else y)
    (fault,) = examine(tmp_path, dataset, estimator)["faults"]

    assert words in fault


def test_what_is_no_fitted_estimator_is_refused(tmp_path: Path, dataset: datasets.Dataset) -> None:
    """An estimator without its fit, and plain values."""
    for content in (LogisticRegression(), {"a": [1]}):
        with pytest.raises(InvalidModel, match="which is no fitted estimator"):
            examine(tmp_path, dataset, content)

    isolation = IsolationForest(n_estimators=2, random_state=0).fit(iris.load()[0])
    with pytest.raises(InvalidModel, match=r"it holds sklearn\.ensemble\._iforest\.IsolationForest"):
        examine(tmp_path, dataset, isolation)


def test_boosting_is_compiled_though_no_server_would_load_it(
    tmp_path: Path, dataset: datasets.Dataset
) -> None:
    """Its trees are summed up by compiled code that believes their number."""
    found = examine(tmp_path, dataset, fitted(GradientBoostingClassifier(n_estimators=3, random_state=0)))

    assert [] == found["faults"]
    assert (tmp_path / store.ONNX).exists()


@pytest.mark.parametrize(
    ("estimator", "is_kept"),
    [(GaussianNB(), True), (GradientBoostingClassifier(n_estimators=3, random_state=0), False)],
)
def test_what_does_not_compile_is_kept_or_refused(
    estimator: Any, is_kept: bool, tmp_path: Path, dataset: datasets.Dataset
) -> None:
    """A server loads only types that can't harm it. A function of NumPy does not compile."""
    model = fitted(make_pipeline(FunctionTransformer(np.log1p), estimator))
    faults = examine(tmp_path, dataset, model)["faults"]

    assert is_kept is not bool(faults)
    assert is_kept or "it does not compile" in faults[0]
    assert not (tmp_path / store.ONNX).exists()


def test_a_trusted_pickle_is_loaded(tmp_path: Path, dataset: datasets.Dataset) -> None:
    """Its errors are sentences."""
    pickle_file(tmp_path / MODEL, fitted(GaussianProcessClassifier(random_state=0)))
    _, found = examining.describe(task(tmp_path, dataset, files.PICKLE))
    assert "GaussianProcessClassifier" == found.estimator

    (tmp_path / MODEL).write_bytes(b"no pickle")
    with pytest.raises(InvalidModel, match="it can't be read as a pickle: "):
        examining.describe(task(tmp_path, dataset, files.PICKLE))


def test_a_pickle_that_calls_itself_skops_is_not_unpickled(
    tmp_path: Path, dataset: datasets.Dataset
) -> None:
    """The task says how it is read."""
    pickle_file(tmp_path / MODEL, Bomb(tmp_path / "exploded"))

    with pytest.raises(InvalidModel, match="no file of skops"):
        examining.describe(task(tmp_path, dataset))
    assert not (tmp_path / "exploded").exists()
