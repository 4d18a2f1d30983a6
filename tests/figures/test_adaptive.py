"""The width of intervals by labels: it follows errors that grow, and has a bound."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from prediction.figures import adaptive

HALF = 1.6449
"""Half an interval that holds 90 % of normal errors with a standard deviation of 1."""


def counted(sizes: np.ndarray) -> Counter[str]:
    """Count the labels of an hour."""
    found = Counter[str]()
    for size in sizes:
        found.update(adaptive.count(float(size), HALF))
    return found


def play(seed: int, hours: int, rows: int, sd: float = 1.0) -> tuple[list[float], np.ndarray]:
    """Answer some rows an hour, and label them at once; return the widths, and which rows were held."""
    rng, pieces = np.random.default_rng(seed), list[Counter[str]]()
    widths, held = [1.0], []
    for _ in range(hours):
        sizes = np.abs(rng.normal(0, sd, rows))
        held += (sizes <= HALF * widths[-1]).tolist()
        pieces.append(counted(sizes))
        widths.append(adaptive.width(pieces, 0.9))
    return widths, np.array(held)


@pytest.mark.parametrize(
    ("size", "half", "step"),
    [
        (1.0, 1.0, 0),
        (1.0001, 1.0, 1),
        (2.0, 1.0, 8),
        (2.0001, 1.0, 9),
        (1e300, 1e-300, 9),
        (0.5, 1.0, -8),
        (0.0, 1.0, -8),
        (0.0, 0.0, -8),
        (1.0, 0.0, 9),
    ],
)
def test_a_label_counts_at_the_least_width_that_holds_it(size: float, half: float, step: int) -> None:
    """Of an interval without a width, a label beside it is never held."""
    assert {f"{adaptive.PREFIX}{step}": 1} == adaptive.count(size, half)
    assert f"{adaptive.PREFIX}{step}" in adaptive.NAMES


def test_without_labels_the_width_is_that_of_the_training() -> None:
    """One label does not change it either."""
    pieces: list[list[dict[str, int]]] = [[], [{}], [adaptive.count(9.0, 1.0)]]

    assert [1.0, 1.0, 1.0] == [adaptive.width(each, 0.9) for each in pieces]


@pytest.mark.parametrize("rows", [2, 40])
def test_a_good_model_keeps_its_width_and_its_coverage(rows: int) -> None:
    """The width varies by about a step around 1."""
    found = [play(seed, 1_600 // rows, rows) for seed in range(3)]
    widths, held = (np.concatenate([each[part] for each in found]) for part in (0, 1))

    assert 0.9 == pytest.approx(held.mean(), abs=0.015)
    assert 1.0 == pytest.approx(widths.mean(), abs=0.06)
    assert 0.75 < widths.min() < widths.max() < 1.35


@pytest.mark.parametrize("rows", [2, 40])
def test_errors_that_grow_are_covered_again(rows: int) -> None:
    """They are half larger than in training, so 73 % would be held for ever."""
    held = np.concatenate([play(seed, 1_600 // rows, rows, sd=1.5)[1][800:] for seed in range(3)])

    assert 0.9 == pytest.approx(held.mean(), abs=0.025)


@pytest.mark.parametrize(("size", "end"), [(1e9, 2.0), (0.0, 0.5)])
def test_wrong_labels_move_the_width_to_its_bound_and_no_further(size: float, end: float) -> None:
    """Neither at once: a thousand of them in one hour are worth 25. Honest labels bring it back."""
    wrong, rng = counted(np.full(1_000, size)), np.random.default_rng(0)
    honest = [counted(np.abs(rng.normal(0, 1, 40))) for _ in range(120)]

    assert 0.9 < adaptive.width([wrong], 0.9) < 1.5
    assert end == adaptive.width([wrong] * 40, 0.9) == adaptive.width([wrong] * 4_000, 0.9)
    assert 1.0 == pytest.approx(adaptive.width([wrong] * 4_000 + honest, 0.9), abs=0.2)


def test_the_width_is_one_of_a_few_and_follows_from_the_sums() -> None:
    """So workers that read the same sums answer alike; sums that are not its own do not count."""
    widths, _ = play(1, 60, 30, sd=1.4)
    mixed = counted(np.array([0.1, 3.0, 9.0])) | {"rows": 900, f"{adaptive.PREFIX}0": -5}

    assert {2.0 ** (step / 8) for step in range(-8, 9)} >= {*widths}
    assert adaptive.width([mixed] * 9, 0.9) == adaptive.width([counted(np.array([9.0, 0.1, 3.0]))] * 9, 0.9)
