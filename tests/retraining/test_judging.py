"""A candidate beside the champion: nothing new, and rows that do not judge."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models_store import store
from models_store.spec import Spec
from prediction.journal import ledger
from prediction.journal.database import Journal
from prediction.retraining import datasets, fingerprints, judging, training
from prediction.retraining.judging import Rival
from prediction.retraining.splits import Ranked, Split


@pytest.fixture(scope="module")
def rival(trained_home: Path, specs: dict[str, Spec]) -> Rival:
    """The champion of iris."""
    with closing(Journal(f"sqlite:///{trained_home / 'journal.db'}")) as journal:
        entry = ledger.champions(journal)["iris"]
    return judging.meet(specs["iris"], trained_home, entry)


def noted(rival: Rival, **notes: Any) -> Rival:
    """Return the champion with other entries in its metadata; None is no entry."""
    metadata = rival.version.metadata | notes
    kept = {name: value for name, value in metadata.items() if value is not None}
    return replace(rival, version=replace(rival.version, metadata=kept))


def test_the_same_rows_and_recipe_are_nothing_new(rival: Rival, specs: dict[str, Spec]) -> None:
    """Known before the fit, in this process as in that of the champion."""
    spec = specs["iris"]
    verdict = judging.find_nothing_new(rival, datasets.load(spec), training.recipe(spec, 0))

    assert verdict is not None
    assert not verdict.promote
    assert verdict.sentence.startswith("rejected: nothing new to learn: the training rows, ")


@pytest.mark.parametrize(
    "notes",
    [{"recipe": "other"}, {"recipe": None}, {"training_digest": "other"}, {"training_digest": None}],
)
def test_anything_else_may_be_new(
    notes: dict[str, str | None], rival: Rival, specs: dict[str, Spec]
) -> None:
    """Other rows, another recipe, or a champion of a release that noted neither."""
    spec = specs["iris"]

    assert (
        judging.find_nothing_new(noted(rival, **notes), datasets.load(spec), training.recipe(spec, 0))
        is None
    )
    assert judging.find_nothing_new(rival, datasets.load(spec), None) is None


@pytest.mark.parametrize(
    ("notes", "promoted"),
    [
        ({}, False),
        ({"recipe": None, "training_digest": None, "split": None}, False),
        ({"recipe": "other"}, True),
        ({"training_digest": "other"}, True),
        ({"runtime": "scikit-learn"}, True),
    ],
    ids=["the same", "an earlier release", "another recipe", "other rows", "another runtime"],
)
def test_a_tie_is_promoted_only_if_something_is_new(
    notes: dict[str, str | None], promoted: bool, rival: Rival, specs: dict[str, Spec]
) -> None:
    """The same answers to every row, and nothing that is known to differ, are no reason for a swap."""
    champion = noted(rival, **notes)
    dataset = datasets.load(specs["iris"], judged=champion.split)
    verdict, _ = judging.judge(champion, training.fit(specs["iris"], 0, dataset))

    assert promoted is verdict.promote, verdict.sentence
    assert promoted is not verdict.sentence.startswith(judging.NOTHING_NEW)


def test_rows_that_the_champion_knows_do_not_judge(rival: Rival, specs: dict[str, Spec]) -> None:
    """The verdict says how many; figures of another holdout, the best log-loss too, are not compared."""
    champion = noted(rival, split=Split("hash", "", 0.2).as_note(), recipe="other", best_log_loss=0.000001)
    dataset = datasets.load(specs["iris"], judged=champion.split)
    candidate = training.fit(specs["iris"], 0, dataset)
    verdict, notes = judging.judge(champion, candidate)

    known = len(dataset.known)
    assert 0 < known < 10
    assert {len(dataset.holdout) - known} == {
        rule.n for rule in verdict.rules if rule.name == "dataset log-loss"
    }
    told = f"; the champion may have been trained on {known} of {len(dataset.holdout)} held-out rows"
    assert told in verdict.sentence
    assert verdict.promote
    assert candidate.metrics.as_dict()["log_loss"] == notes["best_log_loss"]


def test_the_best_log_loss_holds_for_the_same_holdout(rival: Rival, specs: dict[str, Spec]) -> None:
    """Otherwise small losses of many versions would add up."""
    champion = noted(rival, recipe="other", best_log_loss=0.000001)
    dataset = datasets.load(specs["iris"], judged=champion.split)
    verdict, notes = judging.judge(champion, training.fit(specs["iris"], 0, dataset))

    assert "dataset log-loss rose from 1e-06" in verdict.sentence
    assert 0.000001 == notes["best_log_loss"]


def test_a_champion_that_knows_every_row_can_t_be_judged(rival: Rival, specs: dict[str, Spec]) -> None:
    """For example one that was split by a column that is gone."""
    champion = noted(rival, split=Split("group", "plot", 0.25).as_note(), recipe="other")
    dataset = datasets.load(specs["iris"], judged=champion.split)
    verdict, _ = judging.judge(champion, training.fit(specs["iris"], 0, dataset))

    assert not verdict.promote
    assert "too few held-out rows of the dataset to judge by; the champion may have" in verdict.sentence


def test_a_version_without_a_note_is_of_the_rule_before(rival: Rival) -> None:
    """Its golden requests are what it certainly held out."""
    golden = rival.version.read_json(store.GOLDEN)["columns"]

    assert Ranked(frozenset(fingerprints.plain(golden))) == noted(rival, split=None).split
    assert Split("hash", "", 0.25) == rival.split
