"""Each kind reads Arrow arrays as its validator reads JSON."""

from __future__ import annotations

import pyarrow
import pytest

from models_store.features.category import Category
from models_store.features.feature import Feature
from models_store.features.number import Number
from prediction.batch.features import kinds

NUMBER = Number(name="a", low=0, high=9, optional=True)
CATEGORY = Category(name="a", categories=("x", "y"), optional=True)


@pytest.mark.parametrize(
    ("feature", "array", "values", "wrong"),
    [
        (NUMBER, pyarrow.array([1, None, 10]), [1.0, None, 10.0], [False, False, True]),
        (NUMBER, pyarrow.array(["1", "2"]), [None, None], [True, True]),
        (NUMBER, pyarrow.array([True]), [None], [True]),
        (CATEGORY, pyarrow.array(["x", None, "z"]), ["x", None, None], [False, False, True]),
        (CATEGORY, pyarrow.array(["y"]).dictionary_encode(), ["y"], [False]),
        (CATEGORY, pyarrow.array([1]), [None], [True]),
    ],
)
def test_an_array_is_read(
    feature: Feature, array: pyarrow.Array, values: list[object], wrong: list[bool]
) -> None:
    """Its values are as in JSON; those that look wrong are marked."""
    part = kinds.of(feature)
    found, suspect = part.read(feature, array)

    assert values == part.plain(found)
    assert wrong == suspect.tolist()
