"""Files of skops: checked, loaded by the types of `trusted`, and made tame.

A file is a ZIP of arrays and of `schema.json`, which names the types to make. Nothing is imported or made
before every name was found on the list.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from models_store.errors import InvalidModel
from models_store.imported import trees, trusted
from models_store.validation import listing

SCHEMA = "schema.json"
MAX_BYTES = 2 << 30
"""Of all members, unpacked: a few KB of a ZIP can unpack to petabytes."""
MAX_SCHEMA_BYTES = 256 << 20
MAX_MEMBERS = 100_000


def is_skops(path: Path) -> bool:
    """Whether a file is a ZIP with a schema."""
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return SCHEMA in archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return False


def load(path: Path, types: frozenset[str]) -> Any:
    """Load the estimator of a file.

    Parameters
    ----------
    types
        `trusted.READ`, `trusted.KEPT` or `trusted.PARAMETERS`.

    Raises
    ------
    InvalidModel
        When the file holds anything else, or is damaged; then nothing of it was made.
    """
    check(path, types)
    import skops.io

    try:
        estimator = skops.io.load(path, trusted=sorted(types | trusted.FUNCTIONS))
    except (KeyError, TypeError, ValueError, AttributeError, OSError, RecursionError) as error:
        raise InvalidModel(f"it can't be read: {type(error).__name__}: {error}") from error
    tame(estimator)
    trees.check(estimator)
    return estimator


def check(path: Path, types: frozenset[str]) -> None:
    """Check the sizes of a file and the names in its schema; nothing is made.

    Raises
    ------
    InvalidModel
        Naming every type that is not on the list.
    """
    others = sorted({name for name in _names(_schema(path)) if name not in types})
    if others:
        raise InvalidModel(f"it holds {listing(others)}, which no model may bring in")


def _schema(path: Path) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            names = {member.filename for member in members}
            if len(members) > MAX_MEMBERS or sum(member.file_size for member in members) > MAX_BYTES:
                raise InvalidModel(
                    f"it unpacks to more than {MAX_BYTES >> 30} GiB or {MAX_MEMBERS:,} members"
                )
            if len(names) < len(members):
                raise InvalidModel("it has two members of one name")
            if archive.getinfo(SCHEMA).file_size > MAX_SCHEMA_BYTES:
                raise InvalidModel(f"its {SCHEMA} is larger than {MAX_SCHEMA_BYTES >> 20} MiB")
            return json.loads(archive.read(SCHEMA))
    except (
        zipfile.BadZipFile,
        KeyError,
        ValueError,
        OSError,
        RecursionError,
        NotImplementedError,
    ) as error:
        raise InvalidModel(f"it is no file of skops: {type(error).__name__}: {error}") from error


def _names(schema: Any) -> Iterator[str]:
    """Walk through a schema; return what it makes, and whatever it makes in a way that is not allowed."""
    waiting = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        if not isinstance(node, dict):
            continue
        waiting += node.values()
        if "__loader__" in node:
            yield from _name(node)


def _name(node: dict[str, Any]) -> Iterator[str]:
    loader, name = node["__loader__"], f"{node.get('__module__')}.{node.get('__class__')}"
    if loader not in trusted.LOADERS:
        yield f"{name} by {loader}"
    elif loader == "FunctionNode":
        if name not in trusted.FUNCTIONS:
            yield name
    elif loader == "TypeNode":
        if name not in trusted.TYPES:
            yield name
    elif loader != "JsonNode":
        yield name


def tame(estimator: Any) -> None:
    """Let an estimator use no cache on disk, no further processes and no output: a file could name them."""
    for part in trees.parts(estimator):
        held = getattr(part, "__dict__", {})
        for name, quiet in (("memory", None), ("n_jobs", None), ("verbose", False)):
            if held.get(name):
                held[name] = quiet
