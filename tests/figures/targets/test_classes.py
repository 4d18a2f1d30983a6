"""The formulas of classes: metrics follow the decision, and the gate's rules are those of classes."""

from __future__ import annotations

import numpy as np
import pytest

from models_store.spec import GateRules
from models_store.targets.classes import Classes
from models_store.targets.classes import classes as declare
from models_store.targets.costs import Cost
from models_store.targets.decisions import ClassAnswers
from prediction.figures import gate
from prediction.figures.targets import classes

TARGET = declare(0, 1)


def test_metrics_follow_the_decision_and_not_the_most_probable_class() -> None:
    """A threshold of 0.2 answers 1 for a probability of 0.3."""
    answers = ClassAnswers(np.array([[0.7, 0.3], [0.9, 0.1]]), np.array([1, 0]))
    found = classes.metrics(TARGET, ["1", "0"], answers)

    assert (1.0, {"0": 1.0, "1": 1.0}) == (found.accuracy, found.recall)
    assert found.log_loss == pytest.approx(-(np.log(0.3) + np.log(0.9)) / 2)
    assert found.as_dict()[classes.LOSS] == found.log_loss


def test_figures_are_told_in_words() -> None:
    """Three of them, with three digits."""
    told = classes.table({"accuracy": 0.98765, "macro_f1": 0.5, "log_loss": 0.06})

    assert {"accuracy": "0.988 on the holdout", "macro-F1": "0.500", "log-loss": "0.060"} == told


def test_there_are_five_rules() -> None:
    """A promotion names the log-loss."""
    rules = classes.rules(TARGET)

    assert (5, "log-loss") == (len(rules.checks), rules.loss)


def test_the_confidence_is_that_of_the_answer() -> None:
    """Whether it is the most probable class or not."""
    answers = ClassAnswers(np.array([[0.7, 0.3], [0.9, 0.1]]), np.array([1, 0]))
    confidences, right = classes.sure(TARGET, ["1", "1"], answers)

    assert ([0.3, 0.9], [True, False]) == (confidences.tolist(), right.tolist())


def answers(probabilities: list[float]) -> ClassAnswers:
    """Make answers from probabilities of the second class."""
    p = np.array(probabilities)
    return ClassAnswers(np.stack([1 - p, p], axis=1), (p > 0.5).astype(int))


def judged(target: Classes, champion: list[float], candidate: list[float]) -> gate.Verdict:
    """Judge answers to 90 rows of class 0 and 10 of class 1, in this order."""
    labels = np.array(["0"] * 90 + ["1"] * 10, object)
    part = gate.Part("dataset", labels, answers(champion), answers(candidate))
    return gate.judge([part], classes.rules(target), GateRules(log_loss_tolerance=10, margin=1))


def test_a_candidate_that_ranks_the_positive_class_worse_is_rejected() -> None:
    """All its classes are as before: only its probabilities say which rows to look at first."""
    champion = [0.1] * 85 + [0.4] * 5 + [0.45] * 3 + [0.9] * 7
    candidate = [0.1] * 45 + [0.44] * 45 + [0.2] * 3 + [0.9] * 7

    verdict = judged(declare(0, 1, positive=1), champion, candidate)
    assert not verdict.promote
    assert "average precision fell" in verdict.sentence
    assert judged(declare(0, 1), champion, candidate).promote


def test_a_candidate_that_never_finds_a_class_is_rejected() -> None:
    """Though the champion does not find it either: else the floor would be 0 from then on."""
    verdict = judged(TARGET, [0.1] * 100, [0.2] * 100)

    assert not verdict.promote
    assert "recall of 1 stayed too low from 0.00 to 0.00 on 10 rows" in verdict.sentence
    assert judged(TARGET, [0.1] * 99 + [0.9], [0.2] * 99 + [0.9]).promote


def test_metrics_of_a_positive_class_are_plain_values() -> None:
    """They are there if the target names one."""
    found = classes.metrics(declare(0, 1, positive=0), ["0", "1", "1"], answers([0.2, 0.4, 0.9])).as_dict()

    assert 1.0 == found["positive"]["roc_auc"] == found["positive"]["average_precision"]
    assert "positive" not in classes.metrics(TARGET, ["0", "1"], answers([0.2, 0.4])).as_dict()


def test_a_table_shows_how_well_the_positive_class_is_found() -> None:
    """Average precision, ROC AUC and Brier, as the version keeps them; other targets have none of them."""
    found = classes.metrics(declare(0, 1, positive=1), ["0", "1", "1", "0"], answers([0.2, 0.4, 0.9, 0.5]))
    shown, names = classes.table(found.as_dict()), {"average precision", "ROC AUC", "Brier"}

    assert found.positive is not None
    assert {"average precision": "0.833", "ROC AUC": "0.750"}.items() <= shown.items()
    assert f"{(0.2**2 + 0.6**2 + 0.1**2 + 0.5**2) / 4:.4f}, skill 0.340" == shown["Brier"]
    plain = classes.table(classes.metrics(TARGET, ["0", "1"], answers([0.2, 0.4])).as_dict())
    assert names.isdisjoint(plain)


