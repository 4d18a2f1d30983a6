"""The description of a model: its features, target, dataset, estimator and gate rules.

It does no I/O, and imports neither scikit-learn nor pandas, because servers use it for each request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, create_model

from models_store import faults
from models_store.blocks import Floats
from models_store.dialects import Dialect as Dialect
from models_store.errors import InvalidInput, InvalidSpec
from models_store.faults import Fault
from models_store.features import feature
from models_store.features import kinds as feature_kinds
from models_store.features.category import category as category  # specs import all they need from here
from models_store.features.feature import Feature
from models_store.features.flag import flag as flag
from models_store.features.integer import integer as integer
from models_store.features.moment import moment as moment
from models_store.features.number import number as number
from models_store.features.text import text as text
from models_store.layout import Columns as Columns
from models_store.layout import Layout
from models_store.targets import kinds as target_kinds
from models_store.targets.classes import classes as classes
from models_store.targets.costs import Cost as Cost
from models_store.targets.kinds import Target
from models_store.targets.quantity import quantity as quantity
from models_store.targets.rules import GateRules as GateRules
from models_store.targets.rules import QuantityRules as QuantityRules
from models_store.validation import Validator

if TYPE_CHECKING:
    import pandas as pd
    from pydantic.fields import FieldInfo


class Features(BaseModel):
    """Base of every feature schema: strict types, no unknown fields, no NaN, no infinities."""

    # The schema is built by `Spec`, which names every fault of its fields at once.
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)


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
        What the model predicts: `classes(...)` or `quantity(...)`.
    load
        Returns `X` (n rows, one column for each feature, missing values as NaN or None) and `y`
        (n labels of the target). It does not use the network.
    pipeline
        Returns an unfitted estimator for a random seed: a classifier with `predict_proba`, or a
        regressor. It is fitted on a frame whose columns are made of the features: categories are of
        pandas' `category` dtype, texts are objects, and all others are float64 (`models_store/layout.py`).
    gate
        The limits for a candidate: `GateRules(...)` for classes, `QuantityRules(...)` for a quantity. By
        default those of the kind of target.
    group
        A column of the frame of `load`, a feature or not. Rows with the same value are held out together.
    time
        A column of that frame with numbers, dates or ISO texts: the latest quarter is held out.
    dialect
        How files to score are written, if not in UTF-8 with commas, plain numbers and ISO dates.

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
    pipeline: Callable[[int], Any]
    gate: Any = None
    group: str | None = None
    time: str | None = None
    dialect: Dialect | None = None

    def __new__(cls, *_: Any, **given: Any) -> Self:
        """Refuse `classes=`, which the first release had, with its remedy; Python's own error has none."""
        if "classes" in given:
            raise InvalidSpec(f"{given.get('name', 'Spec')}: {_remedy(given['classes'])}")
        return super().__new__(cls)

    def __post_init__(self) -> None:
        if self.gate is None and isinstance(self.target, target_kinds.KINDS):
            object.__setattr__(self, "gate", self.target.rules())
        found = [
            *faults.of_name(self.name),
            *faults.of_texts(title=self.title),
            *self._faults_of_target(),
            *faults.of_functions(load=self.load, pipeline=self.pipeline),
            *self._faults_of_gate(),
            *faults.of_split(self.group, self.time),
            *self._faults_of_features(),
            *self._faults_of_dialect(),
        ]
        if found:
            raise InvalidSpec(f"{self.name}: {faults.sentence(found)}", [each.detail for each in found])

    def _faults_of_target(self) -> list[Fault]:
        if isinstance(self.target, target_kinds.KINDS):
            return self.target.faults()
        return [Fault(("target",), _remedy(self.target))]

    def _faults_of_gate(self) -> list[Fault]:
        if isinstance(self.target, target_kinds.KINDS):
            return faults.of_gate(self.gate, self.target.rules)
        known = {
            kind.rules: kind.rules for kind in target_kinds.KINDS
        }  # the target is no target: nobody knows the kind
        return faults.of_gate(self.gate, known.get(type(self.gate), GateRules)) if self.gate else []

    def _faults_of_dialect(self) -> list[Fault]:
        if self.dialect is None:
            return []
        if not isinstance(self.dialect, Dialect):
            return [Fault(("dialect",), "declare it by Dialect(...), imported from models_store.spec")]
        return self.dialect.faults(getattr(self.features, "model_fields", {}))

    def _faults_of_features(self) -> list[Fault]:
        if not (isinstance(self.features, type) and issubclass(self.features, Features)):
            return [Fault(("features",), "give a class derived from Features")]
        if not self.features.model_fields:
            return [Fault(("features",), "the feature schema has no field")]
        fields = self.features.model_fields
        kinds = feature_kinds.KINDS.values()
        found = {name: feature.faults_of_field(name, info, kinds) for name, info in fields.items()}
        wrong = [Fault(("features", name), each) for name, words in found.items() for each in words]
        good = {name: info for name, info in fields.items() if not found[name]}
        inputs = _features(good)
        return [
            *wrong,
            *_faults_of_columns(inputs),
            *_faults_of_headers(inputs),
            *self._faults_of_examples(good),
        ]

    def _faults_of_examples(self, good: dict[str, FieldInfo]) -> list[Fault]:
        """Validate the examples of the features that are declared well."""
        model = self.features
        if len(good) < len(model.model_fields):
            declared: dict[str, Any] = {name: (info.annotation, info) for name, info in good.items()}
            model = create_model("Good", __base__=Features, **declared)
        model.model_rebuild()
        inputs = _features(good)
        row = {name: each.example for name, each in inputs.items()}
        try:
            Validator(model, self.name, {name: each.expected for name, each in inputs.items()}).object(row)
        except InvalidInput as error:
            return [
                Fault(("features", *each["loc"]), f"its example {each['msg']}") for each in error.detail
            ]
        return []

    @cached_property
    def inputs(self) -> dict[str, Feature]:
        """The features by name, in the schema's order."""
        return _features(self.features.model_fields)

    @cached_property
    def headers(self) -> dict[str, str]:
        """The names of features by those of their columns in files and frames, where these differ."""
        return {each.header: name for name, each in self.inputs.items() if each.header not in ("", name)}

    @property
    def example(self) -> dict[str, Any]:
        """One valid row, made of the examples of the features."""
        return {name: each.example for name, each in self.inputs.items()}

    @cached_property
    def rows(self) -> Validator[Features]:
        """Validates rows against the feature schema."""
        expected = {name: each.expected for name, each in self.inputs.items()}
        return Validator(self.features, self.name, expected)

    def columns(self, rows: Sequence[Features]) -> Columns:
        """Turn validated rows into columns."""
        return {name: [getattr(row, name) for row in rows] for name in self.inputs}

    def columns_of(self, frame: pd.DataFrame) -> dict[str, Sequence[Any]]:
        """Turn a frame into columns. Every kind of missing value becomes `None`."""
        return {name: _values(each, frame[name]) for name, each in self.inputs.items()}

    def is_plain(self, frame: pd.DataFrame) -> bool:
        """Whether whole columns show that each row is valid, and is as it would be read."""
        return all(each.is_plain(frame[name]) for name, each in self.inputs.items())

    @cached_property
    def layout(self) -> Layout:
        """The layout of the frame that the pipeline takes."""
        return Layout(self.inputs)

    def frame(self, columns: Columns) -> pd.DataFrame:
        """Turn columns into the frame that the pipeline takes."""
        return self.layout.frame(columns)

    def ordered(self, names: Sequence[str]) -> Spec:
        """Return the spec with only some features, in their order: a model from elsewhere has its own."""
        fields = self.features.model_fields
        if list(names) == list(fields):
            return self
        declared: dict[str, Any] = {name: (fields[name].annotation, fields[name]) for name in names}
        return replace(self, features=create_model("Ordered", __base__=Features, **declared))

    def random_columns(self, rows: int, rng: np.random.Generator, seen: Columns | None = None) -> Columns:
        """Draw rows all over what is possible. One of ten optional values is missing.

        Parameters
        ----------
        seen
            Rows of the dataset, for features that do not list their values.
        """
        columns: dict[str, list[Any]] = {}
        for name, each in self.inputs.items():
            values = each.draw(rows, rng, seen[name] if seen else [each.example])
            if each.optional:
                missing = rng.random(rows) < 0.1
                values = [None if gone else v for v, gone in zip(values, missing, strict=True)]
            columns[name] = values
        return columns

    def nearby_columns(self, rows: int, rng: np.random.Generator, seen: Columns) -> Columns:
        """Draw rows where those of the dataset are: each value is one of its column.

        One number of each row is next to such a value, where steps and categories begin and end, or to 0
        or an end of its range, where some functions are not defined.

        Parameters
        ----------
        seen
            Rows of the dataset.
        """
        columns: dict[str, list[Any]] = {}
        for name in self.inputs:
            columns[name] = [seen[name][row] for row in rng.integers(len(seen[name]), size=rows).tolist()]
        numbers = [name for name, each in self.inputs.items() if each.span is not None]
        for row, at in enumerate(rng.integers(len(numbers), size=rows) if numbers else ()):
            each = self.inputs[numbers[at]]
            value = columns[each.name][row]
            if value is not None and each.span is not None:
                near = each.near(rng.choice([value, value, value, *each.span, 0.0]))
                columns[each.name][row] = near[rng.integers(len(near))] if near else value
        return columns


