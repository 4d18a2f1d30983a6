"""From a spec to a version: equal figures for equal seeds, and the files of a version."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor

from models_store import catalog, store
from models_store.errors import Error, InvalidSpec
from models_store.spec import Cost, classes
from prediction.figures import scores
from prediction.retraining import datasets, out_of_fold, training
from prediction.retraining.training import Candidate
from prediction.serving import predictor
from tests import kinds
from tests.labels import most_probable
from tests.leaves import leaves, rows_of, spec_of
from tests.servers import run

SPECS = catalog.load()

every_spec = pytest.mark.parametrize("name", list(SPECS))
every_classifier = pytest.mark.parametrize(
    "name", [name for name, spec in SPECS.items() if kinds.predicts_classes(spec)]
)


@lru_cache
def trained(name: str, seed: int = 0) -> Candidate:
    """Train a spec of the catalog once for each seed."""
    return training.train(SPECS[name], seed)


@lru_cache
def trained_leaves() -> Candidate:
    """Train a spec whose estimator does not compile."""
    return training.train(spec_of(leaves(120)), seed=0)


@every_spec
def test_the_split_does_not_depend_on_the_seed(name: str) -> None:
    """Two seeds have the same training rows and the same holdout; the estimator does not matter."""
    quick = DummyClassifier if kinds.predicts_classes(SPECS[name]) else DummyRegressor
    spec = replace(SPECS[name], pipeline=lambda _: quick())
    one, other = (training.train(spec, seed).dataset for seed in (0, 3))

    assert (one.training, one.holdout, one.digest) == (other.training, other.holdout, other.digest)


@every_spec
def test_the_same_seed_gives_the_same_figures(name: str) -> None:
    """All metrics and answers are equal to the last bit."""
    spec = SPECS[name]
    one, other = trained(name, 0), training.train(spec, 0)
    frame = spec.frame(one.dataset.columns)

    assert one.metrics == other.metrics
    assert one.compiled.agreement == other.compiled.agreement
    np.testing.assert_array_equal(
        kinds.ask(spec, one.pipeline, frame), kinds.ask(spec, other.pipeline, frame)
    )


def test_another_seed_gives_another_model() -> None:
    """The seed is passed to the estimator."""
    one, other = trained("penguins", 0), trained("penguins", 3)
    frame = SPECS["penguins"].frame(one.dataset.columns)

    assert not np.array_equal(one.pipeline.predict_proba(frame), other.pipeline.predict_proba(frame))
    assert (0, 3) == (one.seed, other.seed)


@every_classifier
def test_metrics_are_those_of_the_holdout(name: str) -> None:
    """They can be computed from the pipeline and the held-out rows."""
    candidate = trained(name)
    columns, labels = candidate.dataset.part(candidate.dataset.holdout)
    probabilities = candidate.pipeline.predict_proba(candidate.spec.frame(columns))
    answers = most_probable(probabilities)

    found = scores.metrics(np.array(labels, object), answers, candidate.spec.target.texts).as_dict()
    assert found == candidate.metrics.as_dict()
    assert found["accuracy"] > 0.9


def test_no_holdout_row_is_trained_on() -> None:
    """Neither by the model nor by the pipelines of the calibration, each of which lacks a fifth."""
    seen: list[list[Any]] = []

    class Watched:
        classes_ = np.array(["ash", "oak", "yew"], object)

        def fit(self, X: pd.DataFrame, y: Any) -> Watched:
            seen.append(list(zip(X["length_cm"].tolist(), X["edge"], y, strict=True)))
            return self

        def predict_proba(self, X: pd.DataFrame) -> Any:
            return np.full((len(X), 3), 1 / 3)

        def predict(self, X: pd.DataFrame) -> Any:
            return self.classes_[:1].repeat(len(X))

    data = [row for row in leaves(90) if row[0] is not None]
    spec = replace(spec_of(data), pipeline=lambda _: Watched())
    dataset = datasets.load(spec)
    training.train(spec, seed=0)

    rows = rows_of(dataset, dataset.training)
    assert rows == seen[0]
    assert out_of_fold.FOLDS + 1 == len(seen)
    assert sorted(rows * (out_of_fold.FOLDS - 1)) == sorted(row for part in seen[1:] for row in part)


def test_data_without_the_specs_classes_is_refused() -> None:
    """A dataset that lacks a class of its spec, or has another one, can't be used."""
    without = [row for row in leaves(60) if row[2] != "yew"]

    with pytest.raises(Error, match=r"leaf: .*classes.*ash.*oak"):
        training.train(spec_of(without), seed=0)


def test_each_step_is_reported_as_it_begins() -> None:
    """The reports name the step and the number of rows."""
    steps: list[str] = []
    training.train(SPECS["iris"], 0, steps.append)

    assert [
        "load the data",
        "fit on 120 rows",
        "evaluate on 30 rows",
        "calibrate on 150 rows",
        "compile and compare on 10150 rows",
    ] == steps


