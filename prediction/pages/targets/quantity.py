"""A quantity on pages: errors over time, predicted against true, residuals by feature, tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from rich.table import Table

from models_store.spec import Spec
from prediction.pages import pages, plots
from prediction.pages.plots import Figure
from prediction.pages.tables import Labelled, narrow

METRIC = "MAE"
"""The metric of a version in lists, and how it is called there."""

GROUPS = 4
"""A number is divided at its quartiles."""

MANY_VALUES = 8
"""A feature with more different values is divided; one with fewer is shown by value."""

FEW = 5
"""A group of fewer rows is not shown."""


def metric(metrics: Mapping[str, Any]) -> str:
    """Write the metric of a version."""
    return pages.number(float(metrics["mae"])) if "mae" in metrics else "-"


def over_time(health: dict[str, Any], end: str) -> Figure:
    """Draw the mean absolute error by labels with its interval, its estimate, and each promotion."""
    found, promotions = [_many(piece) for piece in health["over_time"]], health["promotions"]
    few = [
        piece["mae"] if piece["mae"] and not many["mae"] else None
        for piece, many in zip(health["over_time"], found, strict=True)
    ]
    middles = plots.middles([*(piece["at"] for piece in found), end])
    highs = [piece["mae"]["high"] for piece in found if piece["mae"]]
    highs += [piece["estimated_mae"]["value"] for piece in found if piece["estimated_mae"]]
    top = 1.05 * max(highs, default=max((item["value"] for item in few if item), default=1.0)) or 1.0
    unit = f" {_unit(health)}".rstrip()
    return {
        "data": [
            {
                "name": "mean absolute error by labels, its 95 % interval",
                "x": middles,
                **_curve(found, "mae", unit),
                "line": {"color": "--live", "width": 2},
                "error_y": {
                    "array": _each(found, "mae", lambda item: item["high"] - item["value"]),
                    "arrayminus": _each(found, "mae", lambda item: item["value"] - max(0.0, item["low"])),
                    "symmetric": False,
                    "color": "--live",
                    "thickness": 1,
                    "width": 3,
                },
            },
            {
                "name": "estimate without labels",
                "x": middles,
                **_curve(found, "estimated_mae", unit),
                "line": {"color": "--trained", "width": 2, "dash": "dot"},
            },
            {
                "name": f"mean absolute error by labels, fewer than {plots.FEW} rows",
                "x": middles,
                "y": [item and min(item["value"], top) for item in few],
                "customdata": [item and [item["value"], item["n"]] for item in few],
                "mode": "markers",
                "opacity": 0.35,
                "showlegend": False,
                "marker": {"size": 6, "color": "--live"},
                "hovertemplate": f"%{{customdata[0]:.4~g}}{unit} (only n = %{{customdata[1]}})",
            },
        ],
        "layout": {
            "height": 300,
            "hovermode": "x unified",
            "xaxis": {"type": "date", "range": [health["since"], end]},
            "yaxis": {"ticksuffix": unit, "range": [0, top]},
            "shapes": [plots.line(entry["at"]) for entry in promotions],
        },
    }


def _many(piece: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of a piece that rest on enough rows; chance can put others anywhere."""
    names = ("mae", "estimated_mae")
    many = {name: piece[name] if piece[name] and piece[name]["n"] >= plots.FEW else None for name in names}
    return {"at": piece["at"], **many}


def _unit(health: Mapping[str, Any]) -> str:
    return str(next((item["unit"] for item in health["versions"]), ""))


def _each(found: Sequence[Mapping[str, Any]], key: str, pick: Callable[[Any], Any]) -> list[Any]:
    return [pick(piece[key]) if piece[key] else None for piece in found]


def _curve(found: Sequence[Mapping[str, Any]], key: str, unit: str) -> Figure:
    """Draw values with gaps for missing ones."""
    return {
        "y": _each(found, key, lambda item: item["value"]),
        "customdata": _each(found, key, lambda item: item["n"]),
        "mode": "lines+markers",
        "connectgaps": False,
        "marker": {"size": 5},
        "hovertemplate": f"%{{y:.4~g}}{unit} (n = %{{customdata}})",
    }


def labelled(spec: Spec, rows: Labelled) -> dict[str, Any] | None:
    """Return the plot of predicted against true, and the residuals by feature; None without labels."""
    found = rows()
    if not found:
        return None
    target: Any = spec.target
    predicted, truth = [row.value for row in found], [row.label for row in found]
    residuals = np.array(truth) - np.array(predicted)
    return {
        "rows": len(found),
        "figure": _against(predicted, truth, target.unit),
        "residuals": [
            {"feature": column, "unit": feature.unit, **group}
            for name, feature in spec.inputs.items()
            for column, values in zip(
                feature.columns, feature.spread([row.features.get(name) for row in found]), strict=True
            )
            for group in _groups(values, residuals)
        ],
    }


