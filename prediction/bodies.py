"""The bodies that routes answer with, as pydantic models: what the docs page and clients see."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field, create_model

from models_store.spec import Spec


class Place(BaseModel):
    """One place in a body, and what is to be said of it."""

    loc: list[str | int] = Field(description="Path into the body; in a batch it begins with the row.")
    msg: str


class Problem(BaseModel):
    """Every error, whatever its status."""

    error: str = Field(description="What is wrong and what to do.")
    detail: list[Place] = Field(description="Each place that is wrong; empty where there is none.")


class Warned(BaseModel):
    """A value that was answered, although the version was trained on none like it."""

    loc: list[str]
    msg: str


def answer(spec: Spec) -> type[BaseModel]:
    """Make the model of one answered row of a spec."""
    said: Any = Literal[spec.classes]
    name: Any = Literal[spec.name]
    title = spec.name.title().replace("_", "")
    return create_model(
        f"{title}Prediction",
        __doc__=f"{spec.title}: one answered row.",
        prediction_id=(str, Field(description="Name it to look it up or to give the true label.")),
        model=(name, ...),
        version=(str, Field(description="The version that answered.")),
        predicted_class=(said, Field(description="The most probable class.")),
        probabilities=(dict[said, float], Field(description="Of every class; they sum to 1.")),
        warnings=(
            list[Warned],
            Field(description="Values unlike the training data; mostly empty."),
        ),
    )


def iso(at_us: int) -> str:
    """Write a time of the journal, in us since 1970, as UTC in ISO 8601."""
    return datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(timespec="microseconds")
