"""A spec proposed for a table: its columns, its target, an estimator, and the file that says all of it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from models_store import faults
from models_store.dialects import Dialect
from models_store.errors import InvalidInput
from models_store.features.category import Category
from models_store.features.feature import Feature
from models_store.features.moment import Moment
from models_store.spec import Columns, Spec
from models_store.targets.classes import Classes
from models_store.validation import listing
from prediction.proposals import (
    code,
    columns,
    drafts,
    estimators,
    goals,
    kinds,
    leaks,
    names,
    running,
    tables,
    trials,
)
from prediction.proposals.columns import Column
from prediction.proposals.drafts import Draft
from prediction.proposals.estimators import Groups
from prediction.proposals.goals import Goal
from prediction.proposals.tables import Table
from prediction.proposals.trials import Chosen, Tell

MIN_ROWS = 10
MAX_FEATURES = 1_000
ARROW = MappingProxyType({"number": "float64", "integer": "int64", "flag": "bool"})
GUESSED = (
    "The ranges are guesses, several times as wide as the data: correct them. A value outside is refused."
)
GUESSED_TARGET = "The range of the target is a guess too, and predictions are limited to it."


@dataclass(frozen=True)
class TableWish:
    """What is asked for.

    Parameters
    ----------
    kind
        `classes`, `quantity`, or None to let the labels say it.
    zone
        Of times without an offset.
    keep, leave_out
        Columns that stay or go in any case.
    """

    name: str
    path: Path
    target: str
    kind: str | None = None
    zone: str = "UTC"
    keep: Sequence[str] = ()
    leave_out: Sequence[str] = ()


@dataclass(frozen=True)
class Proposal:
    """A spec that is ready to be written.

    Parameters
    ----------
    text
        The file.
    data
        The Arrow table that lies beside it.
    """

    columns: list[Column]
    goal: Goal
    chosen: Chosen
    notes: list[str]
    text: str
    data: Any


def propose(wish: TableWish, tell: Tell = lambda _: None) -> Proposal:
    """Read a table, and propose a spec.

    Raises
    ------
    InvalidInput
        When no model can be made of it; the message says what to change.
    """
    _demand(wish)
    tell(f"read {wish.path}")
    table = tables.read(wish.path)
    _demand_columns(wish, table)
    fields = dict(zip(table.columns, names.fields(list(table.columns)), strict=True))
    comma = table.dialect.separator in (";", "\t")
    read = {
        name: kinds.read(values, comma, name in table.categories) for name, values in table.columns.items()
    }
    goal = goals.find(wish.target, read[wish.target], wish.kind)
    notes = [*table.notes, *goal.notes]
    rows = [row for row, label in enumerate(goal.labels) if label is not None]
    if len(rows) < table.rows:
        gone = table.rows - len(rows)
        notes.append(f"{gone:,} row{'s' * (gone > 1)} without {wish.target} left out")
    if len(rows) < MIN_ROWS:
        raise InvalidInput(f"{wish.path} has {len(rows)} rows with a target: give {MIN_ROWS} or more")
    goal = replace(goal, labels=[goal.labels[row] for row in rows])
    tell("look at the columns")
    found = [
        columns.describe(
            name,
            fields[name],
            replace(each, values=[each.values[row] for row in rows]),
            wish.zone,
            kept=name in wish.keep,
        )
        for name, each in read.items()
        if name != wish.target
    ]
    found = _parted(_without(wish, found, goal))
    return _finished(_Findings(wish, found, goal, notes, fields[wish.target], table.dialect), tell)


def _demand(wish: TableWish) -> None:
    wrong = faults.of_name(wish.name)
    if wrong:
        raise InvalidInput(wrong[0].words)
    try:
        ZoneInfo(wish.zone)
    except (OSError, ValueError, KeyError):
        raise InvalidInput(
            f"there is no zone {wish.zone!r}: name one such as Europe/Paris or UTC"
        ) from None


def _demand_columns(wish: TableWish, table: Table) -> None:
    for name in (wish.target, *wish.keep, *wish.leave_out):
        if name not in table.columns:
            near = difflib.get_close_matches(name, table.columns, 3, 0.5)
            shown = listing([*near] or list(table.columns)[:20])
            raise InvalidInput(
                f"{wish.path} has no column {name!r}: {'like it' if near else 'there'} are {shown}"
            )
    if wish.target in (*wish.keep, *wish.leave_out):
        raise InvalidInput(f"{wish.target} is the target: it is no feature")


def _without(wish: TableWish, found: list[Column], goal: Goal) -> list[Column]:
    """Leave out what the user says, and columns that give the target away."""
    asked = dict.fromkeys(wish.leave_out, "by --leave-out")
    found = [each.without(asked[each.header]) if each.header in asked else each for each in found]
    used = [each for each in found if each.feature is not None and each.header not in wish.keep]
    given = leaks.find(used, goal.labels, not isinstance(goal.target, Classes))
    found = [each.without(given[each.header]) if each.header in given else each for each in found]
    left = [each for each in found if each.feature is not None]
    if not left:
        reasons = "; ".join(f"{each.header}: {each.reason}" for each in found)
        raise InvalidInput(f"{wish.path} has no column to learn from ({reasons}): --keep NAME keeps one")
    if len(left) > MAX_FEATURES:
        raise InvalidInput(f"{wish.path} has {len(left):,} features: give up to {MAX_FEATURES:,}")
    return found


def _parted(found: Sequence[Column]) -> list[Column]:
    """Rename moments whose hour or month would have the name of another column."""
    taken = {each.feature.name for each in found if each.feature is not None}
    return [
        replace(each, feature=_renamed(each.feature, taken)) if isinstance(each.feature, Moment) else each
        for each in found
    ]


def _renamed(moment: Moment, taken: set[str]) -> Moment:
    while taken.intersection(moment.columns):
        moment = replace(moment, name=f"{moment.name}_at")
    return moment


@dataclass(frozen=True)
class _Findings:
    """What was found in a table, written as `file` says. `target` is the column's name beside the spec."""

    wish: TableWish
    columns: list[Column]
    goal: Goal
    notes: list[str]
    target: str
    file: Dialect

    @property
    def dialect(self) -> Dialect:
        """How the table is written, for files to score."""
        cells = {feature.name: column.cells for column, feature in self.used}
        ways = {name: each.way for name, each in cells.items() if each.way}
        return replace(
            self.file,
            numbers={name: way for name, way in ways.items() if cells[name].kind == "number"},
            times={name: way for name, way in ways.items() if cells[name].kind == "moment"},
            missing={name: tuple(sorted(each.missing)) for name, each in cells.items() if each.missing},
        )

    @property
    def used(self) -> list[tuple[Column, Feature]]:
        """The columns that are features."""
        return [(each, each.feature) for each in self.columns if each.feature is not None]

    @property
    def features(self) -> list[Feature]:
        """The features."""
        return [feature for _, feature in self.used]


