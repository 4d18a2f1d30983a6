"""Local folders of runs: their files listed, read by ranges, and written whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from models_store import staging
from models_store.errors import InvalidInput
from prediction.batch import files
from prediction.batch.files import Unwritable

DRAFTS = ".drafts"
"""The folder of files that are not complete, in the folder that they are renamed into."""

LOCK = ".lock"


@dataclass(frozen=True)
class Listed:
    """A file of a place: its name below the place, its bytes, and a text that changes with its content."""

    name: str
    size: int
    etag: str


class Folder:
    """A local folder. The constructor does no I/O."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = str(path)

    def stat(self, name: str) -> Listed | None:
        """Return a file; None if there is no such file."""
        path = self.path / name
        with self._reading():
            return _entry(name, path.stat()) if path.is_file() else None

    def walk(self, depth: int | None) -> list[Listed]:
        """Return the files in it and in its folders down to a depth; None is any depth."""
        with self._reading():
            return list(self._walk("", depth))

    def _walk(self, below: str, depth: int | None, above: tuple[Path, ...] = ()) -> Iterator[Listed]:
        above = (*above, (self.path / below).resolve())
        with os.scandir(self.path / below) as found:
            for each in found:
                name = below + each.name
                if each.is_file():
                    yield _entry(name, each.stat())
                elif each.is_dir() and depth != 1 and not _is_left_out(each, above):
                    yield from self._walk(f"{name}/", depth and depth - 1, above)

    def open(self, entry: Listed) -> LocalBytes:
        """Open a file for reading."""
        with self._reading():
            return LocalBytes(self.path / entry.name, entry)

    def read(self, name: str) -> bytes | None:
        """Return the content of a small file; None if there is no such file."""
        with self._reading(), suppress(FileNotFoundError):
            return (self.path / name).read_bytes()
        return None

    @contextmanager
    def drafts(self) -> Iterator[Path]:
        """Lend a new folder for drafts; nobody else removes it while this process lives."""
        with self._writing():
            (self.path / DRAFTS).mkdir(parents=True, exist_ok=True)
        with lend(self.path / DRAFTS) as folder:
            yield folder

    def put(self, name: str, draft: Path) -> None:
        """Rename a draft into its place, over a file of that name."""
        with self._writing():
            staging.sync(draft)
            draft.replace(self.path / name)
            staging.sync(self.path)

    def create(self, name: str, draft: Path) -> bool:
        """Give a draft its place; return False if there is a file of that name, which stays as it is."""
        with self._writing():
            staging.sync(draft)
            try:
                os.link(draft, self.path / name)
            except FileExistsError:
                return False
            staging.sync(self.path)
        return True

    def delete(self, name: str) -> None:
        """Delete a file, if there is one."""
        with self._writing():
            (self.path / name).unlink(missing_ok=True)

    def clean(self) -> None:
        """Remove drafts of processes that were killed, and their folder if nobody uses it."""
        drafts = self.path / DRAFTS
        if drafts.is_dir():
            with self._writing():
                remove_abandoned(drafts)
            with suppress(OSError):  # there are drafts of a process that lives
                drafts.rmdir()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with files.one_sentence(f"{self.url} can't be read", (OSError,)):
            yield

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with files.one_sentence(f"{self.url} can't be written", (OSError,), Unwritable):
            yield


class LocalBytes:
    """An open file that must not change."""

    def __init__(self, path: Path, entry: Listed) -> None:
        self._path = path
        self._entry = entry
        try:
            self._descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            raise gone(str(path)) from None

    def fetch(self, start: int, end: int) -> bytes:
        """Return the bytes from one place to another, all of them."""
        with files.one_sentence(f"{self._path} can't be read", (OSError,)):
            data = os.pread(self._descriptor, end - start, start)
            if _entry(self._entry.name, os.fstat(self._descriptor)) != self._entry:
                raise changed(str(self._path))
        return data

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


@contextmanager
def lend(parent: Path) -> Iterator[Path]:
    """Lend a new folder for drafts in another one; then remove it.

    A file beside it is locked while its process lives. It is there before the folder and after it, so a
    process that is killed leaves nothing that `remove_abandoned` does not find.
    """
    with files.one_sentence(f"{parent} can't be written", (OSError,), Unwritable):
        descriptor, name = tempfile.mkstemp(LOCK, dir=parent)
        lock, folder = Path(name), Path(name.removesuffix(LOCK))
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            folder.mkdir()
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            lock.unlink(missing_ok=True)
            os.close(descriptor)


def remove_abandoned(parent: Path) -> None:
    """Remove folders of drafts whose process was killed."""
    for lock in parent.glob(f"*{LOCK}"):
        with suppress(FileNotFoundError, BlockingIOError), lock.open("r+") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink(missing_ok=True)


def changed(url: str) -> InvalidInput:
    """Make the error for a file that is not what it was when it was listed."""
    return InvalidInput(f"{url} has changed since the run began: score it into another folder")


def gone(url: str) -> InvalidInput:
    """Make the error for a file that is not there any more."""
    return InvalidInput(f"{url} is gone: put it back, or score the others into another folder")


def _is_left_out(folder: os.DirEntry[str], above: tuple[Path, ...]) -> bool:
    """Tell whether a folder is hidden, or a link to one that it was reached by."""
    if folder.name.startswith("."):
        return True
    target = Path(folder.path).resolve() if folder.is_symlink() else None
    return target is not None and any(each.is_relative_to(target) for each in above)


def _entry(name: str, found: os.stat_result) -> Listed:
    return Listed(name, found.st_size, str(found.st_mtime_ns))
