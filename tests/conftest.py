"""What the tests share: trained models, a home of one's own, a running server."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from models_store import catalog
from models_store.spec import Spec
from tests.servers import Server, run


@pytest.fixture(scope="session")
def specs() -> dict[str, Spec]:
    """Every spec of the catalog."""
    return catalog.load()


@pytest.fixture(scope="session")
def trained_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which `train.py` has trained every model. To be read, never written to.

    The processes that share the tests share it: the first trains, the others wait.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    home = shared / "trained"
    with (shared / "trained.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.exists():
            draft = shared / "training"
            shutil.rmtree(draft, ignore_errors=True)
            done = run("python", "train.py", home=draft)
            assert done.returncode == 0, done.stderr
            draft.rename(home)
    return home


@pytest.fixture
def home(trained_home: Path, tmp_path: Path) -> Path:
    """A copy of `trained_home` that a test may do anything to."""
    return Path(shutil.copytree(trained_home, tmp_path / "home", symlinks=True))


@pytest.fixture(scope="module")
def module_home(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy that the tests of a module share, and that this process works on meanwhile."""
    home = tmp_path_factory.mktemp("shared") / "home"
    shutil.copytree(trained_home, home, symlinks=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_HOME", str(home))
        yield home


@pytest.fixture(scope="session")
def server(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One running server with two workers, for tests that leave it as it was."""
    home = tmp_path_factory.mktemp("shared") / "home"
    shutil.copytree(trained_home, home, symlinks=True)
    with Server(home) as running:
        yield running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the long files, so that no process works alone at the end.

    The tests of the whole service take longest. Those of `models_store` need no trained home: they run
    while one process trains it.
    """
    folders = {"models_store": 0, "tests": 1}
    items.sort(key=lambda item: folders.get(item.path.parent.name, 2))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let nothing be skipped in CI: what is not run there is run nowhere."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and in CI nothing may be: {call.excinfo}"
    return report
