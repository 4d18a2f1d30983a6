"""The Makefile: which engine makes the image, and what it says where Python lacks something."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import PROJECT, run


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with what make reads, where no environment was made yet."""
    for name in ("Makefile", "pyproject.toml", "requirements.txt", "requirements-dev.txt"):
        shutil.copy(PROJECT / name, tmp_path)
    return tmp_path


def make_by(python: str, copy: Path) -> subprocess.CompletedProcess[str]:
    """Run `make install` with a Python."""
    return run("make", f"PYTHON={python}", "install", home=copy / "home", cwd=copy)


def test_a_python_without_venv_is_told_in_a_sentence(copy: Path) -> None:
    """Debian's has no ensurepip until python3-venv is there; nothing half made is left."""
    (copy / "ensurepip.py").write_text("raise ModuleNotFoundError\n")
    python = copy / "python3"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={copy} exec {sys.executable} "$@"\n')
    python.chmod(0o755)

    done = make_by(str(python), copy)

    assert 0 != done.returncode
    said = [line for line in done.stdout.splitlines() if line.startswith("make: ")]
    assert [
        f"make: {python} can't make .venv: install its venv module, on Debian the package python3-venv"
    ] == said
    assert "Traceback" not in done.stderr
    assert not (copy / ".venv").exists()


def test_a_python_that_is_not_there_is_told_in_a_sentence(copy: Path) -> None:
    """With what to do."""
    done = make_by("no-such-python", copy)

    assert 0 != done.returncode
    assert "make: no-such-python is missing, or not Python 3.11, 3.12 or 3.13: run make" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("engine", ["podman", "docker", "buildah"])
def test_the_engine_of_the_image_is_chosen(tmp_path: Path, engine: str) -> None:
    """As the pages say, though another one is installed."""
    done = run("make", "--dry-run", "image", f"ENGINE={engine}", home=tmp_path)

    assert 0 == done.returncode
    assert f"--backend {engine} " in done.stdout
    assert "ENGINE=docker" in (PROJECT / "docs" / "operate.md").read_text()
    assert "make image ENGINE=docker" in (PROJECT / "docs" / "container.md").read_text()


def test_an_image_without_an_engine_is_told_in_a_sentence(tmp_path: Path) -> None:
    """Which programs would do."""
    done = run("make", "--old-file=train", "image", "ENGINE=", home=tmp_path)

    assert 0 != done.returncode
    assert "make: no podman, docker or buildah is here: install one of them" in done.stdout
