"""Files that hold a model: their format, what is said beside them, and their copy. Nothing is loaded."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from models_store.errors import InvalidModel
from models_store.imported import archives
from prediction.imports import mlflow_folders
from prediction.imports.mlflow_folders import SignedColumn

SKOPS, PICKLE = "skops", "pickle"
MAX_BYTES = 1 << 30
BLOCK = 1 << 20

DISTRUST = (
    "is no file of skops. If it is a pickle, loading it runs the code in it: add --trust-pickle if you"
    " trust everybody who could write it, or save the model again by skops.io.dump(model, 'model.skops')"
)


@dataclass(frozen=True)
class ModelFile:
    """A file that holds a model, and what is said of it.

    Parameters
    ----------
    name
        What people call it: the file or the folder that was given.
    columns
        The columns that a signature names; None without one.
    libraries
        Versions that are stated beside the file.
    """

    path: Path
    name: str
    format: str
    columns: tuple[SignedColumn, ...] | None = None
    libraries: dict[str, str] = field(default_factory=dict)

    def copy_to(self, target: Path) -> str:
        """Copy the file, so that it can't change any more; return the SHA-256 of the copy.

        Raises
        ------
        InvalidModel
            When it is no plain file, or too large.
        """
        digest, size = hashlib.sha256(), 0
        with _opened(self.path) as descriptor, target.open("wb") as copy:
            while block := os.read(descriptor.number, BLOCK):
                size += len(block)
                if size > MAX_BYTES:
                    raise InvalidModel(f"{self.path} is larger than {MAX_BYTES >> 30} GiB")
                digest.update(block)
                copy.write(block)
        return digest.hexdigest()


class _opened:  # noqa: N801 -- used as a function
    """Open a plain file without following a link in its place, and without waiting for a pipe."""

    def __init__(self, path: Path) -> None:
        try:
            self.number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            raise InvalidModel(f"{path} can't be read: {error.strerror}") from error

    def __enter__(self) -> _opened:
        if not stat.S_ISREG(os.fstat(self.number).st_mode):
            os.close(self.number)
            raise InvalidModel("a model is a plain file, or a folder of MLflow")
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.number)


def find(given: Path, trust_pickle: bool) -> ModelFile:
    """Find the file of a model, and its format.

    Parameters
    ----------
    given
        A file of skops, pickle or joblib, or a folder that MLflow has saved.
    trust_pickle
        Whether a pickle is allowed.

    Raises
    ------
    InvalidModel
        When there is no model, or one that is not allowed.
    """
    path = given.resolve()  # the link in the command line is the user's own; others are not followed
    if path.is_dir():
        said = mlflow_folders.read(path)
        found = ModelFile(said.file, given.name, SKOPS, said.columns, said.libraries)
    else:
        found = ModelFile(path, given.name, SKOPS)
    with _opened(found.path):
        pass
    if archives.is_skops(found.path):
        return found
    if not found.path.stat().st_size:
        raise InvalidModel(f"{found.path} is empty: save the model again")
    if not trust_pickle:
        raise InvalidModel(f"{found.path} {DISTRUST}")
    return ModelFile(found.path, found.name, PICKLE, found.columns, found.libraries)
