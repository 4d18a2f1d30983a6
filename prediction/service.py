"""The BentoML service: for every spec of the catalog, its typed routes."""

from __future__ import annotations

from prediction.processes import collector

collector.pause()

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import bentoml

from models_store import catalog
from models_store.errors import Error, none_trained
from prediction import errors, settings
from prediction.artifacts import exchange
from prediction.http import edge
from prediction.http.open_inference import description
from prediction.http.open_inference.inferring import Model
from prediction.http.open_inference.routes import Routes
from prediction.http.posts import Posts
from prediction.http.resources import Resources
from prediction.journal import ledger, retention, rollups, runs
from prediction.journal.database import Journal
from prediction.journal.refusals import Reporter
from prediction.monitoring.gauges import Gauges
from prediction.pages.dashboard import Dashboard
from prediction.projects import extras, packages
from prediction.retraining.steps import Plan
from prediction.serving import preparing, readiness, runtime
from prediction.telemetry import logs
from prediction.telemetry.tracing import Tracing

collector.resume()

if logs.wants_json():
    edge.write_json_logs()
try:
    SETTINGS = settings.load()
    SPECS, BROKEN = catalog.load(), catalog.broken()
    JOURNAL = Journal(SETTINGS.journal_url, SETTINGS.durable_predictions)
except Error as error:
    raise edge.start_error(errors.in_full(error)) from None
if BROKEN and edge.command() == "build":  # a server of this Bento would never be ready
    raise edge.start_error("; ".join(each.reason for each in BROKEN.values()))

FAULTS = {name: each.public for name, each in BROKEN.items()}
EXCHANGE = exchange.of(SETTINGS)
RUNTIME = runtime.Runtime(SPECS, SETTINGS.home, JOURNAL, SETTINGS.journal_required, exchange=EXCHANGE)
RESOURCES = Resources(SPECS, SETTINGS.home, JOURNAL, FAULTS)
DASHBOARD = Dashboard(SPECS, SETTINGS.home, JOURNAL, SETTINGS.admin_token is not None, FAULTS)
TRACING = Tracing(SETTINGS.trust_traceparent) if SETTINGS.otlp_endpoint is not None else None
GAUGES = Gauges(SPECS, SETTINGS.home, JOURNAL, len(BROKEN))
POSTS = [
    Posts(
        spec=spec,
        runtime=RUNTIME,
        plan=Plan.of(spec, SETTINGS, JOURNAL),
        max_rows=SETTINGS.max_batch_rows,
    )
    for spec in SPECS.values()
]


def watch_runs() -> None:
    """Notice retrainings whose process has died."""
    runs.interrupt_silent(JOURNAL)


def roll_up() -> None:
    """Count what is new, for the windows that monitoring looks at."""
    rollups.roll_up(JOURNAL)


TASKS = [
    runtime.Task("watch runs", 5.0, watch_runs),
    runtime.Task("report refusals", 5.0, Reporter(JOURNAL).report),
    runtime.Task("prune the journal", 5.0, retention.Pruner(JOURNAL, SETTINGS.journal_days).turn),
]


COUNTING = [runtime.Task("roll up", 1.0, roll_up)]
"""In a thread of its own: while requests come, it rests most of the time."""


class TrainedModel(bentoml.models.BentoModel):
    """Packs the champion into a Bento. If there is no version, names the command that trains one."""

    @property
    def stored(self) -> bentoml.Model | None:
        """Return the champion where a Bento is built; else what the Bento holds, or the newest version."""
        if edge.command() == "build":
            champion = self._champion()
            if champion is not None:
                EXCHANGE.obtain(champion.model, champion.to_version, champion.digest)
                return bentoml.models.get(f"{self.tag.name}:{champion.to_version}")
        return super().stored

    def to_info(self, alias: str | None = None) -> Any:
        """Return what a Bento notes of the model."""
        if self.stored is None:
            raise edge.start_error(str(none_trained(self.tag.name)))
        return super().to_info(alias)

    def resolve(self, *args: Any, **kwargs: Any) -> bentoml.Model | None:
        """Return the stored model; None if the workers will fetch the champion."""
        stored = self.stored
        if stored is not None:
            return super().resolve(*args, **kwargs)
        if EXCHANGE.is_shared and self._champion() is not None:
            return None
        raise edge.start_error(str(none_trained(self.tag.name)))

    def _champion(self) -> ledger.Entry | None:
        try:
            JOURNAL.migrate()
            return ledger.champions(JOURNAL).get(self.tag.name)
        except Error as error:
            raise edge.start_error(errors.in_full(error)) from error


