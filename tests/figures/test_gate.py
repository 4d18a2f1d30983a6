"""The gate: figures in, verdict out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models_store.spec import GateRules
from prediction.figures.scores import Part, Rule, Verdict, gate

CLASSES = ("a", "b", "c")
RULES = GateRules()


def answers(labels: list[str], wrong: int = 0, confidence: float = 0.9) -> np.ndarray:
    """Make probabilities that are right with that confidence, but for the first `wrong` rows."""
    index = [CLASSES.index(label) for label in labels]
    found = np.full((len(labels), 3), (1 - confidence) / 2)
    for row, right in enumerate(index):
        found[row, (right + 1) % 3 if row < wrong else right] = confidence
    return found


def part(champion_wrong: int, candidate_wrong: int, n: int = 60, name: str = "dataset") -> Part:
    """Make a part with equal classes in which each side is wrong on its first rows."""
    labels = [CLASSES[row % 3] for row in range(n)]
    return Part(
        name, np.array(labels, object), answers(labels, champion_wrong), answers(labels, candidate_wrong)
    )


def rule(verdict: Verdict, name: str) -> Rule:
    """Find a rule by name."""
    (found,) = [rule for rule in verdict.rules if rule.name == name]
    return found


def test_a_tie_goes_to_the_fresher_data() -> None:
    """A candidate that answers as the champion does is promoted."""
    assert gate([part(2, 2)], CLASSES, RULES).promote


def test_a_better_candidate_is_promoted() -> None:
    """The sentence tells what was compared."""
    verdict = gate([part(10, 1)], CLASSES, RULES)

    assert verdict.promote
    assert verdict.sentence.startswith("promoted: not worse on any rule (dataset log-loss")


def test_a_worse_candidate_is_rejected_with_the_figures() -> None:
    """Each rule that it breaks is named with both figures and the number of rows."""
    verdict = gate([part(0, 20)], CLASSES, RULES)

    assert not verdict.promote
    assert "dataset macro-F1 fell from 1.00 to 0.67 on 60 rows" in verdict.sentence
    assert rule(verdict, "dataset accuracy by McNemar's test").passed is False


def test_one_part_is_enough_to_reject() -> None:
    """Better on feedback does not buy worse on the dataset."""
    verdict = gate([part(0, 20), part(20, 0, name="feedback")], CLASSES, RULES)

    assert not verdict.promote
    assert "feedback" not in verdict.sentence


def test_recall_of_each_class_has_a_floor() -> None:
    """A class that is given up is named, though the others hide it in the average."""
    labels = ["a"] * 100 + ["b"] * 100 + ["c"] * 20
    old, new = answers(labels), answers(labels)
    new[200:] = [0.9, 0.05, 0.05]

    verdict = gate([Part("dataset", np.array(labels, object), old, new)], CLASSES, RULES)

    assert not verdict.promote
    assert "recall of c fell from 1.00 to 0.00 on 20 rows" in verdict.sentence
    assert rule(verdict, "dataset recall of a").passed is True


def test_overconfidence_is_seen_in_the_log_loss() -> None:
    """Same classes, worse probabilities: rejected by log-loss alone."""
    labels = [CLASSES[row % 3] for row in range(60)]
    old, new = answers(labels, confidence=0.99), answers(labels, confidence=0.6)

    verdict = gate([Part("dataset", np.array(labels, object), old, new)], CLASSES, RULES)

    assert [rule.name for rule in verdict.rules if rule.passed is False] == ["dataset log-loss"]


def test_too_few_rows_do_not_vote() -> None:
    """Nine rows decide nothing, and nothing that may not vote promotes."""
    verdict = gate([part(0, 9, n=9)], CLASSES, RULES)

    assert not verdict.promote
    assert "too few held-out rows" in verdict.sentence
    assert {None} == {rule.passed for rule in verdict.rules}


def test_the_dataset_must_have_a_say() -> None:
    """However good it is on feedback: where the dataset's part has too few rows, nothing is promoted."""
    verdict = gate([part(0, 9, n=9), part(30, 0, name="feedback")], CLASSES, RULES)

    assert not verdict.promote
    assert "too few held-out rows of the dataset" in verdict.sentence


def of_feedback(champion_wrong: int, candidate_wrong: int, n: int = 12) -> Part:
    """Make a part whose labels clients gave."""
    return replace(part(champion_wrong, candidate_wrong, n, "feedback"), is_feedback=True)


def test_no_single_label_of_a_client_decides() -> None:
    """It may be wrong: on few rows it would fail every rule but the test that reckons with chance."""
    one = gate([part(2, 2), of_feedback(0, 1)], CLASSES, RULES)
    vouched_for = gate([part(2, 2), part(0, 1, 12, "feedback")], CLASSES, RULES)

    silent = [rule.name for rule in one.rules if rule.passed is None]
    expected = ["macro-F1", "log-loss", *(f"recall of {name}" for name in CLASSES)]
    assert [f"feedback {figure}" for figure in expected] == silent
    assert one.promote
    assert "a single row against feedback macro-F1 (12), feedback log-loss (12)" in one.sentence
    assert "too few rows for feedback recall of a (4)" in one.sentence
    assert not vouched_for.promote