def _features(fields: Mapping[str, FieldInfo]) -> dict[str, Feature]:
    """Read declarations without faults."""
    found = {name: feature.of_field(name, info) for name, info in fields.items()}
    return {name: each for name, each in found.items() if each is not None}


def _faults_of_columns(inputs: Mapping[str, Feature]) -> list[Fault]:
    """Find features whose columns in the frame have the same name."""
    owners: dict[str, str] = {}
    found = []
    for name, each in inputs.items():
        for column in each.columns:
            if column in owners:
                words = f"the frame has a column {column} of {owners[column]} already: rename one of them"
                found.append(Fault(("features", name), words))
            owners[column] = name
    return found


def _faults_of_headers(inputs: Mapping[str, Feature]) -> list[Fault]:
    """Find features whose column in files has the name of another feature, or of another one's column."""
    owners = {name: name for name in inputs}
    found = []
    for name, each in inputs.items():
        owner = owners.setdefault(each.header or name, name)
        if owner != name:
            found.append(Fault(("features", name), f"its header {each.header!r} is that of {owner}"))
    return found


def _remedy(labels: object) -> str:
    """Say how to declare a target, for labels that stand alone."""
    shown = ", ".join(map(repr, labels)) if isinstance(labels, tuple | list) else "..."
    return f"declare what it predicts by target=classes({shown}), imported from models_store.spec"


def _values(feature: Feature, column: pd.Series) -> Sequence[Any]:
    if column.dtype == np.float64 and feature.span is not None:
        return Floats(np.array(column, np.float64))
    values: list[Any] = column.tolist()
    missing = column.isna().to_numpy()
    return [
        None if gone else value.item() if isinstance(value, np.generic) else value
        for value, gone in zip(values, missing, strict=True)
    ]
