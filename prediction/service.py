"""The BentoML service: for every spec of the catalog, its typed routes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bentoml

from models_store import catalog
from models_store.errors import Error, none_trained
from prediction import errors, settings
from prediction.http import edge
from prediction.http.posts import Posts
from prediction.http.resources import Resources
from prediction.journal import ledger, retention, rollups, runs
from prediction.journal.database import Journal
from prediction.journal.refusals import Reporter
from prediction.monitoring.gauges import Gauges
from prediction.pages.dashboard import Dashboard
from prediction.projects import packages
from prediction.retraining.steps import Plan
from prediction.serving import readiness, runtime

try:
    SETTINGS = settings.load()
    SPECS, BROKEN = catalog.load(), catalog.broken()
    JOURNAL = Journal(SETTINGS.journal_url, SETTINGS.durable_predictions)
except Error as error:
    raise edge.start_error(errors.in_full(error)) from None
if BROKEN and edge.command() == "build":  # a server of this Bento would never be ready
    raise edge.start_error("; ".join(each.reason for each in BROKEN.values()))

FAULTS = {name: each.public for name, each in BROKEN.items()}
RUNTIME = runtime.Runtime(SPECS, SETTINGS.home, JOURNAL, SETTINGS.journal_required)
RESOURCES = Resources(SPECS, SETTINGS.home, JOURNAL, FAULTS)
DASHBOARD = Dashboard(SPECS, SETTINGS.home, JOURNAL, SETTINGS.admin_token is not None, FAULTS)
GAUGES = Gauges(SPECS, SETTINGS.home, JOURNAL, len(BROKEN))
POSTS = [
    Posts(
        spec=spec,
        runtime=RUNTIME,
        plan=Plan(spec, SETTINGS.home, JOURNAL, SETTINGS.min_outcomes, SETTINGS.keep_versions),
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
            JOURNAL.migrate()
            champion = ledger.champions(JOURNAL).get(self.tag.name)
            if champion is not None:
                return bentoml.models.get(f"{self.tag.name}:{champion.to_version}")
        return super().stored

    def to_info(self, alias: str | None = None) -> Any:
        """Return what a Bento notes of the model."""
        self._demand()
        return super().to_info(alias)

    def resolve(self, *args: Any, **kwargs: Any) -> bentoml.Model:
        """Return the stored model."""
        self._demand()
        return super().resolve(*args, **kwargs)

    def _demand(self) -> None:
        if self.stored is None:
            raise edge.start_error(str(none_trained(self.tag.name)))


class CatalogImage(edge.Image):
    """The image of a Bento, which holds the specs that it was built with and no others."""

    def freeze(self, bento_fs: Path, *args: Any, **kwargs: Any) -> Any:
        """Copy the specs into the Bento, and the code where it has none; note what its image is made of."""
        source = bento_fs / "src"
        if packages.copy_to(source):
            try:
                self.python_packages(*packages.pins(self.python_requirements))
            except Error as error:
                raise edge.start_error(str(error)) from None
        catalog.copy_to(source / "models_store" / "catalog")
        return super().freeze(bento_fs, *args, **kwargs)


IMAGE = CatalogImage(
    base_image="python:3.11-slim",
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
            runtime.prepare(SPECS, SETTINGS.home, JOURNAL, baked, SETTINGS.promote_baked)
        except Error as error:
            raise edge.start_error(errors.in_full(error)) from error
        JOURNAL.close()

    @bentoml.on_startup
    def start(self) -> None:
        """Load the champions."""
        readiness.log_new(BROKEN)
        RUNTIME.start(TASKS, COUNTING)

    @bentoml.on_shutdown
    def stop(self) -> None:
        """Close the journal."""
        RUNTIME.stop()

    def __metrics__(self, counted: str) -> str:
        return counted + GAUGES.text()

    def __is_ready__(self) -> bool:
        RUNTIME.demand_journal()
        return RUNTIME.ready and not HOLD


HOLD = readiness.hold(BROKEN)
GETS, SCHEMAS = RESOURCES.operations()

prediction = edge.make_service(
    Base,
    MODELS,
    edge.Parts(
        calls=[call for posts in POSTS for call in posts.calls()],
        resources=[*RESOURCES.routes(), *DASHBOARD.routes()],
        protected=RESOURCES.protected(),
        gets=GETS,
        schemas=SCHEMAS,
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
    ),
    name="prediction",
    image=IMAGE,
    workers=SETTINGS.workers or "cpu_count",
    logging={"access": {"enabled": False}},
)
