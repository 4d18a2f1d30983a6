"""Progress bars; only on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)


def bar(unit: str = "rows") -> Progress:
    """Make a bar that counts."""
    return _make(MofNCompleteColumn(), TextColumn(unit))


def remaining() -> Progress:
    """Make a bar for a fraction from 0 to 1, with the remaining time."""
    return _make(TimeRemainingColumn())


def _make(*columns: TextColumn | MofNCompleteColumn | TimeRemainingColumn) -> Progress:
    console = Console(stderr=True)
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        *columns,
        console=console,
        transient=True,
        disable=not console.is_terminal,  # otherwise an empty line is printed
    )