class CatalogImage(edge.Image):
    """The image of a Bento, which holds the specs that it was built with and no others."""

    def freeze(self, bento_fs: Path, *args: Any, **kwargs: Any) -> Any:
        """Copy the specs into the Bento, and the code where it has none; note what its image is made of."""
        source = bento_fs / "src"
        is_copied = packages.copy_to(source)
        catalog.copy_to(source / packages.SPECS)
        try:
            if is_copied:
                self.python_packages(*packages.pins(self.python_requirements, source))
            else:
                extras.lacking(self.python_requirements, source / packages.SPECS)
        except Error as error:
            raise edge.start_error(str(error)) from None
        return super().freeze(bento_fs, *args, **kwargs)


IMAGE = CatalogImage(
    base_image=f"python:{sys.version_info.major}.{sys.version_info.minor}-slim",  # of what is pinned here
    distro="none",  # no compiler, no git: every package is a wheel
    lock_python_packages=False,  # requirements.txt is the lock
)
MODELS = {f"{name}_model": TrainedModel(f"{name}:latest") for name in SPECS}


class Base:
    """Predictions of scikit-learn models, each recorded under an id: send the true label with it.

    The [dashboard](dashboard) shows their accuracy and drift.
    """

    @bentoml.on_deployment
    def prepare() -> None:
        """Make store and journal ready, once, before the workers start."""
        readiness.remember(BROKEN)
        stored = [model.stored for model in MODELS.values()]
        try:
            baked = [Path(model.path) for model in stored if model is not None]
            preparing.prepare(
                SPECS, SETTINGS.home, JOURNAL, baked, SETTINGS.promote_baked, exchange=EXCHANGE
            )
        except Error as error:
            raise edge.start_error(errors.in_full(error)) from error
        JOURNAL.close()

    @bentoml.on_startup
    def start(self) -> None:
        """Load the champions."""
        readiness.log_new(BROKEN)
        RUNTIME.start(TASKS, COUNTING)
        if TRACING is not None:
            TRACING.start()

    @bentoml.on_shutdown
    def stop(self) -> None:
        """Close the journal, and send the last spans."""
        with TRACING.ending() if TRACING is not None else nullcontext():
            RUNTIME.stop()

    def __metrics__(self, counted: str) -> str:
        return counted + GAUGES.text()

    def __is_ready__(self) -> bool:
        RUNTIME.demand_journal()
        return RUNTIME.ready and not HOLD


HOLD = readiness.hold(BROKEN)


def demand_ready() -> None:
    """Raise `NotReady` unless this worker can answer every model."""
    RUNTIME.demand_journal()
    if HOLD or not RUNTIME.ready:
        raise errors.NotReady(HOLD or edge.WAITING)


def bento_version() -> str:
    """Return the version of the Bento."""
    return prediction.version


OPEN_INFERENCE = Routes(
    models={spec.name: Model(spec, RUNTIME, SETTINGS.max_batch_rows) for spec in SPECS.values()},
    faults=FAULTS,
    version=bento_version,
    demand_ready=demand_ready,
)


def describe() -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Describe the routes that are no calls."""
    gets, schemas = RESOURCES.operations()
    paths, of_tensors = description.operations(list(SPECS.values()), list(FAULTS))
    return {path: {"get": operation} for path, operation in gets.items()} | paths, schemas | of_tensors


prediction: edge.Loop = edge.make_service(
    Base,
    MODELS,
    edge.Parts(
        calls=[call for posts in POSTS for call in posts.calls()],
        find=OPEN_INFERENCE.find,
        resources=[*RESOURCES.routes(), *DASHBOARD.routes(), *OPEN_INFERENCE.routes()],
        protected=RESOURCES.protected(),
        describe=describe,
        faults=FAULTS,
        hold=HOLD,
        home=SETTINGS.home,
        max_body_bytes=SETTINGS.max_body_bytes,
        max_in_flight=SETTINGS.max_in_flight,
        keep_alive_seconds=SETTINGS.keep_alive_seconds,
        grace_seconds=SETTINGS.grace_seconds,
        hosts=SETTINGS.host_names,
        admin_token=SETTINGS.admin_token,
        root_path=SETTINGS.root_path or "",
        trusted_proxies=SETTINGS.trusted_proxies or (),
        cors_origins=SETTINGS.cors_origins or (),
        log_requests=SETTINGS.log_requests,
        tracing=TRACING,
    ),
    name="prediction",
    image=IMAGE,
    workers=SETTINGS.workers or "cpu_count",
    logging={"access": {"enabled": False}},
)
