"""A Bento has the packages of the extra that its specs import."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from prediction.errors import MissingPackage
from prediction.projects import extras, packages

LIGHTGBM = "def pipeline(seed):\n    from lightgbm import LGBMClassifier\n    return LGBMClassifier()\n"
XGBOOST = "import xgboost.sklearn as xgb\nimport numpy\nfrom . import lightgbm\n"
LOCK = "numpy==2.4.0 --hash=sha256:00\n"


def catalog(source: Path, **files: str) -> Path:
    """Write specs into the source of a Bento."""
    folder = source / packages.SPECS
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def test_imports_are_found_wherever_they_stand(tmp_path: Path) -> None:
    """At the top of a file and inside a function; a file that is no Python imports nothing."""
    folder = catalog(tmp_path, a=LIGHTGBM, b=XGBOOST, c="import lightgbm", d="def (:")

    assert {"lightgbm": "a.py", "xgboost": "b.py"} == extras.imported(folder)
    assert {} == extras.imported(tmp_path / "nowhere")


def test_what_a_spec_imports_is_pinned(tmp_path: Path) -> None:
    """By the name under which it is installed; without such a spec there is nothing of the extra."""
    pinned = f"lightgbm=={metadata.version('lightgbm')}"
    without = packages.pins("", tmp_path)
    folder = catalog(tmp_path, wine=LIGHTGBM)

    assert ["lightgbm"] == extras.lacking("", folder)
    assert [pinned] == [pin for pin in packages.pins("", tmp_path) if pin not in without]
    assert [] == extras.lacking("# boosting\nLightGBM>=4\n", folder)


def test_a_lock_must_have_what_a_spec_imports(tmp_path: Path) -> None:
    """Nothing can be added beside hashes, so the build ends with one sentence."""
    folder = catalog(tmp_path, wine=LIGHTGBM)
    words = r"^wine.py imports lightgbm, and requirements.txt does not lock it: .* `make lock` and"

    with pytest.raises(MissingPackage, match=words):
        packages.pins(LOCK, tmp_path)
    assert [] == extras.lacking(f"{LOCK}lightgbm==4.7.0 --hash=sha256:00\n", folder)


def test_what_is_not_installed_can_not_get_into_a_bento(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence says how to install it."""
    monkeypatch.setattr("sys.path", [])  # no package is installed there
    words = r"^wine.py imports lightgbm, which is not installed here: run `pip install '.*\[boosting\]'`$"

    with pytest.raises(MissingPackage, match=words):
        extras.lacking("", catalog(tmp_path, wine=LIGHTGBM))
