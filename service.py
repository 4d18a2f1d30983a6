"""The Bento service: for every spec of the catalog, its typed routes. `bentoml serve` runs it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import bentoml

from models_store import catalog
from models_store.errors import Error, none_trained
from models_store.spec import Features, Spec
from prediction import bodies, edge, entrance, feedback, metrics, retention, runtime, settings
from prediction.calls import Call
from prediction.journal import Journal, Prediction
from prediction.resources import Resources

try:
    SETTINGS = settings.load()
    SPECS = catalog.load()
except Error as error:
    raise edge.start_error(str(error)) from None

JOURNAL = Journal(SETTINGS.journal_url, SETTINGS.durable_predictions)
RUNTIME = runtime.Runtime(SPECS, SETTINGS.home, JOURNAL, SETTINGS.journal_required)


PRUNE_SECONDS = 3600.0


def prune_journal() -> None:
    """Delete what is older than it is kept."""
    for _ in retention.prune(JOURNAL, SETTINGS.journal_days):
        pass


class TrainedModel(bentoml.models.BentoModel):
    """Packs the newest version into a Bento, and tells how to train where there is none."""

    def resolve(self, *args: Any, **kwargs: Any) -> bentoml.Model:
        """Return the stored model."""
        if self.stored is None:
            raise edge.start_error(str(none_trained(self.tag.name)))
        return super().resolve(*args, **kwargs)


class Base:
    """Predictions of scikit-learn models, each recorded under an id by which its label can follow."""

    @bentoml.on_deployment
    def prepare() -> None:
        """Make store and journal ready, once, before the workers start."""
        stored = [model.stored for model in MODELS.values()]
        try:
            baked = [Path(model.path) for model in stored if model is not None]
            runtime.prepare(SPECS, SETTINGS.home, JOURNAL, baked)
        except Error as error:
            raise edge.start_error(str(error)) from error
        JOURNAL.close()

    @bentoml.on_startup
    def start(self) -> None:
        """Load the champions."""
        RUNTIME.start([runtime.Task("prune", PRUNE_SECONDS, prune_journal)])

    @bentoml.on_shutdown
    def stop(self) -> None:
        """Close the journal."""
        RUNTIME.stop()

    def __is_ready__(self) -> bool:
        return RUNTIME.ready


def answer_of(prediction: Prediction) -> dict[str, Any]:
    """Pick from a prediction what its client gets."""
    return {
        "prediction_id": prediction.prediction_id,
        "model": prediction.model,
        "version": prediction.version,
        "predicted_class": prediction.predicted_class,
        "probabilities": prediction.probabilities,
        "warnings": prediction.warnings,
    }


def predict(spec: Spec) -> Call:
    """`POST /{model}/predict`: one row, its features by name."""

    async def run(row: Features) -> dict[str, Any]:
        (prediction,) = await RUNTIME.predict(spec.name, [row])
        return answer_of(prediction)

    return Call(
        model=spec.name,
        name="predict",
        summary=f"{spec.title}, from one row of named features",
        validator=spec.rows,
        answer=bodies.answer(spec),
        example=spec.example,
        run=run,
    )


def predict_batch(spec: Spec) -> Call:
    """`POST /{model}/predict_batch`: an array of rows, answered in order."""

    async def run(rows: list[Features]) -> list[dict[str, Any]]:
        return [answer_of(prediction) for prediction in await RUNTIME.predict(spec.name, rows)]

    return Call(
        model=spec.name,
        name="predict_batch",
        summary=f"{spec.title}, for up to {SETTINGS.max_batch_rows} rows, answered in order",
        validator=spec.rows,
        max_rows=SETTINGS.max_batch_rows,
        answer=list[bodies.answer(spec)],  # type: ignore[misc]
        example=[spec.example],
        run=run,
    )


def give_feedback(spec: Spec) -> Call:
    """`POST /{model}/feedback`: the true label of a prediction."""

    async def run(item: Any) -> dict[str, Any]:
        (answer,) = await record_labels(spec, [item])
        if isinstance(answer, Error):
            raise answer
        return label_answer(item, answer)

    return Call(
        model=spec.name,
        name="feedback",
        summary="The true label of a prediction, whenever it becomes known",
        validator=bodies.feedback_validator(spec),
        answer=bodies.Recorded,
        example=feedback_example(spec),
        run=run,
    )


def give_feedback_batch(spec: Spec) -> Call:
    """`POST /{model}/feedback_batch`: many labels; those that can't be taken say why."""

    async def run(items: list[Any]) -> list[dict[str, Any]]:
        answers = await record_labels(spec, items)
        return [label_answer(*pair) for pair in zip(items, answers, strict=True)]

    return Call(
        model=spec.name,
        name="feedback_batch",
        summary=f"The true labels of up to {SETTINGS.max_batch_rows} predictions",
        validator=bodies.feedback_validator(spec),
        max_rows=SETTINGS.max_batch_rows,
        answer=list[bodies.Recorded | bodies.NotRecorded],
        example=[feedback_example(spec)],
        run=run,
    )


async def record_labels(spec: Spec, items: list[Any]) -> list[str | Error]:
    """Write labels into the journal, in a thread: they are synced to disk."""
    labels = [feedback.Label(item.prediction_id, item.label, item.correct) for item in items]
    answers = await asyncio.to_thread(feedback.give, JOURNAL, spec.name, labels)
    for answer in answers:
        status = answer if isinstance(answer, str) else "refused"
        metrics.FEEDBACK.labels(spec.name, status).inc()
    return answers


def label_answer(item: Any, answer: str | Error) -> dict[str, Any]:
    """Tell what became of one label."""
    if isinstance(answer, Error):
        code, _ = entrance.status_of(answer)
        return {"prediction_id": item.prediction_id, "status": "error", "code": code, "error": str(answer)}
    return {"prediction_id": item.prediction_id, "label": item.label, "status": answer}


def feedback_example(spec: Spec) -> dict[str, Any]:
    """Make a body for the docs page; its id is to be replaced by a real one."""
    return {"prediction_id": "01900000-0000-7000-8000-000000000000", "label": spec.classes[0]}


CALLS = [
    make(spec)
    for spec in SPECS.values()
    for make in (predict, predict_batch, give_feedback, give_feedback_batch)
]
MODELS = {f"{name}_model": TrainedModel(f"{name}:latest") for name in SPECS}
RESOURCES = Resources(SPECS, SETTINGS.home, JOURNAL)

prediction = edge.make_service(
    Base,
    MODELS,
    edge.Settings(
        calls=CALLS,
        resources=RESOURCES.routes(),
        gets=RESOURCES.operations(),
        home=SETTINGS.home,
        max_body_bytes=SETTINGS.max_body_bytes,
        max_in_flight=SETTINGS.max_in_flight,
    ),
    name="prediction",
    workers=SETTINGS.workers or "cpu_count",
    logging={"access": {"enabled": False}},
)
