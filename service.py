"""The Bento service: for every spec of the catalog, its typed routes. `bentoml serve` runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bentoml

from models_store import catalog
from models_store.errors import Error, none_trained
from models_store.spec import Features, Spec
from prediction import bodies, edge, runtime, settings
from prediction.calls import Call
from prediction.journal import Journal, Prediction
from prediction.resources import Resources

try:
    SETTINGS = settings.load()
    SPECS = catalog.load()
except Error as error:
    raise edge.start_error(str(error)) from None

JOURNAL = Journal(SETTINGS.journal_url)
RUNTIME = runtime.Runtime(SPECS, SETTINGS.home, JOURNAL)


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
        RUNTIME.start()

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


def predict_call(spec: Spec) -> Call:
    """Describe `POST /{model}/predict`: one row, its features by name."""

    async def run(row: Features) -> dict[str, Any]:
        (prediction,) = await RUNTIME.predict(spec.name, [row])
        return answer_of(prediction)

    return Call(
        model=spec.name,
        name="predict",
        summary=f"{spec.title}, from one row of named features",
        body=spec.features,
        answer=bodies.answer(spec),
        example=spec.example,
        parse=spec.parse,
        run=run,
    )


def predict_batch_call(spec: Spec) -> Call:
    """Describe `POST /{model}/predict_batch`: an array of rows, answered in order."""

    def parse(raw: bytes) -> list[Features]:
        return spec.parse_batch(raw, SETTINGS.max_batch_rows)

    async def run(rows: list[Features]) -> list[dict[str, Any]]:
        return [answer_of(prediction) for prediction in await RUNTIME.predict(spec.name, rows)]

    return Call(
        model=spec.name,
        name="predict_batch",
        summary=f"{spec.title}, for up to {SETTINGS.max_batch_rows} rows, answered in order",
        body=list[spec.features],  # type: ignore[name-defined]
        answer=list[bodies.answer(spec)],  # type: ignore[misc]
        example=[spec.example],
        parse=parse,
        run=run,
    )


def declare_predict(spec: Spec) -> tuple[Call, Any]:
    """Make the API `{model}_predict`."""
    call = predict_call(spec)

    async def method(_: Base, **features: Any) -> Any:
        return await call.run(spec.parse_object(features))

    return call, edge.declare(call, method)


def declare_predict_batch(spec: Spec) -> tuple[Call, Any]:
    """Make the API `{model}_predict_batch`."""
    call = predict_batch_call(spec)

    async def method(_: Base, rows: Any, /) -> Any:
        return await call.run(rows)

    return call, edge.declare(call, method)


MODELS = {f"{name}_model": TrainedModel(f"{name}:latest") for name in SPECS}
DECLARED = [
    declare(spec) for spec in SPECS.values() for declare in (declare_predict, declare_predict_batch)
]
RESOURCES = Resources(SPECS, SETTINGS.home, JOURNAL)

prediction = edge.make_service(
    type(
        "Service",
        (Base,),
        {"__doc__": Base.__doc__, **MODELS, **{api.name: api for _, api in DECLARED}},
    ),
    edge.Settings(
        calls=[call for call, _ in DECLARED],
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
