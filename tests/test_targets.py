"""Every kind of target has its part on every floor, and no other module asks for the kind."""

from __future__ import annotations

import importlib
import re

import pytest

from models_store.spec import classes
from tests.test_house import MODULES

TARGETS = {"classes": classes("a", "b")}
"""One target of each kind."""

FLOORS = ("prediction.batch", "prediction.figures", "prediction.http")


def test_every_kind_is_here() -> None:
    """A kind is named in its module of `models_store/targets/`, and nowhere else."""
    named = re.compile(r'kind: ClassVar\[str\] = "(\w+)"')
    modules = {name: named.findall(path.read_text()) for name, path in MODULES.items()}

    assert {f"models_store.targets.{kind}": [kind] for kind in TARGETS} == {
        name: found for name, found in modules.items() if found
    }
    assert {kind: kind for kind in TARGETS} == {kind: target.kind for kind, target in TARGETS.items()}


@pytest.mark.parametrize("floor", FLOORS)
@pytest.mark.parametrize("kind", sorted(TARGETS))
def test_every_kind_has_its_part_on_every_floor(floor: str, kind: str) -> None:
    """The part is the module of its name; mypy compares it with what the floor asks for."""
    kinds = importlib.import_module(f"{floor}.targets.kinds")

    assert set(TARGETS) == set(kinds.PARTS)
    assert f"{floor}.targets.{kind}" == kinds.of(TARGETS[kind]).__name__
