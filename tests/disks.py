"""Small disks, and disks without room."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


def mount(folder: Path, size: str) -> bool:
    """Make a folder a file system of its own; return whether that is allowed here."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextmanager
def small(folder: Path, size: str) -> Iterator[None]:
    """Make a folder that is a file system of its own meanwhile."""
    folder.mkdir()
    if not mount(folder, size):
        pytest.skip("no file system may be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """Leave no room in a folder's file system meanwhile."""
    fill(folder)
    yield
    free(folder)


def fill(folder: Path) -> None:
    """Leave no room in a folder's file system."""
    with suppress(OSError), (folder / "filler").open("wb", buffering=0) as file:
        while file.write(b"\0" * 4096):
            pass


def free(folder: Path) -> None:
    """Make room again."""
    (folder / "filler").unlink(missing_ok=True)
