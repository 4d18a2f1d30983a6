"""Answers that are numbers with an interval: how wide a version makes it, and the proof of its graph.

The half width is the expected error of a row times a factor. Training finds the factor on rows that the
model had not seen; `spreads` has the model of the expected error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from models_store.errors import InvalidSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOLERANCE = 1e-5
"""The largest difference between ONNX Runtime and scikit-learn, in standard deviations of the labels."""

METHODS = {
    "folds": "training rows, each answered by a model that had not seen it",
    "holdout": "held-out rows",
    "range": "too few rows: it is the whole range",
}
"""How an interval was calibrated."""


class QuantityAnswers(NamedTuple):
    """The answers to n rows; each field has shape (n,).

    Parameters
    ----------
    raw
        What the model predicts.
    values
        The same, limited to the range of the target.
    errors
        The expected size of each error; NaN if it is not known.
    low, high
        The ends of the intervals. They may lie beyond the range.
    """

    raw: NDArray[np.float64]
    values: NDArray[np.float64]
    errors: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @property
    def is_finite(self) -> bool:
        """Whether all values are finite numbers."""
        return bool(np.isfinite(self.raw).all())

    def without(self, row: int) -> QuantityAnswers:
        """Return the answers without one of them."""
        return QuantityAnswers(*(np.delete(each, row) for each in self))

    def covers(self, truth: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return whether each interval holds the true number."""
        return (self.low <= truth) & (truth <= self.high)


@dataclass(frozen=True)
class Width:
    """How a version makes an answer of what its model predicts.

    Parameters
    ----------
    sd
        The standard deviation of the labels; tolerances are shares of it.
    level
        The share of true numbers that the intervals shall hold.
    factor
        Half the width of an interval, in expected errors; None makes it as wide as the range.
    floor
        The least expected error. Without a model of the error it is the expected error of each row.
    method, rows
        How the factor was found: one of `METHODS`, and on how many rows.
    graphs
        The files of the graphs that are asked beside the model's: none, or that of the error.
    """

    sd: float = 0.0
    level: float = 0.9
    factor: float | None = None
    floor: float | None = None
    method: str = "range"
    rows: int = 0
    graphs: tuple[str, ...] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """What it needs of the graph: whatever the only output is called."""
        return ()

    @property
    def tolerance(self) -> float:
        """How far two answers to the same row may differ."""
        return TOLERANCE * (self.sd or 1.0)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        found = {name: value for name, value in asdict(self).items() if value is not None}
        return found | {"graphs": list(self.graphs)}

    def words(self, unit: str) -> str:
        """Describe it."""
        by = f"calibrated on {self.rows} {METHODS[self.method]}" if self.rows else METHODS[self.method]
        if self.factor is None or self.floor is None:
            return f"the predicted number; {self.level:.0%} interval: {METHODS['range']}"
        scale = "the expected error of the row" if self.graphs else f"{self.floor:.4g} {unit}".rstrip()
        return f"the predicted number; {self.level:.0%} interval: {self.factor:.2f} times {scale}, {by}"

    def ends(
        self, values: NDArray[np.float64], errors: NDArray[np.float64], span: tuple[float, float]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return both ends of the intervals around values."""
        if self.factor is None:
            return np.full(len(values), span[0]), np.full(len(values), span[1])
        half = self.factor * errors
        return values - half, values + half

    def expected(self, outputs: Sequence[NDArray[Any]], rows: int) -> NDArray[np.float64]:
        """Return the expected error of each row; `outputs` are those of the graphs beside the model's."""
        if self.floor is None:
            return np.full(rows, np.nan)
        if not self.graphs or not outputs:
            return np.full(rows, self.floor)
        return np.maximum(np.asarray(outputs[0], np.float64).ravel(), self.floor)


def read_width(stored: Mapping[str, Any]) -> Width:
    """Return what `Width.as_dict` wrote."""
    return Width(**{**stored, "graphs": tuple(stored.get("graphs", ()))})


@dataclass(frozen=True)
class QuantityAgreement:
    """The result of comparing a compiled model with its pipeline; `sd` is that of the labels."""

    rows: int
    max_difference: float
    sd: float

    @property
    def holds(self) -> bool:
        """Whether no answer differs by more than `TOLERANCE` standard deviations."""
        return self.max_difference <= TOLERANCE * (self.sd or 1.0)

    @property
    def words(self) -> str:
        """Say what was compared."""
        size = self.max_difference / (self.sd or 1.0)
        if not self.holds:
            return f"differs by {size:.1e} standard deviations"
        return f"agrees on {self.rows} rows within {size:.0e} standard deviations"

    def as_dict(self) -> dict[str, float]:
        """Return the figures as plain values."""
        return asdict(self)


class QuantityProof:
    """Rows to compare on, with the numbers that a pipeline predicts for them.

    Parameters
    ----------
    span
        The range of the target. Numbers beyond it are limited to it, as in answers.
    labels
        Those of the dataset; without labels `sd` is that of the predictions.
    """

    def __init__(self, said: NDArray[Any], span: tuple[float, float], labels: Sequence[float]) -> None:
        self._span = span
        self._expected = np.clip(column(said, len(said)), *span)
        self._sd = float(np.std(labels if len(labels) else self._expected))

    def own(self) -> Width:
        """Return the decision of a pipeline that is served itself."""
        return Width(self._sd)

    def compare(self, raw: Sequence[NDArray[Any]]) -> tuple[QuantityAgreement | None, Width, str]:
        """Compare the output of a graph; return the agreement, the decision and words."""
        try:
            found = np.clip(column(raw[0], len(self._expected)), *self._span)
        except InvalidSpec:
            return None, self.own(), f"numbers of shape {np.shape(raw[0])}"
        with np.errstate(invalid="ignore"):
            difference = np.nan_to_num(np.abs(found - self._expected), nan=np.inf).max()
        agreement = QuantityAgreement(len(found), float(difference), self._sd)
        return agreement, self.own(), agreement.words


def column(said: Any, rows: int) -> NDArray[np.float64]:
    """Return predicted numbers with the shape (n,).

    Raises
    ------
    InvalidSpec
        When there is not one number for each row.
    """
    found = np.asarray(said)
    if found.shape not in ((rows,), (rows, 1)) or found.dtype.kind not in "fiu":
        raise InvalidSpec(
            f"its predict gives an array of {found.dtype} of shape {found.shape} for {rows} rows:"
            " it must give one number for each row"
        )
    return found.astype(np.float64).ravel()