@every_spec
def test_a_saved_version_describes_its_training(name: str, tmp_path: Path) -> None:
    """Labels and metadata have the model, the data, the packages and the metrics."""
    candidate = trained(name, 3)
    version = training.save(candidate, tmp_path)
    told = version.metadata

    assert candidate.runtime == version.runtime == told["runtime"]
    assert candidate.metrics.as_dict() == version.metrics
    assert candidate.spec.target.as_dict().items() <= told.items()
    assert candidate.dataset.digest == told["data_digest"]
    assert len(candidate.dataset.training) == told["rows"]["training"]
    assert len(candidate.dataset.holdout) == told["rows"]["holdout"]
    assert (3, candidate.compiled.reason) == (told["seed"], told["compiled"])
    agreement = candidate.compiled.agreement
    assert (agreement.as_dict() if agreement else {}) == told["agreement"]
    assert set(training.PACKAGES) == set(told["packages"])
    store.verify(version, version.digest)


@every_spec
def test_a_saved_version_holds_its_files(name: str, tmp_path: Path) -> None:
    """They are pipeline, graph (if it compiled), profile, golden requests, manifest and BentoML's file."""
    version = training.save(trained(name), tmp_path)
    graph = {"model.onnx"} if version.runtime == "onnx" else set()
    beside = version.metadata["decision"].get("graphs", [])

    assert graph | {*beside} | {
        "golden.json",
        "manifest.json",
        "model.yaml",
        "profile.json",
        "saved_model.pkl",
    } == {path.name for path in version.path.iterdir()}


@every_spec
def test_a_saved_pipeline_answers_as_the_trained_one(name: str, tmp_path: Path) -> None:
    """The loaded pipeline gives the same answers on each row."""
    candidate = trained(name)
    version = training.save(candidate, tmp_path)
    frame = candidate.spec.frame(candidate.dataset.columns)
    loaded = store.load_pipeline(version, version.digest)

    expected, found = (kinds.ask(SPECS[name], each, frame) for each in (candidate.pipeline, loaded))
    np.testing.assert_array_equal(expected, found)


@every_classifier
def test_golden_requests_are_holdout_rows_of_each_class(name: str, tmp_path: Path) -> None:
    """There are a few rows of each class, with the answers of the version."""
    candidate = trained(name)
    spec, version = candidate.spec, training.save(candidate, tmp_path)
    golden = version.read_json(store.GOLDEN)
    held_out, labels = candidate.dataset.part(candidate.dataset.holdout)
    rows_held_out = dict(zip(zip(*held_out.values(), strict=True), labels, strict=True))
    chosen = list(zip(*(golden["columns"][feature] for feature in spec.inputs), strict=True))

    assert list(spec.inputs) == list(golden["columns"])
    assert dict.fromkeys(spec.target.texts, training.GOLDEN_ROWS_A_STRATUM) == Counter(
        rows_held_out[row] for row in chosen
    )
    loaded = predictor.load(spec, version, version.digest)
    np.testing.assert_array_equal(golden["probabilities"], loaded.score(golden["columns"]).probabilities)
    assert spec is loaded.spec


def test_the_profile_is_that_of_the_training_rows(tmp_path: Path) -> None:
    """Held-out rows are not part of it."""
    candidate = trained("iris")
    profile = training.save(candidate, tmp_path).read_json(store.PROFILE)
    columns, _ = candidate.dataset.part(candidate.dataset.training)

    assert len(candidate.dataset.training) == profile["rows"]
    assert sorted(columns["petal_width_cm"]) == profile["features"]["petal_width_cm"]["sample"]


def test_a_model_that_does_not_compile_is_saved_to_be_served_by_scikit_learn(tmp_path: Path) -> None:
    """Its version has no graph but a reason, and its golden requests are answered by the pipeline."""
    candidate = trained_leaves()
    version = training.save(candidate, tmp_path)
    golden = version.read_json(store.GOLDEN)

    assert "scikit-learn" == candidate.runtime == version.runtime
    assert candidate.compiled.reason == version.metadata["compiled"]
    assert {} == version.metadata["agreement"]
    assert not (version.path / store.ONNX).exists()
    np.testing.assert_array_equal(
        golden["probabilities"], candidate.pipeline.predict_proba(candidate.spec.frame(golden["columns"]))
    )
    loaded = predictor.load(candidate.spec, version, version.digest)
    np.testing.assert_array_equal(golden["probabilities"], loaded.score(golden["columns"]).probabilities)


