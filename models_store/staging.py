"""The folder in which versions are built, its lock, and its cleaning after killed saves."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK_FILE = ".lock"


@contextmanager
def lend(home: Path, name: str) -> Iterator[Path]:
    """Lend an empty folder; it is removed afterwards, unless it was renamed.

    It is locked while its process lives, so that `clean` recognises the remains of a killed save.
    """
    folder = home / "staging" / name
    with locked(home):
        folder.mkdir()
        descriptor = os.open(folder, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        os.close(descriptor)
        shutil.rmtree(folder, ignore_errors=True)


def clean(home: Path) -> None:
    """Remove the remains of killed saves. The caller holds the lock."""
    for path in (home / "staging").iterdir():
        if path.is_file() and path.name != LOCK_FILE:  # files are only written under the lock
            path.unlink()
        elif path.is_dir() and _is_abandoned(path):
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Hold the store's lock, for one writer at a time in all processes; readers don't need it."""
    (home / "staging").mkdir(parents=True, exist_ok=True)
    with (home / "staging" / LOCK_FILE).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_abandoned(folder: Path) -> bool:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:  # its process removed it just now
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def sync_tree(folder: Path) -> None:
    """Sync a folder and all its files to disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            sync(path)
    sync(folder)


def sync(path: Path) -> None:
    """Sync a file, or the list of a folder's files, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
