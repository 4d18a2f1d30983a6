"""A quantity in bodies: the number with its unit and interval, and the type of a label."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field
from pydantic_core import to_json

from models_store.targets.quantity import Quantity
from models_store.targets.said import adapted
from prediction.journal.predictions import Prediction


class Interval(BaseModel):
    """The numbers between which the true one lies with a probability, the level."""

    level: float
    low: float
    high: float
    adapted: float = Field(
        description="How many times as wide as training calibrated it, by the labels since: from 0.5 to 2."
    )


class QuantityAnswer(BaseModel):
    """The fields of an answer, for routes of all models."""

    predicted_value: float = Field(default=0, description="Only where the target is a quantity.")
    unit: str = Field(default="", description="Only where the target is a quantity.")
    interval: Interval | None = Field(default=None, description="Only where the target is a quantity.")


def answer_fields(target: Quantity) -> dict[str, Any]:
    """Return the fields of an answered row that depend on the target, each with its type."""
    words = f"{target.description}, as the model predicts it, from {target.low:.15g} to {target.high:.15g}."
    return {
        "predicted_value": (float, Field(description=words, ge=target.low, le=target.high)),
        "unit": (Literal[target.unit], ...),
        "interval": (
            Interval,
            Field(description="Holds the true number with the probability `level`."),
        ),
    }


def label(target: Quantity) -> Any:
    """Return the type of a label: a number of the range; `true` and `"1"` are none."""

    def demand(raw: Any) -> Any:
        if isinstance(raw, bool) or not isinstance(raw, int | float):
            raise ValueError(target.expected)
        return raw

    kind = Annotated[float, Field(ge=target.low, le=target.high, allow_inf_nan=False)]
    return Annotated[kind, BeforeValidator(demand, json_schema_input_type=kind)]


def writer(target: Quantity) -> Callable[[Prediction], str]:
    """Return the function that writes the fields of `answer_fields` of a prediction as JSON."""

    def write(prediction: Prediction) -> str:
        fields = {
            "predicted_value": prediction.value,
            "unit": target.unit,
            "interval": {
                "level": target.level,
                "low": target.limited(prediction.low),
                "high": target.limited(prediction.high),
                "adapted": adapted(prediction.probabilities),
            },
        }
        return to_json(fields).decode()[1:-1]

    return write
