"""A model from elsewhere beside a spec: all in which they differ, and the spec in the model's order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models_store.spec import Spec
from models_store.targets.labels import shown
from prediction.imports.mlflow_folders import SignedColumn


@dataclass(frozen=True)
class Described:
    """What a fitted estimator says of itself.

    Parameters
    ----------
    estimator
        The name of its type, or that of its last step.
    names
        The columns that it was fitted on; None if they had no names.
    features
        How many columns these were; None if it does not know.
    classes
        None if it predicts none.
    sklearn
        The version of scikit-learn that saved it.
    """

    estimator: str
    names: list[str] | None
    features: int | None
    classes: list[Any] | None
    sklearn: str


def mismatches(spec: Spec, model: Described, columns: Sequence[SignedColumn] | None) -> list[str]:
    """Return everything in which a model and a spec differ, each with a remedy.

    Parameters
    ----------
    columns
        Those of a signature.
    """
    return [*_of_features(spec, model, columns), *_of_types(spec, columns), *_of_classes(spec, model)]


def names_of(model: Described, columns: Sequence[SignedColumn] | None) -> list[str] | None:
    """Return the columns that a model takes, in its order; None if nobody says."""
    if model.names is not None:
        return model.names
    return [each.name for each in columns] if columns else None


def aliases(spec: Spec, names: Sequence[str] | None) -> dict[str, str]:
    """Return the columns of a spec that a model knows by another name: by the header of the feature."""
    known = spec.layout.texts
    by_header = {each.header: each.columns[0] for each in spec.inputs.values() if len(each.columns) == 1}
    return {
        name: by_header[name]
        for name in names or ()
        if name not in known and name in by_header and by_header[name] not in (names or ())
    }


def taken(spec: Spec, model: Described, columns: Sequence[SignedColumn] | None) -> Spec:
    """Return a spec with only the features whose columns a model takes, in its order."""
    names = names_of(model, columns)
    if names is None:
        return spec
    renamed = aliases(spec, names)
    known = [renamed.get(name, name) for name in names]
    return spec.ordered([each.name for each in _ordered(spec, known) if set(each.columns) <= set(known)])


def _of_features(spec: Spec, model: Described, columns: Sequence[SignedColumn] | None) -> list[str]:
    names, known = names_of(model, columns), list(spec.layout.texts)
    if names is not None:
        renamed = aliases(spec, names)
        names = [renamed.get(name, name) for name in names]
    if names is None:
        if model.features in (None, len(known)):
            return []
        return [
            f"the model takes {model.features} columns, and the spec has {len(known)}: {', '.join(known)}"
        ]
    found = [
        f"the model takes {name!r}, which the spec has not: add this feature, or name it as header="
        for name in names
        if name not in known
    ]
    order: list[str] = []
    for feature in _ordered(spec, names):
        gone = [each for each in feature.columns if each not in names]
        if gone and (len(gone) < len(feature.columns) or not feature.optional):
            what = "is not optional, and" if len(gone) == len(feature.columns) else "is incomplete:"
            found.append(f"{feature.name} of the spec {what} the model does not take {', '.join(gone)}")
        elif not gone:
            order += feature.columns
    if not found and order != names:
        found.append(f"the model takes {', '.join(names)}: the columns of a moment must stand together")
    return found


def _ordered(spec: Spec, names: Sequence[str]) -> list[Any]:
    """Return the features of a spec in the order in which a model takes their columns."""
    place = {name: number for number, name in reversed(list(enumerate(names)))}
    return sorted(
        spec.inputs.values(),
        key=lambda feature: min(place.get(each, len(names)) for each in feature.columns),
    )


def _of_types(spec: Spec, columns: Sequence[SignedColumn] | None) -> list[str]:
    texts = spec.layout.texts
    renamed = aliases(spec, [each.name for each in columns or ()])
    kinds = {renamed.get(each.name, each.name): each.kind for each in columns or ()}
    return [
        f"{name} is {'text' if texts[name] else 'a number'} by the spec, and {kind} by the"
        " signature: declare it as the model takes it"
        for name, kind in kinds.items()
        if name in texts and kind and (kind == "text") is not texts[name]
    ]


def _of_classes(spec: Spec, model: Described) -> list[str]:
    labels: list[Any] = [spec.target.value(text) for text in spec.target.texts]
    known = model.classes
    if not labels or known is None:  # the target refuses another kind of model by itself
        return []
    if {type(label) for label in known} != {type(labels[0])}:
        return [
            f"the classes of the model are {shown(known)}, and those of the spec {shown(labels)}:"
            " declare them as the model has them"
        ]
    more = [
        f"the model has the class {shown([each])}, which the spec has not"
        for each in known
        if each not in labels
    ]
    return more + [
        f"the spec has the class {shown([each])}, which the model has not"
        for each in labels
        if each not in known
    ]


def of_libraries(saved: str, here: str) -> tuple[list[str], list[str]]:
    """Compare the version of scikit-learn that saved a model with the one here.

    Returns
    -------
    tuple
        Reasons against it, and warnings.
    """
    if _minor(saved) > _minor(here):
        return [f"scikit-learn {saved} saved it, and here is {here}: an older one can't read it safely"], []
    if _minor(saved) < _minor(here):
        words = (
            f"scikit-learn {saved} saved it, and here is {here}: its answers may differ from those it gave"
        )
        return [], [words]
    return [], []


def _minor(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])
