"""One input of a model: the base of all kinds of features. Each kind has its own module beside this one.

A feature is also a mark in the field of a `Features` class: it gives pydantic the schema of its values.
"""

from __future__ import annotations

import types
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Union, get_args, get_origin

from pydantic import Field
from pydantic_core import core_schema

from models_store import faults

if TYPE_CHECKING:
    import numpy as np
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.fields import FieldInfo
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema


@dataclass(frozen=True, kw_only=True)
class Feature(ABC):
    """One input of a model, as its schema declares it.

    Parameters
    ----------
    unit
        Shown after each value.
    optional
        Whether a value may be missing.
    header
        The name of its column in files and frames of rows, if that is another one than its own.
    """

    kind: ClassVar[str]
    declared_by: ClassVar[str]
    """The way to declare it, for messages."""

    annotations: ClassVar[tuple[Any, ...]]
    """The annotations that mean this kind."""

    is_text: ClassVar[bool] = False
    """Whether its columns of the frame hold texts; all others are float64."""

    name: str = ""
    description: str = ""
    unit: str = ""
    optional: bool = False
    example: Any = None
    header: str = ""

    @property
    @abstractmethod
    def words(self) -> str:
        """Describes a value that is not missing, in words."""

    @property
    def expected(self) -> str:
        """Describes a valid value in words."""
        return self.words + (" or null" if self.optional else "")

    @property
    def characters(self) -> int:
        """The most characters that a value has in JSON, if it is a text."""
        return 0

    # ------------------------------------------------------------------------------ the declaration

    def named(self, name: str, annotation: Any) -> Feature:
        """Return the feature with the name of its field, and with what the field's annotation says."""
        return replace(self, name=name)

    @abstractmethod
    def faults(self, annotation: Any) -> list[str]:
        """Say what is wrong with the declaration.

        Parameters
        ----------
        annotation
            That of the field, without None.
        """

    @abstractmethod
    def schema(self) -> CoreSchema:
        """Return the schema of a value that is not missing, from JSON or from a Python object."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        annotation, optional = without_none(source)
        found = self.named(self.name, annotation).schema()
        return core_schema.nullable_schema(found) if optional else found

    def shown(self, schema: CoreSchema) -> CoreSchema:
        """Return the schema that describes a value in `docs.json`, given the one that checks it."""
        return schema

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        if schema["type"] == "nullable":
            return handler(core_schema.nullable_schema(self.shown(schema["schema"])))
        return handler(self.shown(schema))

    # ----------------------------------------------------------------------------------- the frame

    def shape(self) -> dict[str, Any]:
        """Return what a version must note to get the same columns for ever, as plain values."""
        return {"kind": self.kind, "optional": self.optional}

    def refuses(self, trained: Feature) -> str:
        """Say why a version can't take the values of this feature; empty if it can.

        Parameters
        ----------
        trained
            The feature as the version has noted it.
        """
        if trained.kind != self.kind:
            return f"was of the kind {trained.kind}"
        return "may be missing now" if self.optional and not trained.optional else ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its columns in the frame."""
        return (self.name,)

    def spread(self, values: Sequence[Any]) -> list[Sequence[Any]]:
        """Return the values of its columns."""
        return [values]

    def series(self, values: Sequence[Any]) -> Any:
        """Return a column of texts as the pipeline takes it."""
        raise NotImplementedError(f"{self.kind} has no column of texts")

    # ----------------------------------------------------------------------------------- the values

    @abstractmethod
    def draw(self, rows: int, rng: np.random.Generator, seen: Sequence[Any]) -> list[Any]:
        """Draw valid values at random, all over what is possible.

        Parameters
        ----------
        seen
            Values of the dataset, for a kind that does not list its values.
        """


def field(feature: Feature, **extra: Any) -> Any:
    """Make the field of a `Features` class that declares a feature; `extra` is shown in its schema."""
    unit = f", {feature.unit}" if feature.unit else ""
    made: Any = Field(
        default=None if feature.optional else ...,
        description=feature.description + unit + ("; may be missing" if feature.optional else ""),
        examples=[feature.example],
        json_schema_extra=extra or None,
    )
    made.metadata.append(feature)
    return made


def of_field(name: str, info: FieldInfo) -> Feature | None:
    """Return the feature that a field declares; None if it declares none."""
    annotation, _ = without_none(info.annotation)
    found = (mark for mark in info.metadata if isinstance(mark, Feature))
    return next((mark.named(name, annotation) for mark in found), None)


def without_none(annotation: Any) -> tuple[Any, bool]:
    """Return an annotation without None, and whether None was in it."""
    if get_origin(annotation) not in (Union, types.UnionType):
        return annotation, False
    kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
    return kinds[0] if len(kinds) == 1 else None, len(kinds) < len(get_args(annotation))


def faults_of_field(name: str, info: FieldInfo, kinds: Collection[type[Feature]]) -> list[str]:
    """Say what is wrong with a field of a `Features` class.

    Parameters
    ----------
    kinds
        All that a feature may be of.
    """
    annotation, optional = without_none(info.annotation)
    found, words = of_field(name, info), faults.of_feature_name(name)
    if found is None:
        return [*words, f"declare {', '.join(kind.declared_by for kind in kinds)}"]
    words += found.faults(annotation)
    ways = [kind.declared_by for kind in kinds if annotation in kind.annotations]
    if words and ways and annotation not in found.annotations:
        words[-1] += f": declare {' or '.join(ways)}"
    if optional is not found.optional:
        words.append("optional=True goes with `| None`, and only with it")
    if not isinstance(found.header, str):
        words.append(f"header is the name of a column, a text, not {found.header!r}")
    return words
