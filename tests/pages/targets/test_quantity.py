"""What pages show of a quantity: errors over time, predicted against true, residuals by feature, tables."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from models_store.catalog import planes
from models_store.spec import Spec, classes
from prediction.journal import feedback
from prediction.journal.database import Journal
from prediction.journal.feedback import Label
from prediction.journal.samples import LabelledNumber
from prediction.monitoring import health
from prediction.monitoring.targets import kinds
from prediction.pages import plots
from prediction.pages.targets import quantity
from tests import databases
from tests.databases import prediction, record
from tests.pages.test_dashboard import World
from tests.rents import SPEC

journal_url = databases.journal_url
journal = databases.journal
postgres = databases.postgres

OF_CLASSES = replace(SPEC, target=classes("cheap", "dear"), gate=None)
MEAN = {"value": 50.0, "low": 40.0, "high": 60.0, "n": 30}
ITEM = {
    "version": "v1",
    "predictions": 40,
    "outcomes": 30,
    "unit": "CHF",
    "mae": MEAN,
    "bias": MEAN | {"value": -1500.0},
    "r2": 0.5,
    "coverage": MEAN | {"value": 0.875},
    "estimated_mae": None,
    "against_estimate": {"state": "above estimate", "found": 50.0, "expected": 30.0, "n": 30}
    | {"p": 0.0001, "limit": 0.005},
    "against_level": None,
}


def at(hour: int) -> str:
    """Return a time of one day as the figures have it."""
    return f"2026-01-02T{hour:02}:00:00+00:00"


def test_errors_over_time_have_gaps_intervals_and_promotions() -> None:
    """The axis begins at 0."""
    pieces = [
        {"at": at(0), "mae": MEAN, "estimated_mae": MEAN | {"value": 45.0}},
        {"at": at(1), "mae": None, "estimated_mae": None},
        {"at": at(2), "mae": MEAN | {"n": 1, "value": 900.0}, "estimated_mae": None},
    ]
    health = {"since": at(0), "over_time": pieces, "promotions": [{"at": at(1)}], "versions": [ITEM]}
    figure = quantity.over_time(health, at(3))
    labelled, estimated, few = figure["data"]

    json.dumps(figure)
    assert ([50.0, None, None], [45.0, None, None]) == (labelled["y"], estimated["y"])
    assert ([None, None, 63.0], [900.0, 1]) == (few["y"], few["customdata"][2])
    assert ([10.0, None, None], [10.0, None, None]) == (
        labelled["error_y"]["array"],
        labelled["error_y"]["arrayminus"],
    )
    assert [0, 63.0] == figure["layout"]["yaxis"]["range"]
    assert [plots.line(at(1))] == figure["layout"]["shapes"]


def rows(count: int) -> list[LabelledNumber]:
    """Make labelled predictions that are 100 too low in one town."""
    rng = np.random.default_rng(0)
    return [
        LabelledNumber(
            {"area": float(rng.uniform(20, 200)), "rooms": None if number % 4 == 0 else 3.0, "town": town},
            1000.0,
            1000.0 + rng.normal(0, 20) + 100 * (town == "Bex"),
        )
        for number, town in enumerate(["Aarau", "Bex"] * count)
    ][:count]


def test_residuals_show_where_a_model_is_wrong() -> None:
    """By quartile of a number, by category, and for missing values."""
    shown = quantity.labelled(SPEC, lambda: rows(200))

    assert shown is not None
    json.dumps(shown)
    assert 200 == shown["rows"] == len(shown["figure"]["data"][0]["x"])
    groups = {(each["feature"], each["group"]): each for each in shown["residuals"]}
    assert {"area": 4, "rooms": 2, "town": 2} == {
        name: len([key for key in groups if key[0] == name]) for name in ("area", "rooms", "town")
    }
    assert {50} == {each["n"] for (name, _), each in groups.items() if name == "area"}
    assert groups["town", "Bex"]["is_biased"]
    assert not groups["town", "Aarau"]["is_biased"]
    assert ("rooms", "missing") in groups
    assert 90 < groups["town", "Bex"]["value"] < 110


def test_residuals_of_a_moment_are_those_of_its_parts() -> None:
    """Hours in four groups, and each weekday; a number has its unit, which pages leave out of names."""
    row = planes.SPEC.example
    found = [
        LabelledNumber(
            {**row, "departs_at": f"2013-07-{day:02}T{hour:02}:30:00-04:00"},
            340.0,
            320.0 + 40 * (hour > 12),
        )
        for day in range(1, 29)
        for hour in (6, 9, 15, 21)
    ]
    shown = quantity.labelled(planes.SPEC, lambda: found)

    assert shown is not None
    groups = {(each["feature"], each["group"]): each["value"] for each in shown["residuals"]}
    assert (-20.0, 20.0) == (groups["departs_at_hour", "6"], groups["departs_at_hour", "15"])
    assert 7 == len([group for name, group in groups if name == "departs_at_weekday"])
    assert {"°C"} == {each["unit"] for each in shown["residuals"] if each["feature"] == "temperature_c"}


def test_every_state_of_an_alarm_has_its_colour() -> None:
    """Also those of a quantity: an alarm must not look like a remark."""
    css = (Path(quantity.__file__).parents[1] / "templates" / "dashboard.css").read_text()

    for state in ("below estimate", "above estimate", "below level", "as estimated", "as stated"):
        assert f".pill.{state.replace(' ', '-')}" in css


def test_without_labels_nothing_is_drawn() -> None:
    """And groups of few rows are left out."""
    assert quantity.labelled(SPEC, list) is None
    few = quantity.labelled(SPEC, lambda: rows(6))
    assert few is not None
    assert not [each for each in few["residuals"] if each["feature"] == "town"]


def test_tables_say_what_the_figures_say() -> None:
    """In the unit, with the alarm."""
    health: dict[str, Any] = {"model": "rents", "window": "24h", "predictions": 40, "champion": "v1"}
    console = Console(width=120, record=True, file=None)
    with console.capture() as captured:
        for table in quantity.tables(health | {"versions": [ITEM]}):
            console.print(table)
        assert [] == list(quantity.tables_of("rents v1", ITEM))
    text = " ".join(captured.get().split())

    for words in (
        "30 of 40",
        "50 (40 to 60)",
        "-1,500",
        "87.5%",
        "0.500",
        "above estimate",
        "error in CHF",
    ):
        assert words in text
    assert "50" == quantity.metric({"mae": 50.0})
    assert "-" == quantity.metric({"accuracy": 0.5})


@pytest.mark.parametrize("now", [SPEC, OF_CLASSES], ids=["number", "class"])
def test_a_target_may_change_its_kind(journal: Journal, tmp_path: Path, now: Spec) -> None:
    """Predictions and labels of the other kind stay in the journal; the page shows them."""
    made = prediction(0, model="rents", features='{"area":80.0,"rooms":3.0,"town":"Bex"}')
    of_class = made._replace(predicted_class="dear", probabilities='{"cheap":0.1,"dear":0.9}')
    of_number = prediction(1, model="rents", features=made.features)._replace(
        predicted_class="", probabilities="{}", value=1500.0, low=1400.0, high=1600.0
    )
    first, second = record(journal, [of_class, of_number])
    measure = kinds.of(now.target).measure(now, tmp_path)
    given = [Label(first, "dear"), Label(second, "1500.0", value=1500.0)]
    assert ["recorded"] * 2 == feedback.give(journal, "rents", given, measure)

    answer = World({"rents": now}, tmp_path, journal).get("/dashboard?model=rents&window=1h", None)
    figures = health.describe(now, tmp_path, journal, health.window("1h"))
    assert 200 == answer.status_code
    assert "dear" in answer.text
    assert 2 == figures["outcomes"]
    json.dumps(figures, allow_nan=False)
