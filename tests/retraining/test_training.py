"""From a spec to a version: the split that no seed moves, figures that repeat, and golden requests."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_store import catalog, store
from models_store.errors import Error, InvalidSpec
from models_store.spec import Features, Spec, category, number
from prediction.figures import scores
from prediction.retraining import training
from prediction.retraining.training import HOLDOUT_SHARE, Candidate, Dataset
from prediction.serving import predictor

SPECS = catalog.load()
Row = tuple[float | None, str, str]

every_spec = pytest.mark.parametrize("name", list(SPECS))


class Leaf(Features):
    """One leaf."""

    length_cm: float | None = number("Length", unit="cm", low=0, high=1000, example=5, optional=True)
    edge: Literal["plain", "toothed"] = category("Edge", example="plain")


def spec_of(rows: Sequence[Row]) -> Spec:
    """Make a spec whose dataset is these rows: length, edge, class."""

    def load() -> tuple[pd.DataFrame, pd.Series]:
        frame = pd.DataFrame(
            {
                "length_cm": pd.Series([length for length, _, _ in rows], dtype="float64"),
                "edge": pd.Series([edge for _, edge, _ in rows], dtype="object"),
            }
        )
        return frame, pd.Series([label for _, _, label in rows], dtype="object")

    return Spec("leaf", "Tree of a leaf", Leaf, ("ash", "oak", "yew"), load, trees)


def trees(seed: int) -> Any:
    """Trees on the length alone, which do not compile."""
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline

    length = ColumnTransformer([("length", "passthrough", ["length_cm"])])
    return make_pipeline(length, HistGradientBoostingClassifier(max_iter=5, random_state=seed))


def leaves(count: int) -> list[Row]:
    """Make leaves of three kinds, no two alike."""
    return [
        (None if row % 17 == 0 else row / 10 + 30 * (row % 3), ("plain", "toothed")[row % 2], kind)
        for row, kind in zip(range(count), ["ash", "oak", "yew"] * count, strict=False)
    ]


def rows_of(dataset: Dataset, part: Sequence[int]) -> list[Row]:
    """Return some rows of a dataset as they were given."""
    columns, labels = dataset.part(part)
    return list(zip(columns["length_cm"], columns["edge"], labels, strict=True))


@lru_cache
def trained(name: str, seed: int = 0) -> Candidate:
    """Train a spec of the catalog once for each seed."""
    return training.train(SPECS[name], seed)


@lru_cache
def trained_leaves() -> Candidate:
    """Train a spec whose estimator does not compile."""
    return training.train(spec_of(leaves(120)), seed=0)


rows = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(0, 30).map(float)),
        st.sampled_from(["plain", "toothed"]),
        st.sampled_from(["ash", "oak", "yew"]),
    ),
    min_size=1,
    max_size=150,
)


@settings(deadline=None, max_examples=50)
@given(rows)
def test_every_row_is_either_trained_on_or_held_out(data: list[Row]) -> None:
    """The two parts share no row, and together they are the dataset."""
    dataset = training.load_dataset(spec_of(data))

    assert list(range(len(data))) == sorted(dataset.training + dataset.holdout)
    assert sorted(data, key=repr) == sorted(
        rows_of(dataset, dataset.training) + rows_of(dataset, dataset.holdout), key=repr
    )


@settings(deadline=None, max_examples=50)
@given(rows)
def test_twins_stay_together(data: list[Row]) -> None:
    """No holdout row has the features of a row that was trained on, whatever their labels."""
    dataset = training.load_dataset(spec_of(data))
    held_out = {row[:2] for row in rows_of(dataset, dataset.holdout)}

    assert not held_out & {row[:2] for row in rows_of(dataset, dataset.training)}


@settings(deadline=None, max_examples=50)
@given(rows, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_move_the_split(data: list[Row], random: Any) -> None:
    """A shuffled dataset holds out the same rows."""
    shuffled = list(data)
    random.shuffle(shuffled)
    one, other = training.load_dataset(spec_of(data)), training.load_dataset(spec_of(shuffled))

    assert Counter(rows_of(one, one.holdout)) == Counter(rows_of(other, other.holdout))


@settings(deadline=None, max_examples=30)
@given(st.integers(4, 200))
def test_each_class_is_held_out_by_its_share(count: int) -> None:
    """Where no two rows are alike, the holdout has the share of every class, to the row."""
    data = leaves(count * 3)
    dataset = training.load_dataset(spec_of(data))
    distinct = len({row[:2] for row in data}) == len(data)
    _, labels = dataset.part(dataset.holdout)

    for kind in ("ash", "oak", "yew"):
        assert not distinct or round(count * HOLDOUT_SHARE) == Counter(labels)[kind]


@every_spec
def test_the_holdout_is_stratified(name: str) -> None:
    """In the catalog's datasets every class is held out by its share, give or take its twins."""
    dataset = training.load_dataset(SPECS[name])
    _, held_out = dataset.part(dataset.holdout)

    assert not set(dataset.training) & set(dataset.holdout)
    for kind, count in Counter(dataset.labels).items():
        assert abs(Counter(held_out)[kind] - count * HOLDOUT_SHARE) <= 2


