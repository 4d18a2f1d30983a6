"""Categories: what of a changed declaration suits a version."""

from __future__ import annotations

from models_store.features.category import Category
from models_store.features.number import Number

GRAIN = Category(name="grain", categories=("oats", "rye"))


def test_other_categories_do_not_suit_a_version() -> None:
    """The same ones in another order do."""
    assert "" == GRAIN.refuses(Category(name="grain", categories=("rye", "oats")))
    assert "had other categories" == GRAIN.refuses(Category(name="grain", categories=("rye",)))
    assert "was of the kind number" == GRAIN.refuses(Number(name="grain"))
