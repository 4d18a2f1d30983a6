"""A whole number with a unit and a physical range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic_core import core_schema

from models_store import faults
from models_store.features import feature
from models_store.features.feature import Feature
from models_store.features.texts import REASON, refusal

if TYPE_CHECKING:
    import numpy as np
    from pydantic_core import CoreSchema

EXACT = 2**53 - 1
"""The largest range: a float holds each of these integers, and no other number is rounded to one."""


@dataclass(frozen=True, kw_only=True)
class Integer(Feature):
    """A whole number from `low` to `high`, both ends included."""

    kind: ClassVar[str] = "integer"
    declared_by: ClassVar[str] = "`int` with integer(...)"
    annotations: ClassVar[tuple[Any, ...]] = (int,)

    low: int = 0
    high: int = 0

    @property
    def words(self) -> str:
        """Describes a value that is not missing, in words."""
        return f"a whole number from {self.low} to {self.high} {self.unit}".rstrip()

    def faults(self, annotation: Any) -> list[str]:
        """Say what is wrong with the declaration."""
        if annotation is not int:
            return [f"integer(...) goes with `int`, not with {faults.named(annotation)}"]
        if not all(type(end) is int and abs(end) <= EXACT for end in (self.low, self.high)):
            return [f"low and high are integers up to {EXACT}, not {self.low!r} and {self.high!r}"]
        return faults.of_range(self.low, self.high)

    def schema(self) -> CoreSchema:
        """Return the schema of a value: JSON has one kind of number, so 3.0 is 3."""
        limits: dict[str, Any] = {"ge": self.low, "le": self.high, "strict": True}
        decimal = core_schema.float_schema(allow_inf_nan=False, **limits)
        return core_schema.union_schema(
            [
                core_schema.int_schema(**limits),
                core_schema.no_info_after_validator_function(_whole, decimal),
            ],
            mode="left_to_right",
            custom_error_type=REASON,
            custom_error_message="",
        )

    def shown(self, schema: CoreSchema) -> CoreSchema:
        """Return the schema that describes a value in `docs.json`."""
        return core_schema.int_schema(ge=self.low, le=self.high)

    def draw(self, rows: int, rng: np.random.Generator, seen: Sequence[Any]) -> list[Any]:
        """Draw from the whole range."""
        drawn: list[Any] = rng.integers(self.low, self.high, rows, endpoint=True).tolist()
        return drawn


def _whole(value: float) -> int:
    """Return a whole number; pydantic's `multiple_of` would take 3.0000000001 too."""
    if not value.is_integer():
        raise refusal()
    return int(value)


def integer(
    description: str,
    *,
    unit: str,
    low: int,
    high: int,
    example: int,
    optional: bool = False,
    header: str = "",
) -> Any:
    """Declare a feature of whole numbers. In the frame they are float64, as all numbers.

    Parameters
    ----------
    unit
        Shown after each value; `""` for a count.
    low, high
        The physical range, both ends included. Values outside it are refused.
    optional
        Whether the value may be missing (`null` or absent). The dataset must have such rows.
    header
        The name of its column in files and frames of rows, if that is another one.
    """
    made = Integer(
        description=description,
        unit=unit,
        low=low,
        high=high,
        example=example,
        optional=optional,
        header=header,
    )
    return feature.field(made, unit=unit)
