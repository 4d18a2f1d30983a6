"""Finds what pages show of a target, by its kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from rich.table import Table

from models_store.spec import Spec
from models_store.targets.classes import Classes
from models_store.targets.kinds import Target
from models_store.targets.quantity import Quantity
from prediction.pages.plots import Figure
from prediction.pages.tables import Labelled
from prediction.pages.targets import classes, quantity


class TargetPages(Protocol):
    """What each kind has on this floor, beside its template."""

    METRIC: str

    def metric(self, metrics: Mapping[str, Any]) -> str:
        """Write the metric of a version, for lists of versions; `METRIC` is its name."""

    def over_time(self, health: dict[str, Any], end: str) -> Figure:
        """Draw the figures of a window by time; `end` is the end of the last bucket."""

    def labelled(self, spec: Spec, rows: Labelled) -> dict[str, Any] | None:
        """Return what the template shows of single labelled predictions; None for nothing."""

    def tables(self, health: Mapping[str, Any]) -> Iterator[Table]:
        """Yield the tables of all versions, for a terminal."""

    def tables_of(self, title: str, item: Mapping[str, Any]) -> Iterator[Table]:
        """Yield the tables of one version."""


PARTS: dict[str, TargetPages] = {Classes.kind: classes, Quantity.kind: quantity}


def of(target: Target) -> TargetPages:
    """Return the part of a target's kind."""
    return PARTS[target.kind]
