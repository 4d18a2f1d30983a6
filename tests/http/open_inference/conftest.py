"""What the tests of the protocol share: the models of the project, loaded in this process."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from models_store.spec import Spec
from prediction.http.open_inference.inferring import Model
from prediction.journal.database import Journal
from prediction.serving import preparing
from prediction.serving.runtime import Runtime

MAX_ROWS = 1_200


@pytest.fixture(scope="package")
def home(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the versions of the project's models."""
    home = tmp_path_factory.mktemp("open-inference")
    shutil.copytree(trained_home / "models", home / "models", symlinks=True)
    return home


@pytest.fixture(scope="package")
def journal(home: Path) -> Journal:
    """Its journal; the runtime closes it."""
    return Journal(f"sqlite:///{home / 'journal.db'}")


@pytest.fixture(scope="package")
def served(specs: dict[str, Spec], home: Path, journal: Journal) -> Iterator[Runtime]:
    """A worker's runtime."""
    preparing.prepare(specs, home, journal, [])
    made = Runtime(specs, home, journal)
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="package")
def models(specs: dict[str, Spec], served: Runtime) -> dict[str, Model]:
    """Every model as the protocol sees it."""
    return {name: Model(spec, served, MAX_ROWS) for name, spec in specs.items()}
