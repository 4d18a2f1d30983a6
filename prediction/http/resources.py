"""The GET routes: models, versions, runs, monitoring, predictions. They change nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic_core import from_json, to_json
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from models_store import store
from models_store.errors import UnknownModel, UnknownVersion, broken_spec
from models_store.spec import Spec
from prediction.errors import UnknownPrediction
from prediction.http import bodies, calls, parameters
from prediction.http.targets import kinds
from prediction.journal import feedback, ledger, predictions, runs, workers
from prediction.journal.database import Journal
from prediction.journal.ledger import Entry
from prediction.journal.predictions import Prediction
from prediction.journal.runs import Retraining
from prediction.journal.threads import reading
from prediction.monitoring import health
from prediction.times import iso

NO_STORE = {"cache-control": "no-store"}
"""For rows: no cache on the way keeps them."""


@dataclass(frozen=True)
class _Get:
    """One route: the function that answers it, and its description for OpenAPI."""

    path: str
    answer: Callable[[Request], Any]
    summary: str
    body: Any
    parameters: list[dict[str, Any]]
    is_protected: bool = False

    def route(self) -> BaseRoute:
        """Make the Starlette route."""
        known = [item["name"] for item in self.parameters if item["in"] == "query"]

        def endpoint(request: Request) -> Response:
            parameters.check(request, known)
            headers = NO_STORE if self.is_protected else None
            return Response(to_json(self.answer(request)), headers=headers, media_type="application/json")

        return Route(self.path, reading(endpoint), methods=["GET"])

    def operation(self, schemas: dict[str, Any]) -> dict[str, Any]:
        """Describe the route; add the schemas that it refers to to `schemas`."""
        refusals = [400, 421, 429, 500, 503]
        refusals += [404] if any(item["in"] == "path" for item in self.parameters) else []
        refusals += [401] if self.is_protected else []
        found = {
            "tags": ["models"],
            "summary": self.summary,
            "operationId": "get_" + "_".join(re.findall(r"[a-z_]+", self.path)),
            "parameters": self.parameters,
            "responses": calls.responses(self.body, refusals, schemas),
        }
        # `{}`: a server without an admin token asks for none
        return found | ({"security": [{"admin": []}, {}]} if self.is_protected else {})


@dataclass(frozen=True)
class Resources:
    """Reads the store and the journal. Each method answers one route, in a reading thread.

    Parameters
    ----------
    faults
        Models whose files of the catalog are broken, and why. They are listed and described.
    """

    specs: dict[str, Spec]
    home: Path
    journal: Journal
    faults: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The names of all models, also of those that can't answer."""
        return sorted({*self.specs, *self.faults})

    def routes(self) -> list[BaseRoute]:
        """Return the Starlette routes."""
        return [each.route() for each in self._gets()]

    def protected(self) -> list[BaseRoute]:
        """Return the routes that show single rows."""
        return [each.route() for each in self._gets() if each.is_protected]

    def operations(self) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
        """Return the OpenAPI operation of each route, by path, and the schemas that they refer to."""
        schemas = dict[str, Any]()
        return {each.path: each.operation(schemas) for each in self._gets()}, schemas

    def _gets(self) -> list[_Get]:
        names = self.names
        model = parameters.in_path("model", enum=names) | {"example": names[0]}
        limit, before = parameters.described_limit(), parameters.described_position()
        paged = [model, limit, parameters.described_cursor()]
        window = parameters.described_window()
        run_id = parameters.in_path("run_id", pattern=parameters.ID_PATTERN)
        prediction_id = parameters.in_path("prediction_id", pattern=parameters.ID_PATTERN)
        all_models = "Every model, its champion and its versions"
        one_model = "One model: champion, versions, ledger, and the version that each worker serves"
        one_run = "One retraining: its status, its step, and the verdict in words and figures"
        doing = "Monitoring of a model: accuracy, its estimate without labels, drift, data quality"
        rows = "Predictions, newest first, each with its label if there is one"
        one_row = "One prediction: its features, answer and feedback, and the version that answered"
        row_path = "/{model}/predictions/{prediction_id}"
        return [
            _Get("/models", self.models, all_models, bodies.ModelStates, [limit]),
            _Get("/models/{model}", self.model, one_model, bodies.ModelState, [model, limit, before]),
            _Get("/{model}/runs", self.runs, "Retrainings, newest first", bodies.Runs, paged),
            _Get("/{model}/runs/{run_id}", self.run, one_run, bodies.Run, [model, run_id]),
            _Get("/{model}/monitoring", self.monitoring, doing, dict[str, Any], [model, window]),
            _Get(
                "/{model}/predictions", self.predictions, rows, bodies.Predictions, paged, is_protected=True
            ),
            _Get(
                row_path, self.prediction, one_row, bodies.Story, [model, prediction_id], is_protected=True
            ),
        ]

    def models(self, request: Request) -> Any:
        """`GET /models`."""
        limit = parameters.limit(request)
        return {"models": [self.describe(name, limit) for name in self.names]}

    def model(self, request: Request) -> Any:
        """`GET /models/{model}`."""
        before = parameters.position(request)
        return self.describe(self._listed(request), parameters.limit(request), before)

    def runs(self, request: Request) -> Any:
        """`GET /{model}/runs`."""
        limit, name = parameters.limit(request), self._known(request)
        found = runs.latest(self.journal, name, limit, parameters.cursor(request))
        cursor = found[-1].run_id if len(found) == limit else None
        return {"runs": [describe_run(run) for run in found], "next": cursor}

    def run(self, request: Request) -> Any:
        """`GET /{model}/runs/{run_id}`."""
        name = self._known(request)
        return describe_run(runs.get(self.journal, name, request.path_params["run_id"]))

    def monitoring(self, request: Request) -> Any:
        """`GET /{model}/monitoring`."""
        name = self._known(request)
        span = parameters.window(request)
        return health.describe(self.specs[name], self.home, self.journal, span)

    def predictions(self, request: Request) -> Any:
        """`GET /{model}/predictions`."""
        limit, name = parameters.limit(request), self._known(request)
        found = feedback.latest(self.journal, name, limit, parameters.cursor(request))
        cursor, spec = found[-1][0].prediction_id if len(found) == limit else None, self.specs[name]
        return {
            "predictions": [
                {**_answered(spec, item), "label": _label(spec, label)} for item, label in found
            ],
            "next": cursor,
        }

    def prediction(self, request: Request) -> Any:
        """`GET /{model}/predictions/{prediction_id}`."""
        name, prediction_id = self._known(request), request.path_params["prediction_id"]
        found = predictions.find(self.journal, prediction_id)
        if found.model != name:
            raise UnknownPrediction(f"no prediction of {name} has the id {prediction_id}")
        trained: dict[str, Any]
        try:
            version = store.get(self.home, name, found.version)
            trained = {"metrics": version.metrics, "data_digest": version.data_digest}
        except UnknownVersion:  # the version was pruned, or is on another host
            trained = {
                "metrics": None,
                "data_digest": ledger.data_digest(self.journal, name, found.version),
            }
        spec = self.specs[name]
        return {**_answered(spec, found), **trained, "feedback": self._feedback(spec, prediction_id)}

    def _feedback(self, spec: Spec, prediction_id: str) -> dict[str, Any] | None:
        found = feedback.find(self.journal, prediction_id)
        if found is None:
            return None
        history = [
            {"label": _label(spec, old.label), "at": iso(old.at_us), "replaced_at": iso(old.replaced_us)}
            for old in found.history
        ]
        return {"label": _label(spec, found.label), "at": iso(found.at_us), "history": history}

    def _listed(self, request: Request) -> str:
        name = str(request.path_params["model"])
        if name not in self.specs and name not in self.faults:
            raise UnknownModel(f"there is no such model: the models are {', '.join(self.names)}")
        return name

    def _known(self, request: Request) -> str:
        name = self._listed(request)
        if name in self.faults:
            raise broken_spec(name, self.faults[name])
        return name

    def describe(self, name: str, limit: int, before: int | None = None) -> dict[str, Any]:
        """Show a model: champion, versions, ledger, and what each worker serves."""
        champion = ledger.champion(self.journal, name)
        entries = ledger.entries(self.journal, name, limit, before)
        reports = workers.alive(self.journal, name)
        version = champion.to_version if champion else None
        return {
            "name": name,
            "title": self.specs[name].title if name in self.specs else name,
            "fault": self.faults.get(name),
            "champion": version,
            "versions": [
                _version(self.specs.get(name), item) for item in store.versions(self.home, name)[:limit]
            ],
            "ledger": [describe_promotion(entry) for entry in entries],
            "next": entries[-1].position if entries and entries[-1].position > 1 else None,
            "workers": [
                {"host": report.host, "worker": report.worker, "version": report.version or None}
                | {"since": iso(report.since_us)}
                for report in reports
            ],
            "agree": workers.agree(reports, version),
        }


