"""Yes or no: a boolean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic_core import core_schema

from models_store import faults
from models_store.features import feature
from models_store.features.feature import Feature

if TYPE_CHECKING:
    import numpy as np
    from pydantic_core import CoreSchema


@dataclass(frozen=True, kw_only=True)
class Flag(Feature):
    """True or false."""

    kind: ClassVar[str] = "flag"
    declared_by: ClassVar[str] = "`bool` with flag(...)"
    annotations: ClassVar[tuple[Any, ...]] = (bool,)

    @property
    def words(self) -> str:
        """Describes a value that is not missing, in words."""
        return "true or false"

    def faults(self, annotation: Any) -> list[str]:
        """Say what is wrong with the declaration."""
        is_bool = annotation is bool
        return [] if is_bool else [f"flag(...) goes with `bool`, not with {faults.named(annotation)}"]

    def schema(self) -> CoreSchema:
        """Return the schema of a value."""
        return core_schema.bool_schema(strict=True)

    def draw(self, rows: int, rng: np.random.Generator, seen: Sequence[Any]) -> list[Any]:
        """Draw both with the same probability."""
        drawn: list[Any] = (rng.random(rows) < 0.5).tolist()
        return drawn


def flag(description: str, *, example: bool, optional: bool = False, header: str = "") -> Any:
    """Declare a feature that is true or false. In the frame it is 1.0 or 0.0.

    Parameters
    ----------
    optional
        Whether the value may be missing (`null` or absent). The dataset must have such rows.
    header
        The name of its column in files and frames of rows, if that is another one.
    """
    return feature.field(Flag(description=description, example=example, optional=optional, header=header))
