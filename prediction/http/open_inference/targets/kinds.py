"""Finds how tensors hold the answers, by the kind of the target."""

from __future__ import annotations

from typing import Any, Protocol

from models_store.targets.classes import Classes
from models_store.targets.kinds import Target
from models_store.targets.quantity import Quantity
from prediction.http.open_inference.outputs import Output
from prediction.http.open_inference.targets import classes, quantity


class TargetTensors(Protocol):
    """What each kind has on this floor."""

    def outputs(self, target: Any) -> list[Output]:
        """Return the outputs of a model."""


PARTS: dict[str, TargetTensors] = {Classes.kind: classes, Quantity.kind: quantity}


def of(target: Target) -> TargetTensors:
    """Return the part of a target's kind."""
    return PARTS[target.kind]
