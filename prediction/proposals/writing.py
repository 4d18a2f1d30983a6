"""A proposal on disk: the file of the spec, and its table beside it. Nothing is overwritten."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from models_store.errors import InvalidInput
from prediction.proposals.proposing import Proposal


def demand_free(folder: Path, name: str) -> None:
    """Check that a catalog has no model of that name, and no table.

    Raises
    ------
    InvalidInput
        Naming the file that is there.
    """
    for taken in (folder / f"{name}.py", folder / name, folder / f"{name}.parquet"):
        if taken.exists() or taken.is_symlink():
            raise InvalidInput(f"{taken} is there already, and stays: choose another name, or remove it")


def write(folder: Path, name: str, proposal: Proposal) -> list[Path]:
    """Write both files, the spec last: it never lacks its table.

    Raises
    ------
    InvalidInput
        When one of them is there already.
    """
    from pyarrow import parquet

    demand_free(folder, name)
    data, spec = folder / f"{name}.parquet", folder / f"{name}.py"
    drafts = [folder / f".{path.name}.{os.getpid()}" for path in (data, spec)]
    try:
        parquet.write_table(proposal.data, drafts[0])
        drafts[1].write_text(proposal.text, encoding="utf-8")
        for draft, path in zip(drafts, (data, spec), strict=True):
            try:
                os.link(draft, path)  # fails if the name was taken meanwhile
            except FileExistsError:
                demand_free(folder, name)
    finally:
        for draft in drafts:
            with suppress(FileNotFoundError):
                draft.unlink()
    return [spec, data]
