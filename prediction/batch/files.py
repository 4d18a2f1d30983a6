"""Files of rows: their kinds, and one sentence for all that is wrong with one.

`sources` reads them and `sinks` writes them.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models_store.errors import InvalidInput

KINDS = (".csv", ".jsonl", ".parquet")
MAX_REASON = 180
"""Characters of another library's message that are shown."""


def kind(path: Path) -> str:
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
def reading(path: Path) -> Iterator[None]:
    """Raise every error of reading a file as one `InvalidInput` that names the file."""
    from pyarrow.lib import ArrowException

    with _one_sentence(f"{path} can't be read", (OSError, ValueError, csv.Error, ArrowException)):
        yield


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise every error of writing a file as one `InvalidInput` that names the file."""
    from pyarrow.lib import ArrowException

    with _one_sentence(f"{path} can't be written", (OSError, ValueError, OverflowError, ArrowException)):
        yield


@contextmanager
def _one_sentence(beginning: str, errors: tuple[type[Exception], ...]) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        name = "UTF-8" if error.encoding == "utf-8" else "of the encoding that its spec names"
        raise InvalidInput(f"{beginning}: it is not {name}: save it as UTF-8") from error
    except errors as error:
        reason = getattr(error, "strerror", None) or str(error)  # the whole text names the file again
        raise InvalidInput(f"{beginning}: {' '.join(reason.split())[:MAX_REASON]}") from error
