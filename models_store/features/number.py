"""A number with a unit and a physical range."""

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
    import pandas as pd
    from pydantic_core import CoreSchema


@dataclass(frozen=True, kw_only=True)
class Number(Feature):
    """A number from `low` to `high`, both ends included."""

    kind: ClassVar[str] = "number"
    declared_by: ClassVar[str] = "`float` with number(...)"
    annotations: ClassVar[tuple[Any, ...]] = (float,)

    low: float = 0.0
    high: float = 0.0

    @property
    def words(self) -> str:
        """Describes a value that is not missing, in words."""
        return f"a number from {self.low:g} to {self.high:g} {self.unit}".rstrip()

    def faults(self, annotation: Any) -> list[str]:
        """Say what is wrong with the declaration."""
        if annotation is not float:
            return [f"number(...) goes with `float`, not with {faults.named(annotation)}"]
        return faults.of_range(self.low, self.high)

    def schema(self) -> CoreSchema:
        """Return the schema of a value: JSON has one kind of number, so 3 is 3.0."""
        return core_schema.float_schema(ge=self.low, le=self.high, strict=True, allow_inf_nan=False)

    def is_plain(self, column: pd.Series) -> bool:
        """Whether all are floats in the range; a missing one is None if it may be missing."""
        if column.dtype != "float64":
            return False
        values = column.to_numpy()
        within = (self.low <= values) & (values <= self.high)
        return bool(within.all()) or (self.optional and bool((within | column.isna()).all()))

    @property
    def span(self) -> tuple[float, float]:
        """Both ends of the range."""
        return float(self.low), float(self.high)

    def near(self, value: float) -> list[Any]:
        """Return the floats of 64 bits and of 32 bits next to a number, and itself."""
        import numpy as np

        ends = np.float32(-np.inf), np.float32(np.inf)
        found = [float(value), *(float(np.nextafter(value, float(end))) for end in ends)]
        with np.errstate(over="ignore"):  # float32 is finite up to 3.4e38
            single = np.float32(value)
            found += [float(single), *(float(np.nextafter(single, end)) for end in ends)]
        return [each for each in dict.fromkeys(found) if self.low <= each <= self.high]

    def draw(self, rows: int, rng: np.random.Generator, seen: Sequence[Any]) -> list[Any]:
        """Draw from the whole range."""
        drawn: list[Any] = rng.uniform(self.low, self.high, rows).tolist()
        return drawn


def number(
    description: str,
    *,
    unit: str,
    low: float,
    high: float,
    example: float,
    optional: bool = False,
    header: str = "",
) -> Any:
    """Declare a numeric feature of a `Features` class.

    Parameters
    ----------
    unit
        Shown after each value; `""` for a count or a ratio.
    low, high
        The physical range, both ends included. Values outside it are refused.
    optional
        Whether the value may be missing (`null` or absent). The dataset must have such rows.
    header
        The name of its column in files and frames of rows, if that is another one.
    """
    made = Number(
        description=description,
        unit=unit,
        low=low,
        high=high,
        example=example,
        optional=optional,
        header=header,
    )
    return feature.field(made, unit=unit)
