"""Figures of a window beside those of the training: false alarms over many looks, and detection."""

from __future__ import annotations

import numpy as np
import pytest

from models_store.spec import Cost
from prediction.figures import changes, costs
from prediction.figures.changes import ABOVE, AS_TRAINED, BELOW
from prediction.figures.scores import wilson

LOOKS = 50
CELLS = ("1", "0"), ("0", "1"), ("0", "0")


def looks(then: float, now: float, rows: int, step: int, rng: np.random.Generator) -> int:
    """Return how many rows it takes until the state changes; 0 if it never does in `LOOKS` looks."""
    trained = wilson(int(rng.binomial(rows, then)), rows)
    hits = np.cumsum(rng.random(LOOKS * step) < now)
    for n in range(step, LOOKS * step + 1, step):
        if changes.of_shares(wilson(int(hits[n - 1]), n), trained) != AS_TRAINED:
            return n
    return 0


@pytest.mark.parametrize("step", [10, 200])
@pytest.mark.parametrize(
    ("share", "rows"), [(0.005, 9_000), (0.05, 2_000), (0.3, 150), (0.8, 100), (0.97, 150)]
)
def test_false_alarms_are_rare_over_fifty_looks(share: float, rows: int, step: int) -> None:
    """At most 1 in 100 windows of a model that is as in training ever gets another state."""
    rng = np.random.default_rng(rows + step)
    alarms = sum(looks(share, share, rows, step, rng) > 0 for _ in range(300))

    assert alarms <= 3  # of 300


@pytest.mark.parametrize(
    ("then", "now", "rows", "labels"),
    [(0.8, 0.5, 100, 200), (0.05, 0.02, 2_000, 2_000), (0.01, 0.03, 9_000, 2_000)],
)
def test_a_large_change_is_found(then: float, now: float, rows: int, labels: int) -> None:
    """In 9 of 10 windows, within so many labels."""
    rng = np.random.default_rng(1)
    found = [looks(then, now, rows, labels // 25, rng) or 10**6 for _ in range(200)]

    assert sum(each <= labels for each in found) >= 180


@pytest.mark.parametrize(
    ("now", "then", "state"),
    [
        ((500, 1_000), (800, 1_000), BELOW),
        ((800, 1_000), (500, 1_000), ABOVE),
        ((780, 1_000), (800, 1_000), AS_TRAINED),
        ((760_000, 10**6), (800_000, 10**6), AS_TRAINED),  # no chance, and it does not matter
        ((740_000, 10**6), (800_000, 10**6), BELOW),
        ((3_000, 10**6), (2_100, 10**6), AS_TRAINED),
        ((3_500, 10**6), (2_100, 10**6), ABOVE),
        ((0, 1_000), (0, 1_000), AS_TRAINED),
        ((0, 3), (800, 1_000), AS_TRAINED),
        ((0, 0), (800, 1_000), None),
        ((8, 10), (0, 0), None),
    ],
)
def test_two_conditions(now: tuple[int, int], then: tuple[int, int], state: str | None) -> None:
    """The difference is large, and chance does not explain it."""
    assert state == changes.of_shares(wilson(*now), wilson(*then))


def test_costs_are_compared_by_their_ratio() -> None:
    """They have a unit, so no difference is large by itself."""
    cost = Cost(false_alarm=1, miss=50)
    then = costs.mean(cost, "1", {("1", "0"): 500, ("0", "1"): 20, ("0", "0"): 9_480})

    def state(false_alarms: int, misses: int, rows: int) -> str | None:
        counts = {("1", "0"): false_alarms, ("0", "1"): misses, ("0", "0"): rows - false_alarms - misses}
        return changes.of_costs(cost, costs.mean(cost, "1", counts), then)

    assert (AS_TRAINED, AS_TRAINED) == (state(500, 20, 10_000), state(600, 25, 10_000))
    assert ABOVE == state(500, 60, 10_000)
    assert AS_TRAINED == state(1, 1, 10)
    assert BELOW == state(500, 0, 30_000)
    assert changes.of_costs(cost, None, then) is changes.of_costs(cost, then, None) is None


def test_costs_raise_few_false_alarms_over_fifty_looks() -> None:
    """Of 200 models at most 2."""
    cost, rng, alarms = Cost(false_alarm=1, miss=50), np.random.default_rng(5), 0
    shares = [0.05, 0.003, 0.947]
    for _ in range(200):
        trained = rng.multinomial(5_000, shares)
        then = costs.mean(cost, "1", dict(zip(CELLS, trained.tolist(), strict=True)))
        counted = rng.multinomial(100, shares, size=LOOKS).cumsum(axis=0)
        found = (costs.mean(cost, "1", dict(zip(CELLS, row.tolist(), strict=True))) for row in counted)
        alarms += any(changes.of_costs(cost, now, then) != AS_TRAINED for now in found)

    assert alarms <= 2
