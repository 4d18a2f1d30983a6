"""The description of a model: its features, classes, dataset, estimator and gate rules.

It does no I/O, and imports neither scikit-learn nor pandas, because servers use it for each request.
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import BaseModel, ConfigDict, Field

from models_store.errors import InvalidInput, InvalidSpec
from models_store.validation import Validator, listing

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from pydantic.fields import FieldInfo
    from sklearn.base import ClassifierMixin

Columns = dict[str, list[Any]]
"""Rows by feature: a list of values for each feature; a missing value is `None`."""

RESERVED_NAMES = frozenset(
    {
        "assets",
        "dashboard",
        "docs",
        "healthz",
        "livez",
        "metrics",
        "models",
        "readyz",
        "static_content",
    }
)


RESERVED_FEATURES = re.compile(
    "at|label|labelled_at|model|predicted_class|prediction_id|probabilities|probability_.*|refused|version"
)
"""Names of other columns in files of predictions."""


class Features(BaseModel):
    """Base of every feature schema: strict types, no unknown fields, no NaN, no infinities."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def number(
    description: str, *, unit: str, low: float, high: float, example: float, optional: bool = False
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
    """
    return Field(
        default=None if optional else ...,
        ge=low,
        le=high,
        description=_describe(description, unit, optional),
        examples=[example],
        json_schema_extra={"unit": unit},
    )


def category(description: str, *, example: str, optional: bool = False) -> Any:
    """Declare a categorical feature. Its annotation, a `Literal`, lists the allowed values."""
    return Field(
        default=None if optional else ...,
        description=_describe(description, "", optional),
        examples=[example],
    )


def _describe(description: str, unit: str, optional: bool) -> str:
    return description + (f", {unit}" if unit else "") + ("; may be missing" if optional else "")


@dataclass(frozen=True)
class GateRules:
    """The limits for a candidate: it may replace the champion if it is not worse by any rule.

    Parameters
    ----------
    metric
        The metric to compare, in addition to log-loss.
    metric_tolerance
        How far the metric may fall, absolute.
    log_loss_tolerance
        How far log-loss may rise, absolute, in nats.
    recall_floor
        The least recall of each class.
    significance
        A candidate is worse if the p-value of McNemar's exact test is below this level.
    min_rows
        A rule with fewer rows does not vote.
    """

    metric: Literal["macro_f1", "accuracy"] = "macro_f1"
    metric_tolerance: float = 0.05
    log_loss_tolerance: float = 0.05
    recall_floor: float = 0.7
    significance: float = 0.05
    min_rows: int = 10


@dataclass(frozen=True)
class Feature:
    """One input of a model, as its schema declares it. A number has a range, a category has none."""

    name: str
    description: str
    unit: str
    optional: bool
    example: Any
    categories: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0

    @property
    def expected(self) -> str:
        """Describes a valid value in words."""
        if self.categories:
            words = f"one of {listing(self.categories)}"
        else:
            words = f"a number from {self.low:g} to {self.high:g} {self.unit}".rstrip()
        return words + (" or null" if self.optional else "")


@dataclass(frozen=True)
class Spec:
    """The description of a model. Each file of `models_store/catalog/` has one.

    Parameters
    ----------
    name
        The model's name in routes, in the store and in the journal.
    title
        One line for people.
    features
        The schema of a row.
    classes
        The labels, sorted, as scikit-learn orders the columns of `predict_proba`.
    load
        Returns `X` (n rows, one column for each feature, missing values as NaN or None) and `y`
        (n labels). It does not use the network.
    pipeline
        Returns an unfitted classifier with `predict_proba` for a random seed. It is fitted on a frame
        with the columns of `X`: numbers are float64, categories object.
    group
        A column of the frame of `load`, a feature or not. Rows with the same value are held out together.
    time
        A column of that frame with numbers, dates or ISO texts: the latest quarter is held out.

    Raises
    ------
    InvalidSpec
        The message says which part is wrong.
    """

    name: str
    title: str
    features: type[Features]
    classes: tuple[str, ...]
    load: Callable[[], tuple[pd.DataFrame, pd.Series]]
    pipeline: Callable[[int], ClassifierMixin]
    gate: GateRules = field(default_factory=GateRules)
    group: str | None = None
    time: str | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z]([a-z0-9_]{0,48}[a-z0-9])?", self.name):
            words = "use up to 50 lower-case letters, digits and _, a letter first and no _ last"
            raise InvalidSpec(f"model name {self.name!r}: {words}")
        if self.name in RESERVED_NAMES:
            raise InvalidSpec(f"model name {self.name!r} is a route of the service: choose another")
        if len(self.classes) < 2 or list(self.classes) != sorted(set(self.classes)):
            raise InvalidSpec(f"{self.name}: give two or more classes, sorted, each once")
        if self.group is not None and self.time is not None:
            raise InvalidSpec(f"{self.name}: give group= or time=, not both")
        if not self.inputs:
            raise InvalidSpec(f"{self.name}: the feature schema has no field")
        try:
            self.rows.object(self.example)
        except InvalidInput as error:
            raise InvalidSpec(f"{self.name}: the examples are no valid row: {error}") from error

    @cached_property
    def inputs(self) -> dict[str, Feature]:
        """The features by name, in the schema's order."""
        fields = self.features.model_fields
        return {name: _feature(self.name, name, info) for name, info in fields.items()}

    @property
    def example(self) -> dict[str, Any]:
        """One valid row, made of the examples of the features."""
        return {name: feature.example for name, feature in self.inputs.items()}

    @cached_property
    def rows(self) -> Validator[Features]:
        """Validates rows against the feature schema."""
        expected = {name: feature.expected for name, feature in self.inputs.items()}
        return Validator(self.features, self.name, expected)

    def columns(self, rows: Sequence[Features]) -> Columns:
        """Turn validated rows into columns."""
        return {name: [getattr(row, name) for row in rows] for name in self.inputs}

    def columns_of(self, frame: pd.DataFrame) -> Columns:
        """Turn a frame into columns. Every kind of missing value becomes `None`."""
        return {
            name: [
                None if missing else value
                for value, missing in zip(frame[name].tolist(), frame[name].isna(), strict=True)
            ]
            for name in self.inputs
        }

    def frame(self, columns: Columns) -> pd.DataFrame:
        """Turn columns into the frame that the pipeline takes: numbers float64, categories object."""
        import pandas as pd

        return pd.DataFrame(
            {
                name: pd.Series(columns[name], dtype="object" if feature.categories else "float64")
                for name, feature in self.inputs.items()
            }
        )

    def random_columns(self, rows: int, rng: np.random.Generator) -> Columns:
        """Draw rows uniformly from the physical ranges. One of ten optional values is missing."""
        columns: Columns = {}
        for name, feature in self.inputs.items():
            if feature.categories:
                values: list[Any] = rng.choice(feature.categories, rows).tolist()
            else:
                values = rng.uniform(feature.low, feature.high, rows).tolist()
            if feature.optional:
                missing = rng.random(rows) < 0.1
                values = [None if gone else v for v, gone in zip(values, missing, strict=True)]
            columns[name] = values
        return columns


