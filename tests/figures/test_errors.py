"""Figures of predicted numbers, and the test that their error did not rise."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from models_store.targets.intervals import QuantityAnswers
from prediction.figures import errors


def answers(values: np.ndarray, half: float = 1.0) -> QuantityAnswers:
    """Make answers with intervals of one width."""
    return QuantityAnswers(values, values, np.full(len(values), half), values - half, values + half)


def test_figures_are_those_of_scikit_learn() -> None:
    """The bias is true minus predicted."""
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 2, 200)
    said = truth + rng.normal(0.5, 1, 200)
    found = errors.metrics(truth, answers(said), 0.9)

    assert found.mae == pytest.approx(sklearn_metrics.mean_absolute_error(truth, said))
    assert found.rmse == pytest.approx(sklearn_metrics.root_mean_squared_error(truth, said))
    assert found.r2 == pytest.approx(sklearn_metrics.r2_score(truth, said))
    assert found.bias == pytest.approx(float((truth - said).mean()))
    assert (2.0, 200) == (found.width, found.rows)
    assert found.coverage == pytest.approx(float((np.abs(truth - said) <= 1).mean()))


def test_equal_labels_have_no_r2() -> None:
    """There is no variance to explain; the figure is left out."""
    found = errors.metrics(np.full(3, 4.0), answers(np.full(3, 5.0)), 0.9)

    assert found.r2 is None
    assert "r2" not in found.as_dict()


def test_the_interval_score_charges_for_width_and_misses() -> None:
    """2 wide, and one of two missed by 3: 20 times 3 at a level of 0.9."""
    found = errors.metrics(np.array([0.0, 4.0]), answers(np.zeros(2)), 0.9)

    assert found.interval_score == pytest.approx((2 + 2 + 20 * 3) / 2)


@pytest.mark.parametrize(("shift", "p"), [(0.0, 0.0), (0.1, 0.0), (0.2, 1.0)])
def test_equal_differences_have_no_chance_in_them(shift: float, p: float) -> None:
    """The bound is the difference itself."""
    assert p == errors.p_of_rise(np.full(50, shift), 0.1)


def test_few_rows_show_nothing() -> None:
    """An equal candidate is not shown to be so by ten rows, and is by a thousand."""
    rng = np.random.default_rng(2)

    assert errors.p_of_rise(rng.normal(0, 1, 10), 0.1) > 0.05
    assert errors.p_of_rise(rng.normal(0, 1, 1000), 0.1) < 0.05
    assert not errors.can_show(rng.normal(0, 1, 10), 0.1)
    assert errors.can_show(rng.normal(0, 1, 1000), 0.1)
    assert not errors.can_show(np.zeros(1), 0.1)


def test_a_worse_candidate_is_seldom_passed() -> None:
    """On skewed differences whose mean is exactly the limit: about 5 of 100, not half of them."""
    rng = np.random.default_rng(3)
    passed = [errors.p_of_rise(rng.exponential(1, 100) - 1 + 0.2, 0.2) <= 0.05 for _ in range(300)]

    assert sum(passed) <= 0.09 * 300


def test_many_rows_need_no_resamples() -> None:
    """The normal distribution gives nearly the same p-value."""
    rng = np.random.default_rng(4)
    many = rng.normal(0, 1, errors.BOOTSTRAP_ROWS)
    p = errors.p_of_rise(many - many.mean(), 0.02)

    assert 0.0786 == pytest.approx(p, abs=0.002)
