"""The mark in a field, and what a version says to another declaration."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import create_model

from models_store.features import feature
from models_store.features.number import Number
from models_store.spec import Features, category, number


def test_a_field_without_a_mark_declares_nothing() -> None:
    """A plain field of pydantic has no feature."""
    made = create_model("Made", __base__=Features, a=(float, 1.0))

    assert feature.of_field("a", made.model_fields["a"]) is None


def test_fields_of_a_made_model_keep_their_marks() -> None:
    """A schema may be made by `create_model`, as people do for many columns."""
    fields: dict[str, Any] = {
        "a": (float, number("A", unit="m", low=0, high=1, example=0.5)),
        "b": (Literal["x", "y"] | None, category("B", example="x", optional=True)),
    }
    made = create_model("Made", __base__=Features, **fields)
    found = {name: feature.of_field(name, info) for name, info in made.model_fields.items()}

    assert {"a": "number", "b": "category"} == {name: each.kind for name, each in found.items() if each}
    assert 0.5 == made.model_validate_json('{"a": 0.5}').model_dump()["a"]


def test_a_feature_that_may_be_missing_now_does_not_suit_a_version() -> None:
    """The version has never seen a missing value; the other way round is no fault."""
    always, sometimes = Number(name="a"), Number(name="a", optional=True)

    assert "may be missing now" == sometimes.refuses(always)
    assert "" == always.refuses(sometimes) == always.refuses(always)
