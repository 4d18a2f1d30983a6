"""A candidate beside the champion: is there anything new to learn, and what does the gate say.

It saves and promotes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from models_store import store
from models_store.spec import Spec
from prediction.figures import gate
from prediction.figures.gate import Verdict
from prediction.figures.targets import kinds
from prediction.journal.ledger import Entry
from prediction.retraining import fingerprints, splits, training
from prediction.retraining.datasets import Dataset
from prediction.retraining.splits import Ranked, Split
from prediction.serving import predictor
from prediction.serving.predictor import Predictor

NOTHING_NEW = "rejected: nothing new to learn"
OVERTAKEN = "rejected: another champion was made meanwhile, and it was not compared with that one"
REJECTED_KEPT = 3
"""How many versions that the gate has rejected are kept of a model."""


@dataclass(frozen=True)
class Rival:
    """The champion that a candidate is compared with, and its entry of the ledger."""

    entry: Entry
    version: store.Version
    predictor: Predictor

    @property
    def split(self) -> Split | Ranked:
        """How its rows were split."""
        note = self.version.metadata.get("split")
        if note is not None:
            return splits.read_note(note)
        golden = self.version.read_json(store.GOLDEN)
        return Ranked(frozenset(fingerprints.plain(golden["columns"])))

    def differs(self, name: str, value: str | None) -> bool | None:
        """Return whether a digest of its metadata is another one; None if one of the two is unknown."""
        known = self.version.metadata.get(name)
        return None if known is None or value is None else known != value


def meet(spec: Spec, home: Path, entry: Entry) -> Rival:
    """Load the champion.

    Raises
    ------
    UnknownVersion, DamagedVersion
        When it can't be compared with: it is not here, or had other features or classes.
    """
    version = store.get(home, spec.name, entry.to_version)
    return Rival(entry, version, predictor.load(spec, version, entry.digest))


def find_nothing_new(rival: Rival, dataset: Dataset, recipe: str | None) -> Verdict | None:
    """Return the verdict on a fit that would repeat the champion's; None if something may be new.

    Parameters
    ----------
    recipe
        The digest of all that the fit depends on beside its rows.
    """
    digests = {"training_digest": dataset.training_digest, "recipe": recipe}
    if all(rival.differs(name, value) is False for name, value in digests.items()):
        words = "the training rows, the pipeline, the seed and the packages are those of the champion"
        return Verdict(False, f"{NOTHING_NEW}: {words}{_count_labels(dataset)}", [])
    return None


def judge(rival: Rival, candidate: training.Candidate) -> tuple[Verdict, dict[str, Any]]:
    """Judge a candidate by the gate; return the verdict and what the version notes of it.

    Rows that the champion may have been trained on do not judge. A tie is no reason for a promotion if
    the candidate has learnt from the same rows and answers every row like the champion.
    """
    dataset, metadata = candidate.dataset, rival.version.metadata
    left_out = dataset.known.intersection(dataset.holdout)
    loss = kinds.of(candidate.spec.target).LOSS
    best = inf  # figures of another holdout say nothing about this one
    if not left_out and metadata.get("holdout_digest") == dataset.holdout_digest:
        best = float(metadata.get(f"best_{loss}", rival.version.metrics[loss]))
    verdict = _compare(rival, candidate, best)
    if verdict.promote and _repeats(rival, candidate):
        learnt = "" if "origin" in candidate.notes else ", from the same training rows"
        words = f"the candidate answers every row like the champion{learnt}"
        verdict = replace(
            verdict, promote=False, sentence=f"{NOTHING_NEW}: {words}{_count_labels(dataset)}"
        )
    elif left_out:
        words = (
            f"the champion may have been trained on {len(left_out)} of {len(dataset.holdout)} held-out rows"
        )
        verdict = replace(verdict, sentence=f"{verdict.sentence}; {words}, which do not judge")
    doubt = _doubt(rival, candidate)
    if doubt:
        verdict = replace(verdict, sentence=f"{verdict.sentence}; {doubt}")
    reached = candidate.metrics.as_dict()[loss]
    return verdict, {"verdict": verdict.as_dict(), f"best_{loss}": min(best, reached)}


def _doubt(rival: Rival, candidate: training.Candidate) -> str:
    """Name a model that may know the rows that judge: nobody here knows what it was fitted on elsewhere."""
    names = [
        name
        for name, notes in (("candidate", candidate.notes), ("champion", rival.version.metadata))
        if "origin" in notes
    ]
    if not names:
        return ""
    return (
        f"the {' and the '.join(names)} came from elsewhere, perhaps fitted on held-out rows of the dataset"
    )


def _compare(rival: Rival, candidate: training.Candidate, best_loss: float) -> Verdict:
    spec, dataset = candidate.spec, candidate.dataset
    parts = []
    for name, rows in (("dataset", dataset.holdout), ("feedback", dataset.feedback_holdout)):
        judging = [row for row in rows if row not in dataset.known]
        if judging:
            columns, labels = dataset.part(judging)
            parts.append(
                gate.Part(
                    name=name,
                    labels=np.array(labels, object),
                    champion=rival.predictor.score(columns),
                    candidate=candidate.answers(columns),
                    best_loss=best_loss if name == "dataset" else inf,
                    is_feedback=name == "feedback",
                )
            )
    if not parts or parts[0].is_feedback:
        return Verdict(False, gate.NO_VOTE, [])
    return gate.judge(parts, kinds.of(spec.target).rules(spec.target), spec.gate)


def _repeats(rival: Rival, candidate: training.Candidate) -> bool:
    """Return whether nothing speaks for the candidate: no new row, no new recipe, no other answer."""
    dataset = candidate.dataset
    digests = {"training_digest": dataset.training_digest, "recipe": candidate.recipe}
    if any(rival.differs(name, value) for name, value in digests.items()):
        return False
    if rival.version.runtime != candidate.runtime:
        return False
    target, decision = candidate.spec.target, candidate.compiled.decision
    golden = target.golden(rival.predictor.score(dataset.columns), decision)
    return target.compare(golden, candidate.answers(dataset.columns)) is None


def _count_labels(dataset: Dataset) -> str:
    """Say what became of the labels of a training that had nothing to learn from them."""
    labels, held = len(dataset.labels) - dataset.own_rows, len(dataset.feedback_holdout)
    if not labels:
        return ""
    return f"; of {labels} labels, {labels - held} repeat known rows and {held} are held out"
