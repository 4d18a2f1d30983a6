"""What errors cost: on rows, from counts, and beside another model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from models_store.targets.costs import Cost
from prediction.figures import costs

COST = Cost(false_alarm=1, miss=50)


def test_costs_of_answers_are_added_up() -> None:
    """Two false alarms and a miss of 100 rows, 4 of them positive."""
    truth = np.arange(100) < 4
    found = costs.spent(COST, truth, (np.arange(100) > 0) & (np.arange(100) < 6))

    assert (0.52, 1 - 52 / 96) == pytest.approx((found.per_row, found.saved))
    assert 1.0 == costs.spent(COST, truth, truth).saved
    assert 0.0 == costs.spent(COST, truth, np.full(100, True)).saved
    assert costs.spent(COST, np.full(5, False), np.full(5, True)) == costs.Spent(1.0, None)


def test_counts_give_the_mean_cost_with_an_interval() -> None:
    """Labels that are no class any more count as rows, and cost nothing."""
    counts = {("fraud", "fine"): 30, ("fine", "fraud"): 2, ("fine", "fine"): 900, ("fraud", "fraud"): 8}
    found = costs.mean(COST, "fraud", counts | {("old", "fine"): 60})

    assert found is not None
    assert (0.13, 1000) == (found.value, found.n)
    assert 0.03 < found.low < 0.06
    assert 0.35 < found.high < 0.45
    assert costs.mean(COST, "fraud", {}) is None


def test_the_interval_covers_the_mean_cost() -> None:
    """In 19 of 20 samples; with few misses the interval is wider than that."""
    rng = np.random.default_rng(0)
    shares = {("fraud", "fine"): 0.05, ("fine", "fraud"): 0.004, ("fine", "fine"): 0.946}
    hits = 0
    for drawn in rng.multinomial(1_000, list(shares.values()), 2_000).tolist():
        found = costs.mean(COST, "fraud", dict(zip(shares, drawn, strict=True)))
        assert found is not None
        hits += found.low <= 0.25 <= found.high

    assert 0.93 <= hits / 2_000 <= 0.99


def drawn(rows: int, shares: list[float], seed: int) -> tuple[Any, Any, Any]:
    """Draw rows on which the new model alone is wrong, or the old one alone: false alarms, then misses."""
    each = np.random.default_rng(seed).choice(5, rows, p=[*shares, 1 - sum(shares)])
    is_positive = (each == 2) | (each == 3)
    return is_positive, ~np.isin(each, (1, 3)), ~np.isin(each, (0, 2))


def p_of(cost: Cost, rows: tuple[Any, Any, Any], limit: float = 0.0) -> float:
    """Return the p-value of a cost that is higher by the limit or more."""
    return costs.p_of_dearer(costs.alone(cost, *rows), len(rows[0]), limit)


@pytest.mark.parametrize(
    "shares",
    [
        [0.05, 0.05, 0, 0],
        [0.05, 0.05, 0.003, 0.003],
        [0.06, 0.01, 0.001, 0.002],  # more false alarms, fewer misses: the costs are the same
        [0.01, 0.06, 0.002, 0.001],
        [0.2, 0.1, 0.02, 0.022],
    ],
)
def test_of_models_that_cost_the_same_few_seem_dearer(shares: list[float]) -> None:
    """At most 5 of 100 candidates, also where a miss is so rare that it may not occur."""
    found = [p_of(COST, drawn(700, shares, seed)) > 0.95 for seed in range(1_000)]

    assert np.mean(found) <= 0.065


def test_a_dearer_model_is_found() -> None:
    """Forty false alarms more in a hundred rows, or fifteen misses; and the reverse is cheaper."""
    for shares in ([0.45, 0.05, 0, 0], [0, 0, 0.15, 0.01]):
        rows = drawn(700, shares, 0)
        back = (rows[0], rows[2], rows[1])
        assert p_of(COST, rows) > 0.98
        assert 1 - p_of(COST, back) == pytest.approx(p_of(COST, rows))


@pytest.mark.parametrize("limit", [0.1, 0.5])
def test_a_model_that_costs_more_by_the_limit_is_seldom_passed(limit: float) -> None:
    """At most 5 of 100 times; an equal model is passed if the rows can show it."""
    passed = [
        p_of(COST, drawn(700, [0.05 + limit, 0.05, 0.001, 0.001], seed), limit) <= 0.05
        for seed in range(300)
    ]
    equal = [p_of(COST, drawn(700, [0.05, 0.05, 0.0, 0.0], seed), 0.5) <= 0.05 for seed in range(100)]

    assert np.mean(passed) <= 0.08
    assert np.mean(equal) >= 0.95


def test_equal_costs_make_a_test_like_mcnemars() -> None:
    """The p-value is about that of the exact test."""
    rows = drawn(700, [0.05, 0.03, 0.02, 0.01], 3)
    _, old, new = rows
    worse, better = int((old & ~new).sum()), int((new & ~old).sum())
    expected = binomtest(worse, worse + better, 0.5, alternative="greater").pvalue

    assert 0.001 < expected < 0.2
    assert 1 - p_of(Cost(2, 2), rows) == pytest.approx(expected, rel=0.5)


def test_models_that_are_right_on_the_same_rows_do_not_differ() -> None:
    """Nothing speaks against the candidate, and three rows show little."""
    right = np.array([True, False, True])
    rows = np.array([True, False, False]), right, right

    assert 0.5 == p_of(COST, rows)
    assert 0.1 < p_of(COST, rows, 10) < p_of(COST, rows, 1) < 0.5
