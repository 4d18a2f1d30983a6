"""The installed code in a Bento, and the versions of all that it needs."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from prediction.errors import MissingPackage
from prediction.projects import packages


def test_the_code_is_copied_where_there_is_none(tmp_path: Path) -> None:
    """Without caches; a clone has brought its own."""
    assert packages.copy_to(tmp_path)

    assert {"prediction", "models_store"} == {path.name for path in tmp_path.iterdir()}
    assert (tmp_path / "prediction" / "http" / "docs.html").is_file()
    assert [] == list(tmp_path.rglob("__pycache__"))
    assert not packages.copy_to(tmp_path)


def test_every_package_is_pinned_as_it_is_installed() -> None:
    """Those of the project and theirs, with markers and extras; not those of the tests."""
    pins = packages.pins("# ours\nruff>=0.1  # a linter\n-r other.txt\n./wheels/own.whl\n")

    assert f"ruff=={metadata.version('ruff')}" in pins
    for name in ("bentoml", "scikit-learn", "starlette", "psycopg-binary", "threadpoolctl"):
        assert f"{name}=={metadata.version(name)}" in pins
    names = [pin.partition("==")[0] for pin in pins]
    assert names == sorted(set(names))
    assert [] == [pin for pin in packages.pins("") if pin.startswith(("ruff", "pytest"))]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("lightgbm-of-nobody==4", "lightgbm-of-nobody is not installed here: run `pip install"),
        ("ruff<0.0.1", "ruff<0.0.1 is asked for, and .* is installed here: run `pip install"),
        ("not a requirement", "'not a requirement' is no requirement"),
    ],
)
def test_what_is_not_installed_can_not_be_built(line: str, words: str) -> None:
    """The image would have something that was never tried, or nothing."""
    with pytest.raises(MissingPackage, match=words):
        packages.pins(line)


def test_a_lock_with_hashes_stays_as_it_is() -> None:
    """It has everything; and beside hashes each line needs one."""
    assert [] == packages.pins("a==1 --hash=sha256:00")
