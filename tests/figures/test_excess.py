"""Alarms of errors and of coverage: they find models that are worse, and bear any number of looks."""

from __future__ import annotations

import numpy as np
import pytest

from prediction.figures import error_sums, excess
from prediction.figures.error_sums import ErrorSums
from prediction.figures.excess import Learned

SPAN = (-1000.0, 1000.0)
LEARNED = Learned(level=0.9, factor=2.0616, spread=6.03, rows=2_000)
"""Of normal errors with a standard deviation of 10: a mean size of 7.98, and 16.45 hold 90 %."""


def piece(rng: np.random.Generator, rows: int, sd: float = 10.0) -> ErrorSums:
    """Sum labelled predictions with normal errors; their intervals are those of a deviation of 10."""
    found = ErrorSums()
    for error in rng.normal(0, sd, rows):
        measured = error_sums.measure(float(error), (0.0, -16.45, 16.45), SPAN)
        found += error_sums.read(measured)
    return found


def test_a_model_with_larger_errors_is_found() -> None:
    """By both alarms."""
    pieces = [piece(np.random.default_rng(seed), 60, sd=16) for seed in range(6)]
    error, coverage = excess.of_error(pieces, LEARNED), excess.of_coverage(pieces, LEARNED)

    assert error is not None
    assert coverage is not None
    assert (excess.ABOVE, excess.UNCOVERED) == (error.state, coverage.state)
    assert error.expected == pytest.approx(7.98, abs=0.01)
    assert error.found > 10


def test_a_good_model_raises_no_alarm_however_often_one_looks() -> None:
    """Of 60 models, each looked at after every 20 labels."""
    alarms = 0
    for seed in range(60):
        rng, pieces = np.random.default_rng(seed), list[ErrorSums]()
        states = set()
        for _ in range(15):
            pieces.append(piece(rng, 20))
            for check in (excess.of_error, excess.of_coverage):
                found = check(pieces, LEARNED)
                assert found is not None
                states.add(found.state)
        alarms += bool(states & {excess.ABOVE, excess.UNCOVERED})

    assert alarms <= 2


@pytest.mark.parametrize("rows", [30, 100, 400])
def test_the_coverage_of_versions_differs_by_chance(rows: int) -> None:
    """Of 300 versions with a factor learned from so many rows, looked at 50 times, about 1 % are blamed.

    Their true coverage is beta distributed. Half of the versions get 5 labels between two looks.
    """
    rng, rank, alarms = np.random.default_rng(rows), np.ceil((rows + 1) * 0.9), 0
    learned = Learned(0.9, 2.0, 6.0, rows)
    for number in range(300):
        true = rng.beta(rank, rows + 1 - rank)
        covered = rng.binomial(5 if number % 2 else 100, true, 50).cumsum().tolist()
        labels = (np.arange(1, 51) * (5 if number % 2 else 100)).tolist()
        states = set()
        for n, held in zip(labels, covered, strict=True):
            found = excess.of_coverage([ErrorSums(n, held)], learned)
            states.add(found.state if found else "")
        alarms += excess.UNCOVERED in states

    assert alarms <= 7  # 3 are expected


def test_versions_that_hold_too_few_are_found() -> None:
    """20 points below the level, within 400 labels, for 9 of 10 versions."""
    rng, found = np.random.default_rng(0), 0
    for _ in range(100):
        true = rng.beta(91, 10) - 0.2
        states = {
            excess.of_coverage([ErrorSums(40 * look, held)], Learned(0.9, 2.0, 6.0, 100))
            for look, held in enumerate(rng.binomial(40, true, 10).cumsum().tolist(), 1)
        }
        found += any(each is not None and each.state == excess.UNCOVERED for each in states)

    assert found >= 90


def test_a_calibration_on_few_rows_is_doubted() -> None:
    """The same labels raise no alarm if the level was learned from 30 rows."""
    pieces = [piece(np.random.default_rng(seed), 60, sd=14) for seed in range(6)]
    few = Learned(LEARNED.level, LEARNED.factor, LEARNED.spread, rows=30)
    sure, unsure = excess.of_coverage(pieces, LEARNED), excess.of_coverage(pieces, few)

    assert sure is not None
    assert unsure is not None
    assert sure.p < 0.005 < unsure.p
    assert sure.found == unsure.found


def test_an_hour_of_bad_labels_is_one_witness() -> None:
    """Rows that cluster in time have a larger variance."""
    rng = np.random.default_rng(0)
    spread = [piece(rng, 40, sd=14) for _ in range(8)]
    bad = [piece(rng, 40) for _ in range(7)] + [piece(rng, 40, sd=55)]
    clustered, even = excess.of_error(bad, LEARNED), excess.of_error(spread, LEARNED)

    assert clustered is not None
    assert even is not None
    assert clustered.found > even.found
    assert clustered.p > 0.005 > even.p


def test_without_labels_there_is_nothing_to_say() -> None:
    """For no rows both are None."""
    assert excess.of_error([], LEARNED) is None
    assert excess.of_coverage([ErrorSums()], LEARNED) is None
