"""The bodies that routes answer with, as pydantic models: what the docs page and clients see."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from models_store.spec import Spec
from models_store.validation import Validator
from prediction.figures.gate import Verdict


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
        prediction_id=(str | None, Field(description="Name it to look it up or to give the true label.")),
        model=(name, ...),
        version=(str, Field(description="The version that answered.")),
        predicted_class=(said, Field(description="The most probable class.")),
        probabilities=(dict[said, float], Field(description="Of every class; they sum to 1.")),
        warnings=(
            list[Warned],
            Field(description="Values unlike the training data; mostly empty."),
        ),
    )


def feedback(spec: Spec) -> type[BaseModel]:
    """Make the model of the true label of one prediction of a spec."""
    label: Any = Literal[spec.classes]
    title = spec.name.title().replace("_", "")
    return create_model(
        f"{title}Feedback",
        __config__=ConfigDict(extra="forbid", strict=True),
        __doc__="The true label of a prediction.",
        prediction_id=(str, Field(min_length=36, max_length=36, description="As predict answered it.")),
        label=(label, Field(description="The true class.")),
        correct=(bool, Field(default=False, description="Whether it may replace another label.")),
    )


def feedback_validator(spec: Spec) -> Validator[Any]:
    """Make the validator of feedback of a spec."""
    expected = {
        "prediction_id": "the id of a prediction, as predict answered it",
        "label": f"one of {', '.join(spec.classes)}",
        "correct": "true or false",
    }
    return Validator(feedback(spec), f"feedback of {spec.name}", expected)


Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]
"""What may go into the journal: PostgreSQL stores no NUL."""

Reason = Annotated[
    str,
    Field(
        pattern=r"^[^\x00]*[^\s\x00][^\x00]*$",
        min_length=1,
        max_length=1000,
        description="A text without NUL, of up to 1,000 characters, not only blanks: the ledger keeps it.",
    ),
]


class Request(BaseModel):
    """Base of the small bodies: strict, and nothing unknown."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Retrain(Request):
    """Ask for a retraining."""

    force: bool = Field(
        default=False, description="True or false: whether to train although there are few new labels."
    )


class Cancel(Request):
    """Name the retraining to cancel."""

    run_id: Text = Field(description="A text without NUL: the id of a run, as retrain answered it.")


class Promote(Request):
    """Name the version that shall answer from now on."""

    version: Text = Field(
        min_length=1,
        max_length=64,
        description="A text without NUL: a version of this model, one of GET /models/{model}.",
    )
    reason: Reason


class Rollback(Request):
    """Go back to the champion before."""

    reason: Reason


class Run(BaseModel):
    """One retraining."""

    run_id: str
    model: str
    status: Literal["queued", "running", "promoted", "rejected", "failed", "cancelled", "interrupted"]
    step: str
    progress: float
    requested_at: str
    finished_at: str | None
    candidate: str | None
    rows: dict[str, int] | None
    verdict: Verdict | None


class Runs(BaseModel):
    """Retrainings, newest first; what is older begins `before` `next`."""

    runs: list[Run]
    next: str | None


class Promotion(BaseModel):
    """An entry of the ledger; `from` is null for the first champion."""

    model: str
    from_: str | None = Field(alias="from")
    to: str
    reason: str
    by: str
    at: str


def request_validator(kind: type[Request], subject: str) -> Validator[Any]:
    """Make the validator of a small body."""
    told = {name: str(field.description).rstrip(".") for name, field in kind.model_fields.items()}
    expected = {name: words[0].lower() + words[1:] for name, words in told.items()}
    return Validator(kind, subject, expected)


class Recorded(BaseModel):
    """A label that is in the journal."""

    prediction_id: str
    label: str
    status: Literal["recorded", "unchanged", "corrected"]


class NotRecorded(BaseModel):
    """A label that was not taken, in a batch of others."""

    prediction_id: str
    status: Literal["error"]
    code: int = Field(description="The status that the same label gets alone.")
    error: str


class ModelVersion(BaseModel):
    """A version in the store; it has a verdict if a retraining made it."""

    version: str
    created_at: str
    runtime: Literal["onnx", "scikit-learn"]
    metrics: dict[str, Any] = Field(description="On the holdout of its training.")
    verdict: Verdict | None


class Worker(BaseModel):
    """What one worker of one host serves of a model; the version is null where it can serve none."""

    host: str
    worker: int = Field(description="Its process id.")
    version: str | None
    since: str


class ModelState(BaseModel):
    """One model: who should answer, who does, and how it came to that."""

    name: str
    title: str
    champion: str | None
    versions: list[ModelVersion]
    ledger: list[Promotion]
    next: int | None = Field(description="Where the ledger's older entries begin: give it as `before`.")
    workers: list[Worker]
    agree: bool = Field(description="Whether every worker serves the champion.")


class ModelStates(BaseModel):
    """Every model."""

    models: list[ModelState]


class Answered(BaseModel):
    """What was asked and answered."""

    prediction_id: str
    at: str
    model: str
    version: str
    features: dict[str, float | str | None]
    predicted_class: str
    probabilities: dict[str, float]
    warnings: list[Warned]


class Labelled(Answered):
    """A prediction with its label, null where there is none yet."""

    label: str | None


class Predictions(BaseModel):
    """Predictions, newest first; what is older begins `before` `next`."""

    predictions: list[Labelled]
    next: str | None


class OldLabel(BaseModel):
    """A label that was corrected."""

    label: str
    at: str
    replaced_at: str


class GivenLabel(BaseModel):
    """The label of a prediction, and those that it replaced."""

    label: str
    at: str
    history: list[OldLabel]


class Story(Answered):
    """A prediction with what its version was trained on; no metrics where that version is gone."""

    metrics: dict[str, Any] | None
    data_digest: str | None
    feedback: GivenLabel | None


def iso(at_us: int) -> str:
    """Write a time of the journal, in us since 1970, as UTC in ISO 8601."""
    return datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(timespec="microseconds")
