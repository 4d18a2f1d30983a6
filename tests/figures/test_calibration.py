"""How often a prediction of a given confidence is right: curves, intervals, the estimate without labels."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from prediction.figures import calibration
from prediction.figures.calibration import Calibration

Array = NDArray[np.float64]

ACCURACIES = {"0.73": (4, 2), "0.95": (9, 1), "0.995": (40, 0.7)}
"""Distributions of confidences, and about the accuracy that `predictions` then gives."""


def predictions(
    n: int, rng: np.random.Generator, shape: tuple[float, float] = (9, 1)
) -> tuple[Array, NDArray[np.bool_], Array]:
    """Draw confidences of an underconfident model; return also which are right, and how likely that was."""
    confidences = rng.beta(*shape, size=n).clip(0.34, 1 - 1e-6)
    likely = 1 / (1 + np.exp(-(0.2 + 1.3 * np.log(confidences / (1 - confidences)))))
    return confidences, rng.random(n) < likely, likely


def learned(confidences: Array, right: NDArray[np.bool_]) -> Calibration:
    """Learn a calibration from rows of weight 1."""
    return calibration.learn(confidences.tolist(), right.tolist(), [1.0] * len(right))


@pytest.mark.parametrize("shape", ACCURACIES.values(), ids=list(ACCURACIES))
@pytest.mark.parametrize("n", [100, 150, 600, 3_000])
def test_the_true_accuracy_lies_in_the_interval(n: int, shape: tuple[float, float]) -> None:
    """9 times of 10: of all rows there are, and of the next 200."""
    rng, of_all, of_next = np.random.default_rng(n), 0, 0
    for _ in range(100):
        confidences, right, _ = predictions(n, rng, shape)
        curve = learned(confidences, right)
        confidences, right, likely = predictions(5_000, rng, shape)
        found = calibration.expected_accuracy(*curve.of(confidences))
        assert found is not None
        of_all += found.low <= likely.mean() <= found.high
        found = calibration.expected_accuracy(*curve.of(confidences[:200]))
        assert found is not None
        of_next += found.low <= right[:200].mean() <= found.high

    assert of_all >= 90
    assert of_next >= 90


def test_few_rows_have_platts_curve() -> None:
    """It is the logistic regression of scikit-learn on the logit, with Platt's targets as weights."""
    confidences, right, _ = predictions(400, np.random.default_rng(1))
    curve = learned(confidences, right)
    target = (right.sum() + 1) / (right.sum() + 2), 1 / ((~right).sum() + 2)
    logits = np.log(confidences / (1 - confidences))[:, None]
    hopeful = np.where(right, *target)
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1_000).fit(
        np.vstack([logits, logits]),
        [1] * 400 + [0] * 400,
        sample_weight=np.concatenate([hopeful, 1 - hopeful]),
    )

    assert ("platt", 400) == (curve.method, curve.rows)
    expected = model.predict_proba(logits)[:, 1]
    assert np.abs(curve.of(confidences)[0] - expected).max() < 0.005


@pytest.mark.parametrize("n", [300, 5_000])
def test_a_curve_is_near_the_truth_and_rises(n: int) -> None:
    """By Platt's method and by isotonic regression."""
    rng = np.random.default_rng(2)
    confidences, right, _ = predictions(n, rng)
    curve = learned(confidences, right)
    confidences, _, likely = predictions(2_000, rng)
    p, low, high = curve.of(confidences)

    assert {300: "platt", 5_000: "isotonic"}[n] == curve.method
    assert np.abs(p - likely).mean() < 0.04
    assert (low <= p).all()
    assert (p <= high).all()
    assert (np.diff(curve.p) >= 0).all()
    assert (np.diff(curve.confidence) > 0).all()


def test_a_curve_of_any_shape_is_found_in_many_rows() -> None:
    """Below 0.7 every second prediction is right, above it nearly all: Platt's two parameters miss that."""
    rng = np.random.default_rng(3)
    confidences = rng.uniform(0.5, 1, 8_000)
    curve = learned(confidences, rng.random(8_000) < np.where(confidences < 0.7, 0.5, 0.98))
    p, _, _ = curve.of([0.55, 0.65, 0.8, 0.95])

    assert [0.5, 0.5, 0.98, 0.98] == pytest.approx(p.tolist(), abs=0.04)