@every_spec
def test_the_split_does_not_depend_on_the_seed(name: str) -> None:
    """Two seeds train on the same rows and are measured on the same rows."""
    one, other = trained(name, 0).dataset, trained(name, 3).dataset

    assert (one.training, one.holdout, one.digest) == (other.training, other.holdout, other.digest)


def test_the_split_keeps_its_rows_from_release_to_release() -> None:
    """The rows held out are fixed: a change here would train on what versions were measured with."""
    dataset = training.load_dataset(SPECS["iris"])

    assert [0, 2, 3, 10, 13, 20] == dataset.holdout[:6]
    assert (114, 36) == (len(dataset.training), len(dataset.holdout))


@every_spec
def test_the_same_seed_gives_the_same_figures(name: str) -> None:
    """Data, code and seed decide every metric and every probability, to the last bit."""
    one, other = trained(name, 3), training.train(SPECS[name], 3)
    frame = SPECS[name].frame(one.dataset.columns)

    assert one.metrics == other.metrics
    assert one.compiled.agreement == other.compiled.agreement
    np.testing.assert_array_equal(one.pipeline.predict_proba(frame), other.pipeline.predict_proba(frame))


def test_another_seed_gives_another_model() -> None:
    """The seed reaches the estimator."""
    one, other = trained("penguins", 0), trained("penguins", 3)
    frame = SPECS["penguins"].frame(one.dataset.columns)

    assert not np.array_equal(one.pipeline.predict_proba(frame), other.pipeline.predict_proba(frame))
    assert (0, 3) == (one.seed, other.seed)


@every_spec
def test_metrics_are_those_of_the_holdout(name: str) -> None:
    """They can be computed again from the pipeline and the rows that were held out."""
    candidate = trained(name)
    columns, labels = candidate.dataset.part(candidate.dataset.holdout)
    probabilities = candidate.pipeline.predict_proba(candidate.spec.frame(columns))

    assert candidate.metrics == scores.metrics(
        np.array(labels, object), probabilities, candidate.spec.classes
    )
    assert candidate.metrics.accuracy > 0.9


def test_no_holdout_row_is_trained_on() -> None:
    """What the estimator sees is the training part, and nothing else."""
    seen: list[Any] = []

    class Watched:
        classes_ = np.array(["ash", "oak", "yew"], object)

        def fit(self, X: pd.DataFrame, y: Any) -> Watched:
            seen.extend(zip(X["length_cm"].tolist(), X["edge"], y, strict=True))
            return self

        def predict_proba(self, X: pd.DataFrame) -> Any:
            return np.full((len(X), 3), 1 / 3)

    data = [row for row in leaves(90) if row[0] is not None]
    spec = replace(spec_of(data), pipeline=lambda _: Watched())
    dataset = training.load_dataset(spec)
    training.train(spec, seed=0)

    assert rows_of(dataset, dataset.training) == seen


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[1:],
        lambda data: [*data, data[0]],
        lambda data: [(1.5, *data[0][1:]), *data[1:]],
        lambda data: [(*data[0][:2], "oak"), *data[1:]],
        lambda data: [(data[0][0], "toothed", "ash"), *data[1:]],
        lambda data: [data[0], (None, *data[1][1:]), *data[2:]],
    ],
    ids=["a row less", "a row more", "a number", "a label", "a category", "a value missing"],
)
def test_the_digest_tells_datasets_apart(change: Callable[[list[Row]], list[Row]]) -> None:
    """It is a SHA-256 of every value and label; the same data has the same one."""
    data = leaves(30)
    digest = training.load_dataset(spec_of(data)).digest

    assert 64 == len(digest)
    assert digest == training.load_dataset(spec_of(leaves(30))).digest
    assert digest != training.load_dataset(spec_of(change(data))).digest


def test_data_without_the_specs_classes_is_refused() -> None:
    """A dataset that lacks a class of its spec, or has one more, can't be trained on."""
    without = [row for row in leaves(60) if row[2] != "yew"]

    with pytest.raises(Error, match=r"leaf: .*classes.*ash.*oak"):
        training.train(spec_of(without), seed=0)


def no_file() -> Any:
    """Read what is not there."""
    return pd.read_csv("data/mine.csv")


def margins(seed: int) -> Any:
    """Give no probabilities."""
    from sklearn.svm import LinearSVC

    return LinearSVC(random_state=seed)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"load": no_file}, "leaf: load() can't read its data: .*data/mine.csv"),
        ({"load": lambda: (pd.DataFrame({"edge": ["plain"]}), ["ash"])}, "lacks the columns length_cm"),
        ({"load": lambda: (spec_of(leaves(3)).load()[0], ["ash"])}, "3 rows and 1 labels"),
        (
            {"load": spec_of([*leaves(60), (5000.0, "plain", "ash")]).load},
            "row 60 .* length_cm must be",
        ),
        ({"load": spec_of([(1.0, "", "ash"), *leaves(60)]).load}, "row 0 .* edge must be one of plain"),
        ({"pipeline": margins}, "leaf: its pipeline has no predict_proba"),
    ],
    ids=["no file", "no column", "no label", "out of range", "missing", "no probabilities"],
)
def test_what_is_not_as_the_spec_says_is_told_in_a_sentence(change: dict[str, Any], words: str) -> None:
    """Data that the service would refuse is not trained on, and the row and the feature are named."""
    with pytest.raises(InvalidSpec, match=words.replace("(", r"\(").replace(")", r"\)")):
        training.train(replace(spec_of(leaves(60)), **change), seed=0)


