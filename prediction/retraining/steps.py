"""One retraining, from request to verdict.

Its row in the journal tells where it is. A thread beats for it, and ends the process within two
seconds of being told to, whatever the main thread computes: nothing that it leaves is half done.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from models_store import store
from models_store.errors import Error, InvalidInput, UnknownVersion, none_trained
from models_store.spec import Spec
from prediction.errors import JournalUnavailable
from prediction.figures import gate
from prediction.journal import feedback, ledger, runs, workers
from prediction.journal.database import Journal
from prediction.journal.ledger import Entry
from prediction.journal.runs import Ending, Retraining
from prediction.retraining import training
from prediction.serving import champions, predictor

BEAT_SECONDS = 1.0

REJECTED_KEPT = 3
OVERTAKEN = "rejected: another champion was made meanwhile, and it was not compared with that one"
STEPS = ("read the labels", "load the data", "fit", "evaluate", "compile", "judge", "save", "promote")

_log = logging.getLogger("bentoml.prediction")


@dataclass(frozen=True)
class Plan:
    """What a retraining needs to know.

    Parameters
    ----------
    min_outcomes
        New labels, since the champion was trained, without which it ends at once unless forced.
    keep_versions
        Versions that the store keeps afterwards.
    """

    spec: Spec
    home: Path
    journal: Journal
    min_outcomes: int
    keep_versions: int
    seed: int = 0


class Heart:
    """Beats for a run in a thread, and ends the process when the run shall not go on."""

    def __init__(
        self, journal: Journal, run: Retraining, server_lock: Path | None, leave: Callable[[str], None]
    ) -> None:
        self.step, self.progress = "start", 0.0
        self._leave = leave
        self._journal, self._run = journal, run
        self._server_lock = server_lock
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Heart:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(timeout=5)

    def report(self, words: str) -> None:
        """Say which step begins; its first word or words are one of `STEPS`."""
        number = next((i for i, step in enumerate(STEPS) if words.startswith(step)), 0)
        self.step, self.progress = words, number / len(STEPS)

    def _beat(self) -> None:
        while not self._stopped.is_set():
            try:
                goes_on = runs.beat(self._journal, self._run.run_id, self.step, self.progress)
                if not goes_on:
                    self._die("cancelled", "cancelled on request")
                elif self._server_lock is not None and _is_free(self._server_lock):
                    self._die("interrupted", "the server ended")
            except JournalUnavailable:
                _log.warning("the run can't reach the journal: trying again")
            self._stopped.wait(BEAT_SECONDS)

    def _die(self, status: str, words: str) -> None:
        if runs.finish(self._journal, self._run.run_id, Ending(status, words)):
            self._leave(words)
            os._exit(1)
        # The main thread may have ended it in this moment; if not, somebody thought it was dead.
        if not self._stopped.wait(2 * BEAT_SECONDS):
            os._exit(1)


def _is_free(lock: Path) -> bool:
    """Tell whether no server holds its lock."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return True
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return True


def in_silence(_words: str) -> None:
    """Tell nobody."""


def execute(
    plan: Plan,
    run: Retraining,
    server_lock: Path | None = None,
    watch: Callable[[str], None] = in_silence,
    leave: Callable[[str], None] = in_silence,
) -> Retraining:
    """Retrain, judge, and promote or reject; return the run as it ended.

    Parameters
    ----------
    server_lock
        The lock of the server that asked: without it the run has no use, and ends.
    watch
        Told each step as it begins.
    leave
        Told why the process ends at once, where the run may not go on.
    """
    journal = plan.journal
    with Heart(journal, run, server_lock, leave) as heart:

        def report(step: str) -> None:
            heart.report(step)
            watch(step)

        try:
            _retrain(plan, run, report)
        except Error as error:
            runs.finish(journal, run.run_id, Ending("failed", str(error)))
        except Exception as error:
            _log.exception("retraining %s failed", plan.spec.name)
            runs.finish(journal, run.run_id, Ending("failed", f"{type(error).__name__}: {error}"))
    ended = runs.get(journal, plan.spec.name, run.run_id)
    if ended.status == "promoted":  # without the heart, which ends what goes on after its run
        prune_versions(plan.home, journal, plan.spec.name, plan.keep_versions)
    return ended


