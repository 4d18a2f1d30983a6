"""A training that somebody asks for by hand, on the dataset alone: `loop train`, and `loop import`.

Where there is a champion, the gate of the retrainings judges it, also on held-out labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from models_store import store
from models_store.errors import DamagedVersion, UnknownVersion
from models_store.spec import Spec
from prediction.artifacts.exchange import Exchange
from prediction.errors import ArtifactsUnavailable, NoRoom, NotComparable
from prediction.figures.gate import Verdict
from prediction.journal import ledger, workers
from prediction.journal.database import Journal
from prediction.retraining import datasets, examples, judging, training
from prediction.retraining.datasets import Dataset
from prediction.retraining.judging import Rival
from prediction.retraining.training import Candidate, OnStep, ignore
from prediction.serving import champions, versions

BY = "train"
PUBLISH_SECONDS = 20.0
"""How long a new version is tried to be published."""


@dataclass(frozen=True)
class CandidateSource:
    """Where the candidates of a training come from.

    Parameters
    ----------
    make
        Makes a candidate, to be judged on the dataset.
    recipe
        Returns the digest of all that it depends on beside the rows; None if that is not known.
    by, reason
        For the ledger.
    """

    make: Callable[[Dataset, OnStep], Candidate]
    recipe: Callable[[], str | None]
    by: str
    reason: str


def fitted(spec: Spec, seed: int) -> CandidateSource:
    """Return the source of candidates that are fitted here, by the pipeline of their spec."""
    return CandidateSource(
        lambda dataset, report: training.fit(spec, seed, dataset, report),
        lambda: training.recipe(spec, seed),
        BY,
        f"trained, seed {seed}",
    )


@dataclass(frozen=True)
class Wish:
    """What somebody asks for.

    Parameters
    ----------
    promote
        True promotes without the gate, False promotes nothing, and None lets the gate decide.
    missing
        Whether it is the first version of the model here, so that a server can start.
    keep_versions
        Number of versions that the store keeps after a promotion.
    """

    seed: int
    promote: bool | None
    missing: bool
    keep_versions: int


@dataclass(frozen=True)
class Trained:
    """How a training ended.

    Parameters
    ----------
    candidate, version
        None if there was nothing new to learn.
    verdict
        None if the gate was not asked.
    kept_for
        A champion that other hosts serve and that is not here, if the version was not promoted for that.
    unaware
        Hosts whose running server does not know the model that was promoted.
    """

    dataset: Dataset
    candidate: Candidate | None
    version: store.Version | None
    verdict: Verdict | None
    promoted: bool
    kept_for: str | None = None
    unaware: tuple[str, ...] = ()


@dataclass(frozen=True)
class Training:
    """One training that can begin: everything that would end it at once was checked.

    Parameters
    ----------
    rival
        The champion to compare with; None to promote, or not, without the gate.
    """

    spec: Spec
    home: Path
    journal: Journal
    wish: Wish
    rival: Rival | None
    kept_for: str | None
    source: CandidateSource
    exchange: Exchange

    def execute(self, report: OnStep = ignore) -> Trained:
        """Train, save, and promote as far as wish and gate allow."""
        made = self._make(report) if self.rival is None else self._compare(self.rival, report)
        if not made.promoted:
            return made
        return replace(made, unaware=tuple(workers.unaware(self.journal, self.spec.name)))

    def _make(self, report: OnStep) -> Trained:
        report("load the data")
        candidate = self.source.make(datasets.load(self.spec), report)
        version = training.save(candidate, self.home, report)
        promoted = self.wish.promote is not False and self.kept_for is None
        if promoted:
            self._publish(version)
            new = champions.as_champion(version, self.source.by, self.source.reason)
            ledger.promote(self.journal, new)
            self._prune()
        return Trained(candidate.dataset, candidate, version, None, promoted, self.kept_for)

    def _compare(self, rival: Rival, report: OnStep) -> Trained:
        report("load the data")
        labels = examples.read(self.spec, self.journal)
        dataset = datasets.load(self.spec, labels.examples, learn=False, judged=rival.split)
        verdict = judging.find_nothing_new(rival, dataset, self.source.recipe())
        if verdict is not None:
            return Trained(dataset, None, None, verdict, promoted=False)
        candidate = self.source.make(dataset, report)
        report("judge")
        verdict, notes = judging.judge(rival, candidate)
        candidate = replace(candidate, notes=candidate.notes | notes)
        name = self.spec.name if verdict.promote else f"{self.spec.name}-rejected"
        version = training.save(candidate, self.home, report, name)
        if not verdict.promote:
            store.prune(self.home, name, judging.REJECTED_KEPT, set)
            return Trained(dataset, candidate, version, verdict, promoted=False)
        self._publish(version)
        reason = f"{self.source.reason}, and {verdict.sentence}"
        new = champions.as_champion(version, self.source.by, reason)
        if ledger.promote_after(self.journal, new, rival.entry.position) is None:
            store.delete(self.home, self.spec.name, version.version)
            overtaken = replace(verdict, promote=False, sentence=judging.OVERTAKEN)
            return Trained(dataset, candidate, None, overtaken, promoted=False)
        self._prune()
        return Trained(dataset, candidate, version, verdict, promoted=True)

    def _publish(self, version: store.Version) -> None:
        """Put a version where other hosts find it; one that can't be published stays, for a later try."""
        try:
            self.exchange.publish(version, PUBLISH_SECONDS)
        except (ArtifactsUnavailable, NoRoom) as error:
            remedy = f"run `loop promote {version.model} {version.version} --reason ...` later"
            raise type(error)(f"{error}. The version is saved, and not promoted: {remedy}") from error

    def _prune(self) -> None:
        versions.prune(self.journal, self.home, self.spec.name, self.wish.keep_versions)


def prepare(
    spec: Spec,
    home: Path,
    journal: Journal,
    wish: Wish,
    source: CandidateSource | None = None,
    *,
    exchange: Exchange | None = None,
) -> Training:
    """Check what would end a training at once, before hours of computing.

    Parameters
    ----------
    source
        By default candidates are fitted here.

    Raises
    ------
    NotComparable
        When the gate shall decide, and can't compare with the champion.
    """
    source, exchange = source or fitted(spec, wish.seed), exchange or Exchange(home)
    entry = ledger.champion(journal, spec.name) if wish.promote is None else None
    if entry is None:
        return Training(spec, home, journal, wish, None, None, source, exchange)
    if wish.missing:  # the champion can't be here
        reports = workers.alive(journal, spec.name)
        is_served = any(report.version == entry.to_version for report in reports)
        kept_for = entry.to_version if is_served else None
        return Training(spec, home, journal, wish, None, kept_for, source, exchange)
    try:
        exchange.obtain(spec.name, entry.to_version, entry.digest)
        return Training(spec, home, journal, wish, judging.meet(spec, home, entry), None, source, exchange)
    except (UnknownVersion, DamagedVersion) as error:
        remedy = f"run `loop train {spec.name} --promote`"
        words = str(error) if remedy in str(error) else f"{error}: restore it, or {remedy}"
        raise NotComparable(f"the gate can't compare with the champion: {words}") from error
