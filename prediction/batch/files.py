"""Files of rows: their kinds, stretches of them, and one sentence for all that is wrong with one.

`sources` reads them and `sinks` writes them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from models_store.errors import InvalidInput

KINDS = (".csv", ".jsonl", ".parquet")
MAX_REASON = 180
"""Characters of another library's message that are shown."""


class Unwritable(InvalidInput):
    """A file can't be written, on a full disk for example."""


@dataclass(frozen=True)
class Stretch:
    """Some bytes of a file, read as a file of their own; it may be in another place than this machine.

    Parameters
    ----------
    name
        That of the file, in messages; its end says the kind.
    source
        Opens the bytes.
    size
        How many they are.
    head
        Bytes that are read before them: the header.
    """

    name: str
    source: Callable[[], BinaryIO]
    size: int
    head: bytes = b""

    def __str__(self) -> str:
        return self.name

    @property
    def suffix(self) -> str:
        """The end of its name."""
        return PurePosixPath(self.name).suffix

    def open(self, mode: str = "r", encoding: str | None = None, newline: str | None = None) -> Any:
        """Open it for reading, as `Path.open` does."""
        file = self.source()
        binary = io.BufferedReader(_Joined(self.head, file), 1 << 20) if self.head else file
        return binary if "b" in mode else io.TextIOWrapper(binary, encoding, newline=newline)


Readable = Path | Stretch


def size_of(path: Readable) -> int:
    """Return how many bytes are read."""
    return len(path.head) + path.size if isinstance(path, Stretch) else path.stat().st_size


class _Joined(io.RawIOBase):
    """Bytes, and then a file."""

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        self._head = head
        self._file = file
        self._done = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._head[: len(buffer)] or self._file.read(len(buffer))
        self._head = self._head[len(data) :]
        buffer[: len(data)] = data
        self._done += len(data)
        return len(data)

    def tell(self) -> int:
        return self._done

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def kind(path: Readable) -> str:
    """Return the kind of a file by the end of its name.

    Raises
    ------
    InvalidInput
        When the name ends with none of `KINDS`.
    """
    suffix = path.suffix.lower()
    if suffix not in KINDS:
        raise InvalidInput(f"{path}: the name must end with {', '.join(KINDS)}")
    return suffix


def demand(path: Path) -> None:
    """Check that a file exists and is of a known kind.

    Raises
    ------
    InvalidInput
        When it is not.
    """
    kind(path)
    refuse_folder(path)
    if not path.is_file():
        raise InvalidInput(f"there is no file {path}")


def refuse_folder(path: Path) -> None:
    """Check that a path is not a folder.

    Raises
    ------
    InvalidInput
        When it is.
    """
    if path.is_dir():
        raise InvalidInput(f"{path} is a folder: name a file in it")


@contextmanager
def reading(path: Readable) -> Iterator[None]:
    """Raise every error of reading a file as one `InvalidInput` that names the file."""
    from pyarrow.lib import ArrowException

    with one_sentence(f"{path} can't be read", (OSError, ValueError, csv.Error, ArrowException)):
        yield


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise every error of writing a file as one `Unwritable` that names the file."""
    from pyarrow.lib import ArrowException

    errors = (OSError, ValueError, OverflowError, ArrowException)
    with one_sentence(f"{path} can't be written", errors, Unwritable):
        yield


@contextmanager
def one_sentence(
    beginning: str, errors: tuple[type[Exception], ...], kind: type[InvalidInput] = InvalidInput
) -> Iterator[None]:
    """Raise such errors as one of a kind of ours, with a beginning that names the place."""
    try:
        yield
    except UnicodeDecodeError as error:
        name = "UTF-8" if error.encoding == "utf-8" else "of the encoding that its spec names"
        raise kind(f"{beginning}: it is not {name}: save it as UTF-8") from error
    except errors as error:
        reason = getattr(error, "strerror", None) or str(error)  # the whole text names the file again
        raise kind(f"{beginning}: {' '.join(reason.split())[:MAX_REASON]}") from error
