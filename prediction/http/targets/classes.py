"""Classes in bodies: the fields of an answer, and the type of a label."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field
from pydantic_core import to_json

from models_store.targets.classes import Classes
from prediction.journal.predictions import Prediction


class ClassAnswer(BaseModel):
    """The fields of an answer, for routes of all models."""

    predicted_class: str | int | bool = Field(default="", description="Only where the target is classes.")
    probabilities: dict[str, float] = Field(default={}, description="Only where the target is classes.")


def answer_fields(target: Classes) -> dict[str, Any]:
    """Return the fields of an answered row that depend on the target, each with its type."""
    label: Any = Literal[target.labels]
    text: Any = Literal[target.texts]  # the keys of a JSON object are texts
    return {
        "predicted_class": (label, Field(description="The class that the model decides for.")),
        "probabilities": (
            dict[text, float],
            Field(description="The probability of every class; they sum to 1."),
        ),
    }


def label(target: Classes) -> Any:
    """Return the type of a label. `true` is no integer, and `1` is no boolean."""
    kind: Any = Literal[target.labels]
    if isinstance(target.labels[0], str):
        return kind
    is_boolean = isinstance(target.labels[0], bool)

    def demand(raw: Any) -> Any:
        if isinstance(raw, bool) is not is_boolean:
            raise ValueError(target.expected)
        return raw

    return Annotated[kind, BeforeValidator(demand)]


def writer(target: Classes) -> Callable[[Prediction], str]:
    """Return the function that writes the fields of `answer_fields` of a prediction as JSON."""
    labels = {text: to_json(target.value(text)).decode() for text in target.texts}

    def write(prediction: Prediction) -> str:
        text = prediction.predicted_class
        label = labels.get(text) or to_json(target.value(text)).decode()
        return f'"predicted_class":{label},"probabilities":{prediction.probabilities}'

    return write
