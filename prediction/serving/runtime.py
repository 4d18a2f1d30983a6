"""One worker: the predictors that answer its requests, and its periodic work.

It owns which version is served. It follows the ledger, and never writes it.
"""

from __future__ import annotations

import gc
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from models_store import store
from models_store.errors import Error, UnknownModel, UnknownVersion
from models_store.spec import Features, Spec
from prediction import errors, metrics
from prediction.artifacts.exchange import Exchange
from prediction.errors import Fetching, JournalFault, JournalUnavailable, NotReady
from prediction.journal import ledger, recorder, threads, workers
from prediction.journal.database import Journal
from prediction.journal.ledger import Entry
from prediction.journal.predictions import Prediction
from prediction.journal.sqlite.guard import FileFault
from prediction.serving import adaptation, predictor
from prediction.serving.fetching import Fetcher
from prediction.serving.lanes import LANES, Lane
from prediction.serving.predictor import Predictor
from prediction.telemetry import spans
from prediction.times import now_us

FOLLOW_SECONDS = 1.0
WATCH_SECONDS = 0.5
REPORT_SECONDS = 5.0
ADAPT_SECONDS = 5.0
PREFETCH_SECONDS = 1.0

REPEAT_SECONDS = 60.0
"""Pause before a log line about work that fails as it did before: some is tried twice a second."""

_log = logging.getLogger("bentoml.prediction")


@dataclass(frozen=True)
class Task:
    """One piece of periodic work."""

    name: str
    every_seconds: float
    run: Callable[[], None]


@dataclass(frozen=True)
class _Unloadable:
    """The reason why a version can't be loaded."""

    reason: str


@dataclass(frozen=True)
class Serving:
    """A predictor, the lane that scores for it, and the time (us) since when this worker uses it."""

    predictor: Predictor
    lane: Lane
    since_us: int


