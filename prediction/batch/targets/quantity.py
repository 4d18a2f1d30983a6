"""A quantity in files and frames: columns of answers, and labels read from cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from models_store.targets.intervals import QuantityAnswers
from models_store.targets.quantity import Quantity
from prediction.batch.chunks import Row
from prediction.journal.predictions import Prediction


def nothing(_target: Quantity) -> QuantityAnswers:
    """Return the answers to no rows."""
    return _gather([])


def recorded(_target: Quantity, predictions: Sequence[Prediction]) -> QuantityAnswers:
    """Return the answers of predictions that are recorded."""
    return _gather((item.value, item.low, item.high) for item in predictions)


def received(_target: Quantity, bodies: Sequence[Mapping[str, Any]]) -> QuantityAnswers:
    """Return the answers of a server."""
    return _gather(
        (row["predicted_value"], row["interval"]["low"], row["interval"]["high"]) for row in bodies
    )


def _gather(rows: Iterable[tuple[Any, Any, Any]]) -> QuantityAnswers:
    values, low, high = np.array(list(rows), np.float64).reshape(-1, 3).T
    return QuantityAnswers(values, values, np.full(len(values), np.nan), low, high)


def columns(target: Quantity, answers: QuantityAnswers) -> dict[str, Any]:
    """Return the columns that answers add to their rows, as Arrow arrays."""
    import pyarrow

    low, high = (np.clip(each, *target.span) for each in (answers.low, answers.high))
    named = {"predicted_value": answers.values, "predicted_low": low, "predicted_high": high}
    return {name: pyarrow.array(values) for name, values in named.items()}


def counts(_target: Quantity, _answers: QuantityAnswers) -> dict[str, int]:
    """Return nothing: numbers are not counted by their value."""
    return {}


def exported(_target: Quantity) -> dict[str, type]:
    """Return the columns of an exported answer, in order."""
    return dict.fromkeys(("predicted_low", "predicted_high", "predicted_value"), float)


def exported_row(target: Quantity, prediction: Prediction) -> Row:
    """Return the values of `exported`."""
    return {
        "predicted_low": target.limited(prediction.low),
        "predicted_high": target.limited(prediction.high),
        "predicted_value": prediction.value,
    }


def label_type(_target: Quantity) -> type:
    """Return the type of a column of labels."""
    return float


def read_label(_target: Quantity, cell: Any) -> Any:
    """Read a label as files have it: a CSV knows texts only."""
    if isinstance(cell, str):
        try:
            return float(cell)
        except ValueError:
            return cell
    return cell
