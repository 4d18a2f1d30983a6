"""Calibrations of versions, and what labelled predictions add to the journal's sums by them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from models_store import store
from models_store.errors import UnknownVersion
from prediction.figures import calibration
from prediction.monitoring.targets import calibrations


def test_a_trained_version_has_a_calibration(trained_home: Path) -> None:
    """It rests on the training rows and the holdout."""
    version = store.newest(trained_home, "iris").version
    curve = calibrations.of(trained_home, "iris", version)

    assert ("platt", 150) == (curve.method, curve.rows)
    assert 0.9 < curve.at(0.9)[0] < 1


def test_a_labelled_prediction_adds_its_probability(trained_home: Path) -> None:
    """In whole quanta: many of them add up to what the calibration expects."""
    version = store.newest(trained_home, "iris").version
    measure = calibrations.measure(trained_home, "iris")
    curve = calibrations.of(trained_home, "iris", version)
    text = json.dumps({"setosa": 0.8, "versicolor": 0.2})
    row = SimpleNamespace(version=version, predicted_class="setosa", probabilities=text)
    added = {name: 1_000 * value for name, value in measure(row, "virginica").items()}
    found = calibrations.expected(added)
    p, low, _ = curve.at(0.8)

    assert {int} == {type(value) for value in added.values()}
    assert (1_000, 1_000 * p, 1_000 * low, 1_000 * p * (1 - p)) == pytest.approx(
        (found.rows, found.p, found.low, found.variance), abs=1e-5
    )


def test_a_version_that_is_not_here_adds_nothing(trained_home: Path) -> None:
    """Another host has it, or it was deleted."""
    row = SimpleNamespace(version="gone", predicted_class="setosa", probabilities='{"setosa": 1}')

    assert {} == calibrations.measure(trained_home, "iris")(row, "setosa")
    with pytest.raises(UnknownVersion):
        calibrations.of(trained_home, "iris", "gone")


def test_no_sums_expect_nothing() -> None:
    """There is no row."""
    assert 0 == calibrations.expected({}).rows
    assert "none" == calibration.NONE.method
