"""The figures of classes, from counts and a sample; `test_health.py` compares them with a journal."""

from __future__ import annotations

import pytest

from models_store.targets.classes import classes as declare
from prediction.figures import calibration
from prediction.journal.rollups import Count
from prediction.journal.samples import Sampled
from prediction.monitoring.targets import classes

TARGET = declare(False, True)
COUNTED = [
    Count("made", 0, "v", "true", "", 3),
    Count("made", 0, "v", "true", "true", 4),
    Count("made", 10, "v", "false", "true", 1),
]
SAMPLE = [Sampled(12, "v", "true", 0.75, {}, [])]


def test_counts_become_figures() -> None:
    """Four of five labels are right; every class is counted, labelled or not."""
    found = classes.figures(TARGET, COUNTED, [], SAMPLE, calibration.NONE)

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
    unlabelled = classes.figures(TARGET, COUNTED[:1], [], SAMPLE, calibration.NONE)
    labelled = classes.figures(TARGET, COUNTED, [], SAMPLE, calibration.NONE)

    assert ["prediction_estimated_accuracy_ratio"] == [name for name, _ in classes.gauges(unlabelled)]
    assert {"prediction_accuracy_ratio": 0.8}.items() <= dict(classes.gauges(labelled)).items()
