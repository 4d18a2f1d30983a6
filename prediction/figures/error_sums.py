"""Sums over labelled predictions of a quantity, and the figures that they give. Pure functions, no I/O.

Sums are of whole numbers of a quantum, so that they do not depend on their order, and a corrected label
can be taken out of them exactly. The quantum follows from the range of the target and is in their names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from math import ceil, isfinite, log2, sqrt

import numpy as np
from numpy.typing import NDArray

from prediction.figures.scores import Z95, Proportion, wilson_ends

BITS = 36
"""The range of a target has about 2**36 quanta: sums of millions of rows fit into 63 bits."""

LIMB = 36
"""Squares are summed in two parts: the multiples of 2**36, and the rest."""

ROWS, COVERED = "rows", "covered"
MEASURES = ("error", "absolute", "square", "label", "label_square", "half")

FEW_CLUSTERS = 5
"""With fewer pieces of time the variance between them is not estimated."""


@dataclass(frozen=True)
class ErrorSums:
    """Sums over labelled predictions, in the unit of the target.

    Parameters
    ----------
    rows, covered
        How many there are, and how many true numbers lie in their intervals.
    error, absolute, square
        Of true minus predicted: the number itself, its size, its square.
    label, label_square
        Of true numbers above the low end of the range.
    half
        Of half the width of the intervals as training calibrated them.
    """

    rows: int = 0
    covered: int = 0
    error: float = 0.0
    absolute: float = 0.0
    square: float = 0.0
    label: float = 0.0
    label_square: float = 0.0
    half: float = 0.0

    def __add__(self, other: ErrorSums) -> ErrorSums:
        names = [each.name for each in fields(self)]
        return ErrorSums(**{name: getattr(self, name) + getattr(other, name) for name in names})


def exponent(span: tuple[float, float]) -> int:
    """Return the exponent of the quantum, a power of two, of a target with this range."""
    return ceil(log2(span[1] - span[0])) - BITS


def measure(
    truth: float, answer: tuple[float, float, float], span: tuple[float, float], adapted: float = 1.0
) -> dict[str, int]:
    """Return what a labelled prediction adds to the sums.

    Parameters
    ----------
    answer
        The predicted number, and both ends of its interval.
    adapted
        How many times as wide as calibrated the interval is.
    """
    value, low, high = answer
    power = exponent(span)
    quantum, most = 2.0**power, 2 ** (BITS + 1)
    error, label = round((truth - value) / quantum), round((truth - span[0]) / quantum)
    half = (high - low) / 2 / adapted / quantum
    found = {
        "error": error,
        "absolute": abs(error),
        "label": label,
        "half": round(min(half, most)) if isfinite(half) else most,
    }
    for name, number in (("square", error), ("label_square", label)):
        found[f"{name}_high"], found[f"{name}_low"] = divmod(number * number, 2**LIMB)
    named = {f"{name}/2^{power}": number for name, number in found.items()}
    return {ROWS: 1, COVERED: int(low <= truth <= high)} | named


def read(totals: Mapping[str, int]) -> ErrorSums:
    """Return the sums of one piece of time from what the journal has, by the names of `measure`."""
    found = dict.fromkeys(MEASURES, 0.0)
    for name, total in totals.items():
        measured, _, power = name.partition("/2^")
        if not power:
            continue
        base, _, limb = (
            measured.rpartition("_") if measured.endswith(("_high", "_low")) else (measured, "", "")
        )
        if base in found:
            scale = 2 * int(power) if limb else int(power)
            found[base] += total * 2.0 ** (scale + (LIMB if limb == "high" else 0))
    return ErrorSums(totals.get(ROWS, 0), totals.get(COVERED, 0), **found)


@dataclass(frozen=True)
class Mean:
    """A mean of n rows, with its 95 % confidence interval."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Errors:
    """How far predictions were from their labels."""

    mae: Mean
    bias: Mean
    coverage: Proportion
    rmse: float
    r2: float | None


