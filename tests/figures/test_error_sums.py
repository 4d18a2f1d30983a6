"""Sums of errors: exact, in any order, and the figures are those of the rows."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from prediction.figures import error_sums
from prediction.figures.error_sums import ErrorSums

SPAN = (-200.0, 2000.0)
Row = tuple[float, tuple[float, float, float]]


def rows(count: int, seed: int, bias: float = 0.0) -> list[Row]:
    """Make labelled predictions with intervals of 20 on each side."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(50, 40, count).clip(*SPAN)
    said = truth - rng.normal(bias, 12, count)
    return [(float(y), (float(v), float(v - 20), float(v + 20))) for y, v in zip(truth, said, strict=True)]


def summed(labelled: list[Row]) -> dict[str, int]:
    """Add up what each row measures."""
    totals = Counter[str]()
    for truth, answer in labelled:
        totals.update(error_sums.measure(truth, answer, SPAN))
    return dict(totals)


def test_figures_are_those_of_the_rows() -> None:
    """Within the quantum, which is far below any error."""
    labelled = rows(500, 0, bias=3)
    truth, said = (np.array(each) for each in zip(*((y, v) for y, (v, *_) in labelled), strict=True))
    found = error_sums.describe([error_sums.read(summed(labelled))])

    assert found is not None
    assert found.mae.value == pytest.approx(np.abs(truth - said).mean(), rel=1e-6)
    assert found.bias.value == pytest.approx((truth - said).mean(), rel=1e-6)
    assert found.rmse == pytest.approx(np.sqrt(((truth - said) ** 2).mean()), rel=1e-6)
    assert found.r2 == pytest.approx(1 - ((truth - said) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())
    assert found.coverage.value == pytest.approx((np.abs(truth - said) <= 20).mean())
    assert found.mae.low < 9.6 < found.mae.high


def test_sums_do_not_depend_on_their_order_and_can_be_taken_back() -> None:
    """They are whole numbers that fit into 63 bits."""
    labelled = rows(200, 1)
    mixed = labelled.copy()
    random.Random(0).shuffle(mixed)
    left = Counter(summed(labelled))
    left.subtract(summed(labelled[:150]))

    assert summed(labelled) == summed(mixed)
    assert summed(labelled[150:]) == {name: total for name, total in left.items() if total}
    assert all(abs(total) < 2**63 / 1e6 for total in summed(labelled).values())


def test_the_largest_possible_errors_fit() -> None:
    """A million of them in one hour."""
    worst = error_sums.measure(SPAN[1], (SPAN[0], -float("inf"), float("inf")), SPAN)

    assert max(worst.values()) * 1_000_000 < 2**63
    found = error_sums.read(worst)
    assert 2200.0 == found.absolute == pytest.approx(found.square**0.5)


def test_sums_of_two_ranges_are_added() -> None:
    """A spec may get another range: the names tell the quantum."""
    wide = error_sums.measure(30.0, (20.0, 10.0, 30.0), (-2000.0, 20000.0))
    both = Counter(error_sums.measure(30.0, (20.0, 10.0, 30.0), SPAN))
    both.update(wide)
    found = error_sums.read(both)

    assert (2, 2) == (found.rows, found.covered)
    assert [20.0, 200.0] == pytest.approx([found.absolute, found.square])


def test_errors_that_cluster_in_time_widen_the_interval() -> None:
    """Ten hours with a bias each of its own: the rows of an hour are not independent."""
    rng = np.random.default_rng(3)
    alike = [error_sums.read(summed(rows(100, seed))) for seed in range(10)]
    shifted = [error_sums.read(summed(rows(100, seed, rng.normal(0, 20)))) for seed in range(10)]
    narrow, wide = error_sums.describe(alike), error_sums.describe(shifted)

    assert narrow is not None
    assert wide is not None
    assert wide.bias.high - wide.bias.low > 5 * (narrow.bias.high - narrow.bias.low)
    assert wide.coverage.high - wide.coverage.low > narrow.coverage.high - narrow.coverage.low


def test_intervals_hold_the_mean_where_errors_cluster_in_time() -> None:
    """In 19 of 20 samples of 12 hours, which have from 1 to 30 labels and an error of their own each."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        pieces = []
        for rows in rng.integers(1, 31, 12).tolist():
            errors = rng.normal(0, 2) + rng.normal(0, 3, rows)
            absolute, square = float(np.abs(errors).sum()), float((errors**2).sum())
            pieces.append(ErrorSums(rows, rows, float(errors.sum()), absolute, square))
        found = error_sums.describe(pieces)
        assert found is not None
        held += found.bias.low <= 0 <= found.bias.high

    assert 0.9 <= held / 300 <= 0.99


def test_few_labels_say_little() -> None:
    """Of one label, or of one hour, the rows alone are known."""
    one, two = (error_sums.describe([ErrorSums(*sums)]) for sums in ((1, 1, 3, 3, 9), (2, 2, 0, 6, 18)))

    assert one is not None
    assert two is not None
    assert one.mae.low < -30 < 30 < one.mae.high
    assert (3.0, 0.0, 3.0) == (one.bias.value, two.bias.value, two.mae.value)
    assert two.bias.high == pytest.approx(12.706 * 3, rel=1e-3)


def test_no_labels_have_no_figures() -> None:
    """Nor have pieces of time without labels."""
    assert error_sums.describe([]) is None
    assert error_sums.describe([ErrorSums()]) is None
    assert error_sums.expected_error(np.array([]), 1.0, 10) is None


def test_the_estimate_knows_its_own_doubt() -> None:
    """The rows of the window, and those that it was learned from."""
    found = error_sums.expected_error(np.full(400, 10.0), spread=8.0, learned_rows=100)

    assert found is not None
    assert (10.0, 400) == (found.value, found.n)
    assert found.high - 10 == pytest.approx(1.96 * 8 * (1 / 400 + 1 / 100) ** 0.5, rel=1e-3)


def test_pieces_are_read_by_time() -> None:
    """From the rows of the journal."""
    found = error_sums.read_pieces([(0, "rows", 3), (10, "rows", 4), (0, "covered", 2)])

    assert {0: ErrorSums(3, 2), 10: ErrorSums(4)} == found
