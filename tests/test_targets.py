"""Every kind of target has its part on every floor, and no other module asks for the kind."""

from __future__ import annotations

import importlib
import re

import pytest

from models_store.spec import classes, quantity
from models_store.targets.kinds import KINDS, Target
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


ASKS = re.compile(
    r"target\.(labels|texts|positive|values)\b|isinstance\([^)]*\bClasses\b|target\.kind (==|!=|in|is)\b"
)
"""What only classes have, and questions for the kind."""


def test_nobody_else_asks_for_the_kind() -> None:
    """Outside of the folders `targets/`, modules and templates ask the target, or its part."""
    files = [path for path in MODULES.values() if path.parent.name != "targets"]
    files += (PROJECT / "prediction" / "pages" / "templates").glob("*.html")
    found = {str(path.relative_to(PROJECT)) for path in files if ASKS.search(path.read_text())}

    assert set() == found
