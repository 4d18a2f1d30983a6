"""`GET /dashboard`: a page that shows the figures of a model, with buttons to steer it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from models_store import store
from models_store.errors import BrokenSpec, InvalidInput, UnknownModel, broken_spec
from models_store.spec import Spec
from prediction import metrics
from prediction.http import parameters
from prediction.journal import feedback, ledger, runs, samples, workers
from prediction.journal.database import Journal
from prediction.journal.threads import reading
from prediction.monitoring import health
from prediction.network import error_answers
from prediction.network.doors import PAGE_HEADERS
from prediction.pages import pages, plots
from prediction.pages.features import kinds
from prediction.pages.targets import kinds as target_kinds
from prediction.times import iso

WINDOWS = ("1h", "24h", "7d", "30d")
RECENT_ROWS = 20
RUNS = 8
LEDGER = 10
FOR_EVER = "max-age=31536000, immutable"
"""For an address with the fingerprint of the file; a browser checks any other each time."""


@dataclass(frozen=True)
class Dashboard:
    """Makes one page from the store and the journal. The page fetches itself again to stay current.

    Parameters
    ----------
    has_token
        Whether the server has an admin token. Then the page shows single predictions only with it.
    faults
        Models whose files of the catalog are broken, and why.
    """

    specs: dict[str, Spec]
    home: Path
    journal: Journal
    has_token: bool
    faults: dict[str, str] = field(default_factory=dict)

    def routes(self) -> list[BaseRoute]:
        """Return the Starlette routes."""
        return [
            Route("/dashboard", reading(self.page), methods=["GET"]),
            *(Route(f"/dashboard/{name}", self.asset, methods=["GET"]) for name in pages.ASSETS),
        ]

    def page(self, request: Request) -> Response:
        """`GET /dashboard`; a wrong address gets a page for people, not JSON."""
        try:
            return self._page(request)
        except (UnknownModel, InvalidInput, BrokenSpec) as error:
            status, reason = error_answers.status_of(error)
            error_answers.log_error(request.scope, status, reason, error)
            metrics.REFUSED.labels("", reason).inc()
            html = pages.render("mistake.html", sentence=str(error), models=list(self.specs))
            return HTMLResponse(html, status, headers=PAGE_HEADERS)

    def _page(self, request: Request) -> Response:
        parameters.check(request, ("model", "window"))
        name = request.query_params.get("model", next(iter(self.specs or self.faults)))
        if name in self.faults:
            raise broken_spec(name, self.faults[name])
        if name not in self.specs:
            raise UnknownModel(f"there is no such model: the models are {', '.join(self.specs)}")
        span = parameters.window(request)
        may_see_rows = not self.has_token or bool(request.scope.get("is_admin"))
        values = describe(self.specs[name], self.home, self.journal, span)
        html = pages.render(
            "dashboard.html",
            **values,
            models=list(self.specs.values()),
            faults=self.faults,
            windows=WINDOWS if span.text in WINDOWS else (*WINDOWS, span.text),
            control=kinds.control,
            recent=self._recent(name) if may_see_rows else None,
            has_token=self.has_token,
        )
        return HTMLResponse(html, headers=PAGE_HEADERS)

    def asset(self, request: Request) -> Response:
        """`GET /dashboard/{file}`."""
        name = request.url.path.rpartition("/")[2]
        path = pages.asset(name)
        is_named = request.query_params.get("v") == pages.fingerprint(name)
        headers = {
            "cache-control": FOR_EVER if is_named else "no-cache",
            "x-content-type-options": "nosniff",
        }
        answer = FileResponse(path, media_type=pages.ASSETS[name], headers=headers, stat_result=path.stat())
        if request.headers.get("if-none-match") == answer.headers["etag"]:
            return Response(status_code=304, headers=headers | {"etag": answer.headers["etag"]})
        return answer

    def _recent(self, name: str) -> list[dict[str, Any]]:
        return [
            {
                "id": item.prediction_id,
                "at": iso(item.at_us),
                "version": item.version,
                "predicted_class": item.predicted_class,
                "probabilities": item.read_probabilities(),
                "value": item.value,
                "low": item.low,
                "high": item.high,
                "features": item.read_features(),
                "warnings": {warning["loc"][0]: warning["msg"] for warning in item.read_warnings()},
                "label": label,
            }
            for item, label in feedback.latest(self.journal, name, RECENT_ROWS)
        ]


def describe(spec: Spec, home: Path, journal: Journal, span: health.Window) -> dict[str, Any]:
    """Return the values of the page and of the report for one model."""
    found = health.describe(spec, home, journal, span)
    champion = ledger.champion(journal, spec.name)
    champions = [item for item in found["versions"] if item["version"] == found["champion"]]
    figures = (champions or found["versions"] or [None])[0]
    reports = workers.alive(journal, spec.name)
    part, version = target_kinds.of(spec.target), figures["version"] if figures else ""
    rows = partial(samples.newest, journal, spec.name, version, span.since_us)
    versions = store.versions(home, spec.name)
    for item in (figures["drift"] or []) if figures else []:
        item["figure"] = plots.distribution(item) if item["histogram"] else None
    return {
        "spec": spec,
        "health": found,
        "figures": figures,
        "over_time": part.over_time(found, iso(_end_us(span))),
        "labelled": part.labelled(spec, rows),
        "metric": part.metric,
        "metric_name": part.METRIC,
        "champion": champion,
        "champion_at": iso(champion.at_us) if champion else None,
        "versions": versions,
        "trained": next((each.metrics for each in versions if each.version == version), {}),
        "ledger": [(iso(entry.at_us), entry) for entry in ledger.entries(journal, spec.name, LEDGER)],
        "runs": [(iso(run.requested_us), run) for run in runs.latest(journal, spec.name, RUNS)],
        "workers": reports,
        "agree": workers.agree(reports, champion.to_version if champion else None),
        "now": iso(span.until_us),
    }


def _end_us(span: health.Window) -> int:
    """Return the end of the last bucket."""
    return span.until_us + (span.since_us - span.until_us) % span.bucket_us
