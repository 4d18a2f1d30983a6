"""Every kind of target has its part on every floor, and no other module asks for the kind."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from typing import Any

import pytest

from models_store.spec import classes, quantity
from models_store.targets.classes import Classes
from models_store.targets.decisions import ClassAnswers
from models_store.targets.intervals import QuantityAnswers
from models_store.targets.kinds import KINDS, Target
from models_store.targets.quantity import Quantity
from prediction.journal.rollups import Count
from prediction.monitoring.targets import kinds as monitoring
from prediction.monitoring.targets.classes import ClassesLearned
from tests.servers import PROJECT
from tests.test_house import MODULES

TARGETS: dict[str, Target] = {
    "classes": classes("a", "b"),
    "quantity": quantity("Price", unit="USD", low=0, high=9),
}
"""One target of each kind."""

FLOORS = (
    "prediction.pages",
    *("prediction.monitoring", "prediction.batch", "prediction.figures", "prediction.http"),
    "prediction.retraining",
    "prediction.http.open_inference",
)


def test_every_kind_is_here() -> None:
    """A kind is named in its module of `models_store/targets/`, and nowhere else."""
    named = re.compile(r'kind: ClassVar\[str\] = "(\w+)"')
    others = "models_store.features."  # kinds of features, which have a test of their own
    modules = {
        name: named.findall(path.read_text())
        for name, path in MODULES.items()
        if not name.startswith(others)
    }

    assert {f"models_store.targets.{kind}": [kind] for kind in TARGETS} == {
        name: found for name, found in modules.items() if found
    }
    assert {kind: kind for kind in TARGETS} == {kind: target.kind for kind, target in TARGETS.items()}


def test_every_kind_is_listed() -> None:
    """A spec refuses what is no target."""
    assert set(TARGETS) == {kind.kind for kind in KINDS}


@pytest.mark.parametrize("floor", FLOORS)
@pytest.mark.parametrize("kind", sorted(TARGETS))
def test_every_kind_has_its_part_on_every_floor(floor: str, kind: str) -> None:
    """The part is the module of its name; mypy compares it with what the floor asks for."""
    kinds = importlib.import_module(f"{floor}.targets.kinds")

    assert set(TARGETS) == set(kinds.PARTS)
    assert f"{floor}.targets.{kind}" == kinds.of(TARGETS[kind]).__name__


@pytest.mark.parametrize("kind", sorted(TARGETS))
def test_every_kind_has_its_part_of_the_pages(kind: str) -> None:
    """A template with the macros that pages draw, and an entry in the script of the dashboard."""
    folder = PROJECT / "prediction" / "pages" / "templates"
    drawn = set()
    for name in ("dashboard.html", "report.html"):
        drawn |= set(re.findall(r"\{\{ target\.(\w+)\(", (folder / name).read_text()))
    macros = re.findall(r"\{% macro (\w+)\(", (folder / "targets" / f"{kind}.html").read_text())

    assert drawn <= set(macros)
    assert f"  {kind}: {{ lines: " in (folder / "dashboard.js").read_text()


FORMULAS = {f"prediction.figures.{name}" for name in ("scores", "errors", "costs", "changes")}
"""Formulas on answers or costs of one kind: only the modules of that kind call them."""

STORED = {"prediction.journal.predictions", "prediction.serving.predictor", "prediction.pages.dashboard"}
"""Modules that copy all columns of a stored answer, whatever kind it is of."""

DECLARED = {"models_store.spec"}
"""Where specs import everything from: it passes the functions of all kinds on."""

SHARED = {"kinds", "estimators", "said", "labels", "numbered"}
"""Modules of the folders `targets/` that are of no kind."""


def names(kind: type) -> set[str]:
    """Return the public names of a class."""
    return {name for name in (*dir(kind), *kind.__dict__.get("__dataclass_fields__", ())) if name[0] != "_"}


def of_one_kind() -> set[str]:
    """Return the keys of figures in `/monitoring` that only one kind has."""
    found = []
    for target in TARGETS.values():
        part: Any = monitoring.of(target)
        learned = ClassesLearned() if target.kind == "classes" else None
        whole = part.figures(target, [Count("m", 0, "v", "a", "a", 9)], [], [], learned)
        found.append({*whole, *part.over_time(1, [], [], [], {})(0)})
    return set.union(*found) - set.intersection(*found) - {"unit"}  # features have units too


ONLY_TARGETS = names(Classes) ^ names(Quantity)
ONLY_ANSWERS = (names(ClassAnswers) ^ names(QuantityAnswers)) - {"values", "low", "high", "errors"}
ONLY_FIGURES = of_one_kind()


def asks(module: str, text: str) -> Iterator[str]:
    """Yield the places of a module that know one kind of target."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and ".targets" in (node.module or ""):
            *_, last = str(node.module).split(".")
            of_kind = (
                [each.name for each in node.names if last == "targets"] if last == "targets" else [last]
            )
            if not SHARED.issuperset(of_kind) and module not in FORMULAS | DECLARED:
                yield ast.unparse(node)
        elif isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value).rpartition(".")[2]
            if owner == "target" and node.attr in ONLY_TARGETS:
                yield ast.unparse(node)
            if node.attr in ONLY_ANSWERS and module not in STORED | FORMULAS:
                yield ast.unparse(node)
        elif isinstance(node, ast.Compare | ast.Match):
            words = ast.unparse(node)
            if "target.kind" in words or re.search(r"kind.*[=!]= '(classes|quantity)'", words):
                yield words
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("hasattr", "getattr", "isinstance"):
            value, words = ast.unparse(node.args[0]), ast.unparse(node)
            if re.search(r"\btarget\b", value) and not words.endswith(".KINDS)"):
                yield words
        elif isinstance(node, ast.Subscript) and module not in DECLARED:
            key = node.slice.value if isinstance(node.slice, ast.Constant) else None
            if key in ONLY_FIGURES:
                yield ast.unparse(node)


