"""Tables for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.table import Table

from prediction.journal.samples import LabelledNumber

Labelled = Callable[[], list[LabelledNumber]]
"""Reads the newest labelled predictions of a window, for those who show single rows."""


def narrow(title: str, *columns: str, wrapped: Sequence[str] = ()) -> Table:
    """Make a table for 80 columns: the cells of the `wrapped` columns may break lines."""
    table = Table(title=title, title_justify="left")
    for name in columns:
        table.add_column(name, no_wrap=name not in wrapped, overflow="fold")
    return table


def printable(text: str) -> str:
    """Return a text with a blank for each control character, so that it is safe in a terminal."""
    return "".join(each if each.isprintable() else " " for each in text)
