"""Monitoring for the command line: as tables, and as one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from prediction.pages import pages


def tables(health: dict[str, Any]) -> Iterator[Table]:
    """Yield the tables of the figures that `health.describe` returns."""
    yield _versions(health)
    if any(item["against_estimate"] for item in health["versions"]):
        yield _against_estimate(health)
    for item in health["versions"]:
        title = f"{health['model']} {item['version']}"
        if item["recall"]:
            yield _classes(title, item)
        if item["positive"]:
            yield _positive(title, item["positive"], item["cost"])
        if item["drift"]:
            yield _drift(title, item)
        yield _quality(title, item)
    if health["refused"]:
        yield _refused(health)


def html(values: dict[str, Any]) -> str:
    """Write the values of `dashboard.describe` as one self-contained page."""
    return pages.render("report.html", **values)


def narrow(title: str, *columns: str, wrapped: Sequence[str] = ()) -> Table:
    """Make a table for 80 columns: the cells of the `wrapped` columns may break lines."""
    table = Table(title=title, title_justify="left")
    for name in columns:
        table.add_column(name, no_wrap=name not in wrapped, overflow="fold")
    return table


def printable(text: str) -> str:
    """Return a text with a blank for each control character, so that it is safe in a terminal."""
    return "".join(each if each.isprintable() else " " for each in text)


def _share(found: dict[str, Any] | None) -> str:
    if found is None:
        return "-"
    return f"{found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f}, n = {found['n']})"


def _versions(health: dict[str, Any]) -> Table:
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


def _against_estimate(health: dict[str, Any]) -> Table:
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


def _classes(title: str, item: dict[str, Any]) -> Table:
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


def _positive(title: str, found: dict[str, Any], cost: dict[str, Any] | None) -> Table:
    shown = {name: found[name.replace(" ", "_")] for name in ("precision", "recall", "alert rate")}
    if cost:
        shown["cost of a labelled row"] = cost
    table = narrow(f"{title}: {escape(found['label'])}", *shown, wrapped=tuple(shown))
    table.add_row(*map(_share, shown.values()))
    return table


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
