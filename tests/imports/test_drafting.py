"""What is asked of a table, so that its spec fits a model."""

from __future__ import annotations

from pathlib import Path

import pytest

from models_store.errors import InvalidModel
from prediction.imports import drafting, files
from prediction.imports.files import ModelFile
from prediction.imports.matching import Described
from prediction.imports.mlflow_folders import SignedColumn

FILE = ModelFile(Path("model.skops"), "model.skops", files.SKOPS)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of two columns beside its target."""
    path = tmp_path / "table.csv"
    path.write_text("age,height,kind\n1,2,a\n3,4,b\n")
    return path


def model(names: list[str] | None, features: int, classes: list[str] | None = None) -> Described:
    """Make what a model says of itself."""
    return Described("Ridge", names, features, classes, "1.9.1")


def test_columns_that_the_model_does_not_take_are_left_out(table: Path) -> None:
    """Those that it takes stay, whatever they look like."""
    wish = drafting.wish_for("a", FILE, model(["height"], 1, ["a", "b"]), table, "kind")

    assert ("classes", ["height"], ["age"]) == (wish.kind, wish.keep, wish.leave_out)


def test_without_names_all_columns_are_taken(table: Path) -> None:
    """If they are as many; a signature may name them."""
    assert ["age", "height"] == drafting.wish_for("a", FILE, model(None, 2), table, "kind").keep
    assert "quantity" == drafting.wish_for("a", FILE, model(None, 2), table, "kind").kind
    with pytest.raises(InvalidModel, match=r"takes 1 columns without names, and .* has 2 beside kind"):
        drafting.wish_for("a", FILE, model(None, 1), table, "kind")
    signed = ModelFile(
        FILE.path, FILE.name, FILE.format, (SignedColumn("age", kind="number", required=True),)
    )
    assert ["age"] == drafting.wish_for("a", signed, model(None, 1), table, "kind").keep


def test_columns_that_the_table_lacks_are_named(table: Path) -> None:
    """All of them."""
    with pytest.raises(InvalidModel, match=r"columns that .* has not: colour, weight"):
        drafting.wish_for("a", FILE, model(["age", "colour", "weight"], 3), table, "kind")