def _retrain(plan: Plan, run: Retraining, report: training.Report) -> None:
    spec, journal = plan.spec, plan.journal
    report("read the labels")
    store.recover(plan.home, [spec.name])
    champion = ledger.champion(journal, spec.name)
    if champion is None:
        raise none_trained(spec.name)
    version = store.get(plan.home, spec.name, champion.to_version)
    known_us = int(version.metadata.get("feedback_us", 0))  # a time, for a journal may be another one
    labels = _read_labels(spec, journal, known_us)
    if labels.new < plan.min_outcomes and not run.force:
        _reject_early(plan, run, labels.new)
        return
    answering = predictor.load(spec, version, champion.digest)
    candidate = training.train(spec, plan.seed, report, labels.outcomes)
    report("judge")
    best = float(version.metadata.get("best_log_loss", version.metrics["log_loss"]))
    verdict = _judge(spec, answering, candidate, best)
    notes = {
        "verdict": verdict.as_dict(),
        "feedback_us": labels.newest_us,
        "best_log_loss": min(best, candidate.metrics.log_loss),
    }
    rows = training.rows_of(candidate.dataset) | {"of_another_schema": labels.others}
    if not verdict.promote:
        name = f"{spec.name}-rejected"
        rejected = training.save(candidate, plan.home, report, name, notes)
        store.prune(plan.home, name, REJECTED_KEPT, set)
        ending = Ending("rejected", "done", rejected.version, rows, verdict.as_dict())
        runs.finish(journal, run.run_id, ending)
        return
    saved = training.save(candidate, plan.home, report, notes=notes)
    report("promote")
    _promote(plan, run, champion, saved, rows=rows, verdict=verdict.as_dict())


def _promote(
    plan: Plan,
    run: Retraining,
    before: Entry,
    saved: store.Version,
    *,
    rows: dict[str, int],
    verdict: dict[str, Any],
) -> None:
    """Make the candidate the champion, or delete it: what nobody promoted must not be the newest."""
    journal = plan.journal
    try:
        new = champions.as_champion(saved, "retrain", verdict["sentence"])
        ending = Ending("promoted", "done", saved.version, rows, verdict)
        outcome = runs.promote(journal, run, new, before.position, ending)
    except JournalUnavailable as error:
        if runs.finish(journal, run.run_id, Ending("failed", str(error))):  # or it was promoted, and only
            store.delete(plan.home, run.model, saved.version)  # the journal's answer was lost
        raise
    if outcome == "promoted":
        return
    store.delete(plan.home, run.model, saved.version)
    if outcome == "cancelled":
        runs.finish(journal, run.run_id, Ending("cancelled", "cancelled on request"))
    else:
        verdict |= {"promote": False, "sentence": OVERTAKEN}
        runs.finish(journal, run.run_id, Ending("rejected", "done", None, rows, verdict))


def _reject_early(plan: Plan, run: Retraining, new: int) -> None:
    sentence = (
        f"rejected: {new} new label{'s' * (new != 1)} since the champion was trained, and"
        f" {plan.min_outcomes} are wanted: give more feedback, or send force: true (--force in a shell)"
    )
    verdict = gate.Verdict(False, sentence, [])
    runs.finish(plan.journal, run.run_id, Ending("rejected", "done", verdict=verdict.as_dict()))


@dataclass
class _Labels:
    """What can be learnt from, and how many labels of all were given after the champion was trained."""

    outcomes: list[training.Labelled]
    new: int
    others: int
    newest_us: int


def _read_labels(spec: Spec, journal: Journal, known_us: int) -> _Labels:
    """Read a model's labels; the spec may have had other features or classes in those days.

    Of each prediction no more is kept than is learnt from: there may be a million.
    """
    found = _Labels([], 0, 0, known_us)
    for chunk in feedback.outcomes(journal, spec.name):
        for item in chunk:
            found.new += item.labelled_us > known_us
            found.newest_us = max(found.newest_us, item.labelled_us)
            features = item.prediction.read_features()
            if _is_learnt(spec, features, item.label):
                prediction_id = str(item.prediction.prediction_id)
                found.outcomes.append(training.Labelled(prediction_id, features, item.label))
            else:
                found.others += 1
    return found


def _is_learnt(spec: Spec, features: dict[str, Any], label: str) -> bool:
    with suppress(InvalidInput):
        spec.rows.object(features)
        return label in spec.classes
    return False


def _judge(
    spec: Spec, champion: predictor.Predictor, candidate: training.Candidate, best_log_loss: float
) -> gate.Verdict:
    dataset = candidate.dataset
    parts = []
    for name, rows in (("dataset", dataset.holdout), ("feedback", dataset.feedback_holdout)):
        if rows:
            columns, labels = dataset.part(rows)
            answers: Any = candidate.pipeline.predict_proba(spec.frame(columns))
            parts.append(
                gate.Part(
                    name=name,
                    labels=np.array(labels, object),
                    champion=champion.score(columns),
                    candidate=np.asarray(answers, np.float64),
                    best_log_loss=best_log_loss if name == "dataset" else inf,
                    is_feedback=name == "feedback",
                )
            )
    return gate.judge(parts, spec.classes, spec.gate)


def prune_versions(home: Path, journal: Journal, name: str, keep: int) -> list[str]:
    """Delete old versions; never the champion, the one before, or one that a worker serves."""

    def protected() -> set[str]:
        served = {report.version for report in workers.reported_since(journal, name, 0)}
        for promotion in ledger.entries(journal, name, limit=1):
            served |= {promotion.to_version, promotion.from_version or ""}
        return served

    try:
        return store.prune(home, name, keep, protected)
    except (OSError, UnknownVersion) as error:
        _log.warning("old versions of %s could not be deleted: %s", name, error)
        return []
