"""The bodies of requests and answers as pydantic models, for the docs page and for clients."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from models_store.spec import Spec
from models_store.validation import Validator
from prediction.figures.gate import Verdict
from prediction.http.targets import kinds


class Place(BaseModel):
    """One place in a body, and the message about it."""

    loc: list[str | int] = Field(description="Path into the body; in a batch it begins with the row.")
    msg: str


class Problem(BaseModel):
    """Every error, whatever its status."""

    error: str = Field(description="What is wrong and what to do.")
    detail: list[Place] = Field(description="Each wrong place; empty if the error has none.")


class Warned(BaseModel):
    """A value unlike the training data of the version; the row was answered."""

    loc: list[str]
    msg: str


def answer(spec: Spec) -> type[BaseModel]:
    """Make the model of one answered row of a spec."""
    name: Any = Literal[spec.name]
    title = spec.name.title().replace("_", "")
    return create_model(
        f"{title}Prediction",
        __doc__=f"{spec.title}: one answered row.",
        prediction_id=(
            str | None,
            Field(description="Use it to look the prediction up, or to give its true label."),
        ),
        model=(name, ...),
        version=(str, Field(description="The version that answered.")),
        **kinds.of(spec.target).answer_fields(spec.target),
        warnings=(
            list[Warned],
            Field(description="Values unlike the training data; mostly empty."),
        ),
    )


def feedback(spec: Spec) -> type[BaseModel]:
    """Make the model of the true label of one prediction of a spec."""
    label: Any = kinds.of(spec.target).label(spec.target)
    title = spec.name.title().replace("_", "")
    return create_model(
        f"{title}Feedback",
        __config__=ConfigDict(extra="forbid", strict=True),
        __doc__="The true label of a prediction.",
        prediction_id=(
            str,
            Field(min_length=36, max_length=36, description="The id from the answer of predict."),
        ),
        label=(label, Field(description="The true label, of the type of the answers.")),
        correct=(bool, Field(default=False, description="Whether this label may replace another one.")),
    )


def feedback_validator(spec: Spec) -> Validator[Any]:
    """Make the validator of feedback of a spec."""
    expected = {
        "prediction_id": "the id of a prediction, from the answer of predict",
        "label": spec.target.expected,
        "correct": "true or false",
    }
    return Validator(feedback(spec), f"feedback of {spec.name}", expected)


Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]
"""A text that the journal can store: PostgreSQL stores no NUL."""

Reason = Annotated[
    str,
    Field(
        pattern=r"^[^\x00]*[^\s\x00][^\x00]*$",
        min_length=1,
        max_length=1000,
        description="A text of 1 to 1,000 characters without NUL, not only blanks: the ledger keeps it.",
    ),
]


class Request(BaseModel):
    """Base of the small bodies: strict, without unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Retrain(Request):
    """Ask for a retraining."""

    force: bool = Field(default=False, description="True or false: train even with few new labels.")


class Cancel(Request):
    """Name the retraining to cancel."""

    run_id: Text = Field(description="A text without NUL: the id of a run, from the answer of retrain.")


class Promote(Request):
    """Name the version that becomes the champion."""

    version: Text = Field(
        min_length=1,
        max_length=64,
        description="A text without NUL: a version of this model, from GET /models/{model}.",
    )
    reason: Reason


class Rollback(Request):
    """Go back to the previous champion."""

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
    """Retrainings, newest first; give `next` as `before` to get older ones."""

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
    words = {name: str(field.description).rstrip(".") for name, field in kind.model_fields.items()}
    expected = {name: text[0].lower() + text[1:] for name, text in words.items()}
    return Validator(kind, subject, expected)


AnyLabel = str | int | float | bool


class Recorded(BaseModel):
    """A label that is in the journal."""

    prediction_id: str
    label: AnyLabel
    status: Literal["recorded", "unchanged", "corrected"]


class NotRecorded(BaseModel):
    """A label of a batch that was refused."""

    prediction_id: str
    status: Literal["error"]
    code: int = Field(description="The status that feedback answers for this label alone.")
    error: str


class Origin(BaseModel):
    """Where a version comes from that was not trained here."""

    file: str
    format: Literal["skops", "pickle"]
    sha256: str
    libraries: dict[str, str] = Field(description="The versions that saved it, as far as they are known.")
    by: str
    at: str
    warnings: list[str]
    unrepeatable: str | None = Field(description="Why a retraining can't fit the same estimator again.")


class ModelVersion(BaseModel):
    """A version in the store; it has a verdict if a retraining made it."""

    version: str
    created_at: str
    runtime: Literal["onnx", "scikit-learn"]
    decision: str | None = Field(description="How it makes an answer of probabilities; null with a fault.")
    metrics: dict[str, Any] = Field(description="Computed on the holdout rows of its training.")
    verdict: Verdict | None
    origin: Origin | None = Field(description="Null for a version that was trained here.")


class Worker(BaseModel):
    """What one worker of one host serves of a model; the version is null where it can serve none."""

    host: str
    worker: int = Field(description="Its process id.")
    version: str | None
    since: str


class ModelState(BaseModel):
    """One model: its champion, its versions, its ledger, and the version that each worker serves."""

    name: str
    title: str
    fault: str | None = Field(
        description="Why its file of the catalog can't be used; its routes then answer 503."
    )
    champion: str | None
    versions: list[ModelVersion]
    ledger: list[Promotion]
    next: int | None = Field(description="Give it as `before` to get older entries; null at the end.")
    workers: list[Worker]
    agree: bool = Field(description="Whether every worker serves the champion.")


class ModelStates(BaseModel):
    """Every model."""

    models: list[ModelState]


class Answered(kinds.AnyAnswer):
    """A prediction: its features and its answer, which has the fields of the model's kind of target."""

    prediction_id: str
    at: str
    model: str
    version: str
    features: dict[str, bool | int | float | str | None]
    warnings: list[Warned]


class Labelled(Answered):
    """A prediction with its label, null where there is none yet."""

    label: AnyLabel | None


class Predictions(BaseModel):
    """Predictions, newest first; give `next` as `before` to get older ones."""

    predictions: list[Labelled]
    next: str | None


class OldLabel(BaseModel):
    """A label that was corrected."""

    label: AnyLabel
    at: str
    replaced_at: str


class GivenLabel(BaseModel):
    """The label of a prediction, and the labels that it replaced."""

    label: AnyLabel
    at: str
    history: list[OldLabel]


class Story(Answered):
    """A prediction with its feedback and its version; metrics are null if the version is gone."""

    metrics: dict[str, Any] | None
    data_digest: str | None
    feedback: GivenLabel | None
