"""What the training data looked like, kept with the version so that live data can be held against it.

Pure functions on columns, no I/O.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from models_store.spec import Columns, Feature, Spec

SAMPLE_SIZE = 1000
"""Values kept of each numeric feature, evenly spaced in rank, so that quantiles survive."""


def profile(spec: Spec, columns: Columns, labels: Sequence[str]) -> dict[str, Any]:
    """Summarise training data: rows, class counts, and each feature's distribution.

    Returns
    -------
    dict
        `rows`, `classes` (count by class) and `features`: for a number `missing`, `min`, `max` and
        `sample` (sorted); for a category `missing` and `counts`. Units are those of the spec.
    """
    return {
        "rows": len(labels),
        "classes": {name: Counter(labels)[name] for name in spec.classes},
        "features": {name: _distribution(feature, columns[name]) for name, feature in spec.inputs.items()},
    }


def _distribution(feature: Feature, values: list[Any]) -> dict[str, Any]:
    present = [value for value in values if value is not None]
    missing = len(values) - len(present)
    if feature.categories:
        counts = Counter(present)
        return {"missing": missing, "counts": {name: counts[name] for name in feature.categories}}
    present.sort()
    return {
        "missing": missing,
        "min": present[0] if present else None,
        "max": present[-1] if present else None,
        "sample": _evenly_spaced(present, SAMPLE_SIZE),
    }


def _evenly_spaced(ordered: list[float], size: int) -> list[float]:
    if len(ordered) <= size:
        return ordered
    last = len(ordered) - 1
    return [ordered[round(step * last / (size - 1))] for step in range(size)]
