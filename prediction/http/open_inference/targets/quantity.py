"""A quantity in tensors: the number, and both ends of its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from models_store.targets.quantity import Quantity
from models_store.targets.said import adapted
from prediction.http.open_inference.outputs import Output
from prediction.journal.predictions import Prediction


def outputs(target: Quantity) -> list[Output]:
    """Return the outputs of a model. Parameters say the unit, and the level of the interval."""

    def values(answered: Sequence[Prediction]) -> list[Any]:
        return [item.value for item in answered]

    def unit(_: Sequence[Prediction]) -> dict[str, Any]:
        return {"unit": target.unit}

    def ends(answered: Sequence[Prediction]) -> list[Any]:
        return [target.limited(end) for item in answered for end in (item.low, item.high)]

    def interval(answered: Sequence[Prediction]) -> dict[str, Any]:
        found: dict[str, Any] = {"unit": target.unit, "level": target.level}
        if answered:  # all rows of a request have the same version and width
            found["adapted"] = adapted(answered[0].probabilities)
        return found

    return [
        Output("predicted_value", "FP64", 1, values, unit),
        Output("interval", "FP64", 2, ends, interval),
    ]
