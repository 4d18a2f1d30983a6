"""Candidates of models from elsewhere: what they say, what they keep, and what they are evaluated on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from models_store import store
from models_store.catalog import iris, penguins
from models_store.errors import InvalidModel
from models_store.imported import pipeline_files
from prediction.imports import candidates, examining, files
from prediction.imports.candidates import Found
from prediction.imports.examining import MODEL, Examination
from prediction.retraining import datasets, training
from prediction.retraining.datasets import Dataset
from prediction.retraining.training import Candidate
from prediction.serving import predictor
from tests.elsewhere import fitted, pickle_file, skops_file

ORIGIN = {
    "file": "model.skops",
    "format": "skops",
    "sha256": "ab" * 32,
    "libraries": {},
    "by": "a",
    "at": "b",
}


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """The irises."""
    return datasets.load(iris.SPEC)


def candidate(folder: Path, dataset: Dataset, model: Any, format_: str = files.SKOPS) -> Candidate:
    """Make a candidate of a model, without a process of its own."""
    (skops_file if format_ == files.SKOPS else pickle_file)(folder / MODEL, model)
    said = examining.examine(
        Examination(folder, format_, None, 0, dataset.columns, dataset.labels, dataset.training), iris.SPEC
    )
    assert [] == said["faults"]
    found = Found(folder, format_, None, json.loads(json.dumps(said)), dict(ORIGIN))
    return candidates.make(iris.SPEC, dataset, found, training.ignore)


def test_a_compiled_model_is_served_without_scikit_learn(tmp_path: Path, dataset: Dataset) -> None:
    """Its version holds the graph and the parameters, and nothing to unpickle."""
    (tmp_path / "read").mkdir()
    made = candidate(tmp_path / "read", dataset, fitted())
    version = training.save(made, tmp_path / "home")
    columns, labels = dataset.part(dataset.holdout)
    said = predictor.load(iris.SPEC, version, version.digest).score(columns)

    assert "onnx" == version.runtime
    assert not {pipeline_files.PICKLE, pipeline_files.SKOPS} & {
        path.name for path in version.path.iterdir()
    }
    assert (version.path / store.PARAMETERS).exists()
    assert np.mean(
        [iris.SPEC.target.texts[best] == label for best, label in zip(said.best, labels, strict=True)]
    ) == (pytest.approx(version.metrics["accuracy"]))
    assert "training_digest" not in version.metadata
    assert ("model.skops", 0) == (version.metadata["origin"]["file"], version.metadata["rows"]["training"])
    assert "LogisticRegression" == made.estimator


def test_a_model_in_another_order_is_given_its_own(tmp_path: Path, dataset: Dataset) -> None:
    """The version keeps the order in its layout."""
    X, y = iris.load()
    turned = X[X.columns[::-1]]
    model = LogisticRegression(max_iter=1000).fit(turned, y)
    (tmp_path / "read").mkdir()
    version = training.save(candidate(tmp_path / "read", dataset, model), tmp_path / "home")
    columns, _ = dataset.part(range(10))
    said = predictor.load(iris.SPEC, version, version.digest).score(columns)

    assert list(turned.columns) == list(version.read_json(store.PROFILE)["layout"])
    assert np.allclose(model.predict_proba(turned[:10]), said.probabilities, atol=1e-6)


@pytest.mark.parametrize("format_", [files.SKOPS, files.PICKLE])
def test_a_model_that_does_not_compile_is_kept_as_it_came(
    format_: str, tmp_path: Path, dataset: Dataset
) -> None:
    """A pickle only if its owner trusts it."""
    (tmp_path / "read").mkdir()
    model = fitted(make_pipeline(FunctionTransformer(np.log1p), GaussianNB()))
    version = training.save(candidate(tmp_path / "read", dataset, model, format_), tmp_path / "home")
    columns, _ = dataset.part(range(10))
    said = predictor.load(iris.SPEC, version, version.digest).score(columns)
    kept = {files.SKOPS: pipeline_files.SKOPS, files.PICKLE: pipeline_files.PICKLE}[format_]

    assert kept == pipeline_files.served([path.name for path in version.path.iterdir()])
    assert np.allclose(model.predict_proba(iris.load()[0][:10]), said.probabilities)


def test_a_graph_that_names_files_is_refused() -> None:
    """A compiled model reads nothing else."""
    tensor = onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [1], [1.0])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    node = onnx.helper.make_node("Identity", ["w"], ["y"])
    output = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])

    def made(domain: str) -> bytes:
        graph = onnx.helper.make_graph([node], "g", [], [output], [tensor])
        opset = onnx.helper.make_opsetid(domain, 1)
        return bytes(onnx.helper.make_model(graph, opset_imports=[opset]).SerializeToString())

    with pytest.raises(InvalidModel, match="names other files"):
        candidates._demand_plain(made(""))
    with pytest.raises(InvalidModel, match="other operators"):
        candidates._demand_plain(made("com.example"))


def test_a_feature_that_a_model_does_not_know_is_not_in_its_profile(tmp_path: Path) -> None:
    """An optional one; the frame of the dataset has it all the same."""
    spec = penguins.SPEC
    dataset = datasets.load(spec)
    taken = ["bill_depth_mm", "bill_length_mm"]
    X = spec.frame(dataset.columns)[taken].fillna(0)
    model = LogisticRegression(max_iter=5000).fit(X, spec.target.as_y(dataset.labels))
    optional = [name for name, each in spec.inputs.items() if each.optional]

    assert set(taken) <= set(optional)
    assert taken == list(spec.ordered(taken).layout.texts)
    assert taken == list(model.feature_names_in_)
