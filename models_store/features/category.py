"""A choice: one of the texts that the annotation lists, or, if the category is open, any short text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args, get_origin

from pydantic_core import core_schema

from models_store import faults
from models_store.features import feature, texts
from models_store.features.feature import Feature
from models_store.validation import listing

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from pydantic_core import CoreSchema

MAX_CHARACTERS = 200
"""Of a value of an open category."""

DTYPE = "category"
OBJECT = "object"


@dataclass(frozen=True, kw_only=True)
class Category(Feature):
    """One of `categories`, or any text if it is open."""

    kind: ClassVar[str] = "category"
    declared_by: ClassVar[str] = "`Literal[...]` with category(...), `str` with category(open=True, ...)"
    annotations: ClassVar[tuple[Any, ...]] = (str,)
    is_text: ClassVar[bool] = True

    categories: tuple[str, ...] = ()
    open: bool = False
    dtype: str = DTYPE
    """Of its column: versions of the first release were fitted on objects."""

    @property
    def words(self) -> str:
        """Describes a value that is not missing, in words."""
        if self.open:
            return f"a text of 1 to {MAX_CHARACTERS} characters without NUL"
        return f"one of {listing(self.categories)}"

    @property
    def characters(self) -> int:
        """The most characters that a value has in JSON."""
        return MAX_CHARACTERS if self.open else max(map(len, self.categories), default=0)

    def named(self, name: str, annotation: Any) -> Feature:
        """Return the feature with the name of its field and the categories of the annotation."""
        listed = get_args(annotation) if get_origin(annotation) is Literal else ()
        return replace(self, name=name, categories=listed)

    def faults(self, annotation: Any) -> list[str]:
        """Say what is wrong with the declaration."""
        is_listed, given = get_origin(annotation) is Literal, faults.named(annotation)
        if self.open:
            words = f"category(open=True, ...) goes with `str`, not with {given}"
            return [] if annotation is str else [words]
        if annotation is str:
            ways = "category(open=True, ...) or text(...)"
            return [f"list the categories, Literal[...], or take any text by {ways}"]
        if not is_listed:
            return [f"category(...) goes with `Literal[...]`, not with {given}"]
        blank = [each for each in self.categories if isinstance(each, str) and each != each.strip()]
        words = f"blanks around a category are removed from all values: remove those of {listing(blank)}"
        return faults.of_categories(self.categories) + [words] * bool(blank)

    def schema(self) -> CoreSchema:
        """Return the schema of a value."""
        if self.open:
            return texts.schema(MAX_CHARACTERS, self.optional)
        listed = core_schema.literal_schema(list(self.categories))
        trimmed = core_schema.no_info_after_validator_function(
            self._choose, core_schema.str_schema(strict=True)
        )
        return core_schema.union_schema(
            [listed, trimmed],  # nearly all values have no blanks around them
            mode="left_to_right",
            custom_error_type=texts.REASON,
            custom_error_message="",
            serialization=core_schema.simple_ser_schema("str"),
        )

    def _choose(self, value: str) -> str | None:
        found = texts.trim(value)
        if found in self.categories or (found is None and self.optional):
            return found
        raise texts.refusal()

    def shown(self, schema: CoreSchema) -> CoreSchema:
        """Return the schema that describes a value in `docs.json`."""
        if schema["type"] == "union":
            return core_schema.literal_schema(schema["choices"][0]["expected"])
        return texts.shown(MAX_CHARACTERS)

    # ----------------------------------------------------------------------------------- the frame

    def shape(self) -> dict[str, Any]:
        """Return what a version must note to get the same columns for ever, as plain values."""
        own = {"categories": list(self.categories), "open": self.open, "dtype": self.dtype}
        return {**super().shape(), **own}

    def refuses(self, trained: Feature) -> str:
        """Say why a version can't take the values of this feature; empty if it can."""
        words = super().refuses(trained)
        if words or not isinstance(trained, Category) or trained.open:
            return words
        if self.open:
            return "was not open"
        return "" if set(trained.categories) == set(self.categories) else "had other categories"

    def series(self, values: Sequence[Any]) -> Any:
        """Return a column of texts as the pipeline takes it."""
        import pandas as pd

        if self.dtype == OBJECT:
            return pd.Series(values, dtype=OBJECT)
        if self.open:  # a new value is seen as it is
            known = sorted({value for value in values if value is not None})
            return pd.Categorical(values, categories=pd.Index(known, dtype=OBJECT))
        codes = [self._codes.get(value, -1) for value in values]
        return pd.Categorical.from_codes(codes, dtype=self._listed, validate=False)

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {name: code for code, name in enumerate(self.categories)}

    @cached_property
    def _listed(self) -> pd.CategoricalDtype:
        import pandas as pd

        return pd.CategoricalDtype(pd.Index(self.categories, dtype=OBJECT))

    # ----------------------------------------------------------------------------------- the values

    def draw(self, rows: int, rng: np.random.Generator, seen: Sequence[Any]) -> list[Any]:
        """Draw from all categories; of an open one, half are values of the dataset and half are new."""
        if not self.open:
            drawn: list[Any] = rng.choice(self.categories, rows).tolist()
            return drawn
        known = sorted({value for value in seen if value is not None}) or ["x"]
        values = [known[row] for row in rng.integers(len(known), size=rows)]
        fresh = texts.draw_words(rows, rng)
        return [new if row % 2 else old for row, (new, old) in enumerate(zip(fresh, values, strict=True))]


def category(
    description: str,
    *,
    example: str,
    open: bool = False,  # noqa: A002 -- the word that a spec reads best with
    optional: bool = False,
    header: str = "",
) -> Any:
    """Declare a categorical feature: its annotation, a `Literal`, lists the allowed values.

    Parameters
    ----------
    open
        Whether any short text is allowed; the annotation is then `str`. The pipeline gets values that the
        training data does not have as they are.
    optional
        Whether the value may be missing (`null`, empty or absent). The dataset must have such rows.
    header
        The name of its column in files and frames of rows, if that is another one.
    """
    made = Category(description=description, example=example, open=open, optional=optional, header=header)
    return feature.field(made)
