"""The factor of intervals: the quantile of conformal prediction."""

from __future__ import annotations

import numpy as np
import pytest

from prediction.figures import conformal


@pytest.mark.parametrize(("level", "rows"), [(0.9, 9), (0.5, 1), (0.8, 4), (0.99, 99)])
def test_so_many_rows_are_needed(level: float, rows: int) -> None:
    """With one fewer, (n + 1) times the level is more than n."""
    assert rows == conformal.needed(level)
    assert (rows + 1) * level <= rows + 1e-9
    assert rows * level > rows - 1 + 1e-9


def test_the_factor_is_the_quantile_of_n_and_one_more_row() -> None:
    """ceil((n + 1) 0.9) of 19 scores is the 18th."""
    scores = np.random.default_rng(0).permutation(np.arange(1.0, 20.0))

    assert 18.0 == conformal.factor(scores, np.ones(19), 0.9)
    assert 9.0 == conformal.factor(np.arange(1.0, 10.0), np.ones(9), 0.9)


def test_light_rows_count_less() -> None:
    """Large errors of rows with little weight widen the interval less."""
    scores = np.concatenate([np.ones(100), np.full(100, 5.0)])
    weights = np.concatenate([np.ones(100), np.full(100, 0.01)])

    assert 5.0 == conformal.factor(scores, np.ones(200), 0.9)
    assert 1.0 == conformal.factor(scores, weights, 0.9)


def test_new_rows_are_covered_as_stated() -> None:
    """Over many calibrations of 50 rows, the level is reached on average."""
    rng = np.random.default_rng(1)
    covered = [
        (
            np.abs(rng.standard_t(3, 200))
            <= conformal.factor(np.abs(rng.standard_t(3, 50)), np.ones(50), 0.9)
        )
        for _ in range(400)
    ]

    assert 0.9 == pytest.approx(float(np.mean(covered)), abs=0.01)
