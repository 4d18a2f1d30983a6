"""Classes in files and frames: columns of answers, and labels read from cells."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from models_store.targets.classes import Classes
from models_store.targets.decisions import ClassAnswers
from prediction.batch.chunks import Row
from prediction.journal.predictions import Prediction

WHOLE = re.compile(r"[+-]?[0-9]{1,16}(\.0*)?")
"""A whole number as CSV files have it; pandas writes 1 as 1.0 if another row has none."""

BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def nothing(target: Classes) -> ClassAnswers:
    """Return the answers to no rows."""
    return ClassAnswers(np.empty((0, len(target.texts))), np.empty(0, np.intp))


def recorded(target: Classes, predictions: Sequence[Prediction]) -> ClassAnswers:
    """Return the answers of predictions that are recorded."""
    return _gather(target, ((item.predicted_class, item.read_probabilities()) for item in predictions))


def received(target: Classes, bodies: Sequence[Mapping[str, Any]]) -> ClassAnswers:
    """Return the answers of a server."""
    return _gather(target, ((target.text(row["predicted_class"]), row["probabilities"]) for row in bodies))


def _gather(target: Classes, rows: Iterable[tuple[str, Mapping[str, float]]]) -> ClassAnswers:
    position = {text: number for number, text in enumerate(target.texts)}
    found = [(position[text], [p[name] for name in target.texts]) for text, p in rows]
    return ClassAnswers(np.array([p for _, p in found]), np.array([best for best, _ in found], np.intp))


def columns(target: Classes, answers: ClassAnswers) -> dict[str, Any]:
    """Return the columns that answers add to their rows, as Arrow arrays."""
    import pyarrow

    labels = pyarrow.array(target.labels)
    added = {"predicted_class": labels.take(pyarrow.array(answers.best))}
    for number, name in enumerate(target.texts):
        added[f"probability_{name}"] = pyarrow.array(answers.probabilities[:, number])
    return added


def counts(target: Classes, answers: ClassAnswers) -> dict[str, int]:
    """Count answers by the names of `target.counted`."""
    rows = np.bincount(answers.best, minlength=len(target.texts)).tolist()
    return dict(zip(target.texts, rows, strict=True))


def exported(target: Classes) -> dict[str, type]:
    """Return the columns of an exported answer, in order."""
    return {f"probability_{name}": float for name in target.texts} | {"predicted_class": label_type(target)}


def exported_row(target: Classes, prediction: Prediction) -> Row:
    """Return the values of `exported`."""
    probabilities = {f"probability_{name}": p for name, p in prediction.read_probabilities().items()}
    return {**probabilities, "predicted_class": target.value(prediction.predicted_class)}


def label_type(target: Classes) -> type:
    """Return the type of a column of labels."""
    return type(target.labels[0])


def read_label(target: Classes, cell: Any) -> Any:
    """Read a label as files have it: a CSV knows texts only, and a column with gaps has floats."""
    kind = label_type(target)
    if kind is bool and isinstance(cell, str):
        return BOOLEANS.get(cell.lower(), cell)
    if kind is int and isinstance(cell, str) and WHOLE.fullmatch(cell):
        return int(float(cell))
    return cell
