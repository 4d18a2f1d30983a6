"""How wide the intervals of a version are by its labels: read from the sums of the journal.

The same sums give the same width in every worker and on every host.
"""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter

from models_store.spec import Spec
from prediction.figures.targets import kinds
from prediction.journal import rollups
from prediction.journal.database import Journal

HOURS = 400
"""Hours with labels that are read at most, in up to 20 ms: a width has forgotten those before."""


def width(journal: Journal, spec: Spec, version: str) -> float:
    """Return how many times as wide as calibrated the intervals of a version are now."""
    part = kinds.of(spec.target)
    if not part.ADAPTS_BY:
        return 1.0
    totals = rollups.by_hour(journal, spec.name, version, part.ADAPTS_BY, hours=HOURS)
    pieces = ({each.name: each.total for each in hour} for _, hour in groupby(totals, attrgetter("at_us")))
    return part.width(spec.target, pieces)
