"""The gate: answers of champion and candidate in, verdict out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models_store.spec import GateRules
from models_store.targets.classes import classes
from prediction.figures import gate
from prediction.figures.gate import Part, Rule, Verdict
from prediction.figures.targets import kinds
from tests.labels import most_probable

CLASSES = ("a", "b", "c")
RULES = GateRules()
SHOWN = "accuracy within 0.1 of the champion's"


def answers(labels: list[str], wrong: int = 0, confidence: float = 0.9) -> np.ndarray:
    """Make probabilities: the first `wrong` rows are wrong, the others right, all with this confidence."""
    index = [CLASSES.index(label) for label in labels]
    found = np.full((len(labels), 3), (1 - confidence) / 2)
    for row, right in enumerate(index):
        found[row, (right + 1) % 3 if row < wrong else right] = confidence
    return found


def judge(parts: list[Part], names: tuple[str, ...], limits: GateRules) -> Verdict:
    """Judge by the rules of these classes."""
    target = classes(*names)
    return gate.judge(parts, kinds.of(target).rules(target), limits)


def part_of(name: str, labels: list[str], old: np.ndarray, new: np.ndarray, **facts: Any) -> Part:
    """Make a part of the probabilities of both; the most probable class is the answer."""
    return Part(name, np.array(labels, object), most_probable(old), most_probable(new), **facts)


def part(champion_wrong: int, candidate_wrong: int, n: int = 60, name: str = "dataset") -> Part:
    """Make a part with equal classes in which each side is wrong on its first rows."""
    labels = [CLASSES[row % 3] for row in range(n)]
    return part_of(
        name,
        labels,
        answers(labels, champion_wrong),
        answers(labels, candidate_wrong),
    )


def rule(verdict: Verdict, name: str) -> Rule:
    """Find a rule by name."""
    (found,) = [rule for rule in verdict.rules if rule.name == name]
    return found


def test_a_candidate_that_is_as_good_is_promoted() -> None:
    """A candidate that gives the same answers as the champion is promoted."""
    assert judge([part(2, 2)], CLASSES, RULES).promote


def test_a_better_candidate_is_promoted() -> None:
    """The sentence says what was compared."""
    verdict = judge([part(10, 1)], CLASSES, RULES)

    assert verdict.promote
    assert verdict.sentence.startswith("promoted: not worse on any rule (dataset log-loss")


def test_a_worse_candidate_is_rejected_with_the_figures() -> None:
    """Each failed rule is named, with both figures and the number of rows."""
    verdict = judge([part(0, 20)], CLASSES, RULES)

    assert not verdict.promote
    assert "dataset macro-F1 fell from 1.00 to 0.67 on 60 rows" in verdict.sentence
    assert rule(verdict, f"dataset {SHOWN}").passed is False


def test_a_candidate_that_is_worse_on_one_part_is_rejected() -> None:
    """Better figures on feedback do not make up for worse ones on the dataset."""
    verdict = judge([part(0, 20), part(20, 0, name="feedback")], CLASSES, RULES)

    assert not verdict.promote
    assert "feedback" not in verdict.sentence


def test_recall_of_each_class_has_a_floor() -> None:
    """A class that is never predicted any more is named, even if the average hardly falls."""
    labels = ["a"] * 100 + ["b"] * 100 + ["c"] * 20
    old, new = answers(labels), answers(labels)
    new[200:] = [0.9, 0.05, 0.05]

    verdict = judge([part_of("dataset", labels, old, new)], CLASSES, RULES)

    assert not verdict.promote
    assert "recall of c fell from 1.00 to 0.00 on 20 rows" in verdict.sentence
    assert rule(verdict, "dataset recall of a").passed is True


def test_worse_probabilities_are_rejected_by_log_loss() -> None:
    """The predicted classes are the same, so no other rule fails."""
    labels = [CLASSES[row % 3] for row in range(60)]
    old, new = answers(labels, confidence=0.99), answers(labels, confidence=0.6)

    verdict = judge([part_of("dataset", labels, old, new)], CLASSES, RULES)

    assert [rule.name for rule in verdict.rules if rule.passed is False] == ["dataset log-loss"]


def test_a_tie_passes_without_any_tolerance() -> None:
    """The tolerances are included: at zero, the same figures are still not worse."""
    limits = GateRules(metric_tolerance=0.0, log_loss_tolerance=0.0)

    assert judge([part(2, 2)], CLASSES, limits).promote


def test_a_recall_below_the_floor_passes_if_the_champion_has_no_better_one() -> None:
    """Both are right on half of the rows of each class, and the floor is 0.7."""
    verdict = judge([part(30, 30)], CLASSES, RULES)

    assert {0.5} == {rule(verdict, f"dataset recall of {name}").candidate for name in CLASSES}
    assert verdict.promote


def test_too_few_rows_do_not_vote() -> None:
    """Nine rows decide nothing, and without a vote nothing is promoted."""
    verdict = judge([part(0, 9, n=9)], CLASSES, RULES)

    assert not verdict.promote
    assert "too few held-out rows" in verdict.sentence
    assert {None} == {rule.passed for rule in verdict.rules}


def test_without_a_vote_of_the_dataset_nothing_is_promoted() -> None:
    """Good figures on feedback do not help if the part of the dataset has too few rows."""
    verdict = judge([part(0, 9, n=9), part(30, 0, name="feedback")], CLASSES, RULES)

    assert not verdict.promote
    assert "too few held-out rows of the dataset" in verdict.sentence


def of_feedback(champion_wrong: int, candidate_wrong: int, n: int = 12) -> Part:
    """Make a part whose labels clients gave."""
    return replace(part(champion_wrong, candidate_wrong, n, "feedback"), is_feedback=True)


def test_a_single_label_of_a_client_does_not_decide() -> None:
    """It may be wrong. On few rows it would fail every rule that compares figures."""
    one = judge([part(2, 2), of_feedback(0, 1)], CLASSES, RULES)
    of_dataset = judge([part(2, 2), part(0, 1, 12, "feedback")], CLASSES, RULES)

    silent = [rule.name for rule in one.rules if rule.passed is None]
    expected = ["macro-F1", "log-loss", *(f"recall of {name}" for name in CLASSES)]
    assert [f"feedback {figure}" for figure in [*expected, SHOWN]] == silent
    assert one.promote
    assert "a single row against feedback macro-F1 (12), feedback log-loss (12)" in one.sentence
    assert f"undecided: feedback {SHOWN} (12)" in one.sentence
    assert "too few rows for feedback recall of a (4)" in one.sentence
    assert not of_dataset.promote


def test_feedback_of_min_rows_can_reject() -> None:
    """The search for a decisive row leaves one out, and the rules must still vote then."""
    verdict = judge([part(2, 2), of_feedback(0, 4, n=10)], CLASSES, RULES)

    assert rule(verdict, "feedback macro-F1").passed is False
    assert rule(verdict, "feedback log-loss").passed is False


def test_two_labels_of_clients_can_reject() -> None:
    """The number of rows is as small as in the test of a single label."""
    verdict = judge([part(2, 2), of_feedback(0, 2)], CLASSES, RULES)

    assert not verdict.promote
    assert "feedback macro-F1 fell from 1.00 to 0.83 on 12 rows" in verdict.sentence


@pytest.mark.parametrize("figure", ["macro-F1", "log-loss", "recall of c"])
@pytest.mark.parametrize("lost", [2, 3, 6])
@pytest.mark.parametrize("seed", range(3))
def test_leaving_out_a_few_chosen_rows_is_enough(figure: str, lost: int, seed: int) -> None:
    """It gives the same votes as leaving out each row in turn."""
    draw = np.random.default_rng(seed)
    labels = [CLASSES[row % 3] for row in range(45)]
    old, new = (0.7 * answers(labels, wrong) + 0.3 * draw.dirichlet([1, 1, 1], 45) for wrong in (0, lost))
    one = part_of("feedback", labels, old, new, is_feedback=True)
    plain = replace(one, is_feedback=False)

    def passed(part: Part) -> bool | None:
        return rule(judge([part], CLASSES, GateRules(recall_floor=0.95)), f"feedback {figure}").passed

    whole, without_one = passed(plain), {passed(plain.without(row)) for row in range(45)}

    assert passed(one) is (None if whole is False and without_one != {False} else whole)


def test_of_rows_with_the_same_answers_the_one_with_the_largest_loss_is_left_out() -> None:
    """Two rows are wrong in the same way; the candidate's log-loss fails because of one of them."""
    labels = [CLASSES[row % 3] for row in range(20)]
    old = answers(labels)
    old[[0, 3]] = [0.4, 0.6, 0.0]
    new = old.copy()
    new[0] = [1e-12, 0.6, 0.4]
    one = part_of("feedback", labels, old, new, is_feedback=True)

    assert rule(judge([one], CLASSES, RULES), "feedback log-loss").passed is None
    assert (
        rule(judge([replace(one, is_feedback=False)], CLASSES, RULES), "feedback log-loss").passed is False
    )


