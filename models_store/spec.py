"""The description of a model: its features, target, dataset, estimator and gate rules.

It does no I/O, and imports neither scikit-learn nor pandas, because servers use it for each request.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self, Union, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import BaseModel, ConfigDict, Field, create_model

from models_store import faults
from models_store.errors import InvalidInput, InvalidSpec
from models_store.faults import Fault
from models_store.targets.classes import classes as classes  # specs import all that they need from here
from models_store.targets.costs import Cost as Cost
from models_store.targets.kinds import KINDS, Target
from models_store.validation import Validator, listing

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from pydantic.fields import FieldInfo
    from sklearn.base import ClassifierMixin

Columns = dict[str, list[Any]]
"""Rows by feature: a list of values for each feature; a missing value is `None`."""


class Features(BaseModel):
    """Base of every feature schema: strict types, no unknown fields, no NaN, no infinities."""

    # The schema is built by `Spec`, which names every fault of its fields at once.
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)


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
    target
        What the model predicts: `classes(...)`.
    load
        Returns `X` (n rows, one column for each feature, missing values as NaN or None) and `y`
        (n labels of the target). It does not use the network.
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
    target: Target
    load: Callable[[], tuple[pd.DataFrame, pd.Series]]
    pipeline: Callable[[int], ClassifierMixin]
    gate: GateRules = field(default_factory=GateRules)
    group: str | None = None
    time: str | None = None

    def __new__(cls, *_: Any, **given: Any) -> Self:
        """Refuse `classes=`, which the first release had, with its remedy; Python's own error has none."""
        if "classes" in given:
            raise InvalidSpec(f"{given.get('name', 'Spec')}: {_remedy(given['classes'])}")
        return super().__new__(cls)

    def __post_init__(self) -> None:
        found = [
            *faults.of_name(self.name),
            *faults.of_texts(title=self.title),
            *self._faults_of_target(),
            *faults.of_functions(load=self.load, pipeline=self.pipeline),
            *faults.of_gate(self.gate, GateRules),
            *faults.of_split(self.group, self.time),
            *self._faults_of_features(),
        ]
        if found:
            raise InvalidSpec(f"{self.name}: {faults.sentence(found)}", [each.detail for each in found])

    def _faults_of_target(self) -> list[Fault]:
        if isinstance(self.target, KINDS):
            return self.target.faults()
        return [Fault(("target",), _remedy(self.target))]

    def _faults_of_features(self) -> list[Fault]:
        if not (isinstance(self.features, type) and issubclass(self.features, Features)):
            return [Fault(("features",), "give a class derived from Features")]
        if not self.features.model_fields:
            return [Fault(("features",), "the feature schema has no field")]
        fields = self.features.model_fields
        found = {name: _faults_of_feature(name, info) for name, info in fields.items()}
        good = {name: info for name, info in fields.items() if not found[name]}
        return [fault for words in found.values() for fault in words] + self._faults_of_examples(good)

    def _faults_of_examples(self, good: dict[str, FieldInfo]) -> list[Fault]:
        """Validate the examples of the features that are declared well."""
        model = self.features
        if len(good) < len(model.model_fields):
            declared: dict[str, Any] = {name: (info.annotation, info) for name, info in good.items()}
            model = create_model("Good", __base__=Features, **declared)
        model.model_rebuild()
        inputs = [_feature(name, info) for name, info in good.items()]
        row = {feature.name: feature.example for feature in inputs}
        try:
            Validator(model, self.name, {each.name: each.expected for each in inputs}).object(row)
        except InvalidInput as error:
            return [
                Fault(("features", *each["loc"]), f"its example {each['msg']}") for each in error.detail
            ]
        return []

    @cached_property
    def inputs(self) -> dict[str, Feature]:
        """The features by name, in the schema's order."""
        return {name: _feature(name, info) for name, info in self.features.model_fields.items()}

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


def _remedy(labels: object) -> str:
    """Say how to declare a target, for labels that stand alone."""
    shown = ", ".join(map(repr, labels)) if isinstance(labels, tuple | list) else "..."
    return f"declare what it predicts by target=classes({shown}), imported from models_store.spec"


def _kind(info: FieldInfo) -> tuple[Any, bool]:
    """Return the annotation of a field without None, and whether None was in it."""
    annotation, optional = info.annotation, False
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        optional = len(kinds) < len(get_args(annotation))
        annotation = kinds[0] if len(kinds) == 1 else None
    return annotation, optional


def _limits(info: FieldInfo) -> tuple[Any, Any]:
    """Return the range of a field, None where there is no limit."""
    low = next((item.ge for item in info.metadata if isinstance(item, Ge)), None)
    high = next((item.le for item in info.metadata if isinstance(item, Le)), None)
    return low, high


def _faults_of_feature(name: str, info: FieldInfo) -> list[Fault]:
    """Find what is wrong with the declaration of a feature."""
    annotation, optional = _kind(info)
    low, high = _limits(info)
    words = faults.of_feature_name(name)
    if get_origin(annotation) is Literal:
        words += faults.of_categories(get_args(annotation))
        has_range = low is not None or high is not None
        words += ["a range goes with `float`: declare categories with category(...)"] * has_range
    elif annotation is not float or low is None or high is None:
        words.append("declare `float` with number(...), or `Literal[...]` with category(...)")
    else:
        words += faults.of_range(low, high)
    if optional is info.is_required():
        words.append("optional=True goes with `| None`, and only with it")
    if not info.examples:
        words.append("give an example")
    return [Fault(("features", name), each) for each in words]


def _feature(name: str, info: FieldInfo) -> Feature:
    """Read a declaration without faults."""
    annotation, optional = _kind(info)
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    shape: dict[str, Any]
    if get_origin(annotation) is Literal:
        shape = {"categories": get_args(annotation)}
    else:
        low, high = _limits(info)
        shape = {"low": low, "high": high}
    return Feature(
        name=name,
        description=info.description or "",
        unit=str(extra.get("unit", "")),
        optional=optional,
        example=info.examples[0] if info.examples else None,
        **shape,
    )
