"""What the journal keeps of an answer, whatever kind of target it is of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from models_store.errors import Detail


class Said(NamedTuple):
    """One answer as plain values. A quantity has an empty class.

    Parameters
    ----------
    probabilities
        Of a quantity: how labels have changed the width of its interval, if they have.
    value, low, high
        Of a quantity: the number, and the ends of its interval.
    warnings
        What is unusual about the answer itself.
    """

    predicted_class: str
    probabilities: dict[str, float]
    value: float | None = None
    low: float | None = None
    high: float | None = None
    warnings: Sequence[Detail] = ()
