"""A choice: one of the texts that the annotation lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args, get_origin

from pydantic_core import core_schema

from models_store import faults
from models_store.features import feature
from models_store.features.feature import Feature
from models_store.validation import listing

if TYPE_CHECKING:
    import numpy as np
    from pydantic_core import CoreSchema


@dataclass(frozen=True, kw_only=True)
class Category(Feature):
    """One of `categories`."""

    kind: ClassVar[str] = "category"
    declared_by: ClassVar[str] = "`Literal[...]` with category(...)"
    is_text: ClassVar[bool] = True

    categories: tuple[str, ...] = ()
    dtype: str = "object"
    """Of its column: versions of the first release were fitted on objects."""

    @property
    def words(self) -> str:
        """Describes a value that is not missing, in words."""
        return f"one of {listing(self.categories)}"

    @property
    def characters(self) -> int:
        """The most characters that a value has in JSON."""
        return max(map(len, self.categories), default=0)

    def named(self, name: str, annotation: Any) -> Feature:
        """Return the feature with the name of its field and the categories of the annotation."""
        listed = get_args(annotation) if get_origin(annotation) is Literal else ()
        return replace(self, name=name, categories=listed)

    def faults(self, annotation: Any) -> list[str]:
        """Say what is wrong with the declaration."""
        if get_origin(annotation) is not Literal:
            return [f"category(...) goes with `Literal[...]`, not with {faults.named(annotation)}"]
        return faults.of_categories(self.categories)

    def schema(self) -> CoreSchema:
        """Return the schema of a value."""
        return core_schema.literal_schema(list(self.categories))

    def shape(self) -> dict[str, Any]:
        """Return what a version must note to get the same columns for ever, as plain values."""
        return {**super().shape(), "categories": list(self.categories), "dtype": self.dtype}

    def refuses(self, trained: Feature) -> str:
        """Say why a version can't take the values of this feature; empty if it can."""
        is_same = isinstance(trained, Category) and set(trained.categories) == set(self.categories)
        return super().refuses(trained) or ("" if is_same else "had other categories")

    def series(self, values: Sequence[Any]) -> Any:
        """Return a column of texts as the pipeline takes it."""
        import pandas as pd

        return pd.Series(values, dtype="object")

    def draw(self, rows: int, rng: np.random.Generator, seen: Sequence[Any]) -> list[Any]:
        """Draw from all categories."""
        drawn: list[Any] = rng.choice(self.categories, rows).tolist()
        return drawn


def category(description: str, *, example: str, optional: bool = False) -> Any:
    """Declare a categorical feature. Its annotation, a `Literal`, lists the allowed values."""
    return feature.field(Category(description=description, example=example, optional=optional))
