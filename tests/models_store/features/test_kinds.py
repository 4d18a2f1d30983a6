"""Every kind of feature is on every floor, and nobody else asks which kind a feature is."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

import pytest

from models_store.features import kinds
from models_store.features.kinds import KINDS
from prediction.batch.features import kinds as batch
from prediction.figures.features import kinds as figures
from prediction.pages.features import kinds as pages
from tests.servers import PROJECT

FLOORS: dict[str, Mapping[str, object]] = {
    "prediction/batch/features": batch.PARTS,
    "prediction/figures/features": figures.PARTS,
    "prediction/pages/features": pages.PARTS,
}
SOURCES = [
    path
    for root in ("models_store", "prediction")
    for path in sorted((PROJECT / root).rglob("*.py"))
    if path.parent.name not in ("features", "catalog", "targets", "proposals")  # a proposal chooses kinds
]
OWN = {"categories", "low", "high", "zone", "parts_of_it", "max_length", "is_open"}
"""Attributes that features of some kinds have, and others have not."""


@pytest.mark.parametrize("floor", FLOORS)
def test_a_kind_has_its_part_on_every_floor(floor: str) -> None:
    """Each floor has a module for each kind, and knows no other kind."""
    assert list(KINDS) == list(FLOORS[floor])
    for kind in KINDS:
        assert (PROJECT / floor / f"{kind}.py").is_file()
        assert (PROJECT / "models_store" / "features" / f"{kind}.py").is_file()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_nobody_else_asks_for_the_kind(path: Path) -> None:
    """A module outside of `features/` imports no class of a kind, and compares no kind."""
    tree = ast.parse(path.read_text())
    imported = {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    compared = [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare) and ".kind" in ast.unparse(node) and "feature" in ast.unparse(node)
    ]

    assert set() == imported & {kind.__name__ for kind in KINDS.values()}
    assert [] == compared


@pytest.mark.parametrize("page", sorted((PROJECT / "prediction/pages/templates").glob("*.html")), ids=str)
def test_no_template_asks_for_the_kind(page: Path) -> None:
    """Templates know controls and histograms, and nothing that only features of one kind have."""
    text = page.read_text()

    assert [] == [name for name in OWN if f"feature.{name}" in text]


@pytest.mark.parametrize("name", list(KINDS))
def test_a_feature_is_revived_from_its_shape(name: str) -> None:
    """A version notes what its columns depend on, and gets the same columns from it."""
    feature = KINDS[name](name="a", optional=True)

    assert feature.shape() == kinds.revive("a", feature.shape()).shape()
    assert name == feature.shape()["kind"]
