"""Figures as plotly's JSON: the right points, and colours by name."""

from __future__ import annotations

import json
from typing import Any

from prediction import plots


def piece(at: str, accuracy: float | None, estimate: float | None) -> dict[str, Any]:
    """Make one piece of a window."""

    def share(value: float | None) -> dict[str, Any] | None:
        return None if value is None else {"value": value, "low": value - 0.1, "high": value + 0.1, "n": 7}

    return {"at": at, "predictions": 9, "accuracy": share(accuracy), "estimated_accuracy": share(estimate)}


def test_accuracy_its_interval_its_estimate_and_promotions() -> None:
    """Pieces without labels are gaps of the one line and points of the other."""
    pieces = [piece("t1", 0.8, 0.9), piece("t2", None, 0.85), piece("t3", None, None)]
    promoted = [{"at": "t2", "from": "old", "to": "new"}]
    health = {"since": "t1", "until": "t3.2", "over_time": pieces, "promotions": promoted}
    figure = plots.accuracy(health, "t4")
    traces = {trace["name"]: trace for trace in figure["data"] if "name" in trace}

    assert (["t1"], [0.8]) == (traces["accuracy by labels"]["x"], traces["accuracy by labels"]["y"])
    assert [[7, 0.8 - 0.1, 0.8 + 0.1]] == traces["accuracy by labels"]["customdata"]
    assert ["t1", "t2"] == traces["estimate without labels"]["x"]
    assert (["t2"], ["new"]) == (traces["promotion"]["x"], traces["promotion"]["text"])
    assert ["t2"] == [shape["x0"] for shape in figure["layout"]["shapes"]]
    assert ["t1", "t4"] == figure["layout"]["xaxis"]["range"]
    json.dumps(figure)


def test_two_distributions_of_a_number() -> None:
    """Each bin at its middle, shares of both, the unit on the axis, and one line dashed."""
    histogram = {"bins": [0.0, 2.0, 4.0], "trained": [0.25, 0.75], "live": [1.0, 0.0]}
    figure = plots.distribution({"histogram": histogram, "unit": "cm"})

    assert [("training data", [1.0, 3.0], [0.25, 0.75]), ("this window", [1.0, 3.0], [1.0, 0.0])] == [
        (trace["name"], trace["x"], trace["y"]) for trace in figure["data"]
    ]
    assert " cm" == figure["layout"]["xaxis"]["ticksuffix"]
    assert ["--trained", "--live"] == [trace["line"]["color"] for trace in figure["data"]]
    assert ["4px,3px", "solid"] == [trace["line"]["dash"] for trace in figure["data"]]


def test_two_distributions_of_a_category() -> None:
    """Bars by name, those of one hatched."""
    histogram = {"bins": ["a", "b"], "trained": [0.5, 0.5], "live": [0.1, 0.9]}
    figure = plots.distribution({"histogram": histogram, "unit": ""})

    assert {"bar"} == {trace["type"] for trace in figure["data"]}
    assert ["a", "b"] == figure["data"][0]["x"]
    assert ["/", ""] == [trace["marker"]["pattern"]["shape"] for trace in figure["data"]]
    assert "" == figure["layout"]["xaxis"]["ticksuffix"]
