"""Each kind warns of values that its profile does not have."""

from __future__ import annotations

from typing import Any

import pytest

from models_store.features.category import Category
from models_store.features.feature import Feature
from models_store.features.number import Number
from prediction.figures.features import kinds


@pytest.mark.parametrize(
    ("feature", "trained", "live", "warned"),
    [
        (
            Number(name="a", low=0, high=9, unit="cm"),
            [2.0, 5.0],
            [1.0, 2.0, None, 6.0],
            {
                0: "1 is below the training range of 2 to 5 cm",
                3: "6 is above the training range of 2 to 5 cm",
            },
        ),
        (Number(name="a", low=0, high=9), [], [1.0], {}),
        (
            Category(name="a", categories=("x", "y")),
            ["x"],
            ["x", None, "y"],
            {2: "y is not in the training data (x)"},
        ),
    ],
)
def test_values_unlike_the_profile_are_named(
    feature: Feature, trained: list[Any], live: list[Any], warned: dict[int, str]
) -> None:
    """With the row, and in words; missing values are never unlike."""
    part = kinds.of(feature)
    profile = part.profile(feature, trained)

    assert part.KEY in profile
    assert warned == dict(part.unlike(feature, profile)(live))
