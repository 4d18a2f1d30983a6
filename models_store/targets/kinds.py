"""The kinds of targets, and what each of them has for those who do not ask which kind it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from models_store.targets.classes import Classes
from models_store.targets.quantity import Quantity

Target = Classes | Quantity
"""Any target."""

KINDS = (Classes, Quantity)


class TargetProof(Protocol):
    """Rows to compare on, and what the pipeline answers to them."""

    def own(self) -> Any:
        """Return the decision that the pipeline itself follows; it has `outputs` and `as_dict`."""

    def compare(self, raw: Sequence[Any]) -> tuple[Any, Any, str]:
        """Compare the outputs of a graph; return the agreement, the decision, and words.

        An agreement has `holds` and `as_dict`.
        """
