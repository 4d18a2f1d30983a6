"""A quantity as a target: one number with a unit and a range, answered with an interval.

The journal holds a label as the text of the number, and the number itself beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from models_store import faults
from models_store.errors import Detail, InvalidSpec
from models_store.faults import Fault
from models_store.targets import estimators
from models_store.targets.intervals import (
    QuantityAnswers,
    QuantityProof,
    Width,
    column,
    read_width,
)
from models_store.targets.rules import QuantityRules
from models_store.targets.said import ADAPTED, UNCHANGED, Said

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

STRATA = 5
ROWS_A_STRATUM = 20
"""Labels are divided at their quantiles, into at most `STRATA` parts of about so many rows or more."""

LEVELS = (0.5, 0.99)
"""The possible levels of an interval."""

VALUE = "predicted_value"
"""Where a warning about an answer itself points to."""


@dataclass(frozen=True)
class Quantity:
    """One number a row. `quantity` makes it."""

    kind: ClassVar[str] = "quantity"
    chooses: ClassVar[bool] = False  # training chooses no decision
    rules: ClassVar[type] = QuantityRules

    description: str
    unit: str
    low: float
    high: float
    level: float = 0.9

    def faults(self) -> list[Fault]:
        """Return what is wrong with the declaration."""
        words = []
        if not isinstance(self.description, str) or not self.description.strip():
            words.append("describe the quantity in a text that is not empty")
        if not isinstance(self.unit, str):
            words.append(f'unit is a text, "" for a count or a ratio, not {self.unit!r}')
        words += faults.of_range(self.low, self.high)
        if not words and self.low == self.high:
            words.append(f"low and high are both {self.low!r}: a quantity needs a range")
        if not words and not math.isfinite(self.high - self.low):
            words.append("the range is wider than a number can be: give a narrower one")
        if type(self.level) is not float or not LEVELS[0] <= self.level <= LEVELS[1]:
            words.append(f"level is a number from {LEVELS[0]} to {LEVELS[1]}, not {self.level!r}")
        return [Fault(("target",), each) for each in words]

    @property
    def span(self) -> tuple[float, float]:
        """Both ends of the range."""
        return float(self.low), float(self.high)

    def limited(self, number: float | None) -> float | None:
        """Return a number, limited to the range."""
        return None if number is None else min(max(number, self.span[0]), self.span[1])

    @property
    def texts(self) -> tuple[str, ...]:
        """No canonical texts: there are as many labels as numbers."""
        return ()

    @property
    def example(self) -> float:
        """A label for descriptions."""
        return 0.0 if self.low <= 0 <= self.high else (self.low + self.high) / 2

    @property
    def expected(self) -> str:
        """Describes a valid label in words."""
        return f"a number from {self.low:.15g} to {self.high:.15g} {self.unit}".rstrip()

    @property
    def counted(self) -> tuple[str, ...]:
        """The names under which answers are counted: all under one."""
        return ("",)

    def as_dict(self) -> dict[str, Any]:
        """Return what the metadata of a version holds of its target."""
        ends = {"low": float(self.low), "high": float(self.high)}
        return {"target": self.kind, "unit": self.unit, **ends, "level": self.level}

    def table(self) -> dict[str, str]:
        """Return what a table of a training shows of the target."""
        return {"predicts": f"{self.description}, {self.expected}"}

    def is_of(self, metadata: Mapping[str, Any]) -> bool:
        """Whether a version with this metadata was trained for this target; the range may differ."""
        names = ("target", "unit", "level")
        return [metadata.get(name) for name in names] == [self.kind, self.unit, self.level]

    def profile(self, _texts: Sequence[str]) -> dict[str, Any]:
        """Return what the profile of a version holds of its labels: nothing, since answers differ less."""
        return {}

    def text(self, label: Any) -> str:
        """Return the canonical text of a valid label."""
        return repr(float(label) + 0.0)  # no -0.0

    def value(self, text: str) -> float | str:
        """Return the number of a canonical text; the text itself if it is the label of a class."""
        try:
            return float(text)
        except ValueError:
            return text

    def number(self, text: str) -> float | None:
        """Return what the journal holds beside the text of a label."""
        found = self.value(text)
        return found if isinstance(found, float) else None

    def knows(self, text: str) -> bool:
        """Whether a canonical text is that of a number in the range."""
        found = self.value(text)
        return isinstance(found, float) and self.low <= found <= self.high

    def read(self, y: Any) -> list[str]:
        """Return the canonical texts of the labels of a dataset.

        Raises
        ------
        InvalidSpec
            Naming the first label that is no number of the range.
        """
        if getattr(y, "ndim", 1) != 1:
            raise InvalidSpec("load() returns labels with several columns: a model has one label a row")
        labels = y.tolist() if hasattr(y, "tolist") else list(y)
        for row, label in enumerate(labels):
            is_number = isinstance(label, int | float) and not isinstance(label, bool)
            if not is_number or not math.isfinite(label) or not self.low <= label <= self.high:
                raise InvalidSpec(f"row {row} of load(): the label {label!r} is not {self.expected}")
        return [self.text(label) for label in labels]

    def as_y(self, texts: Iterable[str]) -> NDArray[np.float64]:
        """Return labels as the pipeline is fitted with them, from their canonical texts."""
        return np.array([float(text) for text in texts], np.float64)

    def strata(self, texts: Sequence[str]) -> list[int]:
        """Return the stratum of each label: between which quantiles of all of them it lies."""
        y = self.as_y(texts)
        parts = min(STRATA, len(y) // ROWS_A_STRATUM)
        if parts < 2:
            return [0] * len(y)
        edges = np.unique(np.quantile(y, np.linspace(0, 1, parts + 1)[1:-1]))
        found: list[int] = np.searchsorted(edges, y, side="right").tolist()
        return found

    def demand(self, pipeline: Any) -> None:
        """Refuse an estimator that can't learn this target."""
        estimators.demand_regressor(pipeline)

    def demand_fitted(self, pipeline: Any) -> None:
        """Refuse a fitted pipeline that can't answer with this target."""
        estimators.demand_predictions(pipeline)

    def choose(self, _labels: Any, _answers: Any, _weights: Any) -> None:
        """Choose the decision at training: there is nothing to choose."""

    def decided(self, pipeline: Any, _decision: Any) -> Any:
        """Return a fitted pipeline whose `predict` follows a chosen decision: none is chosen."""
        return pipeline

    def prove(self, pipeline: Any, X: pd.DataFrame, texts: Sequence[str] = ()) -> QuantityProof:
        """Ask a fitted pipeline about rows, to compare others with it.

        Parameters
        ----------
        texts
            The labels of the dataset: a difference is judged by their standard deviation.
        """
        said = column(pipeline.predict(X), len(X))
        return QuantityProof(said, self.span, self.as_y(texts).tolist())

    def convertible(self, pipeline: Any) -> Any:
        """Return what the converter to ONNX takes of a fitted pipeline."""
        return pipeline

    def outputs_of(self, graph: Sequence[str]) -> list[str]:
        """Return the outputs of a graph that answers may be made of."""
        return list(graph[:1])

    def ask(
        self,
        pipeline: Any,
        X: pd.DataFrame,
        decision: Width | None = None,
        beside: Sequence[NDArray[Any]] = (),
    ) -> QuantityAnswers:
        """Let a pipeline answer rows.

        Parameters
        ----------
        beside
            The outputs of the graphs that the decision names.
        """
        said = column(pipeline.predict(X), len(X))
        return self.reader(decision or Width())([said, *beside])

    def reader(self, decision: Width) -> Callable[[Sequence[NDArray[Any]]], QuantityAnswers]:
        """Return the function that reads answers out of the outputs of a graph or a pipeline."""
        span = self.span

        def read(outputs: Sequence[NDArray[Any]]) -> QuantityAnswers:
            raw = np.asarray(outputs[0], np.float64).ravel()
            values = np.clip(raw, *span)
            errors = decision.expected(outputs[1:], len(raw))
            return QuantityAnswers(raw, values, errors, *decision.ends(values, errors, span))

        return read

    def adapt(self, answers: QuantityAnswers, width: float) -> QuantityAnswers:
        """Make the intervals `width` times as wide, but not those that are the whole range."""
        if width == 1 or not len(answers.errors) or np.isnan(answers.errors[0]):
            return answers
        values = answers.values
        low, high = (values + width * (end - values) for end in (answers.low, answers.high))
        return answers._replace(low=low, high=high)

    def said(self, answers: QuantityAnswers, width: float = 1.0) -> Said:
        """Return what the journal keeps of answers, and a warning where the range has limited one.

        Parameters
        ----------
        width
            How many times as wide as calibrated the intervals shall be.
        """
        raw, values, rows = answers.raw, answers.values, len(answers.values)
        limited = {
            int(row): [self._limited(float(raw[row]), float(values[row]))]
            for row in np.flatnonzero(raw != values)
        }
        adapted = self.adapt(answers, width)
        kept = UNCHANGED if adapted is answers else f'{{"{ADAPTED}":{width!r}}}'
        ends = adapted.low.tolist(), adapted.high.tolist()
        return Said([""] * rows, [kept] * rows, values.tolist(), *ends, limited)

    def _limited(self, raw: float, value: float) -> Detail:
        side = "below" if raw < value else "above"
        number = f"the model predicts {raw:.6g} {self.unit}".rstrip()
        return {"loc": [VALUE], "msg": f"{number}, {side} the range: the answer is {value:.15g}"}

    def golden(self, answers: QuantityAnswers, decision: Width) -> dict[str, Any]:
        """Return answers as a version keeps them, to be repeated at each load, and the decision."""
        errors = [] if np.isnan(answers.errors).any() else answers.errors.tolist()
        return {"decision": decision.as_dict(), "values": answers.values.tolist(), "errors": errors}

    def decision(self, golden: Mapping[str, Any]) -> Width:
        """Read the decision of a version."""
        return read_width(golden["decision"])

    def describe_decision(self, metadata: Mapping[str, Any]) -> str:
        """Say in words how a version with this metadata decides."""
        try:
            return self.decision(metadata).words(self.unit)
        except (TypeError, ValueError, KeyError):  # a newer release has saved it
            return "the predicted number"

    def compare(self, golden: Mapping[str, Any], answers: QuantityAnswers) -> str | None:
        """Say how answers differ from golden ones; None if they are the same."""
        known = [(answers.values, golden["values"])]
        known += [(answers.errors, golden["errors"])] if golden["errors"] else []
        difference = max(float(np.abs(found - np.array(told)).max()) for found, told in known)
        limit = self.decision(golden).tolerance
        return None if difference <= limit else f"they differ by {difference:.1e} {self.unit}".rstrip()


def quantity(description: str, *, unit: str, low: float, high: float, level: float = 0.9) -> Quantity:
    """Declare the number that a model predicts.

    Parameters
    ----------
    unit
        Shown after each value; `""` for a count or a ratio.
    low, high
        The range of true numbers, both ends included. Labels outside it are refused, and predictions
        outside it are limited to it, with a warning.
    level
        The share of true numbers that the intervals shall hold.
    """
    return Quantity(description, unit, low, high, level)
