"""A spec that is not written yet, and its file: code that a person reads, corrects and keeps.

Whoever proposes a spec, from a table or from a fitted model, fills a `Draft`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from models_store.dialects import Dialect
from models_store.features.category import Category
from models_store.features.feature import Feature
from models_store.features.moment import PARTS, Moment
from models_store.features.number import Number
from models_store.features.text import Text
from models_store.targets.classes import Classes
from models_store.targets.kinds import Target
from prediction.proposals import code, names

ANNOTATIONS = {
    "number": "float",
    "integer": "int",
    "flag": "bool",
    "text": "str",
    "moment": "datetime",
}


Constant = Sequence[str] | Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Draft:
    """The parts of a spec, as its file will have them.

    Parameters
    ----------
    name, title
        Those of the spec.
    features
        In the order of the schema. `Feature.name` is that of the field.
    target
        What the model predicts.
    row
        What one row is, in a sentence, for the docstring of the schema.
    notes
        Paragraphs of the docstring of the file; the first one is a line.
    load, pipeline
        The code of both functions, from `def` on. They may use `constants` and `Path`.
    constants
        Texts that the functions use: lists, or lists by name.
    remarks
        A comment above a feature, by the feature's name.
    header
        A comment at the top of the schema.
    dialect
        How files of rows are written, if not plainly.
    """

    name: str
    title: str
    features: Sequence[Feature]
    target: Target
    row: str
    notes: Sequence[str]
    load: str
    pipeline: str
    constants: Mapping[str, Constant] = field(default_factory=dict)
    remarks: Mapping[str, str] = field(default_factory=dict)
    header: str = ""
    dialect: Dialect | None = None

    @property
    def schema(self) -> str:
        """The name of the class of the features."""
        return schema_name(self.name)


def schema_name(model: str) -> str:
    """Return the name of the class of a model's features."""
    return f"{names.camel(model)}Features"


def written(draft: Draft) -> str:
    """Return the file of a spec."""
    aliases = {each.name: names.camel(each.name) + "Values" for each in draft.features if _is_long(each)}
    blocks = [
        code.docstring(draft.notes),
        "from __future__ import annotations",
        _imports(draft),
        _typing(draft),
    ]
    blocks += [_alias(each, aliases[each.name]) for each in draft.features if each.name in aliases]
    blocks += [_constant(name, value) for name, value in draft.constants.items()]
    parts = [_schema(draft, aliases), draft.load.rstrip(), draft.pipeline.rstrip(), _spec(draft)]
    return "\n\n".join(block for block in blocks if block) + "\n\n\n" + "\n\n\n".join(parts) + "\n"


def _constant(name: str, value: Constant) -> str:
    if not isinstance(value, Mapping):
        return code.enclosed(f"{name} = [", _quoted(value), "]")
    lists = [code.enclosed(f"{code.literal(key)}: [", _quoted(value[key]), "],", indent=1) for key in value]
    return "\n".join([f"{name} = {{", *lists, "}"])


def _quoted(texts: Sequence[str]) -> list[str]:
    return [code.literal(text) for text in texts]


def _imports(draft: Draft) -> str:
    used = {each.declared_by.rpartition("with ")[2].partition("(")[0] for each in draft.features}
    lines = ["from datetime import datetime"] if "moment" in used else []
    lines += ["from pathlib import Path"] if "Path(" in draft.load + draft.pipeline else []
    is_listed = any(isinstance(each, Category) and not each.open for each in draft.features)
    lines.append(f"from typing import TYPE_CHECKING{', Literal' if is_listed else ''}")
    more = {"Dialect"} if draft.dialect is not None else set()
    taken = sorted(
        {"Features", "Spec", draft.target.kind, *used, *more}, key=lambda name: (name.islower(), name)
    )
    line = f"from models_store.spec import {', '.join(taken)}"
    if len(line) > code.WIDTH:
        line = "\n".join(
            ["from models_store.spec import (", *(f"{code.INDENT}{name}," for name in taken), ")"]
        )
    return "\n".join(lines) + "\n\n" + line


def _typing(draft: Draft) -> str:
    lines = [INDENTED.format(line) for line in TYPES if line.split()[-1] in draft.load + draft.pipeline]
    return "\n".join(["if TYPE_CHECKING:", *lines]) if lines else ""


INDENTED = f"{code.INDENT}{{}}"
TYPES = (
    "import pandas as pd",
    "from sklearn.base import BaseEstimator",
    "from sklearn.pipeline import Pipeline",
)


