"""A catalog with LightGBM, where the extra `boosting` is installed and where it is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.command_line import command
from tests.servers import PROJECT

SPEC = '''
import pandas as pd
from sklearn.datasets import make_classification

from models_store.spec import Features, Spec, classes, number


class LeafFeatures(Features):
    """Two numbers."""

    x0: float = number("A number", unit="", low=-99, high=99, example=0.5)
    x1: float = number("A number", unit="", low=-99, high=99, example=0.5)


def load():
    """Make 200 rows."""
    X, y = make_classification(200, 2, n_redundant=0, random_state=0)
    return pd.DataFrame(X, columns=["x0", "x1"]), pd.Series(y).map({0: "no", 1: "yes"})


def pipeline(seed):
    """Make the pipeline."""
    from lightgbm import LGBMClassifier

    return LGBMClassifier(n_estimators=10, min_child_samples=5, n_jobs=1, verbose=-1, random_state=seed)


SPEC = Spec("leaf", "Leaf", LeafFeatures, classes("no", "yes"), load, pipeline)
'''
SENTENCE = (
    "ModuleNotFoundError: No module named 'lightgbm': run `pip install 'prediction-loop[boosting]'` in the"
    " environment of this command and of the server"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A catalog with a spec that needs LightGBM."""
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "leaf.py").write_text(SPEC)
    return tmp_path


@pytest.fixture
def _without(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python finds no LightGBM: this module is before it on the path, and says so."""
    missing = folder / "missing"
    missing.mkdir()
    (missing / "lightgbm.py").write_text("raise ModuleNotFoundError(\"No module named 'lightgbm'\")\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (missing, PROJECT))))


def said(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run a command on the catalog; return its exit code and all that it says, in one line."""
    done = command(folder / "home", *arguments, catalog=folder / "catalog")
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def test_with_the_extra_it_is_trained_and_compiled(folder: Path) -> None:
    """The compiled version needs no LightGBM."""
    code, words = said(folder, "train", "leaf")

    assert 0 == code, words
    assert "onnx (float" in words


@pytest.mark.usefixtures("_without")
@pytest.mark.parametrize("at_top", [False, True], ids=["in pipeline()", "at the top of the file"])
@pytest.mark.parametrize("name", ["check", "train"])
def test_without_the_extra_one_sentence_says_what_to_install(folder: Path, name: str, at_top: bool) -> None:
    """Wherever the spec imports it."""
    if at_top:
        (folder / "catalog" / "leaf.py").write_text(f"import lightgbm\n{SPEC}")
    code, words = said(folder, name, "leaf")

    assert 0 != code
    assert SENTENCE in words
    assert "Traceback" not in words


@pytest.mark.usefixtures("_without")
def test_a_new_model_beside_it_does_not_need_the_extra(folder: Path) -> None:
    """`loop new` writes its file."""
    (folder / "catalog" / "leaf.py").write_text(f"import lightgbm\n{SPEC}")
    table = folder / "table.csv"
    rows = (f"{row * 37 % 80 / 8},{'ab'[row % 2]}" for row in range(80))
    table.write_text("\n".join(["long,kind", *rows]))
    code, words = said(folder, "new", "weed", str(table), "--target", "kind")

    assert 0 == code, words
    assert (folder / "catalog" / "weed.py").is_file()
