"""A spec for a model that has none: of a table of labelled rows, with the columns that the model takes."""

from __future__ import annotations

import tempfile
from pathlib import Path

from models_store.errors import InvalidModel
from models_store.validation import listing
from prediction.imports import examining, matching, reading
from prediction.imports.examining import Examination
from prediction.imports.files import ModelFile
from prediction.imports.matching import Described
from prediction.imports.reading import ProcessLimits
from prediction.proposals import tables
from prediction.proposals.proposing import TableWish


def wish_for(name: str, file: ModelFile, model: Described, table: Path, target: str) -> TableWish:
    """Return what is asked of `loop new`, so that its spec fits a model.

    Parameters
    ----------
    model
        What the model of the file says of itself.
    table, target
        Rows like those that the model takes, and their column of labels.

    Raises
    ------
    InvalidModel
        When the table lacks columns; all are named.
    """
    columns = [each for each in tables.read(table).columns if each != target]
    names = matching.names_of(model, file.columns)
    if names is None:
        if model.features not in (None, len(columns)):
            raise InvalidModel(
                f"{file.name} takes {model.features} columns without names, and {table} has {len(columns)}"
                f" beside {target}: leave out the others"
            )
        names = columns
    lacking = [each for each in names if each not in columns]
    if lacking:
        raise InvalidModel(f"{file.name} takes columns that {table} has not: {listing(lacking)}")
    others = [each for each in columns if each not in names]
    kind = "quantity" if model.classes is None else "classes"
    return TableWish(name, table, target, kind, keep=names, leave_out=others)


def described(file: ModelFile) -> Described:
    """Let a model describe itself, in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="loop-import-") as folder:
        file.copy_to(Path(folder) / examining.MODEL)
        task = Examination(Path(folder), file.format, None, 0)
        return Described(**reading.read(task, None, ProcessLimits())["model"])
