"""Finds what files and frames hold of a target, by its kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from models_store.targets.classes import Classes
from models_store.targets.kinds import Target
from models_store.targets.quantity import Quantity
from prediction.batch.chunks import Row
from prediction.batch.targets import classes, quantity
from prediction.journal.predictions import Prediction


class TargetColumns(Protocol):
    """What each kind has on this floor."""

    def nothing(self, target: Any) -> Any:
        """Return the answers to no rows."""

    def recorded(self, target: Any, predictions: Sequence[Prediction]) -> Any:
        """Return the answers of predictions that are recorded."""

    def received(self, target: Any, bodies: Sequence[Mapping[str, Any]]) -> Any:
        """Return the answers of a server."""

    def columns(self, target: Any, answers: Any) -> dict[str, Any]:
        """Return the columns that answers add to their rows, as Arrow arrays."""

    def counts(self, target: Any, answers: Any) -> dict[str, int]:
        """Count answers by the names of `target.counted`."""

    def exported(self, target: Any) -> dict[str, type]:
        """Return the columns of an exported answer, in order."""

    def exported_row(self, target: Any, prediction: Prediction) -> Row:
        """Return the values of `exported`."""

    def label_type(self, target: Any) -> type:
        """Return the type of a column of labels."""

    def read_label(self, target: Any, cell: Any) -> Any:
        """Read a label as files have it."""


PARTS: dict[str, TargetColumns] = {Classes.kind: classes, Quantity.kind: quantity}


def of(target: Target) -> TargetColumns:
    """Return the part of a target's kind."""
    return PARTS[target.kind]