def _against(predicted: Sequence[float], truth: Sequence[float], unit: str) -> Figure:
    low, high = min(*predicted, *truth), max(*predicted, *truth)
    suffix = f" {unit}".rstrip()
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "markers",
                "name": "labelled predictions",
                "x": predicted,
                "y": truth,
                "marker": {"size": 5, "color": "--live", "opacity": 0.5},
                "hovertemplate": f"predicted %{{x:.4~g}}{suffix}<br>true %{{y:.4~g}}{suffix}",
            }
        ],
        "layout": {
            "height": 320,
            "showlegend": False,
            "xaxis": {"title": {"text": "predicted"}, "ticksuffix": suffix},
            "yaxis": {"title": {"text": "true"}, "ticksuffix": suffix},
            "shapes": [
                {
                    "type": "line",
                    "x0": low,
                    "y0": low,
                    "x1": high,
                    "y1": high,
                    "line": {"color": "--accent", "dash": "dash", "width": 1},
                }
            ],
        },
    }


def _groups(values: Sequence[Any], residuals: Any) -> Iterator[dict[str, Any]]:
    """Yield the mean residual of each group of rows with similar values of a feature."""
    present = [value for value in values if value is not None]
    is_number = all(isinstance(value, int | float) and not isinstance(value, bool) for value in present)
    if is_number and len(set(present)) > MANY_VALUES:
        edges = np.quantile(present, np.linspace(0, 1, GROUPS + 1)[1:-1])
        words = [f"up to {pages.number(float(edge))}" for edge in edges]
        words.append(f"above {pages.number(float(edges[-1]))}")
        names = ["" if value is None else words[int(np.searchsorted(edges, value))] for value in values]
        order = words
    else:
        names = ["" if value is None else pages.plain(value) for value in values]
        order = [name for name, _ in Counter(names).most_common() if name][:MANY_VALUES]
        order.sort(key=(lambda name: float(name)) if is_number else None)
    for name in [*dict.fromkeys(order), ""]:
        chosen = residuals[np.array([each == name for each in names])]
        if len(chosen) >= FEW:
            half = 1.96 * float(chosen.std(ddof=1)) / len(chosen) ** 0.5
            mean = float(chosen.mean())
            yield {
                "group": name or "missing",
                "n": len(chosen),
                "value": mean,
                "half": half,
                "is_biased": abs(mean) > half * 1.5,
            }


def tables(health: Mapping[str, Any]) -> Iterator[Table]:
    """Yield the tables of all versions, for a terminal."""
    unit = _unit(health)
    title = f"{health['model']}, the last {health['window']}: {health['predictions']} predictions"
    names = ("labels", "MAE", "bias", "R2", "coverage", "MAE, no labels")
    table = narrow(title, "version", *names, wrapped=("labels", "MAE", "bias", "MAE, no labels"))
    for item in health["versions"]:
        is_champion = item["version"] == health["champion"]
        r2 = "-" if item["r2"] is None else f"{item['r2']:.3f}"
        table.add_row(
            item["version"] + ("\n(champion)" if is_champion else ""),
            f"{item['outcomes']} of {item['predictions']}",
            _mean(item["mae"]),
            _mean(item["bias"]),
            r2,
            f"{item['coverage']['value']:.1%}" if item["coverage"] else "-",
            _mean(item["estimated_mae"]),
        )
    of = f" in {unit}" if unit else ""
    table.caption = (
        f"MAE is the mean absolute error{of}, with its 95 % interval; bias is true minus predicted"
    )
    yield table
    checks = [
        (item["version"], item[key])
        for item in health["versions"]
        for key in ("against_estimate", "against_level")
        if item[key]
    ]
    if checks:
        yield _checks(health["model"], checks)


def tables_of(_title: str, _item: Mapping[str, Any]) -> Iterator[Table]:
    """Yield the tables of one version: none."""
    return iter(())


def _checks(model: str, checks: Sequence[tuple[str, Mapping[str, Any]]]) -> Table:
    title = f"{model}: labelled predictions against what was expected of them"
    table = narrow(title, "version", "state", "found", "expected", "labels", "p", wrapped=("state",))
    for version, found in checks:
        figures = (pages.number(found["found"]), pages.number(found["expected"]), str(found["n"]))
        table.add_row(version, found["state"], *figures, pages.p_value(found["p"]))
    table.caption = f"an alarm: p is at most {checks[0][1]['limit']}, however often one looks"
    return table


def _mean(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "-"
    value, low, high = (pages.number(float(found[name])) for name in ("value", "low", "high"))
    return f"{value} ({low} to {high})"