def _feature(model: str, name: str, info: FieldInfo) -> Feature:
    annotation, optional = info.annotation, False
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        optional = len(kinds) < len(get_args(annotation))
        annotation = kinds[0] if len(kinds) == 1 else None
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    shape: dict[str, Any]
    if get_origin(annotation) is Literal:
        shape = {"categories": get_args(annotation)}
        if not all(isinstance(value, str) and value for value in shape["categories"]):
            raise InvalidSpec(f"{model}.{name}: categories are texts, and none is empty")
    else:
        low = next((item.ge for item in info.metadata if isinstance(item, Ge)), None)
        high = next((item.le for item in info.metadata if isinstance(item, Le)), None)
        shape = {"low": low, "high": high}
        if annotation is not float or low is None or high is None:
            raise InvalidSpec(
                f"{model}.{name}: declare `float` with number(...), or `Literal[...]` with category(...)"
            )
    if optional is info.is_required():
        raise InvalidSpec(f"{model}.{name}: optional=True goes with `| None`, and only with it")
    if RESERVED_FEATURES.fullmatch(name):
        raise InvalidSpec(f"{model}.{name}: files of predictions have a column of that name")
    return Feature(
        name=name,
        description=info.description or "",
        unit=str(extra.get("unit", "")),
        optional=optional,
        example=info.examples[0] if info.examples else None,
        **shape,
    )
