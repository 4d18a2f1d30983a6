"""The formulas of classes: metrics follow the decision, and the gate's rules are those of classes."""

from __future__ import annotations

import numpy as np
import pytest

from models_store.targets.classes import classes as declare
from models_store.targets.decisions import ClassAnswers
from prediction.figures.targets import classes

TARGET = declare(0, 1)


def test_metrics_follow_the_decision_and_not_the_most_probable_class() -> None:
    """A threshold of 0.2 answers 1 for a probability of 0.3."""
    answers = ClassAnswers(np.array([[0.7, 0.3], [0.9, 0.1]]), np.array([1, 0]))
    found = classes.metrics(TARGET, ["1", "0"], answers)

    assert (1.0, {"0": 1.0, "1": 1.0}) == (found.accuracy, found.recall)
    assert found.log_loss == pytest.approx(-(np.log(0.3) + np.log(0.9)) / 2)
    assert found.as_dict()[classes.LOSS] == found.log_loss


def test_the_rules_compare_figures_and_test_them() -> None:
    """Three rules compare figures, one is a test."""
    rules = classes.rules(TARGET)

    assert (3, 1, "log-loss") == (len(rules.figures), len(rules.tests), rules.loss)
