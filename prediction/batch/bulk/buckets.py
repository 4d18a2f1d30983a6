"""Buckets of runs: their objects listed, read by ranges, and written whole or not at all."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from models_store.errors import InvalidInput
from prediction import object_stores
from prediction.batch.bulk import folders, ranges
from prediction.batch.bulk.folders import Listed, changed, gone
from prediction.errors import PlaceUnavailable

ANSWER_SECONDS = 3.5
"""How long a request may take, beside the time for its bytes."""

PATIENCE_SECONDS = 30.0
"""How long a range or a part is tried again while the store does not answer."""

FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 0.25, 4.0
SINGLE_BYTES = 64 << 20
"""A larger part is sent in pieces. A request that fails leaves nothing; pieces may stay, unseen."""

PIECE_BYTES, PIECES = 16 << 20, 2
"""Bytes of a piece, and how many of them are on their way."""

Answer = TypeVar("Answer")


class BucketFolder:
    """A bucket, or the keys in it below a prefix. The constructor does no I/O.

    Parameters
    ----------
    bucket
        Such as `s3://bucket`.
    prefix
        Without a slash at its end; empty for the bucket itself.
    """

    def __init__(self, bucket: str, prefix: str) -> None:
        self.bucket = bucket
        self._prefix = prefix
        self.url = f"{bucket}/{prefix}".rstrip("/")

    def stat(self, name: str) -> Listed | None:
        """Return an object; None if there is none of that name."""
        import obstore

        with suppress(FileNotFoundError):
            found = self._ask("read", lambda store: obstore.head(store, self.key(name)), name=name)
            return self.entry(found)
        return None

    def walk(self, depth: int | None) -> list[Listed]:
        """Return the objects below it, down to a depth; None is any depth."""
        import obstore

        def gather(store: Any) -> list[Listed]:
            pages = obstore.list(store, self._prefix or None)
            # An object of the folder's own name, without bytes, stands for it.
            items = (item for page in pages for item in page)
            return [self.entry(item) for item in items if item["path"] != self._prefix]

        try:
            found = self._ask("read", gather)
        except FileNotFoundError:
            raise InvalidInput(f"there is no bucket {self.bucket}") from None
        return [each for each in found if depth is None or each.name.count("/") < depth]

    def open(self, entry: Listed) -> BucketBytes:
        """Open an object for reading."""
        return BucketBytes(self, entry)

    def read(self, name: str) -> bytes | None:
        """Return the content of a small object; None if there is none of that name."""
        import obstore

        with suppress(FileNotFoundError):
            return self._ask("read", lambda store: obstore.get(store, self.key(name)).bytes().to_bytes())
        return None

    @contextmanager
    def drafts(self) -> Iterator[Path]:
        """Lend a new local folder for drafts."""
        with folders.lend(_local_drafts()) as folder:
            yield folder

    def put(self, name: str, draft: Path) -> None:
        """Write a draft as an object, over one of that name."""
        import obstore

        size = draft.stat().st_size
        in_pieces = size > SINGLE_BYTES
        self._send(
            lambda store: obstore.put(
                store,
                self.key(name),
                draft,
                use_multipart=in_pieces,
                chunk_size=PIECE_BYTES,
                max_concurrency=PIECES,
            ),
            PIECE_BYTES * PIECES if in_pieces else size,
        )

    def create(self, name: str, draft: Path) -> bool:
        """Write a draft as a new object; return False if there is one, which stays as it is."""
        import obstore
        from obstore.exceptions import AlreadyExistsError

        try:
            self._send(
                lambda store: obstore.put(store, self.key(name), draft, mode="create"), draft.stat().st_size
            )
        except AlreadyExistsError:
            return False
        return True

    def delete(self, name: str) -> None:
        """Delete an object, if there is one."""
        import obstore

        with suppress(FileNotFoundError):
            self._ask("written", lambda store: obstore.delete(store, self.key(name)))

    def clean(self) -> None:
        """Remove drafts of processes that were killed on this machine."""
        folders.remove_abandoned(_local_drafts())

    def _send(self, call: Callable[[Any], object], size: int) -> None:
        try:
            self._ask("written", call, size=size, patience_seconds=PATIENCE_SECONDS)
        except FileNotFoundError:
            raise InvalidInput(f"there is no bucket {self.bucket}") from None

    def _ask(
        self,
        what: str,
        call: Callable[[Any], Answer],
        *,
        name: str = "",
        size: int = 0,
        patience_seconds: float = 0.0,
    ) -> Answer:
        seconds = ANSWER_SECONDS + size / object_stores.BYTES_A_SECOND
        url = f"{self.url}/{name}".rstrip("/")

        def connect_and_call() -> Answer:
            return call(object_stores.connect(self.bucket, seconds))

        return _patiently(f"{url} can't be {what}", connect_and_call, patience_seconds)

    def key(self, name: str) -> str:
        """Return the whole key of a name."""
        return f"{self._prefix}/{name}" if self._prefix else name

    def entry(self, item: Any) -> Listed:
        """Return what the library says of an object."""
        name = item["path"].removeprefix(f"{self._prefix}/" if self._prefix else "")
        return Listed(name, item["size"], item["e_tag"] or item["last_modified"].isoformat())


class BucketBytes:
    """An object that must not change; one connection reads it."""

    def __init__(self, place: BucketFolder, entry: Listed) -> None:
        self._place = place
        self._entry = entry
        self._url = f"{place.url}/{entry.name}"
        seconds = ANSWER_SECONDS + ranges.MOST_BYTES / object_stores.BYTES_A_SECOND
        self._store: Any = _patiently(
            f"{self._url} can't be read", lambda: object_stores.connect(place.bucket, seconds), 0.0
        )

    def fetch(self, start: int, end: int) -> bytes:
        """Return the bytes from one place to another, all of them."""
        from obstore.exceptions import PreconditionError

        try:
            return _patiently(f"{self._url} can't be read", lambda: self._get(start, end), PATIENCE_SECONDS)
        except FileNotFoundError:
            raise gone(self._url) from None
        except PreconditionError:
            raise changed(self._url) from None

    def _get(self, start: int, end: int) -> bytes:
        import obstore

        options: Any = {"range": (start, end)}
        if self._entry.etag.startswith('"'):  # else a time, or an etag that servers do not compare
            options["if_match"] = self._entry.etag
        answer = obstore.get(self._store, self._place.key(self._entry.name), options=options)
        if self._place.entry(answer.meta) != self._entry:
            raise changed(self._url)
        return answer.bytes().to_bytes()

    def close(self) -> None:
        """Nothing is open."""


def _patiently(beginning: str, call: Callable[[], Answer], patience_seconds: float) -> Answer:
    """Call the library, again while the store does not answer; turn its errors into one sentence.

    Its errors for an object that is missing, is there already or is another one pass.
    """
    from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

    deadline, pause = time.monotonic() + patience_seconds, FIRST_PAUSE_SECONDS
    while True:
        try:
            with object_stores.calling():
                return call()
        except (AlreadyExistsError, PreconditionError):
            raise
        except (BaseError, ValueError) as error:
            reason = object_stores.reason(error, "the URL")
        if reason == object_stores.MISSING:
            raise FileNotFoundError(beginning)
        if not object_stores.may_pass(reason) or time.monotonic() + pause > deadline:
            raise PlaceUnavailable(f"{beginning}: {reason}")
        time.sleep(pause)
        pause = min(2 * pause, LAST_PAUSE_SECONDS)


def _local_drafts() -> Path:
    folder = Path(tempfile.gettempdir()) / f"loop-score-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise InvalidInput(f"{folder} belongs to another user: set TMPDIR to a folder of yours")
    return folder
