"""The store of artefacts that hosts share: objects by key in a bucket or a folder. It knows no versions.

`object_stores` opens the bucket, and says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from models_store import staging
from models_store.artifacts.archives import MAX_BYTES
from models_store.errors import DamagedVersion
from prediction import object_stores
from prediction.errors import ArtifactsUnavailable

ANSWER_SECONDS = 3.5
"""How long a request may take, beside the time for its bytes. An admin call waits for about 5 s in all."""

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class StoredObject:
    """An object of the bucket: its key, its size and when it was written."""

    key: str
    size: int
    written_at: datetime


class Bucket:
    """A bucket of S3, Google or Azure, or a folder. The constructor does no I/O.

    Parameters
    ----------
    url
        `s3://bucket/prefix`, `gs://`, `az://` or `file:///folder`. The credentials and the endpoint are in
        the environment, under the names that the clouds' own programs read.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._is_folder = url.startswith("file:")

    def put(self, key: str, path: Path) -> bool:
        """Write a file as a new object; return False if there is one of that key, which stays as it is."""
        import obstore
        from obstore.exceptions import AlreadyExistsError

        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DamagedVersion(f"{key} is larger than the {MAX_BYTES} bytes that a store takes at once")
        try:
            self._ask(lambda store: obstore.put(store, key, path, mode="create"), size)
        except AlreadyExistsError:
            return False
        if self._is_folder:
            self._sync(key)
        return True

    def get(self, key: str, target: Path) -> bool:
        """Write an object into a file; return False if there is none of that key."""
        import obstore

        found = self.find(key)
        if found is None:
            return False

        def copy(store: Any) -> None:
            with target.open("wb") as file:
                left = found.size
                for block in obstore.get(store, key).stream(min_chunk_size=1 << 20):
                    left -= len(block)
                    file.write(block)
            if left:
                raise _Cut

        try:
            self._ask(copy, found.size)
        except FileNotFoundError:  # somebody has deleted it just now
            return False
        return True

    def find(self, key: str) -> StoredObject | None:
        """Return an object without its content; None if there is none of that key."""
        import obstore

        try:
            return _stored(self._ask(lambda store: obstore.head(store, key)))
        except FileNotFoundError:
            return None

    def list(self, prefix: str = "") -> list[StoredObject]:
        """Return all objects below a prefix, which ends where a part of a key ends."""
        import obstore

        def gather(store: Any) -> list[StoredObject]:
            pages = obstore.list(store, prefix or None)
            return [_stored(item) for page in pages for item in page]

        with suppress(FileNotFoundError):  # a folder that nobody has made yet
            return self._ask(gather)
        return []

    def delete(self, key: str) -> None:
        """Delete an object."""
        import obstore

        with suppress(FileNotFoundError):
            self._ask(lambda store: obstore.delete(store, key))

    def _ask(self, call: Callable[[Any], Answer], size: int = 0) -> Answer:
        """Call the library, and turn its errors into one sentence of ours.

        Errors of the system and the library's error for an object that is there pass.
        """
        from obstore.exceptions import AlreadyExistsError, BaseError

        try:
            with object_stores.calling():
                return call(self._open(ANSWER_SECONDS + size / object_stores.BYTES_A_SECOND))
        except AlreadyExistsError:
            raise
        except _Cut:
            reason = "an answer was cut"
        except (BaseError, ValueError) as error:
            reason = object_stores.reason(error, "PREDICTION_ARTIFACTS_URL")
        raise ArtifactsUnavailable(f"the store of artefacts can't be used: {reason}")

    def _open(self, seconds: float) -> Any:
        from obstore.store import LocalStore

        if self._is_folder:
            try:
                return LocalStore(self._folder, mkdir=True)
            except OSError as error:
                raise ValueError(f"its folder can't be used: {error}") from None
        return object_stores.connect(self.url, seconds)

    @property
    def _folder(self) -> Path:
        return Path(unquote(urlsplit(self.url).path))

    def _sync(self, key: str) -> None:
        """Sync an object to disk, and the names of its folders: the library does not."""
        path = self._folder / key
        staging.sync(path)
        for folder in path.parents:
            staging.sync(folder)
            if folder == self._folder:
                break


class _Cut(Exception):
    """An answer had fewer bytes than announced."""


def _stored(item: Any) -> StoredObject:
    return StoredObject(item["path"], item["size"], item["last_modified"])