COSTLY = declare(0, 1, positive=1, cost=Cost(false_alarm=1, miss=50))


def test_costs_take_the_place_of_rules_that_weigh_all_errors_alike() -> None:
    """Thirty false alarms more are worth three misses less, and the reverse is rejected."""
    careless = [0.1] * 90 + [0.4] * 3 + [0.9] * 7
    careful = [0.1] * 67 + [0.51] * 23 + [0.99] * 10

    assert "macro-F1 fell" in judged(declare(0, 1, positive=1), careless, careful).sentence
    rules = judged(COSTLY, careless, careful).rules
    assert {"macro-F1", "accuracy"}.isdisjoint(word for rule in rules for word in rule.name.split())
    assert [True, True] == [rule.passed for rule in rules if "cost" in rule.name]
    verdict = judged(COSTLY, careful, careless)
    assert "dataset cost saved fell from 0.74 to -0.67 on 10 rows" in verdict.sentence


def test_a_candidate_must_be_shown_to_be_as_cheap() -> None:
    """Five misses more than the champion's are too many; without a row of a class there is no cost."""
    labels = np.array(["0"] * 270 + ["1"] * 30, object)
    careless, careful = answers([0.1] * 270 + [0.4] * 15 + [0.9] * 15), answers([0.1] * 270 + [0.9] * 30)
    limits = GateRules(metric_tolerance=9, log_loss_tolerance=9, recall_floor=0)
    verdict = gate.judge([gate.Part("dataset", labels, careful, careless)], classes.rules(COSTLY), limits)

    words = "rejected: dataset cost within 0.09 of the champion's is not shown: 0.00 -> 2.50 on 300 rows"
    assert verdict.sentence.startswith(words)
    one_class = gate.Part("dataset", labels[:270], answers([0.1] * 270), answers([0.1] * 270))
    verdict = gate.judge([one_class], classes.rules(COSTLY), limits)
    assert not any("cost" in rule.name for rule in verdict.rules)


def test_rare_positives_can_not_show_what_a_candidate_costs() -> None:
    """Not even of one with the same answers: the rule does not vote then."""
    labels = np.array(["0"] * 990 + ["1"] * 10, object)
    same = answers([0.1] * 990 + [0.9] * 10)
    verdict = gate.judge([gate.Part("dataset", labels, same, same)], classes.rules(COSTLY), GateRules())

    assert "undecided: dataset cost within 0.05 of the champion's (1000)" in verdict.sentence


def test_metrics_say_what_the_errors_cost() -> None:
    """In the store, and in words; monitoring has an interval."""
    found = classes.metrics(COSTLY, ["0"] * 9 + ["1"] * 2, answers([0.9] + [0.1] * 9 + [0.8])).as_dict()
    counts = {"0": 98, "1": 2}, {("1", "0"): 1, ("0", "0"): 9}

    assert {"per_row": 51 / 11, "saved": 1 - 51 / 9} == found["cost"]
    assert "4.64 a row, 466.7% more than one answer for all rows" == classes.table(found)["cost"]
    half = {"cost": {"per_row": 2, "saved": 0.5}}
    assert "2 a row, 50.0% less than one answer for all rows" == classes.table(found | half)["cost"]
    assert "4.64 a row" == classes.table(found | {"cost": {"per_row": 51 / 11}})["cost"]
    assert "cost" not in classes.table(classes.metrics(TARGET, ["0", "1"], answers([0.2, 0.4])).as_dict())
    window = classes.monitored(COSTLY, *counts)["cost"]
    assert (0.1, 10) == (window["value"], window["n"])
    assert classes.monitored(TARGET, *counts)["cost"] is None
    assert classes.monitored(COSTLY, {}, {})["cost"] is None


def test_a_window_says_which_predictions_get_labels() -> None:
    """Only flagged rows did."""
    counts = {"0": 980, "1": 20}, {("1", "1"): 15, ("1", "0"): 5}
    found = classes.monitored(declare(0, 1, positive=1), *counts)

    assert found["labels_are_selective"]
    assert (0.0, 1.0) == (found["labelled"]["0"]["value"], found["labelled"]["1"]["value"])
    assert (0.75, 1.0, 0.02) == tuple(
        found["positive"][name]["value"] for name in ("precision", "recall", "alert_rate")
    )
    assert classes.monitored(TARGET, {}, {})["positive"] is None
