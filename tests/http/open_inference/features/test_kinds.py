"""Each kind reads tensors as its validator reads JSON."""

from __future__ import annotations

import math
from typing import Any

import pytest

from models_store.features import kinds as all_kinds
from models_store.features.category import Category
from models_store.features.feature import Feature
from models_store.features.flag import Flag
from models_store.features.integer import Integer
from models_store.features.moment import Moment
from models_store.features.number import Number
from models_store.features.text import Text
from prediction.http.open_inference.datatypes import DATATYPES
from prediction.http.open_inference.features import kinds

FEATURES: dict[str, Feature] = {
    each.kind: each
    for each in (
        Number(name="a", low=0, high=9),
        Integer(name="a", low=0, high=9),
        Flag(name="a"),
        Category(name="a", categories=("x", "y")),
        Text(name="a", max_length=5),
        Moment(name="a", zone="Europe/Paris"),
    )
}


def test_every_kind_has_its_part() -> None:
    """The part is the module of its name."""
    assert set(all_kinds.KINDS) == set(kinds.PARTS) == set(FEATURES)
    for kind, feature in FEATURES.items():
        assert f"prediction.http.open_inference.features.{kind}" == kinds.of(feature).__name__  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "required", "optional"),
    [
        ("number", "FP64", "FP64"),
        ("integer", "INT64", "FP64"),
        ("flag", "BOOL", "BYTES"),
        ("category", "BYTES", "BYTES"),
        ("text", "BYTES", "BYTES"),
        ("moment", "BYTES", "BYTES"),
    ],
)
def test_the_datatype_can_say_that_a_value_is_missing(kind: str, required: str, optional: str) -> None:
    """In binary only floats and texts can: NaN, and an empty text."""
    feature = FEATURES[kind]
    part = kinds.of(feature)

    assert required == part.datatype(feature)
    assert optional == part.datatype(type(feature)(name="a", optional=True))
    assert {required, optional} <= set(part.ACCEPTED) <= set(DATATYPES)


@pytest.mark.parametrize(
    ("kind", "given", "plain"),
    [
        ("number", [1.5, math.nan, None, 3, "1"], [1.5, None, None, 3, "1"]),
        ("integer", [1, 2.0, math.nan], [1, 2.0, None]),
        ("flag", [True, None], [True, None]),
        ("flag", ["true", "FALSE", "", "yes", None], [True, False, None, "yes", None]),
        ("category", ["x", "", None], ["x", "", None]),
        ("text", ["x", ""], ["x", ""]),
        ("moment", ["2024-06-01", ""], ["2024-06-01", ""]),
    ],
)
def test_values_are_those_of_json(kind: str, given: list[Any], plain: list[Any]) -> None:
    """What the spec refuses in JSON stays as it is, for the spec to refuse."""
    assert plain == kinds.of(FEATURES[kind]).plain(given)