def _answered(spec: Spec, found: Prediction) -> dict[str, Any]:
    return {
        "prediction_id": found.prediction_id,
        "model": found.model,
        "version": found.version,
        "features": found.read_features(),
        **from_json("{" + kinds.of(spec.target).writer(spec.target)(found) + "}"),
        "warnings": found.read_warnings(),
        "at": iso(found.at_us),
    }


def _label(spec: Spec, text: str | None) -> Any:
    return None if text is None else spec.target.value(text)


def _version(spec: Spec | None, version: store.Version) -> dict[str, Any]:
    return {
        "version": version.version,
        "created_at": iso(round(version.created_at.timestamp() * 1e6)),
        "runtime": version.runtime,
        "decision": spec.target.describe_decision(version.metadata) if spec else None,
        "metrics": version.metrics,
        "verdict": _verdict(version),
        "origin": _origin(version),
    }


def _origin(version: store.Version) -> dict[str, Any] | None:
    origin = version.metadata.get("origin")
    return origin and {"unrepeatable": None, **origin}  # nulls are not stored


def _verdict(version: store.Version) -> dict[str, Any] | None:
    verdict = version.metadata.get("verdict")
    if verdict is None:
        return None
    rules = [{"passed": None, "p": None, **rule} for rule in verdict["rules"]]  # nulls are not stored
    return {**verdict, "rules": rules}


def describe_run(run: Retraining) -> dict[str, Any]:
    """Show a retraining."""
    return {
        "run_id": run.run_id,
        "model": run.model,
        "status": run.status,
        "step": run.step,
        "progress": run.progress,
        "requested_at": iso(run.requested_us),
        "finished_at": iso(run.finished_us) if run.finished_us else None,
        "candidate": run.candidate,
        "rows": run.rows,
        "verdict": run.verdict,
    }


def describe_promotion(entry: Entry) -> dict[str, Any]:
    """Show an entry of the ledger."""
    return {
        "model": entry.model,
        "from": entry.from_version,
        "to": entry.to_version,
        "reason": entry.reason,
        "by": entry.by,
        "at": iso(entry.at_us),
    }
