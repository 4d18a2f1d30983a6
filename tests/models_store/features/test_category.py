"""Categories: what of a changed declaration suits a version."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest

from models_store.errors import InvalidInput
from models_store.features.category import Category
from models_store.features.number import Number
from tests.models_store.features.rows import validator

GRAIN = Category(name="grain", categories=("oats", "rye"))
CITY = Category(name="city", open=True)


def test_other_categories_do_not_suit_a_version() -> None:
    """The same ones in another order do."""
    assert "" == GRAIN.refuses(Category(name="grain", categories=("rye", "oats")))
    assert "had other categories" == GRAIN.refuses(Category(name="grain", categories=("rye",)))
    assert "was of the kind number" == GRAIN.refuses(Number(name="grain"))


@pytest.mark.parametrize("value", [" rye", "rye ", "\t rye\n", "\u2003rye"])
def test_blanks_around_a_category_are_removed(value: str) -> None:
    """In JSON as in files."""
    assert "rye" == validator(Literal["oats", "rye"] | None, GRAIN).object({"a": value}).a


def test_an_empty_category_is_missing() -> None:
    """If it may be missing; otherwise it is refused."""
    assert (
        validator(Literal["oats", "rye"] | None, replace(GRAIN, optional=True)).object({"a": " "}).a is None
    )
    with pytest.raises(InvalidInput, match="must be one of oats, rye"):
        validator(Literal["oats", "rye"], GRAIN).object({"a": ""})


def test_an_open_category_takes_any_short_text() -> None:
    """Without the blanks around it, and up to a length."""
    rows = validator(str, CITY)

    assert ["Lyon", "Žilina", "x" * 200] == [
        rows.object({"a": value}).a for value in (" Lyon ", "Žilina", "x" * 200)
    ]
    for wrong in ("", "  ", "x" * 201, "a\0b", 3, None, "\ud800"):
        with pytest.raises(InvalidInput, match="must be a text of 1 to 200 characters without NUL"):
            rows.object({"a": wrong})


def test_an_open_category_is_given_to_the_pipeline_as_it_is() -> None:
    """Also a value that the training data does not have; a missing one is missing."""
    column = CITY.series(["Lyon", "new", None])

    assert ["Lyon", "new", None] == [None if value != value else value for value in column.tolist()]
    assert "category" == str(column.dtype)


def test_a_column_has_all_categories_of_the_declaration() -> None:
    """In their order, whatever the rows are."""
    column = GRAIN.series(["rye", None])

    assert ["oats", "rye"] == list(column.categories)
    assert [1, -1] == column.codes.tolist()


def test_an_open_category_suits_fewer_versions_than_it_takes_values() -> None:
    """A version of a closed one has never seen others; the other way round is no fault."""
    closed = Category(name="a", categories=("Lyon",))

    assert "was not open" == CITY.refuses(closed)
    assert "" == closed.refuses(CITY) == CITY.refuses(CITY)


def test_the_proof_sees_values_of_the_dataset_and_new_ones() -> None:
    """Half of them are new."""
    drawn = CITY.draw(100, np.random.default_rng(0), ["Lyon", "Metz", None])

    assert 50 <= sum(value in ("Lyon", "Metz") for value in drawn) < 60
    assert None not in drawn


@pytest.mark.parametrize(
    ("feature", "annotation", "words"),
    [
        (CITY, Literal["x"], "goes with `str`"),
        (GRAIN, str, "take any text by category(open=True"),
        (Category(categories=(" rye",)), Literal[" rye"], "blanks around a category"),
    ],
)
def test_a_contradicting_declaration_is_a_fault(feature: Category, annotation: Any, words: str) -> None:
    """With the remedy."""
    (fault,) = feature.faults(annotation)

    assert words in fault