def _is_long(feature: Feature) -> bool:
    """Tell whether the categories of a feature are too long for the line of its field."""
    return len(f"{code.INDENT}{feature.name}: {_annotation(feature)} = category(") > code.WIDTH


def _alias(feature: Feature, name: str) -> str:
    assert isinstance(feature, Category)
    return code.enclosed(f"{name} = Literal[", _quoted(feature.categories), "]")


def _annotation(feature: Feature, alias: str = "") -> str:
    kind = alias or ANNOTATIONS.get(feature.kind, "str")
    if isinstance(feature, Category) and not feature.open and not alias:
        kind = f"Literal[{', '.join(_quoted(feature.categories))}]"
    return f"{kind} | None" if feature.optional else kind


def _schema(draft: Draft, aliases: Mapping[str, str]) -> str:
    lines = [f"class {draft.schema}(Features):", f"{code.INDENT}{code.docstring([draft.row])}", ""]
    if draft.header:
        lines += [*code.comment(draft.header, indent=1), ""]
    for each in draft.features:
        if each.name in draft.remarks:
            lines += code.comment(draft.remarks[each.name], indent=1)
        lines.append(_field(each, aliases.get(each.name, "")))
    return "\n".join(lines)


def _field(feature: Feature, alias: str) -> str:
    given = [code.literal(feature.description), *_facts(feature), f"example={_example(feature)}"]
    given += ["optional=True"] if feature.optional else []
    given += [f"header={code.literal(feature.header)}"] if feature.header not in ("", feature.name) else []
    return code.call(f"{feature.name}: {_annotation(feature, alias)} = {feature.kind}", given, indent=1)


def _example(feature: Feature) -> str:
    example: Any = feature.example
    return code.end_of_range(example) if feature.kind == "number" else code.literal(example)


def _facts(feature: Feature) -> list[str]:
    """Return the arguments that only this kind has."""
    if isinstance(feature, Number) or feature.kind == "integer":
        ends = {name: code.end_of_range(getattr(feature, name)) for name in ("low", "high")}
        return [f"unit={code.literal(feature.unit)}", *(f"{name}={end}" for name, end in ends.items())]
    if isinstance(feature, Text):
        return [f"max_length={code.literal(feature.max_length)}"]
    if isinstance(feature, Moment):
        facts = [f"zone={code.literal(feature.zone)}"]
        facts += [f"parts={code.literal(feature.parts)}"] if feature.parts != tuple(PARTS) else []
        return facts + (["naive=True"] if feature.naive else [])
    return ["open=True"] if isinstance(feature, Category) and feature.open else []


def _spec(draft: Draft) -> str:
    before = [f"name={code.literal(draft.name)}", f"title={code.literal(draft.title)}"]
    before.append(f"features={draft.schema}")
    target = code.call(f"target={draft.target.kind}", _arguments(draft.target), indent=1, ending=",")
    lines = [f"{code.INDENT}{line}," for line in before] + [target]
    lines += [f"{code.INDENT}{name}={name}," for name in ("load", "pipeline")]
    lines += [_dialect(draft.dialect)] if draft.dialect is not None else []
    return "\n".join(["SPEC = Spec(", *lines, ")"])


def _dialect(dialect: Dialect) -> str:
    """Return the argument of the spec that says how its files are written."""
    given = [
        f"{name}={code.literal(getattr(dialect, name))}"
        for name in ("encoding", "separator")
        if getattr(dialect, name) != getattr(Dialect, name)
    ]
    for name in ("numbers", "times", "missing"):
        ways = getattr(dialect, name)
        items = [f"{code.literal(key)}: {code.literal(way)}" for key, way in ways.items()]
        given += [code.enclosed(f"{name}={{", items, "}", indent=2).lstrip()] if items else []
    one = f"{code.INDENT}dialect=Dialect({', '.join(given)}),"
    if len(one) <= code.WIDTH and "\n" not in one:
        return one
    lines = [f"{code.INDENT * 2}{each}," for each in given]
    return "\n".join([f"{code.INDENT}dialect=Dialect(", *lines, f"{code.INDENT}),"])


def _arguments(target: Target) -> list[str]:
    if not isinstance(target, Classes):
        ends = [f"low={code.end_of_range(target.low)}", f"high={code.end_of_range(target.high)}"]
        return [code.literal(target.description), f"unit={code.literal(target.unit)}", *ends]
    labels = [code.literal(label) for label in target.labels]
    return labels + ([f"positive={code.literal(target.positive)}"] if target.positive is not None else [])
