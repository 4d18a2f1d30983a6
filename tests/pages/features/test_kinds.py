"""Each kind has its field in the form."""

from __future__ import annotations

from models_store.features.category import Category
from models_store.features.number import Number
from prediction.pages.features import kinds


def test_a_number_is_typed_within_its_range() -> None:
    """The field has the ends of the range, and the words say them."""
    field = kinds.control(Number(name="a", low=0.5, high=2000, example=7.0))

    assert ("7", "number", "0.5 to 2,000") == (field.value, field.reads, field.range)
    assert ("0.5", "2000") == (field.attributes["min"], field.attributes["max"])


def test_a_category_is_chosen_from_a_list() -> None:
    """The example is chosen at first."""
    field = kinds.control(Category(name="a", categories=("x", "y"), example="y"))

    assert ("y", "text", ("x", "y")) == (field.value, field.reads, field.options)
