"""Figures of the dashboard as plotly's JSON: data and layout, colours by the names of CSS variables.

Plotly draws them in the browser; its Python package, of which only the script is used, is not imported.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

Figure = dict[str, Any]


def accuracy(health: dict[str, Any], end: str) -> Figure:
    """Draw accuracy by labels with its interval, the estimate without them, and each promotion.

    Parameters
    ----------
    end
        Where the last piece of the window ends. It stays while time goes on, and so does the figure.
    """
    over_time, promotions = health["over_time"], health["promotions"]
    labelled = [piece for piece in over_time if piece["accuracy"]]
    estimated = [piece for piece in over_time if piece["estimated_accuracy"]]
    times = [piece["at"] for piece in labelled]
    found = [piece["accuracy"] for piece in labelled]
    edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False, "x": times}
    return {
        "data": [
            {**edge, "y": [item["high"] for item in found]},
            {
                **edge,
                "y": [item["low"] for item in found],
                "fill": "tonexty",
                "fillcolor": "--live-faint",
                "name": "95 % interval",
                "showlegend": True,
            },
            {
                "name": "accuracy by labels",
                "x": times,
                "y": [item["value"] for item in found],
                "mode": "lines+markers",
                "line": {"color": "--live", "width": 2},
                "marker": {"size": 5},
                "customdata": [[item["n"], item["low"], item["high"]] for item in found],
                "hovertemplate": "%{y:.1%} (%{customdata[1]:.1%} to %{customdata[2]:.1%},"
                " n = %{customdata[0]})",
            },
            {
                "name": "estimate without labels",
                "x": [piece["at"] for piece in estimated],
                "y": [piece["estimated_accuracy"]["value"] for piece in estimated],
                "mode": "lines+markers",
                "line": {"color": "--trained", "width": 2, "dash": "dot"},
                "marker": {"size": 3},
                "customdata": [[piece["estimated_accuracy"]["n"]] for piece in estimated],
                "hovertemplate": "%{y:.1%} (n = %{customdata[0]} sampled)",
            },
            _marks(promotions),
        ],
        "layout": {
            "height": 300,
            "hovermode": "x unified",
            "xaxis": {"type": "date", "range": [health["since"], end]},
            "yaxis": {"tickformat": ".0%", "range": [min(_lowest(found), 0.5) - 0.02, 1.02]},
            "shapes": [_line(entry["at"]) for entry in promotions],
        },
    }


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


def _lowest(found: list[dict[str, Any]]) -> float:
    return min((item["low"] for item in found), default=1.0)
