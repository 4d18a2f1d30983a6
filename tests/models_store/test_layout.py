"""The frame of a version: its types, its speed, and what a changed spec may ask of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models_store import layout as layouts
from models_store.features.category import Category
from models_store.features.number import Number
from models_store.layout import Columns, Layout
from models_store.spec import Spec

MASS, GRAIN = Number(name="mass"), Category(name="grain", categories=("oats", "rye"), optional=True)
BREAD = Layout({"mass": MASS, "grain": GRAIN})


def test_a_layout_survives_being_stored(specs: dict[str, Spec]) -> None:
    """What a version notes gives the same frame again."""
    for spec in specs.values():
        columns = spec.random_columns(20, np.random.default_rng(0))
        stored = layouts.of_profile({"layout": spec.layout.as_dict()}, {})

        assert spec.frame(columns).equals(stored.frame(columns))
        assert list(spec.frame(columns).dtypes) == list(stored.frame(columns).dtypes)


def test_a_version_of_the_first_release_is_given_numbers_and_objects() -> None:
    """Its profile has no layout, but tells numbers and categories apart."""
    features: dict[str, Any] = {"mass": {"sample": [1.0]}, "grain": {"counts": {"rye": 1, "oats": 0}}}
    found = layouts.of_profile({"features": features}, BREAD.inputs)

    assert {"mass": False, "grain": True} == found.texts
    assert ["float64", "object"] == [
        str(kind) for kind in found.frame({"mass": [1.0], "grain": ["rye"]}).dtypes
    ]
    assert [] == layouts.misfits(found, BREAD.inputs)


@pytest.mark.parametrize(
    ("inputs", "reasons"),
    [
        ({"mass": MASS}, ["grain is gone"]),
        ({"mass": MASS, "grain": MASS}, ["grain was of the kind category"]),
        ({"mass": MASS, "grain": GRAIN, "new": Number(name="new", optional=True)}, []),
        ({"mass": MASS, "grain": GRAIN, "new": Number(name="new")}, ["new is new, and not optional"]),
        ({"mass": Number(name="mass", optional=True), "grain": GRAIN}, ["mass may be missing now"]),
        ({"mass": Number(name="mass", low=-1, high=9, unit="t"), "grain": GRAIN}, []),
    ],
)
def test_a_version_suits_a_changed_spec_or_says_why_not(inputs: dict[str, Any], reasons: list[str]) -> None:
    """A new optional feature, another range and other words suit it."""
    assert reasons == layouts.misfits(BREAD, inputs)


def test_thirty_numbers_are_one_array() -> None:
    """The frame holds one block, in the order of the features, with NaN for missing values."""
    inputs = {f"x{n}": Number(name=f"x{n}", optional=True) for n in range(30)}
    columns: Columns = {name: [float(n), None] for n, name in enumerate(inputs)}
    frame = Layout(inputs).frame(columns)

    assert list(inputs) == list(frame.columns)
    assert {np.dtype("float64")} == set(frame.dtypes)
    assert [float(n) for n in range(30)] == frame.iloc[0].tolist()
    assert frame.iloc[1].isna().all()
