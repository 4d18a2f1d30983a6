"""Figures as plotly's JSON: the right points, and colours by name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from prediction.pages import plots

BEYOND_NOTHING = {"below": 0.0, "above": 0.0}


def test_two_distributions_of_a_number() -> None:
    """Each bin at its middle, shares of both, the unit on the axis, and one line dashed."""
    histogram = {"bins": [0.0, 2.0, 4.0], "trained": [0.25, 0.75], "live": [1.0, 0.0]}
    figure = plots.distribution({"histogram": histogram | BEYOND_NOTHING, "unit": "cm"})

    assert [("training data", [1.0, 3.0], [0.25, 0.75]), ("this window", [1.0, 3.0], [1.0, 0.0])] == [
        (trace["name"], trace["x"], trace["y"]) for trace in figure["data"]
    ]
    assert " cm" == figure["layout"]["xaxis"]["ticksuffix"]
    assert ["--trained", "--live"] == [trace["line"]["color"] for trace in figure["data"]]
    assert ["4px,3px", "solid"] == [trace["line"]["dash"] for trace in figure["data"]]


@pytest.mark.parametrize(
    ("beyond", "bars", "ticks"),
    [
        ({"above": 0.01}, [(8.0, 0.01)], {0.0: "0 cm", 8.0: "above<br>4 cm"}),
        ({"below": 0.2}, [(-4.0, 0.2)], {-4.0: "below<br>0 cm", 4.0: "4 cm"}),
        (
            {"below": 0.2, "above": 0.1},
            [(-4.0, 0.2), (8.0, 0.1)],
            {-4.0: "below<br>0 cm", 8.0: "above<br>4 cm"},
        ),
    ],
    ids=["above", "below", "both"],
)
def test_what_lies_beyond_the_training_data_is_a_bar_at_its_side(
    beyond: dict[str, float], bars: list[tuple[float, float]], ticks: dict[float, str]
) -> None:
    """Apart from the bins, under words in the place of a number, however far away it is."""
    histogram = {"bins": [0.0, 2.0, 4.0], "trained": [0.25, 0.75], "live": [0.5, 0.2]}
    figure = plots.distribution({"histogram": histogram | BEYOND_NOTHING | beyond, "unit": "cm"})
    drawn, axis = figure["data"][2], figure["layout"]["xaxis"]

    assert ("bar", bars) == (drawn["type"], list(zip(drawn["x"], drawn["y"], strict=True)))
    assert ticks == dict(zip(axis["tickvals"], axis["ticktext"], strict=True))


def test_two_distributions_of_a_category() -> None:
    """Bars by name, those of one hatched."""
    histogram = {"bins": ["a", "b"], "trained": [0.5, 0.5], "live": [0.1, 0.9]}
    figure = plots.distribution({"histogram": histogram | BEYOND_NOTHING, "unit": ""})

    assert {"bar"} == {trace["type"] for trace in figure["data"]}
    assert ["a", "b"] == figure["data"][0]["x"]
    assert ["/", ""] == [trace["marker"]["pattern"]["shape"] for trace in figure["data"]]
    assert {"type": "category"} == figure["layout"]["xaxis"]


def test_a_feature_with_two_hundred_categories_has_few_bars() -> None:
    """The largest of either side keep their names and their order; the others are one bar."""
    names = [f"city {number} with a name that is rather long" for number in range(200)]
    trained = [0.2] + [0.8 / 199] * 199
    live = [0.0] * 199 + [1.0]
    histogram = {"bins": names, "trained": trained, "live": live}
    (old, new) = plots.distribution({"histogram": histogram, "unit": ""})["data"]

    assert 17 == len(old["x"]) == len(set(old["x"]))
    assert ("184 others", names[0][:24]) == (old["x"][-1], old["x"][0])
    assert (pytest.approx(1), pytest.approx(1)) == (sum(old["y"]), sum(new["y"]))
    assert 1.0 in new["y"]


def test_long_names_that_begin_alike_are_two_bars() -> None:
    """Plotly makes one bar of equal names; the ends tell them apart, or else the whole names do."""
    names = [f"Department of category number {number}" for number in ("001", "002")]
    alike = [f"{'x' * 30}{letter}{'y' * 30}" for letter in "ab"]
    bins = ["short", *names, *alike]
    histogram = {"bins": bins, "trained": [0.2] * 5, "live": [0.2] * 5}
    (old, _) = plots.distribution({"histogram": histogram, "unit": ""})["data"]

    assert ["short", "Department o…y number 001", "Department o…y number 002", *alike] == old["x"]


@pytest.mark.parametrize("beyond", [{"below": 0.0, "above": 0.0}, {"below": 0.0, "above": 0.5}])
def test_a_long_unit_is_the_title_of_its_axis(beyond: dict[str, float]) -> None:
    """Behind each number it would hide the other numbers."""
    histogram = {"bins": [0.0, 1.0, 2.0], "trained": [0.5, 0.5], "live": [0.5, 0.0], **beyond}

    def axis(unit: str) -> dict[str, Any]:
        return dict(plots.distribution({"histogram": histogram, "unit": unit})["layout"]["xaxis"])

    assert "title" not in axis("mg/l")
    assert " mg/l" in json.dumps(axis("mg/l"))
    assert "micrograms per litre" == axis("micrograms per litre")["title"]["text"]
    assert 1 == json.dumps(axis("micrograms per litre")).count("micrograms")


def test_the_hours_of_a_day_are_all_drawn_in_their_order() -> None:
    """They are names, not numbers."""
    names = [str(hour) for hour in range(24)]
    histogram = {"bins": names, "trained": [1 / 24] * 24, "live": [1 / 24] * 24}
    figure = plots.distribution({"histogram": histogram, "unit": ""})

    assert names == figure["data"][0]["x"]
    assert "category" == figure["layout"]["xaxis"]["type"]
