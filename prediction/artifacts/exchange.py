"""Versions between a home and the store of artefacts: published, fetched, prefetched, listed, deleted.

An object is `{model}/{version}/{digest}.tar`. A fetched one comes into the home's store only if it has the
digest that the caller asks for: the ledger's.
"""

from __future__ import annotations

import errno
import fcntl
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from models_store import store
from models_store.artifacts import archives
from models_store.errors import DamagedVersion, UnknownVersion
from models_store.store import Version
from prediction.artifacts.bucket import Bucket, StoredObject
from prediction.errors import ArtifactsUnavailable, NoRoom
from prediction.settings import Settings

FOLDER = "artifacts"
"""The folder of a home for archives on their way, with one lock for each model."""

KEY = re.compile(r"([\w-]{1,100})/(\w[\w.-]{0,62})/([0-9a-f]{64})\.tar")
RETRY_SECONDS = 2.0


@dataclass(frozen=True)
class Artifact:
    """A version in the store of artefacts."""

    model: str
    version: str
    digest: str
    size: int
    published_at: datetime

    @property
    def key(self) -> str:
        """Its key in the bucket."""
        return key_of(self.model, self.version, self.digest)


def key_of(model: str, version: str, digest: str) -> str:
    """Return the key of a version in the bucket."""
    return f"{model}/{version}/{digest}.tar"


class Exchange:
    """The versions of a home, and those that it can fetch. The constructor does no I/O.

    Parameters
    ----------
    bucket
        None if this home is on its own: then nothing is published, and nothing can be fetched.
    """

    def __init__(self, home: Path, bucket: Bucket | None = None) -> None:
        self.home = home
        self._bucket = bucket

    @property
    def is_shared(self) -> bool:
        """Whether there is a store of artefacts."""
        return self._bucket is not None

    @property
    def bucket(self) -> Bucket:
        """The store of artefacts.

        Raises
        ------
        UnknownVersion
            When there is none.
        """
        if self._bucket is None:
            raise UnknownVersion("there is no store of artefacts: set PREDICTION_ARTIFACTS_URL")
        return self._bucket

    def publish(self, version: Version, patience_seconds: float = 0.0) -> bool:
        """Put a version of this home into the store of artefacts, unless it is there, or there is no store.

        Parameters
        ----------
        patience_seconds
            How long a store that does not answer is tried again.

        Returns
        -------
        bool
            Whether it is new there.

        Raises
        ------
        DamagedVersion
            When this home's version is damaged, or the object that is there.
        ArtifactsUnavailable, NoRoom
        """
        if self._bucket is None:
            return False
        store.verify(version, version.digest)
        deadline = time.monotonic() + patience_seconds
        while True:
            try:
                return self._publish(self._bucket, version)
            except ArtifactsUnavailable as error:
                if time.monotonic() + RETRY_SECONDS > deadline:
                    raise ArtifactsUnavailable(f"{version.tag} can't be published: {error}") from None
            time.sleep(RETRY_SECONDS)

    def _publish(self, bucket: Bucket, version: Version) -> bool:
        key = key_of(version.model, version.version, version.digest)
        there = bucket.find(key)
        if there is None:
            with self._locked(version.model) as folder:
                archive = folder / f"{version.model}.out"
                try:
                    archives.pack(version, archive)
                    if bucket.put(key, archive):
                        return True
                finally:
                    archive.unlink(missing_ok=True)
            there = bucket.find(key)
        size = archives.size_of(version)
        if there is not None and there.size != size:
            raise DamagedVersion(
                f"{version.tag} can't be published: in the store of artefacts the object {key} is damaged:"
                f" it has {there.size} bytes and not {size}: delete it there, and try again"
            )
        return False

    def local(self, model: str, version: str, digest: str) -> Version | None:
        """Return a version of this home if it is complete and has this digest."""
        try:
            found = store.get(self.home, model, version)
            store.verify(found, digest)
        except (UnknownVersion, DamagedVersion):
            return None
        return found

    def obtain(self, model: str, version: str, digest: str) -> Version:
        """Return a version of this home; fetch it first if it is missing or damaged.

        Parameters
        ----------
        digest
            That of the ledger.

        Raises
        ------
        UnknownVersion
            When neither this home nor the store of artefacts has it.
        DamagedVersion
            When the object there is not the version of this digest.
        ArtifactsUnavailable, NoRoom
        """
        if self._bucket is None:
            return store.get(self.home, model, version)
        return self.local(model, version, digest) or self._fetch(self._bucket, model, version, digest)

    def _fetch(self, bucket: Bucket, model: str, version: str, digest: str) -> Version:
        with self._locked(model) as folder:
            found = self.local(model, version, digest)  # another process may have fetched it meanwhile
            if found is not None:
                return found
            archive = _ahead(folder, model, version, digest)
            try:
                if not archive.exists() and not _download(bucket, key_of(model, version, digest), archive):
                    raise UnknownVersion(
                        f"{model}:{version} is neither in this model store nor in the store of artefacts"
                    )
                return archives.unpack(self.home, archive, model, version, digest)
            finally:
                archive.unlink(missing_ok=True)

    def prefetch(self, model: str, version: str) -> bool:
        """Download a candidate, which may be promoted soon; it does not come into the store by that.

        Returns
        -------
        bool
            Whether this call has downloaded it.
        """
        if self._bucket is None or (self.home / "models" / model / version).exists():
            return False
        with self._locked(model) as folder:
            if any(folder.glob(f"{model}@{version}@*.tar")):
                return False
            found = [each for each in self.published(model) if each.version == version]
            if len(found) != 1:
                return False
            for old in folder.glob(f"{model}@*.tar"):
                old.unlink()
            return _download(self._bucket, found[0].key, _ahead(folder, model, version, found[0].digest))

    def published(self, model: str | None = None) -> list[Artifact]:
        """Return the versions in the store of artefacts, newest first; other objects are ignored."""
        found = map(_artifact, self.bucket.list(f"{model}/" if model else ""))
        return sorted((each for each in found if each), key=lambda each: each.published_at, reverse=True)

    def delete(self, artifact: Artifact) -> None:
        """Delete a version in the store of artefacts."""
        self.bucket.delete(artifact.key)

    @contextmanager
    def _locked(self, model: str) -> Iterator[Path]:
        """Lend the folder of archives, to one process at a time for each model."""
        folder = self.home / FOLDER
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / f"{model}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield folder
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise NoRoom(f"{self.home} has no room for a version of {model}: make room") from error
            raise NoRoom(f"{self.home} can't be written to: {error.strerror}") from error


def _ahead(folder: Path, model: str, version: str, digest: str) -> Path:
    return folder / f"{model}@{version}@{digest}.tar"


def _download(bucket: Bucket, key: str, archive: Path) -> bool:
    """Download an object; the file is there whole or not at all."""
    draft = archive.parent / f"{key.partition('/')[0]}.part"
    try:
        if not bucket.get(key, draft):
            return False
        draft.replace(archive)
    finally:
        draft.unlink(missing_ok=True)
    return True


def _artifact(item: StoredObject) -> Artifact | None:
    found = KEY.fullmatch(item.key)
    return Artifact(found[1], found[2], found[3], item.size, item.written_at) if found else None


def of(configured: Settings) -> Exchange:
    """Return the exchange that the settings name."""
    url = configured.artifacts_url
    return Exchange(configured.home, Bucket(url) if url else None)
