"""The figures of a quantity: from labels in a real journal, exact, and with alarms that are right."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from models_store import store
from models_store.errors import UnknownVersion
from prediction.journal import feedback, rollups, samples
from prediction.journal.database import Journal
from prediction.journal.feedback import A_NUMBER, Label
from prediction.journal.predictions import Prediction
from prediction.monitoring import gauges, health
from prediction.monitoring.targets import quantity
from prediction.retraining import training
from prediction.serving import adaptation, predictor
from prediction.serving.predictor import Predictor
from prediction.times import MINUTE_US, now_us
from tests import databases, rents
from tests.databases import record
from tests.rents import SPEC

journal_url = databases.journal_url
journal = databases.journal
postgres = databases.postgres

TARGET: Any = SPEC.target


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """Train a version of rents, and load it."""
    home = tmp_path_factory.mktemp("home")
    (home / "models").mkdir()
    version = training.save(training.train(SPEC, 0), home)
    return predictor.load(SPEC, version, version.digest)


def home_of(served: Predictor) -> Path:
    """Return the home that a version is in."""
    return served.version.path.parents[2]


def predict(journal: Journal, served: Predictor, rows: int, dearer: float = 1.0) -> list[Any]:
    """Record predictions of flats, one a minute, and return them with their labels, not yet given."""
    X, y = rents.draw(rows, 5, dearer)
    valid = [
        SPEC.rows.object({name: None if value != value else value for name, value in row.items()})
        for row in X.to_dict("records")
    ]
    made = [
        item._replace(at_us=now_us() - number * MINUTE_US)
        for number, item in enumerate(served.predict(valid))
    ]
    record(journal, made)
    return [
        (item, Label(str(item.prediction_id), text, value=float(text)))
        for item, text in zip(made, TARGET.read(y), strict=True)
    ]


def give(journal: Journal, served: Predictor, labels: list[Label]) -> None:
    """Give labels."""
    measure = quantity.measure(SPEC, home_of(served))
    assert all(isinstance(each, str) for each in feedback.give(journal, "rents", labels, measure))


def described(journal: Journal, served: Predictor, window: str = "24h") -> dict[str, Any]:
    """Return the figures of the version."""
    (found,) = health.describe(SPEC, home_of(served), journal, health.window(window))["versions"]
    return dict(found)


def test_figures_are_those_of_the_rows(journal: Journal, served: Predictor) -> None:
    """By hour and by minute; a corrected label counts once."""
    given = predict(journal, served, 120)
    first = given[0][1]
    give(
        journal, served, [first._replace(label="5999.0", value=5999.0), *(label for _, label in given[1:])]
    )
    give(journal, served, [first._replace(correct=True)])
    errors = np.array([label.value - item.value for item, label in given])
    covered = np.mean([item.low <= label.value <= item.high for item, label in given])

    for window in ("24h", "4h"):
        found = described(journal, served, window)
        assert (120, 120, 0) == tuple(
            found[name] for name in ("predictions", "outcomes", "labels_outstanding")
        )
        assert found["mae"]["value"] == pytest.approx(np.abs(errors).mean(), rel=1e-6)
        assert found["bias"]["value"] == pytest.approx(errors.mean(), rel=1e-5, abs=1e-4)
        assert found["rmse"] == pytest.approx(np.sqrt((errors**2).mean()), rel=1e-6)
        assert found["coverage"]["value"] == pytest.approx(covered)
        assert ("as estimated", "as stated") == (
            found["against_estimate"]["state"],
            found["against_level"]["state"],
        )
        assert "stable" == found["drift"][-1]["state"], found["drift"][-1]
    counted = rollups.counts(journal, "rents", 0, now_us(), 60 * MINUTE_US)
    assert {A_NUMBER} == {count.label for count in counted}


def test_dearer_flats_raise_both_alarms(journal: Journal, served: Predictor) -> None:
    """The features are the same, so the estimate without labels does not see it: the labels do."""
    given = predict(journal, served, 150, dearer=1.25)
    give(journal, served, [label for _, label in given])
    found = described(journal, served)

    assert ("above estimate", "below level") == (
        found["against_estimate"]["state"],
        found["against_level"]["state"],
    )
    assert found["estimated_mae"]["high"] < found["mae"]["low"]
    assert found["bias"]["low"] > 0
    read = dict(quantity.gauges(found))
    assert (True, True) == (
        read["prediction_error_above_estimate"],
        read["prediction_coverage_below_level"],
    )
    assert set(read) <= set(gauges.GAUGES)


def test_without_labels_there_is_an_estimate(journal: Journal, served: Predictor) -> None:
    """Of the error, by the features; over time too."""
    predict(journal, served, 100)
    found = described(journal, served, "2h")
    pieces = health.describe(SPEC, home_of(served), journal, health.window("2h"))["over_time"]

    assert found["mae"] is None
    assert 30 < found["estimated_mae"]["value"] < 90
    assert {
        "prediction_estimated_mean_absolute_error": found["estimated_mae"]["value"],
        "prediction_interval_adapted_ratio": 1.0,
    } == dict(quantity.gauges(found))
    assert 100 == sum(piece["estimated_mae"]["n"] for piece in pieces if piece["estimated_mae"])


def test_the_journal_holds_numbers_beside_texts(journal: Journal, served: Predictor) -> None:
    """And the newest labelled predictions can be drawn."""
    given = predict(journal, served, 20)
    give(journal, served, [label for _, label in given])
    drawn = samples.newest(journal, "rents", served.version.version, 0)

    assert {label.value for _, label in given} == {row.label for row in drawn}
    assert {item.value for item, _ in given} == {row.value for row in drawn}
    (chunk,) = feedback.outcomes(journal, "rents")
    stored: list[Prediction] = [outcome.prediction for outcome in chunk]
    assert [item for item, _ in given] == stored
    sample = samples.draw(journal, "rents", 0, now_us() + 1, rows=20)
    assert all(math.isnan(row.confidence) for row in sample)
    assert {item.high for item, _ in given} == {row.high for row in sample}


def test_labels_make_intervals_wider(journal: Journal, served: Predictor) -> None:
    """The journal keeps by how much: the expected errors stay, and what labels add to their sums."""
    given = predict(journal, served, 150, dearer=1.25)
    give(journal, served, [label for _, label in given])
    shown = described(journal, served)
    width = adaptation.width(journal, SPEC, served.version.version)
    narrow: Any = given[0][0]
    served.width = width
    (wide,) = [item._asdict() for item in served.predict([SPEC.rows.object(narrow.read_features())])]
    columns = SPEC.columns_of(rents.draw(3, 5)[0])
    wider, calibrated = served.answers(columns), served.score(columns)
    served.width = 1.0

    assert 1 < width <= 2
    assert (1.0, "{}") == (shown["adapted"], narrow.probabilities)
    assert {"adapted": width} == json.loads(wide["probabilities"])
    assert wide["high"] - wide["low"] == pytest.approx(width * (narrow.high - narrow.low))
    np.testing.assert_allclose(wider.high - wider.low, width * (calibrated.high - calibrated.low))
    record(journal, [Prediction(**wide | {"at_us": now_us()})])
    found = described(journal, served)
    assert 1 + (width - 1) / 151 == pytest.approx(found["adapted"])
    assert shown["estimated_mae"]["value"] == pytest.approx(found["estimated_mae"]["value"], rel=0.05)


def test_labels_add_the_calibrated_width_to_the_sums(served: Predictor) -> None:
    """So that what is expected of errors does not depend on the labels before."""
    measure = quantity.measure(SPEC, home_of(served))
    narrow = SimpleNamespace(probabilities="{}", value=900.0, low=800.0, high=1000.0)
    wide = SimpleNamespace(probabilities='{"adapted": 1.25}', value=900.0, low=775.0, high=1025.0)
    found = [dict(measure(row, "1020.0")) for row in (narrow, wide)]

    assert [0, 1] == [sums.pop("covered") for sums in found]
    assert found[0] == found[1]
    assert 1 == found[0]["held from/3"]


def test_a_version_that_is_gone_has_labels_but_no_estimate(
    journal: Journal, served: Predictor, tmp_path: Path
) -> None:
    """The sums need no version."""
    given = predict(journal, served, 30)
    give(journal, served, [label for _, label in given])
    (found,) = health.describe(SPEC, tmp_path, journal, health.window("24h"))["versions"]

    assert 30 == found["mae"]["n"]
    assert (None, None, None) == (
        found["estimated_mae"],
        found["against_estimate"],
        found["against_level"],
    )
    assert quantity.learned(SPEC, tmp_path, served.version.version) is None
    with pytest.raises(UnknownVersion):
        store.get(tmp_path, "rents", served.version.version)


def test_a_prediction_of_another_kind_is_not_measured(served: Predictor) -> None:
    """A model may have had classes before."""
    measured = quantity.measure(SPEC, home_of(served))
    older = Prediction("", 0, "rents", "v", "{}", "dear", '{"dear":1.0}')

    assert {} == measured(older, "700.0")
    assert {} == measured(older._replace(value=700.0, low=1.0, high=2.0), "dear")
    row = SimpleNamespace(probabilities="{}", value=700.0, low=1.0, high=900.0)
    assert 1 == measured(row, "700.0")["covered"]


def test_the_range_of_the_spec_may_change(journal: Journal, served: Predictor) -> None:
    """Sums of both ranges are added."""
    given = predict(journal, served, 40)
    give(journal, served, [label for _, label in given[:20]])
    wider = replace(SPEC, target=replace(TARGET, high=100_000))
    measure = quantity.measure(wider, home_of(served))
    feedback.give(journal, "rents", [label for _, label in given[20:]], measure)
    errors = [abs(label.value - item.value) for item, label in given]

    assert described(journal, served)["mae"]["value"] == pytest.approx(np.mean(errors), rel=1e-5)