def _finished(found: _Findings, tell: Tell) -> Proposal:
    """Choose the estimator, and write everything."""
    known = {each.name: columns.frequent(column.values) for column, each in found.used if _is_open(each)}
    parts = estimators.groups(found.features, known)
    choices = estimators.choices(found.goal.target, len(found.goal.labels), parts)
    draft = _draft(found, parts)
    made = [replace(draft, pipeline=estimators.pipeline(choice, parts)) for choice in choices]
    pipelines = [(choice, _function(each)) for choice, each in zip(choices, made, strict=True)]
    with running.run(drafts.written(made[0]), f"{draft.name}.py") as module:
        spec: Spec = module.SPEC
        sampled, labels = _sample(spec, found)
        chosen = trials.choose(spec, sampled, labels, pipelines, tell)
    final = made[choices.index(chosen.choice)]
    text = drafts.written(replace(final, notes=_notes(found, chosen)))
    return Proposal(found.columns, found.goal, chosen, found.notes, text, _arrow(found))


def _is_open(feature: Feature) -> bool:
    return isinstance(feature, Category) and feature.open


def _function(draft: Draft) -> Callable[[int], Any]:
    """Return the function `pipeline` of a draft."""
    with running.run(drafts.written(draft), f"{draft.name}.py") as module:
        function: Callable[[int], Any] = module.pipeline
        return function


