"""Classes on pages: accuracy over time, and tables for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from models_store.spec import Spec
from prediction.pages import pages, plots
from prediction.pages.plots import Figure
from prediction.pages.tables import Labelled, narrow

Share = dict[str, Any] | None
"""A share with its interval and n, in its JSON form; None for no rows."""

METRIC = "accuracy"
"""The metric of a version in lists, and how it is called there."""


def metric(metrics: Mapping[str, Any]) -> str:
    """Write the metric of a version."""
    return pages.percent(metrics.get("accuracy"))


def over_time(health: dict[str, Any], end: str) -> Figure:
    """Draw accuracy by labels with its interval, the estimate without them, and each promotion.

    A bucket is a point at its middle time; a bucket without a figure is a gap in the line. Points of
    fewer than `plots.FEW` rows are faded and in no line; below the axis they lie on its end.

    Parameters
    ----------
    end
        End of the last bucket. It stays the same within a bucket, and so does the figure.
    """
    over_time, promotions = health["over_time"], health["promotions"]
    found = [piece["accuracy"] for piece in over_time]
    estimated = [piece["estimated_accuracy"] for piece in over_time]
    at = plots.middles([*(piece["at"] for piece in over_time), end])
    bottom = _lowest(_many(found), _many(estimated)) - 0.02
    return {
        "data": [
            {**_by_labels(_many(found)), "x": at},
            {**_estimated(_many(estimated)), "x": at},
            {**_faded(found, "--live", bottom), "x": at},
            {**_faded(estimated, "--trained", bottom), "x": at},
            _marks(promotions),
        ],
        "layout": {
            "height": 300,
            "hovermode": "x unified",
            "xaxis": {"type": "date", "range": [health["since"], end]},
            "yaxis": {"tickformat": ".0%", "range": [bottom, 1.02]},
            "shapes": [plots.line(entry["at"]) for entry in promotions],
        },
    }


def _by_labels(found: list[Share]) -> Figure:
    """Draw intervals as bars: a band between two lines is invisible around a single point."""
    return {
        **_curve(found, lambda item: [item["n"], item["low"], item["high"]]),
        "name": "accuracy by labels, its 95 % interval",
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
        "hovertemplate": "%{y:.1%} (%{customdata[1]:.1%} to %{customdata[2]:.1%}, n = %{customdata[0]})",
    }


def _estimated(found: list[Share]) -> Figure:
    return {
        **_curve(found, lambda item: [item["n"]]),
        "name": "estimate without labels",
        "line": {"color": "--trained", "width": 2, "dash": "dot"},
        "marker": {"size": 3},
        "hovertemplate": "%{y:.1%} (n = %{customdata[0]} sampled)",
    }


def _many(found: list[Share]) -> list[Share]:
    return [item if item and item["n"] >= plots.FEW else None for item in found]


def _faded(found: list[Share], color: str, bottom: float) -> Figure:
    few = [item if item and item["n"] < plots.FEW else None for item in found]
    words = {"--live": "accuracy by labels", "--trained": "estimate without labels"}
    return {
        "name": f"{words[color]}, fewer than {plots.FEW} rows",
        "y": _each(few, lambda item: max(item["value"], bottom)),
        "customdata": _each(few, lambda item: [item["value"], item["low"], item["high"], item["n"]]),
        "mode": "markers",
        "opacity": 0.35,
        "showlegend": False,
        "marker": {
            "size": 6,
            "color": color,
            "symbol": _each(few, lambda item: "triangle-down" if item["value"] < bottom else "circle"),
        },
        "hovertemplate": "%{customdata[0]:.1%} (%{customdata[1]:.1%} to %{customdata[2]:.1%},"
        " only n = %{customdata[3]})",
    }


def _curve(found: list[Share], hover: Callable[[dict[str, Any]], list[Any]]) -> Figure:
    """Draw values with gaps for missing ones, and with a hover text for each."""
    return {
        "y": _each(found, lambda item: item["value"]),
        "mode": "lines+markers",
        "connectgaps": False,
        "customdata": _each(found, hover),
    }


def _each(found: list[Share], pick: Callable[[dict[str, Any]], Any]) -> list[Any]:
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


def _lowest(found: list[Share], estimated: list[Share]) -> float:
    lows: list[float] = [item["low"] for item in found if item]
    values: list[float] = [item["value"] for item in estimated if item]
    return min([0.5, *lows, *values])


def labelled(_spec: Spec, _rows: Labelled) -> None:
    """Show no single rows: the counts say all."""


def tables(health: Mapping[str, Any]) -> Iterator[Table]:
    """Yield the tables of all versions."""
    yield _versions(health)
    if any(item["against_estimate"] for item in health["versions"]):
        yield _against_estimate(health)


def tables_of(title: str, item: Mapping[str, Any]) -> Iterator[Table]:
    """Yield the tables of one version."""
    if item["recall"]:
        yield _classes(title, item)
    if item["positive"]:
        yield _positive(title, item["positive"], item["cost"])


def _share(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "-"
    return f"{found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f}, n = {found['n']})"


def _versions(health: Mapping[str, Any]) -> Table:
    title = f"{health['model']}, the last {health['window']}: {health['predictions']} predictions"
    table = narrow(
        title,
        *("version", "predictions", "labels", "accuracy", "macro-F1", "estimate, no labels"),
        wrapped=("accuracy", "estimate, no labels"),
    )
    for item in health["versions"]:
        is_champion = item["version"] == health["champion"]
        f1 = "-" if item["macro_f1"] is None else f"{item['macro_f1']:.3f}"
        table.add_row(
            item["version"] + ("\n(champion)" if is_champion else ""),
            str(item["predictions"]),
            str(item["outcomes"]),
            _share(item["accuracy"]),
            f1,
            _share(item["estimated_accuracy"]),
        )
    return table


def _against_estimate(health: Mapping[str, Any]) -> Table:
    title = f"{health['model']}: labelled predictions against their estimate"
    table = narrow(title, "version", "state", "right", "expected", "labels", "p", wrapped=("state",))
    limit = None
    for item in health["versions"]:
        if found := item["against_estimate"]:
            limit = found["limit"]
            figures = f"{found['accuracy']:.3f}", f"{found['estimate']:.3f}", str(found["n"])
            table.add_row(item["version"], found["state"], *figures, pages.p_value(found["p"]))
    table.caption = f"below estimate: p is at most {limit}, however often one looks"
    return table


def _classes(title: str, item: Mapping[str, Any]) -> Table:
    names = [escape(name) for name in item["confusion"]]
    table = narrow(
        f"{title}: by class", "class", "predicted", "recall", *names, wrapped=("class", "recall", *names)
    )
    for name, share in item["classes"].items():
        row = [str(rows) for rows in item["confusion"][name].values()]
        table.add_row(escape(name), str(share["predictions"]), _share(item["recall"].get(name)), *row)
    table.caption = "the columns on the right: predictions of the class by true class"
    if item["labels_are_selective"]:
        shares = item["labelled"].items()
        given = ", ".join(f"{escape(name)} {share['value']:.1%}" for name, share in shares if share)
        words = "accuracy and recalls are biased, because labels come unequally by predicted class"
        table.caption += f"; {words}: {given}"
    return table


def _positive(title: str, found: Mapping[str, Any], cost: Mapping[str, Any] | None) -> Table:
    """Compare the positive class with rows that were not trained on."""
    table = narrow(
        f"{title}: {escape(found['label'])}",
        *("figure", "this window", "in training", "state"),
        wrapped=("this window", "in training", "state"),
    )
    trained, states = found["trained"] or {}, found["states"] or {}
    for key in ("precision", "recall", "alert_rate"):
        shares = _share(found[key]), _share(trained.get(key))
        table.add_row(key.replace("_", " "), *shares, states.get(key) or "-")
    if cost:
        table.add_row("cost of a row", _share(cost), _share(cost["trained"]), cost["state"] or "-")
    return table