@pytest.mark.parametrize("n", [40, 4_000])
@pytest.mark.parametrize("is_right", [True, False])
def test_only_right_or_only_wrong_predictions_are_no_trouble(n: int, is_right: bool) -> None:
    """Nothing is certain: no probability is 0 or 1, and the interval is as wide as the rows demand."""
    confidences = np.linspace(0.5, 1, n)
    curve = learned(confidences, np.full(n, is_right))
    found = calibration.expected_accuracy(*curve.of(confidences))

    assert found is not None
    assert 0 < min(curve.p)
    assert max(curve.p) < 1
    assert found.high - found.low > 1 / n
    assert found.value == pytest.approx(float(is_right), abs=0.05)


def test_one_confidence_for_all_rows() -> None:
    """A model of one leaf: the estimate is the accuracy."""
    for n in (100, 4_000):
        curve = learned(np.full(n, 0.6), np.arange(n) % 4 > 0)
        assert curve.at(0.6)[0] == pytest.approx(0.75, abs=0.01)


def test_a_model_that_is_worse_where_it_is_surer() -> None:
    """A falling curve is replaced by a level one: no alarm may rest on noise."""
    confidences = np.linspace(0.5, 0.99, 200)
    curve = learned(confidences, np.arange(200) < 120)

    assert min(curve.p) == pytest.approx(max(curve.p)) == pytest.approx(0.6, abs=0.01)


def test_weights_count() -> None:
    """Rows of weight 0.1 count a tenth, and make the interval wider than full rows."""
    confidences, right = [0.8] * 400, [True] * 200 + [False] * 200
    light = calibration.learn(confidences, right, [1.0] * 200 + [0.1] * 200)
    heavy = calibration.learn(confidences, right, [1.0] * 400)

    assert light.at(0.8)[0] == pytest.approx(1 / 1.1, abs=0.01)
    assert heavy.at(0.8)[0] == pytest.approx(0.5, abs=0.01)


def test_too_few_rows_and_old_versions_have_the_confidence_itself() -> None:
    """There is nothing to learn from."""
    few = learned(np.linspace(0.5, 1, calibration.MIN_ROWS - 1), np.full(calibration.MIN_ROWS - 1, True))

    assert calibration.NONE == few == calibration.read({})
    assert (0.7, 0.7, 0.7) == pytest.approx(few.at(0.7))


def test_a_calibration_is_stored_in_a_profile() -> None:
    """As JSON, without a loss."""
    curve = learned(*predictions(200, np.random.default_rng(4))[:2])

    assert curve == calibration.read(json.loads(json.dumps({"calibration": curve.as_dict()})))


def test_one_confidence_is_as_many() -> None:
    """Also at the ends and beyond them."""
    curve = learned(*predictions(200, np.random.default_rng(5))[:2])
    asked = [0.0, 0.01, curve.confidence[0], 0.5, curve.confidence[20], 0.99, curve.confidence[-1], 1.0]

    for confidence, *expected in zip(asked, *curve.of(asked), strict=True):
        assert expected == pytest.approx(curve.at(confidence))


def test_no_rows_have_no_estimate() -> None:
    """There is no figure, and no division by zero."""
    assert calibration.expected_accuracy(*calibration.NONE.of([])) is None


def test_an_interval_holds_chance_and_the_calibrations_error() -> None:
    """It narrows with more rows of the window, down to what the calibration leaves uncertain."""
    confidences, right, _ = predictions(150, np.random.default_rng(6))
    curve = learned(confidences, right)
    widths = []
    for n in (20, 200, 2_000, 200_000):
        found = calibration.expected_accuracy(*curve.of(np.resize(confidences, n)))
        assert found is not None
        assert n == found.n
        widths.append(found.high - found.low)
    p, low, high = curve.of(confidences)

    assert sorted(widths, reverse=True) == widths
    assert math.isclose(widths[-1], (high - low).mean(), rel_tol=0.02)
    assert p.mean() == pytest.approx(right.mean(), abs=0.01)
