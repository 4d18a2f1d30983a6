"""One retraining, step by step: read the labels, train a candidate, judge it, promote or reject it.

Each step is written into the run's row of the journal. The process may end at any time (`heart.py`): no
step leaves half-finished work in the store, the ledger or the journal.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from models_store import store
from models_store.errors import Error, none_trained
from models_store.spec import Spec
from prediction.artifacts import exchange
from prediction.artifacts.exchange import Exchange
from prediction.errors import JournalUnavailable
from prediction.figures import gate
from prediction.journal import ledger, runs
from prediction.journal.database import Journal
from prediction.journal.ledger import Entry
from prediction.journal.runs import Ending, Retraining
from prediction.retraining import datasets, examples, judging, refits, training
from prediction.retraining.heart import Heart
from prediction.serving import champions, versions
from prediction.settings import Settings

STEPS = (
    "read the labels",
    "load the data",
    "fit",
    "evaluate",
    "calibrate",
    "compile",
    "judge",
    "save",
    "publish",
    "promote",
)
PUBLISH_SECONDS = 120.0
"""How long a candidate is tried to be published: its training took longer."""

JOURNAL_SECONDS = 120.0
"""How long a run waits for a journal that failed at the promotion, to learn how the promotion ended."""

RETRY_SECONDS = 1.0

PREFETCH_SECONDS = 2.0
"""Time for other hosts to download a candidate before it is promoted; they look once a second."""

_log = logging.getLogger("bentoml.prediction")


@dataclass(frozen=True)
class Plan:
    """Everything that a retraining needs.

    Parameters
    ----------
    min_outcomes
        The least number of labels that are new since the champion was trained. With fewer, the run ends
        at once, unless it is forced.
    keep_versions
        Number of versions that the store keeps afterwards.
    exchange
        By default the home is on its own.
    """

    spec: Spec
    home: Path
    journal: Journal
    min_outcomes: int
    keep_versions: int
    seed: int = 0
    exchange: Exchange | None = None

    @classmethod
    def of(cls, spec: Spec, configured: Settings, journal: Journal) -> Plan:
        """Make the plan that the settings ask for."""
        return cls(
            spec,
            configured.home,
            journal,
            configured.min_outcomes,
            configured.keep_versions,
            exchange=exchange.of(configured),
        )

    @property
    def versions(self) -> Exchange:
        """The versions of the home, and those that it can fetch."""
        return self.exchange or Exchange(self.home)


def execute(
    plan: Plan,
    run: Retraining,
    server_lock: Path | None = None,
    watch: training.OnStep = training.ignore,
    leave: Callable[[str], None] = training.ignore,
) -> Retraining:
    """Retrain, judge, and promote or reject; return the run as it ended.

    Parameters
    ----------
    server_lock
        The lock file of the server that asked for the run. The run ends if no server holds it.
    watch
        Called with each step as it begins.
    leave
        Called with the reason before the process ends, if the run must stop.
    """
    journal = plan.journal
    with Heart(journal, run, server_lock, leave) as heart:

        def report(step: str) -> None:
            heart.report(step, _progress(step))
            watch(step)

        try:
            _retrain(plan, run, report)
        except Error as error:
            runs.finish(journal, run.run_id, Ending("failed", str(error)))
        except Exception as error:
            _log.exception("retraining %s failed", plan.spec.name)
            runs.finish(journal, run.run_id, Ending("failed", f"{type(error).__name__}: {error}"))
    ended = runs.get(journal, plan.spec.name, run.run_id)
    if ended.status == "promoted":  # after the heart has stopped: it ends the process of an ended run
        versions.prune(journal, plan.home, plan.spec.name, plan.keep_versions)
    return ended


def _progress(step: str) -> float:
    """Return the share of steps that are done when `step`, which begins like one of `STEPS`, begins."""
    number = next((i for i, name in enumerate(STEPS) if step.startswith(name)), 0)
    return number / len(STEPS)


def _retrain(plan: Plan, run: Retraining, report: training.OnStep) -> None:
    spec, journal = plan.spec, plan.journal
    report("read the labels")
    store.recover(plan.home, [spec.name])
    champion = ledger.champion(journal, spec.name)
    if champion is None:
        raise none_trained(spec.name)
    version = plan.versions.obtain(spec.name, champion.to_version, champion.digest)
    # A time and not a row number: the journal may be another one than that of the last retraining.
    labels = examples.read(spec, journal, int(version.metadata.get("feedback_us", 0)))
    if labels.new < plan.min_outcomes and not run.force:
        _reject(plan, run, _too_few(plan, labels.new))
        return
    refit = refits.plan(spec, version)
    rival = judging.meet(spec, plan.home, champion)
    report("load the data")
    dataset = datasets.load(spec, labels.examples, judged=rival.split)
    verdict = judging.find_nothing_new(rival, dataset, training.recipe(refit.spec, plan.seed))
    rows = dataset.count() | {"of_another_schema": labels.others}
    if verdict and not run.force:
        _reject(plan, run, verdict, rows)
        return
    candidate = training.fit(refit.spec, plan.seed, dataset, report)
    report("judge")
    verdict, notes = judging.judge(rival, candidate)
    if verdict.sentence.startswith(judging.NOTHING_NEW):
        _reject(plan, run, verdict, rows)
        return
    notes = {**refit.notes, **notes, "feedback_us": labels.newest_us}
    candidate = replace(candidate, notes=notes, files=refit.files)
    name = spec.name if verdict.promote else f"{spec.name}-rejected"
    saved = training.save(candidate, plan.home, report, name)
    ending = Ending("promoted", "done", saved.version, rows, verdict.as_dict())
    if not verdict.promote:
        store.prune(plan.home, name, judging.REJECTED_KEPT, set)
        runs.finish(journal, run.run_id, ending._replace(status="rejected"))
        return
    if plan.versions.is_shared:
        report("publish")
        _publish(plan, run, saved)
    report("promote")
    new = champions.as_champion(saved, "retrain", verdict.sentence)
    _promote(plan, run, champion, new, ending)


def _publish(plan: Plan, run: Retraining, saved: store.Version) -> None:
    """Put the candidate where other hosts find it, and let them download it."""
    try:
        plan.versions.publish(saved, PUBLISH_SECONDS)
        runs.offer(plan.journal, run.run_id, saved.version)
    except Error:
        store.delete(plan.home, run.model, saved.version)
        raise
    time.sleep(PREFETCH_SECONDS)


def _promote(plan: Plan, run: Retraining, before: Entry, new: ledger.NewChampion, ending: Ending) -> None:
    """Make the candidate the champion, or delete it: an unpromoted version must not be the newest one."""
    journal = plan.journal
    try:
        result = runs.promote(journal, run, new, before.position, ending)
    except JournalUnavailable as error:
        if _fail(journal, run, str(error)) != "promoted":  # else only the answer of the journal was lost
            store.delete(plan.home, run.model, new.version)
        raise
    if result == "promoted":
        return
    store.delete(plan.home, run.model, new.version)
    if result == "cancelled":
        ending = Ending("cancelled", "cancelled on request")
    else:
        verdict = (ending.verdict or {}) | {"promote": False, "sentence": judging.OVERTAKEN}
        ending = ending._replace(status="rejected", candidate=None, verdict=verdict)
    runs.finish(journal, run.run_id, ending)


def _fail(journal: Journal, run: Retraining, reason: str) -> str:
    """End a run unless it has ended, once the journal answers; return its status."""
    deadline = time.monotonic() + JOURNAL_SECONDS
    while True:
        try:
            runs.finish(journal, run.run_id, Ending("failed", reason))
            return runs.get(journal, run.model, run.run_id).status
        except JournalUnavailable:
            if time.monotonic() > deadline:
                raise
        time.sleep(RETRY_SECONDS)


def _reject(plan: Plan, run: Retraining, verdict: gate.Verdict, rows: dict[str, int] | None = None) -> None:
    """End a run without a candidate."""
    runs.finish(plan.journal, run.run_id, Ending("rejected", "done", rows=rows, verdict=verdict.as_dict()))


def _too_few(plan: Plan, new: int) -> gate.Verdict:
    sentence = (
        f"rejected: {new} new label{'s' * (new != 1)} since the champion was trained, and"
        f" {plan.min_outcomes} are needed: give more feedback, or send force: true (--force in a shell)"
    )
    return gate.Verdict(False, sentence, [])