def describe(pieces: Sequence[ErrorSums]) -> Errors | None:
    """Return the figures of labelled predictions; None if there are none.

    Parameters
    ----------
    pieces
        Their sums by pieces of time. Labels and errors cluster in time, so that the variance is at least
        that between pieces.
    """
    pieces = [piece for piece in pieces if piece.rows]
    whole = sum(pieces, ErrorSums())
    n = whole.rows
    if not n:
        return None
    spread = whole.label_square - whole.label**2 / n
    covered = whole.covered / n
    by_rows = covered * (1 - covered) / n
    between = between_pieces(pieces, [piece.covered for piece in pieces])
    effective = n * min(1.0, by_rows / between) if between and by_rows else n
    low, high = wilson_ends(covered, effective)
    return Errors(
        mae=_mean(pieces, [piece.absolute for piece in pieces], whole.square),
        bias=_mean(pieces, [piece.error for piece in pieces], whole.square),
        coverage=Proportion(covered, max(0.0, low), min(1.0, high), n),
        rmse=sqrt(whole.square / n),
        r2=1 - whole.square / spread if spread > 0 else None,
    )


def _mean(pieces: Sequence[ErrorSums], totals: Sequence[float], square: float) -> Mean:
    n = sum(piece.rows for piece in pieces)
    value = sum(totals) / n
    spread = max(0.0, square / n - value**2) if n > 1 else square  # of one row, all that is known
    by_rows = spread / max(1, n - 1)
    between = between_pieces(pieces, totals)
    half = _quantile(max(1, n - 1)) * sqrt(by_rows)
    if between is not None and between > by_rows:
        half = _quantile(len(pieces) - 1) * sqrt(between)
    return Mean(value, value - half, value + half, n)


def between_pieces(pieces: Sequence[ErrorSums], totals: Sequence[float]) -> float | None:
    """Return the variance of a mean of all rows, from its differences between pieces of time.

    None if there are too few pieces.

    Notes
    -----
    The mean is a ratio, the sum of the totals divided by the sum of the rows; the variance is that of
    Cochran's ratio estimator for clusters of unequal size (Cochran, Sampling Techniques, third edition,
    Wiley 1977, chapter 9A, without the correction for a finite population).
    """
    k = len(pieces)
    if k < FEW_CLUSTERS:
        return None
    rows = [piece.rows for piece in pieces]
    ratio = sum(totals) / sum(rows)
    squares = sum((total - ratio * n) ** 2 for total, n in zip(totals, rows, strict=True))
    return k / (k - 1) * squares / sum(rows) ** 2


def _quantile(degrees: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(degrees, 0.975))


def expected_error(expected: NDArray[np.float64], spread: float, learned_rows: int) -> Mean | None:
    """Estimate the mean absolute error without labels; None for no rows.

    Parameters
    ----------
    expected
        The expected size of the error of n rows.
    spread, learned_rows
        The standard deviation of sizes around what was expected of them, and on how many rows it was
        learned.

    Notes
    -----
    It is direct loss estimation (NannyML, release 0.13, "Estimation of Performance of the Monitored
    Model", https://nannyml.readthedocs.io): the mean of a model of the loss. Its interval holds the
    chance of the rows and that of the rows that it was learned from. It can't see errors that have
    another cause than the features: compare it with labels for that.
    """
    n = len(expected)
    if not n:
        return None
    value = float(expected.mean())
    half = Z95 * spread * sqrt(1 / n + 1 / max(1, learned_rows))
    return Mean(value, max(0.0, value - half), value + half, n)


def read_pieces(totals: Iterable[tuple[int, str, int]]) -> dict[int, ErrorSums]:
    """Return the sums by piece of time, from its beginning, the name and the total."""
    by_piece: dict[int, dict[str, int]] = {}
    for at_us, name, total in totals:
        by_piece.setdefault(at_us, {})[name] = total
    return {at_us: read(found) for at_us, found in by_piece.items()}
