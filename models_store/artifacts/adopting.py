"""Versions that a Bento brings along: copied into the store of the home."""

from __future__ import annotations

import shutil
from pathlib import Path

from models_store import store
from models_store.errors import UnknownVersion


def adopt(home: Path, source: Path) -> None:
    """Copy a version from another store (the one inside a Bento), unless this store has it already.

    Parameters
    ----------
    source
        The version's folder, `<store>/<name>/<version>`.

    Raises
    ------
    UnknownVersion
        When the folder is not a version.
    """
    if (home / "models" / source.parent.name / source.name).exists():
        return
    if not (source / store.MODEL_YAML).is_file():
        raise UnknownVersion(f"{source} is not a version: it has no {store.MODEL_YAML}")
    with store.stage(home) as staged:
        shutil.copytree(source, staged, dirs_exist_ok=True)
        store.settle(home, staged, source.parent.name, source.name)
