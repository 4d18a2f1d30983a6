"""Classes on pages: accuracy over time, with its estimate and promotions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from prediction.pages.targets import classes


def piece(at: str, accuracy: float | None, estimate: float | None, n: int = 70) -> dict[str, Any]:
    """Make one piece of a window."""

    def share(value: float | None) -> dict[str, Any] | None:
        return None if value is None else {"value": value, "low": value - 0.1, "high": value + 0.1, "n": n}

    return {"at": at, "predictions": 9, "accuracy": share(accuracy), "estimated_accuracy": share(estimate)}


def at(hour: int, minute: int = 0) -> str:
    """Return a time of one day as the figures have it."""
    return f"2026-01-02T{hour:02}:{minute:02}:00+00:00"


def drawn(pieces: list[dict[str, Any]], *promotions: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Draw hours from midnight on; return the figure, and its traces by name."""
    promoted = [{"at": each, "from": "old", "to": "new"} for each in promotions]
    health = {"since": at(0), "over_time": pieces, "promotions": promoted}
    figure = classes.over_time(health, at(len(pieces)))
    json.dumps(figure)
    traces = {trace["name"].partition(", its")[0]: trace for trace in figure["data"]}
    assert len(traces) == len(figure["data"])
    return figure, traces


def test_accuracy_its_estimate_and_promotions() -> None:
    """A piece is a point in its middle; what it has no figure of is a gap that no line runs over."""
    pieces = [piece(at(0), 0.75, 0.9), piece(at(1), None, 0.85), piece(at(2), 0.5, None)]
    figure, traces = drawn(pieces, at(1, 10))
    labelled, estimated = traces["accuracy by labels"], traces["estimate without labels"]

    assert [at(0, 30), at(1, 30), at(2, 30)] == labelled["x"] == estimated["x"]
    assert ([0.75, None, 0.5], [0.9, 0.85, None]) == (labelled["y"], estimated["y"])
    assert [False, False] == [labelled["connectgaps"], estimated["connectgaps"]]
    assert [[70, 0.65, 0.85], None, [70, 0.4, 0.6]] == labelled["customdata"]
    assert ([at(1, 10)], ["new"]) == (traces["promotion"]["x"], traces["promotion"]["text"])
    assert [at(1, 10)] == [shape["x0"] for shape in figure["layout"]["shapes"]]
    assert [at(0), at(3)] == figure["layout"]["xaxis"]["range"]


def test_an_interval_is_seen_at_a_single_point() -> None:
    """It is a bar at the point, for which a neighbour is not needed."""
    _, traces = drawn([piece(at(0), 0.75, None), piece(at(1), None, None)])
    bars = traces["accuracy by labels"]["error_y"]

    assert [0.1, None] == [pytest.approx(bars["array"][0]), bars["array"][1]]
    assert [0.1, None] == [pytest.approx(bars["arrayminus"][0]), bars["arrayminus"][1]]
    assert not bars["symmetric"]


@pytest.mark.parametrize(("accuracy", "estimate", "lowest"), [(0.3, 0.9, 0.2), (0.9, 0.4, 0.4)])
def test_nothing_is_drawn_below_the_figure(accuracy: float, estimate: float, lowest: float) -> None:
    """Neither an interval nor an estimate."""
    figure, _ = drawn([piece(at(0), accuracy, estimate)])

    assert lowest - 0.02 == pytest.approx(figure["layout"]["yaxis"]["range"][0])


def test_points_of_few_rows_are_faded_and_never_stretch_the_axis() -> None:
    """They are in no line; one that lies lower is an arrow at the end of the axis, with its value."""
    pieces = [piece(at(0), 0.9, 0.8), piece(at(1), 0.1, 0.7, n=19), piece(at(2), 0.8, 0.8, n=20)]
    figure, traces = drawn(pieces)
    few = traces["accuracy by labels, fewer than 20 rows"]

    assert [0.48, 1.02] == figure["layout"]["yaxis"]["range"]
    assert [0.9, None, 0.8] == traces["accuracy by labels"]["y"]
    assert [0.8, None, 0.8] == traces["estimate without labels"]["y"]
    assert [None, 0.7, None] == traces["estimate without labels, fewer than 20 rows"]["y"]
    assert ([None, 0.48, None], "markers") == (few["y"], few["mode"])
    assert few["opacity"] < 0.5
    assert ([None, "triangle-down", None], 0.1) == (few["marker"]["symbol"], few["customdata"][1][0])
