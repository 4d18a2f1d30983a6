"""What the journal keeps of answers, whatever kind of target they are of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from pydantic_core import from_json, to_json

from models_store.errors import Detail

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ADAPTED, UNCHANGED = "adapted", "{}"
"""Kept in place of probabilities: how many times as wide as calibrated an interval is, unless it is 1."""


class Said(NamedTuple):
    """The answers to n rows as plain values, one sequence of n values each.

    Parameters
    ----------
    classes, probabilities
        The class of each row, and the probability of every class as a JSON text. A quantity has an empty
        class, and in place of probabilities the change of its interval by labels, if there is one.
    values, low, high
        Of a quantity: the number, and the ends of its interval.
    warnings
        What is unusual about an answer itself, by its row.
    """

    classes: Sequence[str]
    probabilities: Sequence[str]
    values: Sequence[float | None]
    low: Sequence[float | None]
    high: Sequence[float | None]
    warnings: Mapping[int, Sequence[Detail]] = {}


def of_classes(texts: tuple[str, ...], best: NDArray[np.intp], probabilities: NDArray[np.float64]) -> Said:
    """Return the answers to n rows of classes, all written at once, which is fast; n is at least 1."""
    nothing = [None] * len(best)
    numbers = to_json(probabilities.ravel().tolist()).decode()[1:-1].split(",")
    written = ("\n".join([_template(texts)] * len(best)) % tuple(numbers)).split("\n")
    return Said([texts[each] for each in best.tolist()], written, nothing, nothing, nothing)


@lru_cache(maxsize=256)
def _template(names: tuple[str, ...]) -> str:
    """Return the JSON of a row, one line, to be filled with a number for each name."""
    written = [to_json(name).decode().replace("%", "%%") for name in names]
    return "{" + ",".join(f"{name}:%s" for name in written) + "}"


def adapted(kept: str) -> float:
    """Read how many times as wide as calibrated an interval is, from what is kept beside it."""
    return 1.0 if kept == UNCHANGED else float(from_json(kept).get(ADAPTED, 1.0))
