"""Labelled predictions against their estimate: false alarms over many looks, and detection."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from models_store import catalog, pipelines
from models_store.targets.classes import classes as declare
from prediction.figures import calibration, deficit
from prediction.figures.calibration import Calibration
from prediction.figures.deficit import Expected
from prediction.figures.targets import classes
from prediction.retraining import datasets, training
from prediction.retraining.out_of_fold import OutOfFold
from prediction.retraining.targets.classes import seen
from tests.figures.test_calibration import ACCURACIES, Array, learned, predictions

LOOKS = 50


TARGET = declare("setosa", "versicolor", "virginica")


def first_alarm(p: Array, low: Array, right: Array, looks: range) -> int | None:
    """Return the first of these numbers of labels at which the state is below the estimate."""
    sums = [np.cumsum(each) for each in (right, p, low, p * (1 - p))]
    for n in looks:
        hits, *expected = (float(each[n - 1]) for each in sums)
        found = deficit.judge(int(hits), Expected(n, *expected))
        assert found is not None
        if found.state == deficit.BELOW:
            return n
    return None


@pytest.mark.parametrize("step", [10, 100])
@pytest.mark.parametrize("n", [150, 600, 3_000])
def test_false_alarms_are_rare_over_fifty_looks(n: int, step: int) -> None:
    """At most 1 in 100 of models that are as good as in training, though their calibration may be off."""
    rng, alarms = np.random.default_rng(n + step), 0
    looks = range(step, LOOKS * step + 1, step)
    for shape in [*ACCURACIES.values()] * 200:
        curve = learned(*predictions(n, rng, shape)[:2])
        confidences, right, _ = predictions(LOOKS * step, rng, shape)
        p, low, _ = curve.of(confidences)
        alarms += first_alarm(p, low, right.astype(float), looks) is not None

    assert alarms <= 6  # of 600


@pytest.fixture(scope="module")
def iris() -> training.Candidate:
    """A model of the lesson."""
    return training.train(catalog.load()["iris"], seed=0)


def calibration_of(candidate: training.Candidate) -> Calibration:
    """Return the calibration that a version will hold."""
    return calibration.read(candidate.calibrated.profile())


def flowers(
    candidate: training.Candidate, n: int, rng: np.random.Generator, moved_cm: float
) -> tuple[Array, Array, Array]:
    """Draw flowers as `docs/flowers.py` does; return p, its lower end, and whether each is right."""
    spec = candidate.spec
    X, y = spec.load()
    rows = rng.integers(len(y), size=n)
    species = y.to_numpy()[rows]
    moved = np.where(species == "virginica", moved_cm, 0.0)[:, None]
    measures = (X.to_numpy()[rows] + moved + rng.normal(0, 0.08, (n, 4))).clip(0.1).round(2)
    columns = dict(zip(spec.inputs, measures.T.tolist(), strict=True))
    confidences, right = classes.sure(TARGET, species.tolist(), candidate.answers(columns))
    p, low, _ = calibration_of(candidate).of(confidences)
    return p, low, right.astype(float)


def test_the_drift_of_the_lesson_is_found_within_200_labels(iris: training.Candidate) -> None:
    """In about 9 of 10 dry years: accuracy falls from 97 to 79 %, and the model does not know."""
    rng = np.random.default_rng(1)
    found = [first_alarm(*flowers(iris, 400, rng, -0.6), range(10, 401, 10)) or 999 for _ in range(100)]

    assert sum(each <= 100 for each in found) >= 50
    assert sum(each <= 200 for each in found) >= 90
    assert sum(each <= 400 for each in found) >= 98


def test_a_good_day_of_the_lesson_raises_no_alarm(iris: training.Candidate) -> None:
    """In 100 days with 50 looks each at most one does."""
    rng = np.random.default_rng(2)
    found = [first_alarm(*flowers(iris, 500, rng, 0.0), range(10, 501, 10)) for _ in range(100)]

    assert sum(each is not None for each in found) <= 1


@pytest.fixture(scope="module", params=["iris", "penguins"])
def unseen(request: pytest.FixtureRequest) -> tuple[Array, Array]:
    """Return the confidences of answers to the whole dataset, each by a model that had not seen the row.

    Also whether they are right.
    """
    spec = catalog.load()[request.param]
    target: Any = spec.target
    dataset = datasets.load(spec)
    pipeline = pipelines.fit(spec, 0, *dataset.part(dataset.training), dataset.weights)
    held_out = pipelines.checked(pipeline, spec, dataset.part(dataset.holdout)[0], "the holdout")
    parts = seen(OutOfFold(spec, 0, dataset), held_out)
    found = [classes.sure(target, part.labels, part.answers) for part in parts]
    confidences, right = (np.concatenate(each) for each in zip(*found, strict=True))
    assert len(dataset.labels) == len(right)
    return confidences, right.astype(float)


def drawn(unseen: tuple[Array, Array], rows: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw rows again."""
    confidences, right = unseen
    chosen = rng.integers(len(right), size=rows)
    return confidences[chosen], right[chosen]