def test_saving_twice_makes_two_versions_of_the_same_content(tmp_path: Path) -> None:
    """A version is never overwritten; both have the same files, and describe their own names."""
    one, other = training.save(trained("iris"), tmp_path), training.save(trained("iris"), tmp_path)

    assert one.version != other.version
    assert one.digest != other.digest
    files, others = (json.loads((each.path / store.MANIFEST).read_text())["files"] for each in (one, other))
    assert files == others
    assert [other, one] == store.versions(tmp_path, "iris")


def test_saving_reports_its_step(tmp_path: Path) -> None:
    """Saving has one step."""
    steps: list[str] = []
    training.save(trained("iris"), tmp_path, steps.append)

    assert ["save"] == steps


def test_what_is_saved_is_plain_json(tmp_path: Path) -> None:
    """Every language can read profile and golden requests; a missing value is null."""
    version = training.save(trained("penguins"), tmp_path)

    for name in (store.PROFILE, store.GOLDEN, store.MANIFEST):
        text = (version.path / name).read_text()
        assert "NaN" not in text
        assert json.loads(text)


def test_a_class_of_equal_rows_is_trained_on() -> None:
    """Releases before held all of them out, and scikit-learn failed; now none or some are held out."""
    equal = [(999.0, "plain", "yew")] * 10
    data = [row for row in leaves(90) if row[2] != "yew"] + equal
    candidate = training.train(spec_of(data), seed=0)

    labels = [candidate.dataset.labels[row] for row in candidate.dataset.training]
    assert 10 == labels.count("yew")
    assert set(candidate.dataset.holdout)


def test_a_dataset_without_a_row_to_judge_by_is_refused() -> None:
    """The error says what is missing, before scikit-learn does."""
    data = [(1.0, "plain", "ash"), (2.0, "plain", "oak"), (3.0, "plain", "yew")]

    with pytest.raises(Error, match=r"leaf: no row of load.. can be held out .* two different rows"):
        training.train(spec_of(data), seed=0)


RECIPE = """
from models_store import catalog
from prediction.retraining import training
print(*(training.recipe(spec, 3) for spec in catalog.load().values()))
"""


def test_a_recipe_is_the_same_in_another_process(tmp_path: Path) -> None:
    """Whatever the seed of Python's own hashes is."""
    expected = [training.recipe(spec, 3) for spec in SPECS.values()]
    for _ in range(2):
        assert " ".join(map(str, expected)) == run("python", "-c", RECIPE, home=tmp_path).stdout.strip()


def forest(leaf: int, seed: int) -> Any:
    """Make another estimator, with one parameter to change."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(min_samples_leaf=leaf, random_state=seed)


def one_leaf(seed: int) -> Any:
    """Make a forest whose trees are deep."""
    return forest(1, seed)


def two_leaves(seed: int) -> Any:
    """Make a forest whose trees are less deep."""
    return forest(2, seed)


def unpicklable(_: int) -> Any:
    """Make an estimator that can't be hashed."""
    from sklearn.preprocessing import FunctionTransformer

    return FunctionTransformer(lambda X: X)


def test_a_recipe_changes_with_seed_and_pipeline() -> None:
    """Two pipelines of one file differ by their parameters; what can't be hashed has no recipe."""
    spec = SPECS["iris"]
    one, two = (replace(spec, pipeline=pipeline) for pipeline in (one_leaf, two_leaves))

    assert training.recipe(one, 0) == training.recipe(one, 0) is not None
    assert training.recipe(one, 0) not in (training.recipe(one, 1), training.recipe(two, 0))
    assert training.recipe(replace(spec, pipeline=unpicklable), 0) is None


def test_a_recipe_changes_with_costs_of_another_file() -> None:
    """A spec may import them: then the text of its own file is as before."""
    spec = replace(SPECS["iris"], pipeline=one_leaf)
    dear, cheap = (
        replace(spec, target=classes("no", "yes", positive="yes", cost=Cost(1, miss))) for miss in (50, 5)
    )

    assert training.recipe(dear, 0) == training.recipe(replace(dear), 0)
    assert training.recipe(dear, 0) != training.recipe(cheap, 0)


def test_a_pipeline_that_can_t_be_pickled_is_one_sentence(tmp_path: Path) -> None:
    """It names the step, the cause and the remedy, and nothing is left in the store."""
    spec = SPECS["iris"]

    def with_lambda(seed: int) -> Any:
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import FunctionTransformer

        return make_pipeline(FunctionTransformer(lambda X: X), spec.pipeline(seed))

    candidate = training.train(replace(spec, pipeline=with_lambda), seed=0)
    with pytest.raises(
        InvalidSpec, match=r"^iris: save failed: .*lambda.*: define each function and class at"
    ):
        training.save(candidate, tmp_path)

    assert [] == store.versions(tmp_path, "iris")
    assert [] == [path for path in (tmp_path / "staging").iterdir() if path.is_dir()]