def test_each_step_is_reported_as_it_begins() -> None:
    """Who waits is told what for, with the number of rows."""
    steps: list[str] = []
    training.train(SPECS["iris"], 0, steps.append)

    assert [
        "load the data",
        "fit on 114 rows",
        "evaluate on 36 rows",
        "compile and compare on 10150 rows",
    ] == steps


@every_spec
def test_a_saved_version_tells_its_story(name: str, tmp_path: Path) -> None:
    """Labels and metadata hold what was trained, on what, with what, and how good it is."""
    candidate = trained(name, 3)
    version = training.save(candidate, tmp_path)
    told = version.metadata

    assert candidate.runtime == version.runtime == told["runtime"]
    assert candidate.metrics.as_dict() == version.metrics
    assert list(candidate.spec.classes) == told["classes"]
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
    """Pipeline, graph if there is one, profile, golden requests, manifest, BentoML's own file; no more."""
    version = training.save(trained(name), tmp_path)
    graph = {"model.onnx"} if version.runtime == "onnx" else set()

    assert graph | {
        "golden.json",
        "manifest.json",
        "model.yaml",
        "profile.json",
        "saved_model.pkl",
    } == {path.name for path in version.path.iterdir()}


@every_spec
def test_a_saved_pipeline_answers_as_the_trained_one(name: str, tmp_path: Path) -> None:
    """What is loaded again gives the same probabilities on every row."""
    candidate = trained(name)
    version = training.save(candidate, tmp_path)
    frame = candidate.spec.frame(candidate.dataset.columns)
    loaded = store.load_pipeline(version, version.digest)

    np.testing.assert_array_equal(candidate.pipeline.predict_proba(frame), loaded.predict_proba(frame))


@every_spec
def test_golden_requests_are_holdout_rows_of_each_class(name: str, tmp_path: Path) -> None:
    """A few of each, with the answers that are given."""
    candidate = trained(name)
    spec, version = candidate.spec, training.save(candidate, tmp_path)
    golden = version.read_json(store.GOLDEN)
    held_out, labels = candidate.dataset.part(candidate.dataset.holdout)
    rows_held_out = dict(zip(zip(*held_out.values(), strict=True), labels, strict=True))
    chosen = list(zip(*(golden["columns"][feature] for feature in spec.inputs), strict=True))

    assert list(spec.inputs) == list(golden["columns"])
    assert dict.fromkeys(spec.classes, training.GOLDEN_ROWS_A_CLASS) == Counter(
        rows_held_out[row] for row in chosen
    )
    loaded = predictor.load(spec, version, version.digest)
    np.testing.assert_array_equal(golden["probabilities"], loaded.score(golden["columns"]))
    assert spec is loaded.spec


def test_the_profile_is_that_of_the_training_rows(tmp_path: Path) -> None:
    """Held-out rows are not in it: what they would hide is what drift looks for."""
    candidate = trained("iris")
    profile = training.save(candidate, tmp_path).read_json(store.PROFILE)
    columns, _ = candidate.dataset.part(candidate.dataset.training)

    assert len(candidate.dataset.training) == profile["rows"]
    assert sorted(columns["petal_width_cm"]) == profile["features"]["petal_width_cm"]["sample"]


def test_a_model_that_does_not_compile_is_saved_to_be_served_by_scikit_learn(tmp_path: Path) -> None:
    """Its version has no graph, says why, and replays its golden requests with the pipeline."""
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
    np.testing.assert_array_equal(golden["probabilities"], loaded.score(golden["columns"]))


def test_saving_twice_makes_two_versions_of_the_same_content(tmp_path: Path) -> None:
    """A version is never overwritten; what is in both is the same."""
    one, other = training.save(trained("iris"), tmp_path), training.save(trained("iris"), tmp_path)

    assert one.version != other.version
    assert one.digest == other.digest
    assert [other, one] == store.versions(tmp_path, "iris")


def test_saving_reports_its_step(tmp_path: Path) -> None:
    """Who waits is told."""
    steps: list[str] = []
    training.save(trained("iris"), tmp_path, steps.append)

    assert ["save"] == steps


def test_what_is_saved_is_plain_json(tmp_path: Path) -> None:
    """Any language can read profile and golden requests; a missing value is null."""
    version = training.save(trained("penguins"), tmp_path)

    for name in (store.PROFILE, store.GOLDEN, store.MANIFEST):
        text = (version.path / name).read_text()
        assert "NaN" not in text
        assert json.loads(text)
