"""Finds what bodies hold of a target, by its kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from models_store.targets.classes import Classes
from models_store.targets.kinds import Target
from models_store.targets.quantity import Quantity
from prediction.http.targets import classes, quantity
from prediction.http.targets.classes import ClassAnswer
from prediction.http.targets.quantity import QuantityAnswer
from prediction.journal.predictions import Prediction


class TargetBodies(Protocol):
    """What each kind has on this floor."""

    def answer_fields(self, target: Any) -> dict[str, Any]:
        """Return the fields of an answered row that depend on the target, each with its type."""

    def label(self, target: Any) -> Any:
        """Return the type of a label."""

    def writer(self, target: Any) -> Callable[[Prediction], str]:
        """Return the function that writes the fields of `answer_fields` of a prediction as JSON."""


class AnyAnswer(QuantityAnswer, ClassAnswer):
    """The fields of an answer of any kind; those of other kinds are left out of a body."""


PARTS: dict[str, TargetBodies] = {Classes.kind: classes, Quantity.kind: quantity}


def of(target: Target) -> TargetBodies:
    """Return the part of a target's kind."""
    return PARTS[target.kind]
