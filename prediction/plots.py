"""Figures of the dashboard as plotly's JSON: data and layout, colours by the names of CSS variables.

Plotly draws them in the browser; its Python package, of which only the script is used, is not imported.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from typing import Any

Figure = dict[str, Any]
Proportion = dict[str, Any] | None
"""A share with its interval and n, as JSON has it; None for no rows."""


def accuracy(health: dict[str, Any], end: str) -> Figure:
    """Draw accuracy by labels with its interval, the estimate without them, and each promotion.

    A piece of time is a point in its middle, and a gap of the line where it has no figure.

    Parameters
    ----------
    end
        Where the last piece of the window ends. It stays while time goes on, and so does the figure.
    """
    over_time, promotions = health["over_time"], health["promotions"]
    found = [piece["accuracy"] for piece in over_time]
    estimated = [piece["estimated_accuracy"] for piece in over_time]
    middles = _middles([*(piece["at"] for piece in over_time), end])
    return {
        "data": [
            {**_labelled(found), "x": middles},
            {**_estimated(estimated), "x": middles},
            _marks(promotions),
        ],
        "layout": {
            "height": 300,
            "hovermode": "x unified",
            "xaxis": {"type": "date", "range": [health["since"], end]},
            "yaxis": {"tickformat": ".0%", "range": [_lowest(found, estimated) - 0.02, 1.02]},
            "shapes": [_line(entry["at"]) for entry in promotions],
        },
    }


def _middles(edges: list[str]) -> list[str]:
    times = [datetime.fromisoformat(edge) for edge in edges]
    return [(start + (end - start) / 2).isoformat() for start, end in pairwise(times)]


def _labelled(found: list[Proportion]) -> Figure:
    """Draw intervals as bars: a band between two lines would need two points in a row to be seen."""
    return {
        "name": "accuracy by labels, its 95 % interval",
        "y": _each(found, lambda item: item["value"]),
        "mode": "lines+markers",
        "connectgaps": False,
        "line": {"color": "--live", "width": 2},
        "marker": {"size": 6},
        "error_y": {
            "array": _each(found, lambda item: item["high"] - item["value"]),
            "arrayminus": _each(found, lambda item: item["value"] - item["low"]),
            "symmetric": False,
            "color": "--live",
            "thickness": 1,
            "width": 3,
        },
        "customdata": _each(found, lambda item: [item["n"], item["low"], item["high"]]),
        "hovertemplate": "%{y:.1%} (%{customdata[1]:.1%} to %{customdata[2]:.1%}, n = %{customdata[0]})",
    }


def _estimated(found: list[Proportion]) -> Figure:
    return {
        "name": "estimate without labels",
        "y": _each(found, lambda item: item["value"]),
        "mode": "lines+markers",
        "connectgaps": False,
        "line": {"color": "--trained", "width": 2, "dash": "dot"},
        "marker": {"size": 3},
        "customdata": _each(found, lambda item: [item["n"]]),
        "hovertemplate": "%{y:.1%} (n = %{customdata[0]} sampled)",
    }


def _each(found: list[Proportion], pick: Callable[[dict[str, Any]], Any]) -> list[Any]:
    return [pick(item) if item else None for item in found]


def _marks(promotions: list[dict[str, Any]]) -> Figure:
    return {
        "name": "promotion",
        "x": [entry["at"] for entry in promotions],
        "y": [1.0 for _ in promotions],
        "mode": "markers",
        "marker": {"symbol": "triangle-down", "size": 9, "color": "--accent"},
        "text": [entry["to"] for entry in promotions],
        "hovertemplate": "%{text}",
    }


def _line(at: str) -> Figure:
    over_all = {"yref": "paper", "y0": 0, "y1": 1}
    line = {"color": "--accent", "dash": "dash", "width": 1}
    return {"type": "line", "x0": at, "x1": at, "line": line, **over_all}


def distribution(item: dict[str, Any]) -> Figure:
    """Lay the distributions of one feature in training and live data over each other.

    Training data is dashed or hatched, so that nobody needs to tell colours apart.
    """
    histogram = item["histogram"]
    bins, trained, live = histogram["bins"], histogram["trained"], histogram["live"]
    is_number = len(bins) == len(trained) + 1
    if is_number:
        x: list[Any] = [(low + high) / 2 for low, high in pairwise(bins)]
        series: list[dict[str, Any]] = [
            {
                "type": "scatter",
                "mode": "lines",
                "line": {"shape": "hvh", "width": 1.5, "color": f"--{name}", "dash": dash},
                "fill": "tozeroy",
                "fillcolor": f"--{name}-faint",
            }
            for name, dash in (("trained", "4px,3px"), ("live", "solid"))
        ]
    else:
        x = bins
        series = [
            {
                "type": "bar",
                "marker": {
                    "color": f"--{name}",
                    "line": {"color": f"--{name}", "width": 1},
                    "pattern": {"shape": shape, "size": 5},
                },
            }
            for name, shape in (("trained", "/"), ("live", ""))
        ]
    for trace, name, shares in zip(series, ("training data", "this window"), (trained, live), strict=True):
        trace |= {"x": x, "y": shares, "name": name, "hovertemplate": "%{y:.1%}"}
    return {
        "data": series,
        "layout": {
            "height": 150,
            "showlegend": False,
            "hovermode": "x unified",
            "barmode": "group",
            "xaxis": {"ticksuffix": f" {item['unit']}" if is_number and item["unit"] else ""},
            "yaxis": {"tickformat": ".0%", "rangemode": "tozero", "nticks": 4},
        },
    }


def _lowest(found: list[Proportion], estimated: list[Proportion]) -> float:
    lows: list[float] = [item["low"] for item in found if item]
    values: list[float] = [item["value"] for item in estimated if item]
    return min([0.5, *lows, *values])
