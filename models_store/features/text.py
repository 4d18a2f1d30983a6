"""A text in words, for a pipeline that reads words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from models_store import faults
from models_store.features import feature, texts
from models_store.features.feature import Feature

if TYPE_CHECKING:
    import numpy as np
    from pydantic_core import CoreSchema

DRAWN_WORDS = 30
ENDS = (" ", " ", " ", ", ", ". ", "! ", "\n", "  ", "\u00a0", "\u2028", "\u3000")
"""Between drawn words; those at the end are blanks for Python, and not for every pattern of the runtime."""


@dataclass(frozen=True, kw_only=True)
class Text(Feature):
    """A text of at most `max_length` characters."""

    kind: ClassVar[str] = "text"
    declared_by: ClassVar[str] = "`str` with text(...)"
    annotations: ClassVar[tuple[Any, ...]] = (str,)
    is_text: ClassVar[bool] = True

    max_length: int = 1

    @property
    def words(self) -> str:
        """Describes a value that is not missing, in words."""
        return f"a text of 1 to {self.max_length} characters without NUL"

    @property
    def characters(self) -> int:
        """The most characters that a value has in JSON."""
        return self.max_length

    def faults(self, annotation: Any) -> list[str]:
        """Say what is wrong with the declaration."""
        if annotation is not str:
            return [f"text(...) goes with `str`, not with {faults.named(annotation)}"]
        is_length = type(self.max_length) is int and self.max_length > 0
        return [] if is_length else [f"max_length is an integer above 0, not {self.max_length!r}"]

    def schema(self) -> CoreSchema:
        """Return the schema of a value."""
        return texts.schema(self.max_length, self.optional)

    def shown(self, schema: CoreSchema) -> CoreSchema:
        """Return the schema that describes a value in `docs.json`."""
        return texts.shown(self.max_length)

    def series(self, values: Sequence[Any]) -> Any:
        """Return a column of texts as the pipeline takes it: a missing text is empty."""
        import pandas as pd

        return pd.Series(["" if value is None else value for value in values], dtype="object")

    def draw(self, rows: int, rng: np.random.Generator, seen: Sequence[Any]) -> list[Any]:
        """Draw texts of words of the dataset, with new words between them."""
        known = sorted({word for value in seen if value for word in value.split()}) or ["x"]
        drawn = []
        for length in rng.integers(1, DRAWN_WORDS, rows).tolist():
            picked = [known[word] for word in rng.integers(len(known), size=length)]
            fresh = texts.draw_words(length, rng)
            is_new = rng.random(length) < 0.2
            ends = rng.integers(len(ENDS), size=length).tolist()
            words = [
                (new if use else old) + ENDS[end]
                for old, new, use, end in zip(picked, fresh, is_new, ends, strict=True)
            ]
            drawn.append("".join(words)[: self.max_length].strip() or "x")
        return drawn


def text(
    description: str, *, max_length: int, example: str, optional: bool = False, header: str = ""
) -> Any:
    """Declare a feature that is a text in words. The pipeline gets it as it is; a missing one is empty.

    Parameters
    ----------
    max_length
        The most characters. Longer texts are refused.
    optional
        Whether the value may be missing (`null`, empty or absent).
    header
        The name of its column in files and frames of rows, if that is another one.
    """
    made = Text(
        description=description, max_length=max_length, example=example, optional=optional, header=header
    )
    return feature.field(made)