class Runtime:
    """Answers requests for every spec of the catalog in this process. The constructor does no I/O.

    Parameters
    ----------
    journal_required
        Whether a request fails if its answers can't be recorded. If not, they are sent without ids.
    """

    def __init__(
        self,
        specs: dict[str, Spec],
        home: Path,
        journal: Journal,
        journal_required: bool = True,
        *,
        exchange: Exchange | None = None,
    ) -> None:
        self.specs = specs
        self._journal_required = journal_required
        self._fetcher = Fetcher(exchange or Exchange(home))
        self._journal = journal
        self._recorder = recorder.make(journal)
        self._serving: dict[str, Serving] = {}
        self._unserved: dict[str, str] = {}
        """By model: why its champion can't be loaded."""
        self._logged: dict[str, str] = {}
        """By version: the reason that was logged last, so that it is logged once."""
        self._failing: dict[str, tuple[str, float]] = {}
        """By periodic work that fails: the words that were logged last, and when (`time.monotonic`)."""
        self._fault: FileFault | None = None
        """What was wrong with the journal's file when it was looked at last."""
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._started_us = now_us()

    def start(self, *groups: Sequence[Task]) -> None:
        """Load the champions. A thread follows the ledger, one watches the journal, one does each group.

        While the journal does not answer, the worker is not ready.
        """
        try:
            self.follow()
        except JournalUnavailable as error:
            _log.warning("nothing is served yet: %s", errors.cause(error))
        own = [
            Task("follow", FOLLOW_SECONDS, self.follow),
            Task("report", REPORT_SECONDS, self.report),
        ]
        watch = [Task("watch the journal", WATCH_SECONDS, self.watch_journal)]
        adapt = [Task("adapt the intervals", ADAPT_SECONDS, self.adapt)]
        ahead = [Task("prefetch", PREFETCH_SECONDS, self.prefetch)] * self._fetcher.exchange.is_shared
        # a long task must delay neither a promotion nor an alarm
        for work in (own, watch, adapt, ahead, *groups):
            thread = threading.Thread(target=self._work, args=(work,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Stop the periodic work, and close the journal."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=5)
        try:
            sign_off = partial(workers.report, self._journal, socket.gethostname(), os.getpid(), {})
            threads.FEEDBACK_THREADS.call(threads.FEEDBACK_SECONDS, sign_off)
        except Exception as error:  # the server must end, whatever the error is
            _log.warning("the worker could not sign off: %s", errors.cause(error))
        self._recorder.close()
        self._journal.close()

    @property
    def ready(self) -> bool:
        """Whether every model has a version that answers."""
        return all(name in self._serving for name in self.specs)

    def demand_journal(self) -> None:
        """Raise `JournalFault` if requests fail because the journal's file can't be used."""
        fault = self._journal.fault
        if fault is not None and self._journal_required:
            raise JournalFault(fault.message)

    def version(self, name: str, wanted: str | None = None) -> store.Version:
        """Return the version of a model that answers.

        Raises
        ------
        NotReady
            When no version of the model could be loaded.
        UnknownVersion
            When a version is wanted and another one answers.
        """
        return self._answering(name, wanted).predictor.version

    async def predict(
        self, name: str, rows: Sequence[Features], wanted: str | None = None
    ) -> list[Prediction]:
        """Answer validated rows of one model, all with the same version, and record the answers.

        Raises
        ------
        NotReady, UnknownVersion
            As `version`.
        JournalUnavailable
            When the answers can't be recorded.
        """
        serving = self._answering(name, wanted)
        trace = spans.current()
        trace.by(name, serving.predictor.version.version)
        with trace.stage("scoring"):
            predictions = await serving.lane.predict(rows)
        try:
            with trace.stage("commit"):
                await self._recorder.record(predictions)
        except JournalUnavailable:
            if self._journal_required:
                raise
            metrics.UNRECORDED.labels(name).inc(len(predictions))
            predictions = [item._replace(prediction_id=None) for item in predictions]
        serving.predictor.count(predictions)
        trace.answered(predictions)
        return predictions

    def follow(self) -> None:
        """Load new champions of the ledger. If one can't be loaded, the old version stays in use."""
        swapped = False
        for name, champion in ledger.champions(self._journal).items():
            serving = self._serving.get(name)
            if name not in self.specs:
                continue
            if serving is None or serving.predictor.version.version != champion.to_version:
                swapped |= self._swap(name, champion)
        if swapped:
            self.report()
            # A full collection of BentoML's large heap stops the worker for a tenth of a second.
            # Objects that exist now stay in use: frozen, later collections skip them.
            gc.collect()
            gc.freeze()

    def adapt(self) -> None:
        """Make the intervals as wide as the labels ask for."""
        for name, serving in list(self._serving.items()):  # another thread may add a model meanwhile
            loaded = serving.predictor
            loaded.width = adaptation.width(self._journal, self.specs[name], loaded.version.version)

    def prefetch(self) -> None:
        """Download what is about to be promoted, so that a swap does not wait for it."""
        self._fetcher.prefetch(self._journal, list(self.specs))

    def watch_journal(self) -> None:
        """Look at the journal's file; log and count when it fails, and log when it is well again."""
        self._journal.watch()
        fault = self._journal.fault
        if fault == self._fault:
            return
        if fault is None:
            _log.info("the journal's file %s can be used again", self._journal.file)
        elif self._fault is None or fault.kind != self._fault.kind:
            metrics.JOURNAL_FAULTS.labels(fault.kind).inc()
            cause = f" ({fault.cause})" if fault.cause else ""
            _log.error("%s: %s%s", self._journal.file, fault.message, cause)
        self._fault = fault

    def report(self) -> None:
        """Write into the journal which versions this worker serves."""
        serving = dict.fromkeys(self.specs, ("", self._started_us)) | {
            name: (item.predictor.version.version, item.since_us) for name, item in self._serving.items()
        }
        workers.report(self._journal, socket.gethostname(), os.getpid(), serving)

    def _answering(self, name: str, wanted: str | None) -> Serving:
        serving = self._serving.get(name)
        if serving is None:
            raise self._not_ready(name)
        served = serving.predictor.version.version
        if wanted not in (None, served):
            raise UnknownVersion(
                f"this version of {name} is not served: only the champion is, which is {served}"
            )
        return serving

    def _swap(self, name: str, champion: Entry) -> bool:
        """Load a new champion, or, if nothing is served yet, the newest champion that can be loaded."""
        loaded = self._load(name, champion)
        if isinstance(loaded, _Unloadable):
            if name in self._serving:
                return False
            self._unserved[name] = loaded.reason
            loaded = self._load_last_good(name, champion)
        if loaded is None:
            return False
        lane = LANES[loaded.version.runtime](loaded.predict)
        self._serving[name] = Serving(loaded, lane, now_us())
        self._unserved.pop(name, None)
        metrics.SWAPS.labels(name).inc()
        _log.info("%s: serving %s", name, loaded.version.version)
        return True

    def _load(self, name: str, entry: Entry) -> Predictor | _Unloadable | None:
        """Load a version; None if it is being fetched."""
        tag = f"{name}:{entry.to_version}"
        is_here = False
        try:
            version = self._fetcher.obtain(entry)
            is_here = True
            loaded = predictor.load(self.specs[name], version, entry.digest)
            loaded.width = adaptation.width(self._journal, self.specs[name], version.version)
        except Fetching:
            return None
        except Exception as error:  # other models must be served, whatever the error is
            if is_here or not self._fetcher.exchange.is_shared:  # a fetch counts its failures
                metrics.LOAD_FAILURES.labels(name).inc()
            reason = str(error) if isinstance(error, Error) else f"{type(error).__name__}: {error}"
            self._log_once(tag, f"{tag} is not served, {self._instead(name)}: {reason}", reason)
            return _Unloadable(reason)
        self._logged.pop(tag, None)
        return loaded

    def _log_once(self, tag: str, line: str, reason: str) -> None:
        """Log why a version is not served, unless this reason was logged last: it is tried each second."""
        if self._logged.get(tag) != reason:
            _log.error("%s", line)
        self._logged[tag] = reason

    def _instead(self, name: str) -> str:
        """Say which version answers instead of one that can't be loaded."""
        serving = self._serving.get(name)
        if serving is None:
            return "trying the champions before it"
        return f"{serving.predictor.version.version} still answers"

    def _load_last_good(self, name: str, champion: Entry) -> Predictor | None:
        tried = {champion.to_version}
        for entry in ledger.entries(self._journal, name, limit=100, before=champion.position):
            if entry.to_version not in tried:
                tried.add(entry.to_version)
                loaded = self._load(name, entry)
                if not isinstance(loaded, _Unloadable):
                    return loaded
        return None

    def _not_ready(self, name: str) -> Exception:
        if name not in self.specs:
            return UnknownModel(f"there is no model {name}: the models are {', '.join(self.specs)}")
        if name in self._unserved:
            return NotReady(f"{self._unserved[name]}: restore its files, or promote another version")
        return NotReady(f"{name} is still being loaded: try again")

    def _work(self, tasks: Sequence[Task]) -> None:
        due = {task.name: time.monotonic() + task.every_seconds for task in tasks}
        while due and not self._stopping.wait(max(0.0, min(due.values()) - time.monotonic())):
            for task in tasks:
                if time.monotonic() >= due[task.name]:
                    self._run(task)
                    due[task.name] = time.monotonic() + task.every_seconds

    def _run(self, task: Task) -> None:
        try:
            task.run()
        except Exception as error:  # the thread must go on: the next try may succeed
            metrics.TASK_FAILURES.labels(task.name).inc()
            if isinstance(error, JournalFault):  # it has its own line in the log
                return
            words = f"{type(error).__name__}: {errors.cause(error)}"
            now, (before, at) = time.monotonic(), self._failing.get(task.name, ("", 0.0))
            if words != before or now - at >= REPEAT_SECONDS:
                _log.warning("periodic work %s failed: %s", task.name, words)
                self._failing[task.name] = words, now
        else:
            if self._failing.pop(task.name, None):
                _log.info("periodic work %s works again", task.name)
