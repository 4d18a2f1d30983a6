"""Figures of the dashboard as plotly's JSON: data and layout, colours by the names of CSS variables.

Plotly draws them in the browser; its Python package, of which only the script is used, is not imported.
"""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

FEW = 20
"""A point of fewer rows is faded, and does not stretch the axis: chance can put it anywhere."""

MAX_BARS = 16
HOURS = 24
MAX_LETTERS = 24
LONG_UNIT = 8
LONG_TITLE = 36
"""Of the name of a bar."""

Figure = dict[str, Any]


def middles(edges: list[str]) -> list[str]:
    """Return the time in the middle of each two edges."""
    times = [datetime.fromisoformat(edge) for edge in edges]
    return [(start + (end - start) / 2).isoformat() for start, end in pairwise(times)]


def line(at: str) -> Figure:
    """Draw a vertical line at a time."""
    over_all = {"yref": "paper", "y0": 0, "y1": 1}
    line = {"color": "--accent", "dash": "dash", "width": 1}
    return {"type": "line", "x0": at, "x1": at, "line": line, **over_all}


def distribution(item: dict[str, Any]) -> Figure:
    """Draw the distributions of one feature in training and live data over each other.

    Training data is dashed or hatched, so the figure is readable without colours.
    """
    is_number = len(item["histogram"]["bins"]) == len(item["histogram"]["trained"]) + 1
    series, axis = (_of_numbers if is_number else _of_categories)(item)
    return {
        "data": series,
        "layout": {
            "height": 150,
            "showlegend": False,
            "hovermode": "x unified",
            "barmode": "group",
            "xaxis": axis,
            "yaxis": {"tickformat": ".0%", "rangemode": "tozero", "nticks": 4},
        },
    }


def _of_numbers(item: dict[str, Any]) -> tuple[list[Figure], Figure]:
    edges, (unit, title) = item["histogram"]["bins"], _unit(item["unit"])
    middles = [(low + high) / 2 for low, high in pairwise(edges)]
    series: list[Figure] = [
        {
            "type": "scatter",
            "mode": "lines",
            "line": {"shape": "hvh", "width": 1.5, "color": f"--{name}", "dash": dash},
            "fill": "tozeroy",
            "fillcolor": f"--{name}-faint",
            **_shares(item, name, middles),
        }
        for name, dash in (("trained", "4px,3px"), ("live", "solid"))
    ]
    ends = _ends(item["histogram"])
    if not ends:
        return series, {"ticksuffix": unit, **title}
    return [*series, _bars_beyond(ends, edges)], _axis_beyond(ends, edges, unit) | title


def _unit(unit: str) -> tuple[str, Figure]:
    """Return what stands behind each number, or the title of the axis: a long unit would hide numbers."""
    if len(unit) <= LONG_UNIT:
        return f" {unit}" if unit else "", {}
    shown = unit if len(unit) <= LONG_TITLE else f"{unit[: LONG_TITLE - 1]}…"
    return "", {"title": {"text": shown, "font": {"size": 11}, "standoff": 2}}


class End(NamedTuple):
    """An end of the training range with live values beyond it, and the place of their bar."""

    side: str
    edge: float
    at: float
    share: float


def _ends(histogram: dict[str, Any]) -> list[End]:
    low, high = histogram["bins"][0], histogram["bins"][-1]
    away = 2 * (histogram["bins"][1] - low)
    ends = [
        End("below", low, low - away, histogram["below"]),
        End("above", high, high + away, histogram["above"]),
    ]
    return [end for end in ends if end.share]


def _bars_beyond(ends: list[End], edges: list[float]) -> Figure:
    return {
        "type": "bar",
        "name": "this window",
        "x": [end.at for end in ends],
        "y": [end.share for end in ends],
        "width": 2 * (edges[1] - edges[0]),
        "marker": {"color": "--live"},
        "texttemplate": "%{y:.1%}",
        "textposition": "outside",
        "constraintext": "none",
        "cliponaxis": False,
        "hovertemplate": "%{y:.1%}",
    }


def _axis_beyond(ends: list[End], edges: list[float], unit: str) -> Figure:
    """Set the labels by hand: the axis would put a wrong number under a bar beyond the bins."""
    ticks = {edge: (edge, f"{edge:,.6g}{unit}") for edge in (edges[0], edges[-1])}
    ticks |= {end.edge: (end.at, f"{end.side}<br>{end.edge:,.6g}{unit}") for end in ends}
    places, words = zip(*ticks.values(), strict=True)
    room = 2 * (edges[1] - edges[0])  # for the labels
    return {
        "tickvals": places,
        "ticktext": words,
        "tickangle": 0,
        "range": [min(places) - room, max(places) + room],
    }


def _of_categories(item: dict[str, Any]) -> tuple[list[Figure], Figure]:
    item = item | {"histogram": _largest(item["histogram"])}
    series = [
        {
            "type": "bar",
            "marker": {
                "color": f"--{name}",
                "line": {"color": f"--{name}", "width": 1},
                "pattern": {"shape": shape, "size": 5},
            },
            **_shares(item, name, item["histogram"]["bins"]),
        }
        for name, shape in (("trained", "/"), ("live", ""))
    ]
    return series, {"type": "category"}  # hours are names here, not numbers


def _largest(histogram: dict[str, Any]) -> dict[str, Any]:
    """Return the bars of the largest categories, in their order, and one bar for all others."""
    found = list(zip(histogram["bins"], histogram["trained"], histogram["live"], strict=True))
    limit = MAX_BARS if len(found) > MAX_BARS + 1 and len(found) != HOURS else len(found)
    kept = sorted(range(len(found)), key=lambda row: -max(found[row][1:]))[:limit]
    names = _apart([str(found[row][0]) for row in sorted(kept)])
    bars = [(name, *found[row][1:]) for name, row in zip(names, sorted(kept), strict=True)]
    others = [bar for row, bar in enumerate(found) if row not in kept]
    if others:
        bars.append((f"{len(others)} others", sum(bar[1] for bar in others), sum(bar[2] for bar in others)))
    names, trained, live = (list(column) for column in zip(*bars, strict=True))
    return histogram | {"bins": names, "trained": trained, "live": live}


def _apart(names: list[str]) -> list[str]:
    """Cut long names; the ends of those that begin alike are kept, because equal names are one bar."""
    cut = [name[:MAX_LETTERS] for name in names]
    half = MAX_LETTERS // 2
    ends = [
        f"{name[:half]}…{name[-half:]}" if cut.count(short) > 1 else short
        for name, short in zip(names, cut, strict=True)
    ]
    return [name if ends.count(end) > 1 else end for name, end in zip(names, ends, strict=True)]


def _shares(item: dict[str, Any], name: str, x: list[Any]) -> Figure:
    words = {"trained": "training data", "live": "this window"}
    return {"x": x, "y": item["histogram"][name], "name": words[name], "hovertemplate": "%{y:.1%}"}
