"""Where a run reads and writes: local files and folders, and buckets by URL.

`folders` and `buckets` do the work. What is listed here leaves out hidden files, those whose names begin
with an underscore, and the files of an earlier run that are no parts.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from models_store.errors import InvalidInput
from prediction.batch.bulk import ranges
from prediction.batch.bulk.buckets import BucketFolder
from prediction.batch.bulk.folders import Folder, Listed
from prediction.batch.files import KINDS, Unwritable

PLAN, PART = "plan.json", "part-"
"""The name of a run's plan in its output, and the beginning of the names of its parts."""

URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}")
WILD = re.compile(r"[*?[]")


@dataclass(frozen=True)
class InputFile:
    """A file to score, as it was when it was listed; plain values, which travel to workers.

    Parameters
    ----------
    url
        Its absolute path, or its URL.
    size
        Bytes.
    etag
        A text that changes when its content changes.
    """

    url: str
    size: int
    etag: str

    @property
    def kind(self) -> str:
        """The kind of the file: the end of its name."""
        return Path(self.url).suffix.lower()

    def open(self, start: int = 0, end: int | None = None) -> BinaryIO:
        """Open its bytes from one place to another as a seekable file, which begins at 0.

        Reading raises `InvalidInput` if the file has changed or is gone, and `PlaceUnavailable` if its
        bucket has not answered for a while.
        """
        parent, name = _split(self.url)
        source = _at(parent).open(Listed(name, self.size, self.etag))
        return ranges.open_range(source, start, self.size if end is None else min(end, self.size))


def find(names: Sequence[str | Path]) -> list[InputFile]:
    """Return the files of paths, folders, patterns and URLs, in the order of their names for each.

    A file that several of them name counts once.

    Raises
    ------
    InvalidInput
        When there is no such file, or one is of another kind.
    PlaceUnavailable
        When a bucket can't be read.
    """
    found: dict[str, InputFile] = {}
    for name in names:
        for each in _find(_absolute(name)):
            found.setdefault(each.url, each)
    return list(found.values())


def _find(url: str) -> list[InputFile]:
    parent, name = _split(url)
    if name and (single := _at(parent).stat(name)) and not _is_folder(single, parent):
        return [_input(parent, single)]
    base, pattern = _cut(url)
    depth = None if pattern is None or "**" in pattern else pattern.count("/") + 1
    entries = _at(base).walk(depth)
    is_run = pattern is None and any(each.name == PLAN for each in entries)
    kept = [
        each
        for each in entries
        if not _is_hidden(each.name)
        and not _is_folder(each, base, entries)
        and (pattern is None or _fits(each.name.split("/"), pattern.split("/")))
        and (not is_run or (each.name.startswith(PART) and _is_known(each.name)))
    ]
    if not kept:
        raise InvalidInput(f"{url}: there is no such file, and none to score in such a folder")
    return [_input(base, each) for each in sorted(kept, key=lambda each: each.name)]


def _input(place: str, entry: Listed) -> InputFile:
    url = f"{place.rstrip('/')}/{entry.name}"
    _demand_utf_8(url)
    if not _is_known(entry.name):
        raise InvalidInput(
            f"{url}: the name must end with {', '.join(KINDS)}: name the files to score by a pattern,"
            " such as folder/*.csv"
        )
    return InputFile(url, entry.size, entry.etag)


class OutputFolder:
    """The folder that a run writes; plain values, which travel to workers. The constructor does no I/O.

    Parameters
    ----------
    name
        A path, or a URL.
    """

    def __init__(self, name: str | Path) -> None:
        self.url = _absolute(name)
        self._place = _at(self.url)

    def read(self, name: str) -> bytes | None:
        """Return the content of a small file; None if there is no such file."""
        return self._place.read(name)

    def list(self) -> dict[str, int]:
        """Return the sizes of its files by name; it may not be there yet."""
        return {each.url.rpartition("/")[2]: each.size for each in self.files()}

    def files(self) -> Sequence[InputFile]:
        """Return its files, and none of folders in it, in the order of their names."""
        if isinstance(self._place, Folder) and not self._place.path.is_dir():
            return []
        found = sorted(self._place.walk(1), key=lambda each: each.name)
        return [InputFile(f"{self.url}/{each.name}", each.size, each.etag) for each in found]

    @contextmanager
    def draft(self, name: str) -> Iterator[Path]:
        """Lend a local path of that name to write to. At the end it becomes the file, whole.

        After an exception, or a kill, there is no file, or the one that was there. People know the place of
        drafts by the folder that they are for: so do messages.
        """
        with self._place.drafts() as folder:
            try:
                yield folder / name
            except Unwritable as error:
                raise Unwritable(str(error).replace(str(folder), self.url)) from error
            self._place.put(name, folder / name)

    def put(self, name: str, data: bytes) -> None:
        """Write a small file, over one of that name."""
        with self.draft(name) as path:
            path.write_bytes(data)

    def create(self, name: str, data: bytes) -> bool:
        """Write a small file; return False if there is one of that name, which stays as it is.

        If the answer to the first attempt was lost, that may be our own: compare what is there.
        """
        with self._place.drafts() as folder:
            (folder / name).write_bytes(data)
            return self._place.create(name, folder / name)

    def delete(self, name: str) -> None:
        """Delete a file, if there is one."""
        self._place.delete(name)

    def clean(self) -> None:
        """Remove drafts of processes that were killed."""
        self._place.clean()

    def holds(self, file: InputFile) -> bool:
        """Tell whether a file lies in this folder, or in one below it."""
        if isinstance(self._place, Folder):
            return Path(file.url).resolve().is_relative_to(self._place.path.resolve())
        return file.url.startswith(f"{self.url}/")

    def lies_in(self, name: str | Path) -> bool:
        """Tell whether it is a folder to read, or lies in one, or its parts would match a pattern."""
        base, pattern = _cut(_absolute(name))
        base, own = _real(base), _real(self.url)
        if own != base and not own.startswith(f"{base.rstrip('/')}/"):
            return False
        part = f"{own}/{PART}0.parquet".removeprefix(base).lstrip("/")
        return pattern is None or _fits(part.split("/"), pattern.split("/"))


