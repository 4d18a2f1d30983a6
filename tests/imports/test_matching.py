"""A model beside a spec: every mismatch at once, each with its remedy."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from pydantic import create_model

from models_store.catalog import iris, penguins
from models_store.spec import Features, Spec, classes, moment, number
from prediction.imports import matching
from prediction.imports.matching import Described
from prediction.imports.mlflow_folders import SignedColumn

NAMES = list(iris.SPEC.inputs)
CLASSES = ["setosa", "versicolor", "virginica"]


def described(names: list[str] | None = NAMES, features: int | None = 4, known: Any = CLASSES) -> Described:
    """Make what a model says of itself."""
    return Described("LogisticRegression", names, features, known, "1.9.1")


def test_a_model_of_the_spec_has_no_mismatch() -> None:
    """Also in another order, and without names."""
    assert [] == matching.mismatches(iris.SPEC, described(), None)
    assert [] == matching.mismatches(iris.SPEC, described(NAMES[::-1]), None)
    assert [] == matching.mismatches(iris.SPEC, described(None), None)


def test_every_mismatch_is_named_at_once() -> None:
    """Features and classes."""
    model = described([*NAMES[:3], "colour"], known=["setosa", "virginica", "wild"])
    columns = [SignedColumn(NAMES[0], "text", required=True)]

    assert [
        "the model takes 'colour', which the spec has not: add this feature, or name it as header=",
        "petal_width_cm of the spec is not optional, and the model does not take petal_width_cm",
        "sepal_length_cm is a number by the spec, and text by the signature:"
        " declare it as the model takes it",
        'the model has the class "wild", which the spec has not',
        'the spec has the class "versicolor", which the model has not',
    ] == matching.mismatches(iris.SPEC, model, columns)


def test_classes_of_another_type_are_one_mismatch() -> None:
    """Numbers in place of names."""
    (fault,) = matching.mismatches(iris.SPEC, described(known=[0, 1, 2]), None)

    assert fault.startswith('the classes of the model are 0, 1, 2, and those of the spec "setosa",')


def test_columns_without_names_are_counted() -> None:
    """A signature may name them in place of the model."""
    (fault,) = matching.mismatches(iris.SPEC, described(None, 3), None)
    columns = [SignedColumn(name, "number", required=True) for name in NAMES[:3]]

    assert "the model takes 3 columns, and the spec has 4: " in fault
    assert ["petal_width_cm of the spec is not optional, and the model does not take petal_width_cm"] == (
        matching.mismatches(iris.SPEC, described(None, 3), columns)
    )


def test_an_optional_feature_may_be_unknown() -> None:
    """The model is not given it."""
    spec = penguins.SPEC
    optional = next(name for name, each in spec.inputs.items() if each.optional)
    names = [name for name in spec.inputs if name != optional][::-1]
    model = described(names, len(names), list(spec.target.labels))  # type: ignore[union-attr]

    assert [] == matching.mismatches(spec, model, None)
    assert names == list(matching.taken(spec, model, None).layout.texts)
    assert spec is matching.taken(spec, replace(model, names=None), None)


def test_a_model_may_know_a_feature_by_its_header() -> None:
    """Names with blanks and brackets are no names of fields."""
    header = "petal length (cm)"
    inputs = {name: (info.annotation, info) for name, info in iris.SPEC.features.model_fields.items()}
    shown = number("Length", unit="cm", low=0, high=30, example=1.4, header=header)
    declared: Any = {**inputs, "petal_length_cm": (float, shown)}
    spec = replace(iris.SPEC, features=create_model("Shown", __base__=Features, **declared))
    names = [header if name == "petal_length_cm" else name for name in reversed(NAMES)]

    assert [] == matching.mismatches(spec, described(names), None)
    assert {header: "petal_length_cm"} == matching.aliases(spec, names)
    assert NAMES[::-1] == list(matching.taken(spec, described(names), None).inputs)


class Visit(Features):
    """A moment has several columns."""

    seen_at: datetime = moment("When", zone="UTC", example="2024-01-01", parts=("hour", "weekday"))
    age: float = number("Age", unit="years", low=0, high=120, example=40)


def test_the_columns_of_a_moment_stand_together() -> None:
    """The frame is made so."""
    spec = Spec("visit", "Visit", Visit, classes("a", "b"), iris.load, iris.pipeline)
    hour, weekday, age = spec.layout.texts

    def faults(*names: str) -> list[str]:
        return matching.mismatches(spec, described(list(names), len(names), ["a", "b"]), None)

    assert [] == faults(age, hour, weekday)
    assert "must stand together" in faults(hour, age, weekday)[0]
    assert [f"seen_at of the spec is incomplete: the model does not take {weekday}"] == faults(hour, age)


@pytest.mark.parametrize(
    ("saved", "faults", "warned"), [("1.9.0", 0, 0), ("1.8.2", 0, 1), ("1.10.0", 1, 0), ("2.0", 1, 0)]
)
def test_a_newer_library_is_a_fault_and_an_older_one_a_doubt(saved: str, faults: int, warned: int) -> None:
    """By its first two numbers."""
    against, warnings = matching.of_libraries(saved, "1.9.1")

    assert (faults, warned) == (len(against), len(warnings))
