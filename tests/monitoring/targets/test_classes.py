"""The figures of classes, from counts and a sample; `test_health.py` compares them with a journal."""

from __future__ import annotations

import pytest

from models_store.spec import Cost
from models_store.targets.classes import classes as declare
from prediction.journal.rollups import Count
from prediction.journal.samples import Sampled
from prediction.monitoring.targets import classes
from prediction.monitoring.targets.classes import ClassesLearned

TARGET = declare(False, True)
COUNTED = [
    Count("made", 0, "v", "true", "", 3),
    Count("made", 0, "v", "true", "true", 4),
    Count("made", 10, "v", "false", "true", 1),
]
SAMPLE = [Sampled(12, "v", "true", 0.75, {}, [])]


def test_counts_become_figures() -> None:
    """Four of five labels are right; every class is counted, labelled or not."""
    found = classes.figures(TARGET, COUNTED, [], SAMPLE, ClassesLearned())

    assert {"false": 1, "true": 7} == {name: each["predictions"] for name, each in found["classes"].items()}
    assert (0.8, 5) == (found["accuracy"]["value"], found["accuracy"]["n"])
    assert {"false": {"false": 0, "true": 1}, "true": {"false": 0, "true": 4}} == found["confusion"]
    assert 0.75 == pytest.approx(found["confidence"])


def test_a_bucket_has_its_own_figures() -> None:
    """A label counts at the time of its prediction, and a bucket without rows has none."""
    of_bucket = classes.over_time(10, COUNTED, [], SAMPLE, {})

    assert [1.0, 0.0] == [of_bucket(at)["accuracy"]["value"] for at in (0, 10)]
    assert {"accuracy": None, "estimated_accuracy": None} == of_bucket(20)
    assert of_bucket(0)["estimated_accuracy"] is None
    assert 0.75 == pytest.approx(of_bucket(10)["estimated_accuracy"]["value"])


def test_gauges_are_those_with_a_value() -> None:
    """Without labels there is no accuracy."""
    unlabelled = classes.figures(TARGET, COUNTED[:1], [], SAMPLE, ClassesLearned())
    labelled = classes.figures(TARGET, COUNTED, [], SAMPLE, ClassesLearned())

    without = {"prediction_estimated_accuracy_ratio", "prediction_labels_selective"}
    assert without == {name for name, _ in classes.gauges(unlabelled)}
    assert {"prediction_accuracy_ratio": 0.8}.items() <= dict(classes.gauges(labelled)).items()


POSITIVE = declare(False, True, positive=True, cost=Cost(false_alarm=1, miss=9))
TRAINED = {"true": {"true": 80, "false": 20}, "false": {"true": 20, "false": 880}}
"""Precision and recall 0.8, one alarm in ten rows, and 0.2 a row."""


def window(hits: int, false_alarms: int, misses: int, rest: int, unlabelled: int = 0) -> list[Count]:
    """Return the counts of a window."""
    alerts = [("true", "true", hits), ("true", "false", false_alarms)]
    others = [("false", "true", misses), ("false", "false", rest), ("false", "", unlabelled)]
    return [Count("made", 0, "v", *each) for each in alerts + others]


@pytest.mark.parametrize(
    ("counted", "alarms"),
    [
        (window(80, 20, 20, 880), set()),
        (window(70, 30, 25, 875), set()),
        (window(8, 2, 3, 87), set()),
        (window(50, 50, 15, 885), {"precision_below_training"}),
        (window(40, 10, 60, 890), {"recall_below_training", "cost_above_training", "alert_rate"}),
        (window(80, 320, 20, 580), {"precision_below_training", "cost_above_training", "alert_rate"}),
        (window(80, 20, 0, 0, 900), set()),  # only alerts get labels
    ],
)
def test_the_positive_class_is_compared_with_the_training(counted: list[Count], alarms: set[str]) -> None:
    """A difference that is large, and that chance does not explain, is an alarm of its own gauge."""
    found = classes.figures(POSITIVE, counted, [], [], ClassesLearned(confusion=TRAINED))
    given = dict(classes.gauges(found))
    names = {"alert_rate": "alert_rate_unlike_training"}

    assert {f"prediction_{names.get(name, name)}" for name in alarms} == {
        name for name, value in given.items() if name.endswith("_training") and value
    }
    assert {"value": 0.8, "n": 100}.items() <= found["positive"]["trained"]["recall"].items()
    assert found["cost"]["trained"]["value"] == pytest.approx(0.2)


def test_labels_of_alerts_only_do_not_judge_recall_and_cost() -> None:
    """They are biased then; precision and alert rate are not."""
    found = classes.figures(POSITIVE, window(80, 20, 0, 0, 900), [], [], ClassesLearned(confusion=TRAINED))
    given = dict(classes.gauges(found))

    assert 1 == given["prediction_labels_selective"]
    assert "labels are selective" == found["positive"]["states"]["recall"] == found["cost"]["state"]
    assert {"prediction_precision_below_training", "prediction_alert_rate_unlike_training"} == {
        name for name in given if name.endswith("_training")
    }
    values = [given[f"prediction_{name}"] for name in ("precision_ratio", "recall_ratio", "alert_ratio")]
    assert [0.8, 1.0, 0.1] == values


def test_a_version_of_an_earlier_release_has_nothing_to_compare_with() -> None:
    """Its profile counts no labels: figures are shown, and nothing is judged."""
    found = classes.figures(POSITIVE, window(80, 20, 20, 880), [], [], ClassesLearned())

    assert found["positive"]["trained"] is None
    assert found["positive"]["states"] is None
    assert (None, None) == (found["cost"]["trained"], found["cost"]["state"])
    assert not [name for name, _ in classes.gauges(found) if name.endswith("_training")]
    assert 0.2 == pytest.approx(dict(classes.gauges(found))["prediction_cost_per_row"])
