"""The files in which a worker counts, and which a scrape of any worker reads.

They are mapped into memory. A process that writes to a mapped page for which the disk has no room is killed
by SIGBUS, so room is reserved first; while there is none, the worker counts in memory alone.
"""

from __future__ import annotations

import logging
import mmap
import os
import time
from pathlib import Path
from typing import Any

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict

FIRST_BYTES = 1 << 16
"""Size of a new file; it is doubled when it is full."""

ENTRY_BYTES = 32
"""What an entry takes besides its key, at most."""

RETRY_SECONDS = 1.0
"""Pause before the next attempt to reserve room."""

_log = logging.getLogger("bentoml.prediction")


def use() -> None:
    """Let all metrics that are made from now on count in such files."""
    values.MmapedDict = CounterFile  # type: ignore[attr-defined]


class CounterFile(MmapedDict):
    """One file of one process. It never fails and never kills: without room it keeps what it counts.

    Like its base it leaves locks to the caller. Nobody else sees what is only in memory.
    """

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        self._retry_at: float | None = None
        """When to try again to reserve room; None if all is in the file."""
        try:
            if not read_mode:
                _make(Path(filename))
            super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]
        except OSError as error:
            self._f: Any = None
            self._fname = filename
            self._capacity = FIRST_BYTES
            self._m = mmap.mmap(-1, self._capacity)
            self._positions = {}
            self._used = 8
            self._keep_in_memory(error)

    def _init_value(self, key: str) -> None:
        needed = self._used + len(key.encode()) + ENTRY_BYTES
        while needed > self._capacity:
            self._grow()
        super()._init_value(key)  # type: ignore[no-untyped-call]

    def _grow(self) -> None:
        capacity = 2 * self._capacity
        grown = None
        if self._retry_at is None:
            try:
                grown = self._map(capacity)
            except OSError as error:
                self._keep_in_memory(error)
        if grown is None:
            grown = mmap.mmap(-1, capacity)
            grown[: self._used] = self._m[: self._used]
        self._m, self._capacity = grown, capacity

    def _map(self, capacity: int) -> mmap.mmap:
        os.posix_fallocate(self._f.fileno(), 0, capacity)
        return mmap.mmap(self._f.fileno(), capacity)

    def _keep_in_memory(self, error: OSError) -> None:
        words = "%s has no room for metrics (%s): until it has, this worker counts in memory, unseen"
        _log.warning(words, Path(self._fname).parent, error.strerror)
        self._retry_at = time.monotonic() + RETRY_SECONDS
        # Only now, because every request writes several values.
        self.write_value = self._write_and_retry  # type: ignore[method-assign]

    def _write_and_retry(self, key: str, value: float, timestamp: float) -> None:
        if self._retry_at is not None and time.monotonic() >= self._retry_at:
            self._return_to_file()
        super().write_value(key, value, timestamp)  # type: ignore[no-untyped-call]

    def _return_to_file(self) -> None:
        try:
            if self._f is None:
                path = Path(self._fname)
                _make(path)
                self._f = path.open("a+b")
            on_file = self._map(self._capacity)
        except OSError:
            self._retry_at = time.monotonic() + RETRY_SECONDS
            return
        on_file[8 : self._used] = self._m[8 : self._used]
        on_file[:8] = self._m[:8]  # how much is used: last, so that a reader finds all of it
        self._m, self._retry_at = on_file, None
        del self.write_value
        _log.info("the metrics of this worker are in their file again")


def _make(path: Path) -> None:
    """Make a file and reserve its room, unless it exists; a scrape never finds it empty."""
    if path.exists():
        return
    draft = path.with_suffix(".new")
    try:
        with draft.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, FIRST_BYTES)
            os.pwrite(file.fileno(), (8).to_bytes(4, "little"), 0)
        draft.rename(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
