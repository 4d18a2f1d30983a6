"""A version as an archive: a plain tar that depends on nothing but the version's files.

Whoever has written one: it is checked against a digest that the caller trusts before it is used.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from models_store import store
from models_store.errors import DamagedVersion, UnknownVersion
from models_store.store import Version

MAX_BYTES = 5 << 30
"""The largest archive: an object store takes no more in one request."""

MAX_FILES = 64
MAX_TEXT_BYTES = 8 << 20
"""The largest manifest and the largest `model.yaml`, which are read as a whole."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,98}")
"""Of a file in an archive: no folder, and no name that a shell or a system treats in its own way."""

COPY_BYTES = 1 << 20


def pack(version: Version, target: Path) -> None:
    """Write a version into an archive; the same version gives the same bytes on every host.

    Raises
    ------
    DamagedVersion
        When the version can't be packed: a file is missing, or has a name that no archive may have.
    """
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as archive:
        for path in _paths(version):
            try:
                with path.open("rb") as file:
                    member = tarfile.TarInfo(path.name)
                    member.size = path.stat().st_size
                    archive.addfile(member, file)
            except FileNotFoundError as error:
                raise DamagedVersion(f"{version.tag}: {path.name} is missing") from error


def size_of(version: Version) -> int:
    """Return how many bytes the archive of a version has, without writing it.

    Raises
    ------
    DamagedVersion
        As `pack`.
    """
    blocks = 2  # an archive ends with two empty blocks
    for path in _paths(version):
        try:
            blocks += 1 + -(-path.stat().st_size // tarfile.BLOCKSIZE)
        except FileNotFoundError as error:
            raise DamagedVersion(f"{version.tag}: {path.name} is missing") from error
    return -(-blocks * tarfile.BLOCKSIZE // tarfile.RECORDSIZE) * tarfile.RECORDSIZE


def _paths(version: Version) -> list[Path]:
    """Return the files of a version that its archive holds, in their order there."""
    names = sorted([*_read_manifest(version.path, version.tag)["files"], store.MANIFEST, store.MODEL_YAML])
    for name in names:
        if not NAME.fullmatch(name):
            raise DamagedVersion(f"{version.tag}: {name!r:.99} can't be in an archive")
    return [version.path / name for name in names]


def unpack(home: Path, archive: Path, model: str, version: str, digest: str) -> Version:
    """Check an archive, and move its version into the store; a damaged one of its name gives way.

    Parameters
    ----------
    digest
        The digest of the version, from a place that its author can't change.

    Raises
    ------
    DamagedVersion
        When the archive holds anything else than exactly that version; then nothing is kept of it.
    """
    tag = f"{model}:{version}"
    with store.stage(home) as staged:
        with archive.open("rb") as file:
            names = _extract(file, staged, tag)
        manifest = _read_manifest(staged, tag)
        if names != {*manifest["files"], store.MANIFEST, store.MODEL_YAML}:
            raise DamagedVersion(f"the archive of {tag} does not hold exactly the files of its manifest")
        try:
            found = store.examine(staged, model, version)
        except UnknownVersion as error:
            raise DamagedVersion(
                f"the archive of {tag} has another version's or no {store.MODEL_YAML}"
            ) from error
        store.verify(found, digest)
        _check_description(staged, manifest, tag, digest)
        store.settle(home, staged, model, version, replace=True)
    return store.get(home, model, version)


def _check_description(folder: Path, manifest: dict[str, Any], tag: str, digest: str) -> None:
    """Check `model.yaml`, which holds the version's figures and contains the digest of its manifest.

    Versions of earlier releases vouch for the files that serve them only.
    """
    expected = manifest.get("model_yaml")
    text = (folder / store.MODEL_YAML).read_bytes().replace(digest.encode(), store.UNKNOWN_DIGEST.encode())
    if expected is not None and hashlib.sha256(text).hexdigest() != expected:
        raise DamagedVersion(f"the archive of {tag}: {store.MODEL_YAML} was changed after it was saved")


def _read_manifest(folder: Path, tag: str) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / store.MANIFEST).read_bytes())
        dict(manifest["files"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise DamagedVersion(f"{tag}: {store.MANIFEST} is missing or damaged") from error
    return dict(manifest)


def _extract(file: IO[bytes], folder: Path, tag: str) -> set[str]:
    """Write the files of an archive into a folder, and return their names."""
    names: set[str] = set()
    for member, content in _members(file, tag):
        if not NAME.fullmatch(member.name) or member.name in names:
            raise DamagedVersion(f"the archive of {tag} holds what may not be there: {member.name!r:.99}")
        is_text = member.name in (store.MANIFEST, store.MODEL_YAML)
        if (is_text and member.size > MAX_TEXT_BYTES) or len(names) == MAX_FILES:
            raise DamagedVersion(f"the archive of {tag} is too large at {member.name}")
        names.add(member.name)
        with (folder / member.name).open("xb") as target:
            left = member.size
            while left:
                block = content.read(min(COPY_BYTES, left))
                if not block:
                    raise DamagedVersion(f"the archive of {tag} is cut in {member.name}")
                left -= target.write(block)
    return names


def _members(file: IO[bytes], tag: str) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    """Read plain files from a plain tar, and refuse everything else: links, folders, sparse files, headers.

    The library would follow extended headers before a caller sees them. Plain files are never larger than
    the archive.
    """
    block = file.read(tarfile.BLOCKSIZE)
    while block.strip(b"\0"):
        try:
            member = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        except (tarfile.HeaderError, ValueError) as error:
            raise DamagedVersion(f"the archive of {tag} is cut or damaged") from error
        if member.type != tarfile.REGTYPE or member.size < 0:
            raise DamagedVersion(f"the archive of {tag} holds more than plain files: {member.name!r:.99}")
        after = file.tell() + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        yield member, file
        file.seek(after)
        block = file.read(tarfile.BLOCKSIZE)
    if len(block) < tarfile.BLOCKSIZE:
        raise DamagedVersion(f"the archive of {tag} is cut")
