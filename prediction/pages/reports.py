"""Monitoring for the command line: as tables, and as one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table

from models_store.targets.kinds import Target
from prediction.pages import pages
from prediction.pages.tables import narrow
from prediction.pages.targets import kinds


def tables(target: Target, health: dict[str, Any]) -> Iterator[Table]:
    """Yield the tables of the figures that `health.describe` returns."""
    part = kinds.of(target)
    yield from part.tables(health)
    for item in health["versions"]:
        title = f"{health['model']} {item['version']}"
        yield from part.tables_of(title, item)
        if item["drift"]:
            yield _drift(title, item)
        yield _quality(title, item)
    if health["refused"]:
        yield _refused(health)


def html(values: dict[str, Any]) -> str:
    """Write the values of `dashboard.describe` as one self-contained page."""
    return pages.render("report.html", **values)


def _drift(title: str, item: dict[str, Any]) -> Table:
    table = narrow(
        f"{title}: drift",
        *("feature", "state", "test, statistic", "p: below 0.05?", "PSI: at least 0.1?", "rows"),
        wrapped=("state", "test, statistic", "p: below 0.05?", "PSI: at least 0.1?"),
    )
    widths = {1: "no drift ", 3: "< 0.001", 4: "0.12 yes"}  # leave room for the longest test
    for column, longest in widths.items():
        table.columns[column].max_width = len(longest)
    for found in item["drift"]:
        state = pages.found(found["state"])
        if found["rows_needed"]:
            state += f": {found['rows_needed']} more rows"
        figures = (found["test"], "-", "-")
        if found["p"] is not None:
            p, low = ("yes" if each["holds"] else "no" for each in found["conditions"])
            figures = (
                f"{found['test']} {found['statistic']:.3f}",
                f"{pages.p_value(found['p'])}\n{p}",
                f"{found['psi']:.2f}\n{found['psi_low']:.2f} {low}",
            )
        table.add_row(found["name"], state, *figures, str(found["rows"]))
    table.caption = (
        "drifted: both answers are yes. Below PSI is its lower bound without the part that is chance:"
        " this bound is judged. No drift found does not prove that there is none"
    )
    return table


def _quality(title: str, item: dict[str, Any]) -> Table:
    rows = item["quality"]["rows"]
    table = narrow(f"{title}: data quality of {rows} rows", "feature", "missing", "unlike training data")
    for name, shares in item["quality"]["features"].items():
        table.add_row(name, f"{shares['missing']:.1%}", f"{shares['out_of_training_range']:.1%}")
    return table


def _refused(health: dict[str, Any]) -> Table:
    since = pages.clock(health["refused_since"])
    title = f"{health['model']}: refused requests since {since} UTC, and invalid values by field"
    table = narrow(title, "reason", "field", "n")
    for item in health["refused"]:
        table.add_row(item["reason"], item["feature"] or "", str(item["requests"]))
    return table