def _sample(spec: Spec, found: _Findings) -> tuple[Columns, list[str]]:
    """Return some rows as the service holds them, and their labels as canonical texts."""
    rows = trials.sample(len(found.goal.labels), len(spec.layout.texts)).tolist()
    values = {feature.name: column.values for column, feature in found.used}
    valid = [spec.rows.object({name: each[row] for name, each in values.items()}) for row in rows]
    return spec.columns(valid), [spec.target.text(found.goal.labels[row]) for row in rows]


def _arrow(found: _Findings) -> Any:
    """Return the table that lies beside the spec: features by their names, and the target."""
    import pyarrow

    made = {}
    for column, feature in found.used:
        kind = "string" if feature.is_text else ARROW.get(feature.kind)
        made[feature.name] = pyarrow.array(column.values, kind and pyarrow.type_for_alias(kind))
    made[found.target] = pyarrow.array(found.goal.labels)
    return pyarrow.table(made)


# --------------------------------------------------------------------------------------- the draft


def _draft(found: _Findings, parts: Groups) -> Draft:
    """Return the draft of the spec, without its pipeline and its notes."""
    wish, schema = found.wish, drafts.schema_name(found.wish.name)
    file = f"{wish.name}.parquet"
    load = [
        "def load() -> tuple[pd.DataFrame, pd.Series]:",
        f'{code.INDENT}"""Return the rows of {file}, which lies beside this file."""',
        f"{code.INDENT}import pandas as pd",
        "",
        f'{code.INDENT}data = pd.read_parquet(Path(__file__).with_name("{file}"))',
        f"{code.INDENT}return data[list({schema}.model_fields)], data[{code.literal(found.target)}]",
    ]
    return Draft(
        name=wish.name,
        title=f"{names.description(wish.target, found.target)}, from {wish.path.name}",
        features=found.features,
        target=found.goal.target,
        row=f"One row of {wish.path.name}.",
        notes=[wish.target],
        load="\n".join(load),
        pipeline="",
        constants=parts.constants,
        dialect=found.dialect,
        remarks={feature.name: _remark(each, feature) for each, feature in found.used},
        header=_header(found),
    )


def _header(found: _Findings) -> str:
    is_guessed = any(each.kind in ("number", "integer") for each in found.features)
    is_quantity = not isinstance(found.goal.target, Classes)
    return " ".join([GUESSED] * is_guessed + [GUESSED_TARGET] * is_quantity)


def _remark(column: Column, feature: Feature) -> str:
    """Say what the table has, above a feature."""
    is_range = feature.kind in ("number", "integer", "moment") or _is_open(feature)
    words = [f"In the table: {column.seen}"] if is_range else []
    if column.missing:
        words.append(f"{column.missing:.0%} missing" if column.missing >= 0.005 else "few missing")
    words += column.notes
    if isinstance(feature, Moment) and feature.naive:
        words.append(f"times without an offset are of {feature.zone}")
    return _sentence(words) if words else ""


def _sentence(words: Sequence[str]) -> str:
    text = "; ".join(words)
    return f"{text[:1].upper()}{text[1:]}."


def _notes(found: _Findings, chosen: Chosen) -> list[str]:
    """Return the paragraphs of the docstring of the file."""
    wish, goal = found.wish, found.goal
    title = names.description(wish.target, wish.target)
    says = f"`loop new` wrote this file; it is yours to change. {_sentence([goal.words])}"
    paragraphs = [
        f"{title}, learnt from {wish.path.name}: {len(goal.labels):,} rows.",
        code.paragraph(says),
    ]
    paragraphs += [code.paragraph(_sentence(found.notes))] if found.notes else []
    gone = [f"{each.header}: {each.reason}" for each in found.columns if each.feature is None]
    paragraphs += ["Left out:\n\n" + code.bullets(gone)] if gone else []
    odd = [column.header for column, _ in found.used if column.cells.way or column.cells.missing]
    if odd:
        words = (
            "`loop score` takes files that are written as the table is. Requests need plain numbers, ISO"
        )
        words += " dates and null in place of what"
        paragraphs.append(code.paragraph(f"{words} the table writes in: {', '.join(odd)}."))
    return [*paragraphs, code.paragraph(chosen.words), chosen.table]
