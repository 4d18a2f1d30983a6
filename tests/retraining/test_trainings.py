"""Trainings by hand: the gate decides where there is a champion."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from models_store import store
from models_store.spec import Spec, classes
from prediction.errors import NotComparable
from prediction.journal import ledger, workers
from prediction.journal.database import Journal
from prediction.journal.ledger import NewChampion
from prediction.retraining import judging, trainings
from prediction.retraining.trainings import Trained, Wish
from tests import labels

WISH = Wish(seed=1, promote=None, missing=False, keep_versions=10)


@pytest.fixture
def journal(home: Path) -> Iterator[Journal]:
    """The journal of a trained home."""
    with closing(Journal(f"sqlite:///{home / 'journal.db'}")) as opened:
        yield opened


def train(spec: Spec, home: Path, journal: Journal, wish: Wish = WISH) -> Trained:
    """Train by hand."""
    return trainings.prepare(spec, home, journal, wish).execute()


def champion(journal: Journal) -> str:
    """Return the champion of iris."""
    return ledger.champions(journal)["iris"].to_version


def guessing(seed: int) -> object:
    """Make an estimator that learns nothing."""
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="prior", random_state=seed)


def test_what_is_not_worse_is_promoted(home: Path, journal: Journal, specs: dict[str, Spec]) -> None:
    """The ledger keeps the seed and the verdict, and so does the version."""
    before = champion(journal)
    ended = train(specs["iris"], home, journal)

    assert ended.version is not None
    assert ended.verdict is not None
    assert (True, ended.version.version) == (ended.promoted, champion(journal))
    entry = ledger.champions(journal)["iris"]
    assert (before, "train") == (entry.from_version, entry.by)
    assert f"trained, seed 1, and {ended.verdict.sentence}" == entry.reason
    assert ended.verdict.sentence == ended.version.metadata["verdict"]["sentence"]


def test_what_is_worse_is_rejected(home: Path, journal: Journal, specs: dict[str, Spec]) -> None:
    """It is kept aside, so that `latest` never names it, and the champion stays."""
    before, versions = champion(journal), store.versions(home, "iris")
    ended = train(replace(specs["iris"], pipeline=guessing), home, journal)

    assert ended.verdict is not None
    assert not ended.promoted
    assert "dataset log-loss rose" in ended.verdict.sentence
    assert (before, versions) == (champion(journal), store.versions(home, "iris"))
    assert [ended.version] == store.versions(home, "iris-rejected")


def test_without_the_gate_anything_is_promoted(
    home: Path, journal: Journal, specs: dict[str, Spec]
) -> None:
    """Somebody asked for it; it is a new start for the best log-loss."""
    wish = replace(WISH, promote=True)
    ended = train(replace(specs["iris"], pipeline=guessing), home, journal, wish)

    assert ended.version is not None
    assert (True, None) == (ended.promoted, ended.verdict)
    assert ended.version.version == champion(journal)
    assert "best_log_loss" not in ended.version.metadata
    assert "trained, seed 1" == ledger.champions(journal)["iris"].reason


def test_the_same_training_again_learns_nothing(
    home: Path, journal: Journal, specs: dict[str, Spec]
) -> None:
    """Nothing is fitted, saved or promoted."""
    versions = store.versions(home, "iris")
    ended = train(specs["iris"], home, journal, replace(WISH, seed=0))

    assert ended.verdict is not None
    assert (None, None, False) == (ended.candidate, ended.version, ended.promoted)
    assert ended.verdict.sentence.startswith(judging.NOTHING_NEW)
    assert versions == store.versions(home, "iris")


def test_labels_judge_and_are_not_learnt(home: Path, journal: Journal, specs: dict[str, Spec]) -> None:
    """The dataset alone is trained on; held-out labels are a part of the verdict."""
    labels.give(home, specs["iris"], 120).close()
    ended = train(specs["iris"], home, journal)

    assert ended.verdict is not None
    assert ended.version is not None
    assert 0 == ended.version.metadata["rows"]["of_feedback"]
    assert any(rule.name.startswith("feedback ") for rule in ended.verdict.rules)


def test_another_champion_meanwhile_stays(home: Path, journal: Journal, specs: dict[str, Spec]) -> None:
    """The candidate was not compared with it."""
    versions = store.versions(home, "iris")

    def watch(step: str) -> None:
        if step == "save":
            ledger.promote(journal, NewChampion("iris", "another", "d" * 64, by="admin", reason="3 a.m."))

    ended = trainings.prepare(specs["iris"], home, journal, WISH).execute(watch)

    assert ended.verdict is not None
    assert (False, None) == (ended.promoted, ended.version)
    assert judging.OVERTAKEN == ended.verdict.sentence
    assert ("another", versions) == (champion(journal), store.versions(home, "iris"))


def test_other_classes_can_t_be_compared(home: Path, journal: Journal, specs: dict[str, Spec]) -> None:
    """The error comes before anything is fitted, and names the option that promotes without the gate."""
    X, y = specs["iris"].load()
    spec = replace(
        specs["iris"],
        target=classes("other", "setosa"),
        load=lambda: (X, y.where(y == "setosa", "other")),
    )

    told = r"classes than the catalog has now \(the target differs\): run `loop train iris --promote`$"
    with pytest.raises(NotComparable, match=told):
        trainings.prepare(spec, home, journal, WISH)

    ended = train(spec, home, journal, replace(WISH, promote=True))
    assert ended.version is not None
    assert ended.version.version == champion(journal)


def test_a_champion_that_is_not_here_can_t_be_compared(
    home: Path, journal: Journal, specs: dict[str, Spec]
) -> None:
    """It may be on another host."""
    ledger.promote(journal, NewChampion("iris", "elsewhere", "d" * 64, by="admin", reason="test"))

    with pytest.raises(NotComparable, match="iris:elsewhere is not in the model store: restore it, or run"):
        trainings.prepare(specs["iris"], home, journal, WISH)


@pytest.mark.parametrize("is_served", [False, True])
def test_an_empty_store_gets_a_version(
    is_served: bool, home: Path, journal: Journal, specs: dict[str, Spec]
) -> None:
    """It becomes the champion, unless workers of other hosts serve the one that is not here."""
    before = champion(journal)
    for version in store.versions(home, "iris"):
        store.delete(home, "iris", version.version)
    if is_served:
        workers.report(journal, "elsewhere", 1, {"iris": (before, 0)})

    ended = train(specs["iris"], home, journal, replace(WISH, missing=True))

    assert ended.version is not None
    assert [ended.version] == store.versions(home, "iris")
    assert (not is_served, before if is_served else None) == (ended.promoted, ended.kept_for)
    assert (before if is_served else ended.version.version) == champion(journal)