def test_just_enough_rows_of_feedback_can_say_no() -> None:
    """Though one fewer would be too few."""
    verdict = gate([part(2, 2), of_feedback(0, 4, n=10)], CLASSES, GateRules(significance=0.0))

    assert rule(verdict, "feedback macro-F1").passed is False
    assert rule(verdict, "feedback log-loss").passed is False


def test_two_labels_of_clients_decide() -> None:
    """On as few rows."""
    verdict = gate([part(2, 2), of_feedback(0, 2)], CLASSES, RULES)

    assert not verdict.promote
    assert "feedback macro-F1 fell from 1.00 to 0.83 on 12 rows" in verdict.sentence


@pytest.mark.parametrize("figure", ["macro-F1", "log-loss", "recall of c"])
@pytest.mark.parametrize("lost", [2, 3, 6])
@pytest.mark.parametrize("seed", range(3))
def test_what_hangs_on_a_row_is_found_by_few(figure: str, lost: int, seed: int) -> None:
    """Leaving out the loudest rows says the same as leaving out each."""
    draw = np.random.default_rng(seed)
    labels = [CLASSES[row % 3] for row in range(45)]
    old, new = (0.7 * answers(labels, wrong) + 0.3 * draw.dirichlet([1, 1, 1], 45) for wrong in (0, lost))
    one = Part("feedback", np.array(labels, object), old, new, is_feedback=True)
    plain = replace(one, is_feedback=False)

    def passed(part: Part) -> bool | None:
        return rule(gate([part], CLASSES, GateRules(recall_floor=0.95)), f"feedback {figure}").passed

    whole, without_one = passed(plain), {passed(plain.without(row)) for row in range(45)}

    assert passed(one) is (None if whole is False and without_one != {False} else whole)


def test_rules_that_did_not_vote_are_named() -> None:
    """The sentence of a promotion tells what it does not rest on."""
    labels = ["a"] * 30 + ["b"] * 30 + ["c"] * 4
    same = Part("dataset", np.array(labels, object), answers(labels), answers(labels))

    assert gate([same], CLASSES, RULES).sentence.endswith("; too few rows for dataset recall of c (4))")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_probabilities_that_are_no_numbers_are_rejected(value: float) -> None:
    """One such row is enough, and no figure is made of it."""
    same = part(2, 2)
    same.candidate[7, 1] = value

    verdict = gate([same], CLASSES, RULES)

    assert (False, []) == (verdict.promote, verdict.rules)
    assert "no finite numbers" in verdict.sentence


def test_small_losses_do_not_add_up() -> None:
    """A candidate within the tolerance of its champion is held against the best one before, too."""
    labels = [CLASSES[row % 3] for row in range(60)]
    champion, candidate = answers(labels, confidence=0.88), answers(labels, confidence=0.85)

    def judge(best: float) -> Verdict:
        one = Part("dataset", np.array(labels, object), champion, candidate, best)
        return gate([one], CLASSES, RULES)

    assert judge(best=float("inf")).promote
    assert "log-loss rose from 0.05 to 0.16" in judge(best=0.05).sentence


def test_a_spec_chooses_its_metric() -> None:
    """Here a rare class is given up: macro-F1 falls far, accuracy hardly."""
    labels = ["a"] * 100 + ["b"] * 100 + ["c"] * 9
    old, new = answers(labels), answers(labels)
    new[200:] = [0.6, 0.1, 0.3]
    one = Part("dataset", np.array(labels, object), old, new)

    by_f1 = gate([one], CLASSES, GateRules(significance=0.0))
    by_accuracy = gate([one], CLASSES, GateRules(metric="accuracy", significance=0.0))

    assert [rule.name for rule in by_f1.rules if rule.passed is False] == ["dataset macro-F1"]
    assert by_accuracy.promote


@pytest.mark.parametrize(("only_champion", "passed"), [(4, True), (5, False)])
def test_mcnemar_is_exact_and_one_sided(only_champion: int, passed: bool) -> None:
    """Five rows lost and none won has p = 1/32, four has 1/16."""
    verdict = gate([part(0, only_champion)], CLASSES, RULES)

    found = rule(verdict, "dataset accuracy by McNemar's test")
    assert passed is found.passed
    assert found.p == pytest.approx(0.5**only_champion)


def test_no_rows_no_promotion() -> None:
    """An empty holdout can't vouch for anybody."""
    assert not gate([], CLASSES, RULES).promote
