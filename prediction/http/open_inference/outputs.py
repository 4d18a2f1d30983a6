"""One output of a model: a tensor of the answers, whatever they are of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from prediction.journal.predictions import Prediction

Values = Callable[[Sequence[Prediction]], list[Any]]
Parameters = Callable[[Sequence[Prediction]], dict[str, Any]]


@dataclass(frozen=True)
class Output:
    """A tensor of shape [n, width].

    Parameters
    ----------
    values
        Returns the values of n answers, flat.
    parameters
        Returns what else there is to say of n answers, or of an answer, in texts, numbers and booleans.
    """

    name: str
    datatype: str
    width: int
    values: Values
    parameters: Parameters = lambda _: {}