def learned_again(unseen: tuple[Array, Array], rng: np.random.Generator) -> Calibration:
    """Learn a calibration from the training data, resampled."""
    confidences, right = drawn(unseen, len(unseen[1]), rng)
    return calibration.learn(confidences, right, np.ones(len(right)))


def test_on_resampled_training_data_the_interval_holds_the_true_accuracy(
    unseen: tuple[Array, Array],
) -> None:
    """9 times of 10, for each classifier of the catalog: of all rows, and of windows of 200."""
    rng, of_all, of_next = np.random.default_rng(3), 0, 0
    for _ in range(200):
        curve = learned_again(unseen, rng)
        found = calibration.expected_accuracy(*curve.of(drawn(unseen, 5_000, rng)[0]))
        assert found is not None
        of_all += found.low <= unseen[1].mean() <= found.high
        confidences, right = drawn(unseen, 200, rng)
        found = calibration.expected_accuracy(*curve.of(confidences))
        assert found is not None
        of_next += found.low <= right.mean() <= found.high

    assert of_all >= 180
    assert of_next >= 180


def test_on_resampled_training_data_false_alarms_are_rare_over_fifty_looks(
    unseen: tuple[Array, Array],
) -> None:
    """At most 1 in 100, for each classifier of the catalog, though its calibration is resampled too."""
    rng, alarms = np.random.default_rng(4), 0
    for _ in range(200):
        curve = learned_again(unseen, rng)
        confidences, right = drawn(unseen, 10 * LOOKS, rng)
        p, low, _ = curve.of(confidences)
        alarms += first_alarm(p, low, right, range(10, 10 * LOOKS + 1, 10)) is not None

    assert alarms <= 2


def test_what_is_compared() -> None:
    """Shares of the same rows, and a p-value that falls with each wrong prediction."""
    found = [deficit.judge(right, Expected(100, 95.0, 93.0, 4.5)) for right in (97, 92, 85, 75)]

    assert all(found)
    assert [0.97, 0.92, 0.85, 0.75] == [item.accuracy for item in found if item]
    assert {(0.95, 100, deficit.LIMIT)} == {(item.estimate, item.n, item.limit) for item in found if item}
    p = [item.p for item in found if item]
    assert 1.0 == p[0] >= p[1] > p[2] > p[3] > 0
    assert ["as estimated", "as estimated", "below estimate"] == [
        item.state for item in found[:2] + found[3:] if item
    ]


def test_no_labels_have_no_state() -> None:
    """Nothing is compared."""
    assert deficit.judge(0, Expected(0, 0.0, 0.0, 0.0)) is None


@pytest.mark.parametrize(
    "expected",
    [
        Expected(1, 1.0, 1.0, 0.0),
        Expected(10**9, 9.9e8, 9.89e8, 1e7),
        Expected(50, 49.99, 49.9, 1e-5),
        Expected(10, 0.0, 0.0, 0.0),
    ],
)
def test_figures_are_finite_however_extreme(expected: Expected) -> None:
    """All right or all wrong, of one row or a thousand million: JSON has no infinity."""
    for right in (0, expected.rows):
        found = deficit.judge(right, expected)
        assert found is not None
        json.dumps(asdict(found), allow_nan=False)
        assert 0 <= found.p <= 1


def test_one_wrong_prediction_of_a_sure_model_is_no_alarm() -> None:
    """A normal approximation would see it five standard deviations away."""
    found = deficit.judge(49, Expected(50, 49.96, 49.9, 0.04))

    assert found is not None
    assert "as estimated" == found.state
