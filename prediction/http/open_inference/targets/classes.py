"""Classes in tensors: the class, and the probability of each class in the order of the labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic_core import from_json, to_json

from models_store.targets.classes import Classes
from prediction.http.open_inference.outputs import Output
from prediction.journal.predictions import Prediction

DATATYPES = {str: "BYTES", bool: "BOOL", int: "INT64"}
INT64 = range(-(2**63), 2**63)


def outputs(target: Classes) -> list[Output]:
    """Return the outputs of a model. Their parameter `labels` is a JSON array of the classes."""
    labels = {"labels": to_json(target.labels).decode()}

    def label(item: Prediction) -> Any:
        return target.value(item.predicted_class)

    kind = DATATYPES[type(target.labels[0])]
    if kind == "INT64" and not all(each in INT64 for each in target.labels):
        kind = "BYTES"

    def classes(answered: Sequence[Prediction]) -> list[Any]:
        return [item.predicted_class if kind == "BYTES" else label(item) for item in answered]

    def probabilities(answered: Sequence[Prediction]) -> list[Any]:
        rows = from_json(f"[{','.join(item.probabilities for item in answered)}]")
        return [row[name] for row in rows for name in target.texts]

    return [
        Output("predicted_class", kind, 1, classes),
        Output("probabilities", "FP64", len(target.labels), probabilities, lambda _: labels),
    ]
