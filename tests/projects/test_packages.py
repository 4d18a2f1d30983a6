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


def wheel(source: Path, name: str) -> str:
    """Put a wheel into the source of a Bento; return its line in requirements.txt."""
    (source / "wheels").mkdir(exist_ok=True)
    file = source / "wheels" / f"{name}-{metadata.version(name)}-py3-none-any.whl"
    file.touch()
    return f"./wheels/{file.name}"


def test_every_package_is_pinned_as_it_is_installed(tmp_path: Path) -> None:
    """Those of the project and theirs, with markers and extras; not those of the tests."""
    own = wheel(tmp_path, "pytest")
    link = "git+https://example.com/a.git"
    pins = packages.pins(f"# ours\nruff>=0.1  # a linter\n--no-binary a\n{own}\n{link}\n", tmp_path)

    assert f"ruff=={metadata.version('ruff')}" in pins
    assert {f"{name}=={metadata.version(name)}" for name in ("pytest", "pluggy")} <= set(pins)
    for name in ("bentoml", "scikit-learn", "starlette", "psycopg-binary", "threadpoolctl"):
        assert f"{name}=={metadata.version(name)}" in pins
    names = [pin.partition("==")[0] for pin in pins]
    assert names == sorted(set(names))
    assert [] == [pin for pin in packages.pins("", tmp_path) if pin.startswith(("ruff", "pytest"))]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("lightgbm-of-nobody==4", "lightgbm-of-nobody is not installed here: run `pip install"),
        ("ruff<0.0.1", "ruff<0.0.1 is asked for, and .* is installed here: run `pip install"),
        ("not a requirement", "'not a requirement' is no requirement"),
        ("-r other.txt", "'-r other.txt' is not in the Bento: copy the lines of that file"),
        ("-e ./shopkit", "'-e ./shopkit' can't get into the Bento: run `pip wheel .* and write ./wheels/"),
        ("../wheels/own-1-py3-none-any.whl", "can't get into the Bento"),
        ("file:///srv/own-1-py3-none-any.whl", "can't get into the Bento"),
        ("./wheels/own.tar.gz", "'./wheels/own.tar.gz' is no wheel"),
        ("./wheels/own-1-py3-none-any.whl", "is not in the Bento: put it there, and /wheels/"),
    ],
)
def test_what_is_not_installed_or_not_there_can_not_be_built(line: str, words: str, tmp_path: Path) -> None:
    """The image would have something that was never tried, or nothing."""
    with pytest.raises(MissingPackage, match=words):
        packages.pins(line, tmp_path)


def test_a_lock_with_hashes_stays_as_it_is(tmp_path: Path) -> None:
    """It has everything; and beside hashes each line needs one."""
    assert [] == packages.pins("a==1 --hash=sha256:00", tmp_path)