def test_rules_that_did_not_vote_are_named() -> None:
    """The sentence of a promotion says what it does not rest on, and why."""
    labels = ["a"] * 30 + ["b"] * 30 + ["c"] * 4
    same = part_of("dataset", labels, answers(labels), answers(labels))

    assert judge([same], CLASSES, RULES).sentence == (
        "promoted: not worse on any rule (dataset log-loss 0.105 -> 0.105"
        "; too few rows for dataset recall of c (4))"
    )


def test_a_promotion_by_all_rules_names_none_that_did_not_vote() -> None:
    """There is nothing to add to the compared figures then."""
    assert judge([part(2, 2)], CLASSES, RULES).sentence == (
        "promoted: not worse on any rule (dataset log-loss 0.202 -> 0.202)"
    )


def test_rules_that_fail_by_a_single_row_are_named_apart_from_those_with_few_rows() -> None:
    """Just `min_rows` rows are enough to vote, so a rule on them is silent because of the single row."""
    limits = replace(RULES, min_rows=10)
    verdict = judge([part(2, 2), of_feedback(0, 1, n=10)], CLASSES, limits)

    few = ", ".join(f"feedback recall of {name} ({4 if name == 'a' else 3})" for name in CLASSES)
    assert verdict.sentence == (
        "promoted: not worse on any rule (dataset log-loss 0.202 -> 0.202"
        f"; too few rows for {few}; undecided: feedback {SHOWN} (10)"
        "; a single row against feedback macro-F1 (10), feedback log-loss (10))"
    )


