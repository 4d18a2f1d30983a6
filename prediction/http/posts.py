"""The POST routes: their input, their action, their answer. `service.py` makes them for every spec."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from models_store.errors import Error
from models_store.spec import Features, Spec
from models_store.validation import Validator
from prediction import metrics
from prediction.http import bodies, resources
from prediction.http.calls import Call
from prediction.http.targets import kinds
from prediction.journal import feedback, runs, threads
from prediction.journal.feedback import Measure
from prediction.journal.predictions import Prediction
from prediction.monitoring.targets import kinds as health_kinds
from prediction.network import error_answers
from prediction.retraining import process
from prediction.retraining.steps import Plan
from prediction.serving import champions
from prediction.serving.runtime import Runtime


@dataclass(frozen=True)
class Posts:
    """Makes the calls of one spec."""

    spec: Spec
    runtime: Runtime
    plan: Plan
    max_rows: int

    def calls(self) -> list[Call]:
        """Return all of them."""
        return [
            self.predict(),
            self.predict_batch(),
            self.feedback(),
            self.feedback_batch(),
            self.retrain(),
            self.cancel(),
            self.promote(),
            self.rollback(),
        ]

    def predict(self) -> Call:
        """`POST /{model}/predict`: one row, its features by name."""
        text = self._text

        async def run(row: Features) -> list[Prediction]:
            return await self.runtime.predict(self.spec.name, [row])

        def write(answered: list[Prediction]) -> bytes:
            return text(answered[0]).encode()

        return Call(
            model=self.spec.name,
            name="predict",
            summary=f"{self.spec.title}, from one row of named features",
            validator=self.spec.rows,
            answer=bodies.answer(self.spec),
            example=self.spec.example,
            run=run,
            write=write,
        )

    def predict_batch(self) -> Call:
        """`POST /{model}/predict_batch`: an array of rows, answered in order."""
        text = self._text

        async def run(rows: list[Features]) -> list[Prediction]:
            return await self.runtime.predict(self.spec.name, rows)

        def write(answered: list[Prediction]) -> bytes:
            return f"[{','.join(map(text, answered))}]".encode()

        return Call(
            model=self.spec.name,
            name="predict_batch",
            summary=f"{self.spec.title}, for up to {self.max_rows} rows, answered in order",
            validator=self.spec.rows,
            max_rows=self.max_rows,
            answer=list[bodies.answer(self.spec)],  # type: ignore[misc]
            example=[self.spec.example],
            run=run,
            write=write,
        )

    def feedback(self) -> Call:
        """`POST /{model}/feedback`: the true label of a prediction."""

        async def run(item: Any) -> dict[str, Any]:
            (answer,) = await self._record([item])
            if isinstance(answer, Error):
                raise answer
            return _label_answer(item, answer)

        return Call(
            model=self.spec.name,
            name="feedback",
            summary="The true label of a prediction, whenever it becomes known",
            validator=bodies.feedback_validator(self.spec),
            answer=bodies.Recorded,
            example=self._feedback_example,
            run=run,
            refusals=(404, 409),
        )

    def feedback_batch(self) -> Call:
        """`POST /{model}/feedback_batch`: many labels; each refused one gets its reason."""

        async def run(items: list[Any]) -> list[dict[str, Any]]:
            answers = await self._record(items)
            return [_label_answer(*pair) for pair in zip(items, answers, strict=True)]

        return Call(
            model=self.spec.name,
            name="feedback_batch",
            summary=f"The true labels of up to {self.max_rows} predictions",
            validator=bodies.feedback_validator(self.spec),
            max_rows=self.max_rows,
            answer=list[bodies.Recorded | bodies.NotRecorded],
            example=[self._feedback_example],
            run=run,
        )

    def retrain(self) -> Call:
        """`POST /{model}/retrain`: start a run in the background, or return the active one."""

        def start(body: bodies.Retrain) -> dict[str, Any]:
            run, is_new = runs.request(self.plan.journal, self.spec.name, body.force)
            if is_new:
                process.spawn(run)
            return resources.describe_run(run)

        summary = (
            "Train a candidate on dataset and feedback in the background; promote it if the gate passes it"
        )
        return self._admin_call(
            "retrain", summary, bodies.Retrain, bodies.Run, example={}, act=start, status=202, refusals=()
        )

    def cancel(self) -> Call:
        """`POST /{model}/cancel`: end a run."""

        def mark(body: bodies.Cancel) -> dict[str, Any]:
            return resources.describe_run(runs.cancel(self.plan.journal, self.spec.name, body.run_id))

        example = {"run_id": "01900000-0000-7000-8000-000000000000"}
        return self._admin_call(
            "cancel", "Cancel a retraining", bodies.Cancel, bodies.Run, example=example, act=mark
        )

    def promote(self) -> Call:
        """`POST /{model}/promote`: another champion; every worker serves it within two seconds."""

        def change(body: bodies.Promote) -> dict[str, Any]:
            entry = champions.promote(
                self.plan.journal,
                self.plan.home,
                self.spec.name,
                body.version,
                by="admin",
                reason=body.reason,
                exchange=self.plan.exchange,
            )
            return resources.describe_promotion(entry)

        example = {"version": "a-version-of-this-model", "reason": "why"}
        summary = "Make a version the champion"
        return self._admin_call(
            "promote", summary, bodies.Promote, bodies.Promotion, example=example, act=change
        )

    def rollback(self) -> Call:
        """`POST /{model}/rollback`: the previous champion."""

        def change(body: bodies.Rollback) -> dict[str, Any]:
            entry = champions.roll_back(
                self.plan.journal,
                self.plan.home,
                self.spec.name,
                by="admin",
                reason=body.reason,
                exchange=self.plan.exchange,
            )
            return resources.describe_promotion(entry)

        summary = "Go back to the previous champion"
        example = {"reason": "why"}
        return self._admin_call(
            "rollback", summary, bodies.Rollback, bodies.Promotion, example=example, act=change
        )

    def _admin_call(
        self,
        name: str,
        summary: str,
        body: type[bodies.Request],
        answer: Any,
        *,
        example: Any,
        act: Callable[[Any], dict[str, Any]],
        status: int = 200,
        refusals: tuple[int, ...] = (404, 409),
    ) -> Call:
        async def run(validated: Any) -> dict[str, Any]:
            return await threads.ADMIN_THREADS.run(threads.ADMIN_SECONDS, act, validated)

        validator: Validator[Any] = bodies.request_validator(body, f"{name} of {self.spec.name}")
        return Call(
            model=self.spec.name,
            name=name,
            summary=summary,
            validator=validator,
            answer=answer,
            example=example,
            run=run,
            admin=True,
            status=status,
            refusals=refusals,
        )

    async def _record(self, items: list[Any]) -> list[str | Error]:
        """Write labels into the journal in a thread, because each write is synced to disk."""
        labels = [as_label(self.spec, item) for item in items]
        seconds = threads.FEEDBACK_SECONDS + len(labels) * threads.LABEL_SECONDS
        journal, name, measure = self.plan.journal, self.spec.name, self._measure
        answers = await threads.FEEDBACK_THREADS.run(seconds, feedback.give, journal, name, labels, measure)
        for answer in answers:
            status = answer if isinstance(answer, str) else "refused"
            metrics.FEEDBACK.labels(self.spec.name, status).inc()
        return answers

    @cached_property
    def _measure(self) -> Measure:
        """Return the function that measures labelled predictions."""
        return health_kinds.of(self.spec.target).measure(self.spec, self.plan.home)

    @cached_property
    def _text(self) -> Callable[[Prediction], str]:
        """Return the function that writes a prediction as JSON for its client.

        Ids, names and versions have no character that JSON escapes.
        """
        fields = kinds.of(self.spec.target).writer(self.spec.target)

        def text(item: Prediction) -> str:
            named = "null" if item.prediction_id is None else f'"{item.prediction_id}"'
            return (
                f'{{"prediction_id":{named},"model":"{item.model}","version":"{item.version}",'
                f'{fields(item)},"warnings":{item.warnings}}}'
            )

        return text

    @property
    def _feedback_example(self) -> dict[str, Any]:
        """Make a body for the docs page; users replace its id by a real one."""
        return {
            "prediction_id": "01900000-0000-7000-8000-000000000000",
            "label": self.spec.target.example,
        }


def as_label(spec: Spec, item: Any) -> feedback.Label:
    """Return a valid label of a body, or of a row of a file, as the journal takes it."""
    text = spec.target.text(item.label)
    return feedback.Label(item.prediction_id, text, item.correct, spec.target.number(text))


def _label_answer(item: Any, answer: str | Error) -> dict[str, Any]:
    """Return the answer for one label."""
    if isinstance(answer, Error):
        code, _ = error_answers.status_of(answer)
        return {
            "prediction_id": item.prediction_id,
            "status": "error",
            "code": code,
            "error": str(answer),
        }
    return {"prediction_id": item.prediction_id, "label": item.label, "status": answer}
