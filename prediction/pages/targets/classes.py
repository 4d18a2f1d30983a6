"""Classes on pages: accuracy over time, and tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from models_store.spec import Spec
from prediction.pages import pages, plots
from prediction.pages.plots import Figure
from prediction.pages.tables import Labelled, narrow

METRIC = "accuracy"
"""The metric of a version in lists, and how it is called there."""


def metric(metrics: Mapping[str, Any]) -> str:
    """Write the metric of a version."""
    return pages.percent(metrics.get("accuracy"))


def over_time(health: dict[str, Any], end: str) -> Figure:
    """Draw accuracy by labels, its estimate and promotions."""
    return plots.accuracy(health, end)


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
        table.caption += f"; recalls are biased, because labels come unequally by predicted class: {given}"
    return table


def _positive(title: str, found: Mapping[str, Any], cost: Mapping[str, Any] | None) -> Table:
    shown = {name: found[name.replace(" ", "_")] for name in ("precision", "recall", "alert rate")}
    if cost:
        shown["cost of a labelled row"] = cost
    table = narrow(f"{title}: {escape(found['label'])}", *shown, wrapped=tuple(shown))
    table.add_row(*map(_share, shown.values()))
    return table
