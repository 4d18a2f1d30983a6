"""What the tests share: trained models, a home of one's own, a running server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from models_store import catalog
from models_store.spec import Spec
from tests.serving import Server, run


@pytest.fixture(scope="session")
def specs() -> dict[str, Spec]:
    """Every spec of the catalog."""
    return catalog.load()


@pytest.fixture(scope="session")
def trained_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which `train.py` has trained every model. To be read, never written to."""
    home = tmp_path_factory.mktemp("trained")
    done = run("python", "train.py", home=home)
    assert done.returncode == 0, done.stderr
    return home


@pytest.fixture
def home(trained_home: Path, tmp_path: Path) -> Path:
    """A copy of `trained_home` that a test may do anything to."""
    return Path(shutil.copytree(trained_home, tmp_path / "home", symlinks=True))


@pytest.fixture(scope="session")
def server(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One running server with two workers, for tests that leave it as it was."""
    home = tmp_path_factory.mktemp("shared") / "home"
    shutil.copytree(trained_home, home, symlinks=True)
    with Server(home) as running:
        yield running
