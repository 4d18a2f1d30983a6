"""How a retraining fits: by the pipeline of the spec, or as the champion if that was trained elsewhere.

A version from elsewhere keeps its estimator without the fit. A retraining fits a copy of that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from models_store import store
from models_store.errors import InvalidModel
from models_store.imported import archives, trusted
from models_store.spec import Spec

REPEATS = "repeats"
"""The note of a version that was fitted here with parameters from elsewhere."""


@dataclass(frozen=True)
class Refit:
    """A spec to fit, and what the new version keeps so that the next retraining fits the same."""

    spec: Spec
    notes: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)


def plan(spec: Spec, version: store.Version) -> Refit:
    """Return what a retraining fits after a version.

    Raises
    ------
    InvalidModel
        When the version came from elsewhere, and its parameters can't be copied.
    """
    origin = version.metadata.get("origin")
    if origin is None and REPEATS not in version.metadata:
        return Refit(spec)
    unrepeatable = (origin or {}).get("unrepeatable")
    if unrepeatable:
        raise InvalidModel(
            f"{version.tag} came from elsewhere, and {unrepeatable}: `loop train {spec.name}` fits the"
            " pipeline of the spec in its place"
        )
    store.verify(version, version.digest)
    path = version.path / store.PARAMETERS
    estimator = archives.load(path, trusted.PARAMETERS)
    layout = list(version.read_json(store.PROFILE)["layout"])
    fitted = replace(spec.ordered(layout), pipeline=lambda seed: _copy(estimator, seed))
    note = version.metadata.get(REPEATS) or {"version": version.version, "sha256": (origin or {})["sha256"]}
    return Refit(fitted, {REPEATS: note}, {store.PARAMETERS: path.read_bytes()})


def _copy(estimator: Any, seed: int) -> Any:
    """Copy an estimator; what it would draw at random is drawn by the seed."""
    from sklearn.base import clone

    copied = clone(estimator)
    drawn = {
        name: seed
        for name, value in copied.get_params().items()
        if name.rpartition("__")[2] == "random_state" and value is None
    }
    return copied.set_params(**drawn)