def test_rules_that_fail_by_a_single_row_are_named_alone() -> None:
    """Where every rule has enough rows, none is said to have too few."""
    verdict = judge([part(2, 2), of_feedback(0, 1, n=12)], CLASSES, replace(RULES, min_rows=4))

    assert verdict.sentence == (
        "promoted: not worse on any rule (dataset log-loss 0.202 -> 0.202"
        f"; undecided: feedback {SHOWN} (12)"
        "; a single row against feedback macro-F1 (12), feedback log-loss (12))"
    )


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_probabilities_that_are_no_numbers_are_rejected(value: float) -> None:
    """One such row is enough, and no figures are computed."""
    same = part(2, 2)
    same.candidate.probabilities[7, 1] = value

    verdict = judge([same], CLASSES, RULES)

    assert (False, []) == (verdict.promote, verdict.rules)
    assert "not finite numbers" in verdict.sentence


def test_small_losses_of_many_runs_do_not_add_up() -> None:
    """Log-loss is also compared with the best log-loss so far, not only with the champion's."""
    labels = [CLASSES[row % 3] for row in range(60)]
    champion, candidate = answers(labels, confidence=0.88), answers(labels, confidence=0.85)

    def judge_against(best: float) -> Verdict:
        one = part_of("dataset", labels, champion, candidate, best_loss=best)
        return judge([one], CLASSES, RULES)

    assert judge_against(best=float("inf")).promote
    assert "log-loss rose from 0.05 to 0.16" in judge_against(best=0.05).sentence


def test_a_spec_chooses_its_metric() -> None:
    """A rare class is never predicted any more: macro-F1 falls far, accuracy hardly."""
    labels = ["a"] * 100 + ["b"] * 100 + ["c"] * 9
    old, new = answers(labels), answers(labels)
    new[200:] = [0.6, 0.1, 0.3]
    one = part_of("dataset", labels, old, new)

    by_f1 = judge([one], CLASSES, RULES)
    by_accuracy = judge([one], CLASSES, GateRules(metric="accuracy"))

    assert [rule.name for rule in by_f1.rules if rule.passed is False] == ["dataset macro-F1"]
    assert by_accuracy.promote


def beside(worse: int, better: int, n: int) -> Part:
    """Make a part on which each model alone is right on so many rows, and both are on the others."""
    labels = [CLASSES[row % 3] for row in range(n)]
    old, new = answers(labels), answers(labels)
    wrong = answers(labels, n)
    new[:worse], old[n - better :] = wrong[:worse], wrong[n - better :]
    return part_of("dataset", labels, old, new)


@pytest.mark.parametrize(
    ("worse", "better", "n", "passed"),
    [
        (0, 0, 30, True),
        (1, 1, 30, False),  # as good, but 30 rows do not show it
        (1, 1, 60, True),
        (3, 0, 100, True),
        (40, 0, 1_000, True),
        (90, 0, 1_000, False),
        (0, 0, 24, None),  # no answers at all could show it
    ],
)
def test_a_candidate_must_be_shown_to_be_as_accurate(
    worse: int, better: int, n: int, passed: bool | None
) -> None:
    """On the dataset's rows: the upper bound of the fall of accuracy is below the margin."""
    verdict = judge([beside(worse, better, n)], CLASSES, RULES)

    assert rule(verdict, f"dataset {SHOWN}").passed is passed


def test_a_candidate_that_is_not_shown_to_be_as_good_is_told_so() -> None:
    """With both figures and the p-value."""
    limits = GateRules(metric_tolerance=1, log_loss_tolerance=9)

    assert judge([beside(2, 2, 30)], CLASSES, limits).sentence == (
        f"rejected: dataset {SHOWN} is not shown: 0.93 -> 0.93 on 30 rows (p = 0.093)"
    )
    assert judge([beside(2, 2, 30)], CLASSES, replace(limits, margin=1)).promote


def test_feedback_that_can_show_nothing_of_an_equal_model_does_not_vote() -> None:
    """The dataset's rows must show it then; enough feedback can reject."""
    few, many = (
        replace(beside(*rows), name="feedback", is_feedback=True) for rows in ((3, 2, 30), (30, 2, 300))
    )
    limits = GateRules(metric_tolerance=1, log_loss_tolerance=9, recall_floor=0)
    found = [judge([part(2, 2), each], CLASSES, limits) for each in (few, many)]

    assert [None, False] == [rule(verdict, f"feedback {SHOWN}").passed for verdict in found]
    assert [True, False] == [verdict.promote for verdict in found]


def test_no_rows_no_promotion() -> None:
    """An empty holdout says nothing about the candidate."""
    assert not judge([], CLASSES, RULES).promote