def test_nobody_else_asks_for_the_kind() -> None:
    """Outside of the folders `targets/`, modules ask the target, or its part."""
    own = (".targets", "prediction.proposals")  # a proposal chooses the kind of its target
    found = {
        name: list(asks(name, path.read_text()))
        for name, path in MODULES.items()
        if not any(each in name for each in own)
    }

    assert {} == {name: places for name, places in found.items() if places}


def test_templates_of_all_kinds_name_nothing_of_one() -> None:
    """Neither labels of a target nor figures of one kind."""
    folder = PROJECT / "prediction" / "pages" / "templates"
    of_target, of_figures = (r"\b|".join(sorted(each)) for each in (ONLY_TARGETS, ONLY_FIGURES))
    asked = re.compile(rf"target\.({of_target}\b)|(figures|health|piece|item|metrics)\.({of_figures}\b)")
    found = {path.name: asked.findall(path.read_text()) for path in folder.glob("*.html")}

    assert {"dashboard.html", "report.html", "figures.html"} <= set(found)
    assert {} == {name: places for name, places in found.items() if places}


ASKING = """
from models_store.targets.classes import Classes
from models_store.targets import quantity
from prediction.figures.targets import classes as figures
isinstance(spec.target, Classes)
isinstance(target, x)
hasattr(spec.target, "texts")
spec.target.labels
target.positive
self.spec.target.unit
spec.target.kind == "classes"
metadata["target_kind"] == "quantity"
answers.probabilities
answers.best
item["accuracy"]
health["over_time"][0]["mae"]
if spec.target.kind in ("classes",): pass
"""


@pytest.mark.parametrize("line", ASKING.strip().splitlines())
def test_each_way_to_ask_is_found(line: str) -> None:
    """The test above would fail with any of these lines."""
    assert list(asks("prediction.some.module", line))


@pytest.mark.parametrize(
    "line",
    [
        "from models_store.targets.kinds import Target",
        "from prediction.figures.targets import kinds",
        "kinds.of(spec.target).figures(spec.target, counted)",
        "spec.target.texts",
        'item["drift"]',
        "found.kind == 'csv'",
    ],
)
def test_what_all_kinds_have_may_be_asked(line: str) -> None:
    """It is no question for the kind."""
    assert [] == list(asks("prediction.some.module", line))