def is_url(name: str | Path) -> bool:
    """Tell whether a name is a URL and not a path."""
    return URL.fullmatch(str(name)) is not None


def is_pattern(name: str | Path) -> bool:
    """Tell whether a name has a wildcard."""
    return WILD.search(str(name)) is not None


def _absolute(name: str | Path) -> str:
    """Return an absolute path, or the URL of a bucket, without a slash at its end.

    Raises
    ------
    InvalidInput
        When it is a URL of something else, or holds what might be a password, or bytes that are no text.
    """
    _demand_utf_8(str(name))
    found = URL.fullmatch(str(name))
    if found is None:
        return os.path.abspath(name)  # noqa: PTH100 -- links stay as they are named
    scheme, rest = found[1].lower(), found[2]
    if scheme == "file" and rest.startswith("/"):
        return os.path.abspath(unquote(rest))  # noqa: PTH100
    bucket, _, key = rest.partition("/")
    if scheme not in ("s3", "gs", "az") or not BUCKET.fullmatch(bucket):
        raise InvalidInput(
            "a URL to read or write must be s3://bucket/key, gs://bucket/key, az://container/key or"
            " file:///folder, without user and password: credentials have variables of their own"
            " (docs/scale.md)"
        )
    return f"{scheme}://{bucket}/{key}".rstrip("/")


def _demand_utf_8(name: str) -> None:
    """Check that a plan, a list of refused rows and a URL can hold a name."""
    shown = name.encode("utf-8", "backslashreplace").decode()
    if shown != name:  # each byte that is no text is half a character
        raise InvalidInput(f"{shown}: the name is not UTF-8: rename it")


def _real(url: str) -> str:
    """Return a path without links in it; the URL of a bucket is as it is."""
    return url if is_url(url) else os.path.realpath(url)


def _split(url: str) -> tuple[str, str]:
    """Return the place of a file and its name in it; the name is empty for a bucket."""
    if URL.fullmatch(url):
        scheme, _, rest = url.partition("://")
        parent, slash, name = rest.rpartition("/")
        return (f"{scheme}://{parent}", name) if slash else (url, "")
    parent, _, name = url.rpartition("/")
    return parent or "/", name


def _at(url: str) -> Folder | BucketFolder:
    if not URL.fullmatch(url):
        return Folder(Path(url))
    scheme, _, rest = url.partition("://")
    bucket, _, prefix = rest.partition("/")
    return BucketFolder(f"{scheme}://{bucket}", prefix)


def _cut(url: str) -> tuple[str, str | None]:
    """Cut a URL before its first part with a wildcard; without one all of it is the place."""
    parts = url.split("/")
    if Path(url).is_dir():  # its name may hold a bracket
        return url, None
    wild = next((place for place, part in enumerate(parts) if WILD.search(part)), None)
    if wild is None:
        return url, None
    return "/".join(parts[:wild]) or "/", "/".join(parts[wild:])


def _fits(names: Sequence[str], parts: Sequence[str]) -> bool:
    """Tell whether a path fits a pattern, both by their parts; `**` is any number of folders."""
    if not names or not parts:
        return not names and not parts
    if parts[0] == "**":
        rest = parts[1:] or ["*"]
        return any(_fits(names[place:], rest) for place in range(len(names)))
    return fnmatch.fnmatchcase(names[0], parts[0]) and _fits(names[1:], parts[1:])


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "_")) for part in name.split("/"))


def _is_folder(entry: Listed, place: str, entries: Sequence[Listed] = ()) -> bool:
    """Tell whether an object without bytes stands for a folder: consoles and engines write such ones."""
    return (
        entry.size == 0
        and is_url(place)
        and (not _is_known(entry.name) or any(each.name.startswith(f"{entry.name}/") for each in entries))
    )


def _is_known(name: str) -> bool:
    return name.lower().endswith(KINDS)
