"""The profile of training data, and live data compared with it. Pure functions, no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from models_store.spec import Columns, Spec
from prediction.figures import drift
from prediction.figures.drift import Drift
from prediction.figures.features import kinds
from prediction.figures.targets import kinds as target_kinds


def profile(spec: Spec, columns: Columns, labels: Sequence[str]) -> dict[str, Any]:
    """Summarise training data: rows, class counts, and the distribution of each feature.

    Returns
    -------
    dict
        `rows`, what the target adds (`classes`, the count by class), `features` (for each `missing`, and
        what its kind adds), and `layout`, the columns of the frame. Units are those of the spec.
    """
    return {
        "rows": len(labels),
        **spec.target.profile(labels),
        "features": {name: _distribution(spec, name, values) for name, values in columns.items()},
        "layout": spec.layout.as_dict(),
    }


def _distribution(spec: Spec, name: str, values: Sequence[Any]) -> dict[str, Any]:
    feature = spec.inputs[name]
    present = [value for value in values if value is not None]
    return {"missing": len(values) - len(present), **kinds.of(feature).profile(feature, present)}


def compare(spec: Spec, profile: dict[str, Any], columns: Columns, predicted: Sequence[Any]) -> list[Drift]:
    """Compare live data with a profile: each feature, then the answers.

    A feature has drifted if the test is significant (p below 0.05 after Holm's correction, so that all
    tests together give a false alarm in at most 5 of 100 windows) and the difference is large (the
    lower bound of PSI is at least 0.1).

    Parameters
    ----------
    columns, predicted
        n live rows: a list of values for each feature, and the predicted classes or numbers.
    """
    found = []
    for name, feature in spec.inputs.items():
        seen, part = profile["features"].get(name), kinds.of(feature)
        if seen is None or part.KEY not in seen:
            continue  # the version was trained for other features
        live = [value for value in columns[name] if value is not None]
        found += part.compare(feature, seen, live, profile["rows"] - seen["missing"])
    found.append(target_kinds.of(spec.target).compare(profile, predicted))
    return drift.judge(found)
