"""The interval of a version: calibrated on rows that no model had seen, and right on new ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import SVR

from models_store import pipelines, store
from models_store.errors import DamagedVersion
from models_store.spec import Spec
from prediction.retraining import datasets, training
from prediction.retraining.out_of_fold import OutOfFold
from prediction.retraining.targets import quantity
from prediction.serving import predictor
from tests import rents

ESTIMATORS: dict[str, Callable[[], Any]] = {
    "ridge": Ridge,
    "forest": lambda: RandomForestRegressor(40, min_samples_leaf=5, random_state=0),
    "boosting": lambda: GradientBoostingRegressor(n_estimators=60, random_state=0),
    "histograms": lambda: HistGradientBoostingRegressor(max_iter=40, random_state=0),
    "neighbours": lambda: KNeighborsRegressor(10),
}


def spec_of(estimator: Callable[[], Any], **changes: Any) -> Spec:
    """Make the spec of rents with another estimator."""

    def pipeline(_: int) -> Any:
        one_hot = OneHotEncoder(categories=[list(rents.TOWNS)], sparse_output=False)
        parts = [("numbers", SimpleImputer(), ["area", "rooms"]), ("town", one_hot, ["town"])]
        return make_pipeline(ColumnTransformer(parts), estimator())

    return replace(rents.SPEC, pipeline=pipeline, **changes)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_new_rows_are_covered_as_stated(name: str, tmp_path: Path) -> None:
    """By five estimators, compiled or not, on rows that did not exist before; also small and large flats.

    The level is 0.9. Of calibrations on 440 rows, coverage varies by 0.014 (one standard deviation).
    """
    spec = spec_of(ESTIMATORS[name])
    candidate = training.train(spec, 0)
    (tmp_path / "models").mkdir()
    version = training.save(candidate, tmp_path)
    served = predictor.load(spec, version, version.digest)
    X, y = rents.draw(4000, 77)
    answers = served.score(spec.columns_of(X))
    covered = answers.covers(y.to_numpy())
    error = np.abs(y.to_numpy() - answers.values).mean()

    assert 0.9 == pytest.approx(covered.mean(), abs=0.045)
    assert all(covered[chosen].mean() > 0.8 for chosen in (X.area < 80, X.area > 150))
    assert error == pytest.approx(answers.errors.mean(), rel=0.15)
    assert "calibrated on" in spec.target.describe_decision(version.metadata)


def coverage_of(spec: Spec, X: pd.DataFrame, y: Any) -> float:
    """Calibrate an interval, and return the share of new rows that it holds."""
    dataset = datasets.load(spec)
    columns, labels = dataset.part(dataset.training)
    pipeline = pipelines.fit(spec, 0, columns, labels, dataset.weights)
    held_out = spec.target.ask(pipeline, spec.frame(dataset.part(dataset.holdout)[0]))
    learned = quantity.calibrate(OutOfFold(spec, 0, dataset), held_out, None)
    assert "folds" == learned.width.method
    answers: Any = spec.target.ask(pipeline, X)
    errors = np.abs(y - answers.values)
    assert learned.width.factor is not None
    assert learned.width.floor is not None
    return float((errors <= learned.width.factor * learned.width.floor).mean())


@pytest.mark.parametrize("estimator", [Ridge, lambda: KNeighborsRegressor(5), lambda: SVR(C=1000)])
def test_few_rows_are_covered_as_stated_on_average(estimator: Callable[[], Any]) -> None:
    """Of 70 rows, by estimators that fit fast. One calibration on so few varies by 0.04."""
    spec = spec_of(estimator)
    new = rents.draw(1_000, 99)
    found = [
        coverage_of(replace(spec, load=partial(rents.draw, 70, seed)), new[0], new[1].to_numpy())
        for seed in range(8)
    ]

    assert 0.9 == pytest.approx(np.mean(found), abs=0.04)
    assert min(found) > 0.75


def houses(seed: int, houses: int, flats: int) -> tuple[pd.DataFrame, Any]:
    """Draw flats of houses: all flats of a house have the same area, and rents that are off together."""
    X, _ = rents.draw(houses * flats, seed)
    rng = np.random.default_rng(seed)
    X["area"] = np.repeat(rng.uniform(20, 200, houses).round(3), flats)
    rent = 10 * X.area + np.repeat(rng.normal(0, 150, houses), flats) + rng.normal(0, 30, len(X))
    return X, rent.clip(100, 6000)


def test_rows_of_new_groups_are_covered_as_stated() -> None:
    """A group is in one fold: otherwise a flat would be answered by its neighbours, and seem easy.

    24 groups are few: one calibration varies by 0.07.
    """
    spec = spec_of(lambda: KNeighborsRegressor(12))
    X, y = houses(99, 300, 4)
    found: dict[str | None, list[float]] = {None: [], "area": []}
    for seed in range(6):
        for group, coverages in found.items():
            grouped = replace(spec, load=partial(houses, seed, 30, 4), group=group)
            coverages.append(coverage_of(grouped, X, y.to_numpy()))

    assert 0.9 == pytest.approx(np.mean(found["area"]), abs=0.06)
    assert np.mean(found[None]) < 0.83


def test_a_version_holds_all_that_its_answers_need(tmp_path: Path) -> None:
    """The graph of the error is a file of the manifest; a changed one is refused."""
    (tmp_path / "models").mkdir()
    version = training.save(training.train(rents.SPEC, 0), tmp_path)
    manifest = json.loads((version.path / store.MANIFEST).read_text())["files"]
    golden = version.read_json(store.GOLDEN)

    assert {store.ONNX, store.SPREAD} <= set(manifest)
    assert [store.SPREAD] == golden["decision"]["graphs"]
    assert len(golden["values"]) == len(golden["errors"]) == 4 * 5
    (version.path / store.SPREAD).write_bytes(b"")
    with pytest.raises(DamagedVersion, match=r"spread\.onnx was changed"):
        predictor.load(rents.SPEC, version, version.digest)


def test_the_profile_knows_answers_to_unseen_rows() -> None:
    """Live answers are compared with them, not with labels: these vary more."""
    dataset = datasets.load(rents.SPEC)
    candidate = training.fit(rents.SPEC, 0, dataset)
    profile = candidate.calibrated.profile()

    assert len(dataset.training) == profile["predicted"]["rows"] == profile["errors"]["rows"]
    assert sorted(profile["predicted"]["sample"]) == profile["predicted"]["sample"]


def test_times_are_calibrated_on_the_holdout() -> None:
    """Rows of a later time must not answer for earlier ones; groups stay together, and can."""
    by_time, by_group = (
        training.train(replace(rents.SPEC, **dict[str, Any]({name: "area"})), 0)
        for name in ("time", "group")
    )
    of_time: Any = by_time.compiled.decision
    of_group: Any = by_group.compiled.decision

    assert ("holdout", len(by_time.dataset.holdout)) == (of_time.method, of_time.rows)
    assert ("folds", len(by_group.dataset.training)) == (of_group.method, of_group.rows)


def few() -> tuple[pd.DataFrame, pd.Series]:
    """Return ten rows."""
    return rents.draw(10, 0)


def test_few_rows_have_the_widest_interval() -> None:
    """As wide as the range: it holds every number, and says so."""
    spec = replace(rents.SPEC, load=few)
    candidate = training.train(spec, 0)
    width: Any = candidate.compiled.decision
    columns, _ = candidate.dataset.part(candidate.dataset.holdout)
    answers = candidate.answers(columns)

    assert ("range", None) == (width.method, width.factor)
    assert (100.0, 6000.0) == (answers.low.min(), answers.high.max())


def exact() -> tuple[pd.DataFrame, pd.Series]:
    """Return rents without noise."""
    X, _ = rents.draw(300, 0)
    return X, 10 * X.area + 500


def test_a_model_without_errors_has_narrow_intervals() -> None:
    """There is no division by zero."""
    candidate = training.train(spec_of(Ridge, load=exact), 0)
    answers = candidate.answers(candidate.dataset.part(candidate.dataset.holdout)[0])

    assert np.isfinite(answers.high).all()
    assert (answers.high - answers.low).max() < 5
    assert candidate.metrics.as_dict()["mae"] < 1


def constant() -> tuple[pd.DataFrame, pd.Series]:
    """Return equal rents."""
    X, _ = rents.draw(200, 0)
    return X, pd.Series(np.full(200, 700.0))


def test_equal_labels_can_be_learned(tmp_path: Path) -> None:
    """Nothing varies: neither labels nor errors."""
    spec = replace(rents.SPEC, load=constant)
    (tmp_path / "models").mkdir()
    version = training.save(training.train(spec, 0), tmp_path)
    answers = predictor.load(spec, version, version.digest).score(spec.columns_of(constant()[0]))

    np.testing.assert_allclose(700.0, answers.values, atol=1e-3)


def test_the_holdout_does_not_calibrate() -> None:
    """It is left to check the intervals: other answers to it change nothing."""
    dataset = datasets.load(rents.SPEC)
    candidate = training.fit(rents.SPEC, 0, dataset)
    columns, _ = dataset.part(dataset.holdout)
    moved = candidate.answers(columns)._replace(values=candidate.answers(columns).values + 999)

    assert candidate.calibrated == quantity.calibrate(OutOfFold(rents.SPEC, 0, dataset), moved, None)
