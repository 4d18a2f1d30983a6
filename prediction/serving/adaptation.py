"""How wide the intervals of a version are by its labels: read from the sums of the journal.

The same sums give the same width in every worker and on every host.
"""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import Any

from models_store.spec import Spec
from prediction.figures import adaptive
from prediction.journal import rollups
from prediction.journal.database import Journal

HOURS = 400
"""Hours with labels that are read at most, in up to 20 ms: a width has forgotten those before."""


def width(journal: Journal, spec: Spec, version: str) -> float:
    """Return how many times as wide as calibrated the intervals of a version are now."""
    target: Any = spec.target
    if not target.adapts:
        return 1.0
    totals = rollups.by_hour(journal, spec.name, version, adaptive.NAMES, hours=HOURS)
    pieces = ({each.name: each.total for each in hour} for _, hour in groupby(totals, attrgetter("at_us")))
    return adaptive.width(pieces, target.level)
