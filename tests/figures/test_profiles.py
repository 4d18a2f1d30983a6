"""The profile of a spec, and what is left out of a comparison."""

from __future__ import annotations

from models_store.spec import Spec
from prediction.figures import profiles


def test_a_profile_notes_the_layout(specs: dict[str, Spec]) -> None:
    """So the version is given the same columns for ever."""
    spec = specs["penguins"]
    columns = {name: [value] for name, value in spec.example.items()}

    assert spec.layout.as_dict() == profiles.profile(spec, columns, ["Adelie"])["layout"]


def test_a_feature_that_the_version_does_not_know_is_not_compared(specs: dict[str, Spec]) -> None:
    """The others and the classes are."""
    spec = specs["iris"]
    columns = {name: [value] * 60 for name, value in spec.example.items()}
    profile = profiles.profile(spec, columns, ["setosa"] * 60)
    del profile["features"]["petal_width_cm"]

    assert ["sepal_length_cm", "sepal_width_cm", "petal_length_cm", "predicted class"] == [
        item.name for item in profiles.compare(spec, profile, columns, ["setosa"] * 60)
    ]
