"""Ranges of bytes as a seekable file: reading on asks for few long ranges, other reading for short ones."""

from __future__ import annotations

import io
import os
from typing import BinaryIO, Protocol

FIRST_BYTES, MOST_BYTES = 256 << 10, 8 << 20
"""The least that is fetched after a seek, and the most that is fetched at once."""

BUFFER_BYTES = 128 << 10


class Fetch(Protocol):
    """Bytes by their places."""

    def fetch(self, start: int, end: int) -> bytes:
        """Return the bytes from one place to another, all of them."""

    def close(self) -> None:
        """Close what is open."""


def open_range(source: Fetch, start: int, end: int) -> BinaryIO:
    """Return a file of the bytes from one place to another; it closes the source."""
    return io.BufferedReader(_Range(source, start, end), BUFFER_BYTES)


class _Range(io.RawIOBase):
    """Places are those of the range: it begins at 0."""

    def __init__(self, source: Fetch, start: int, end: int) -> None:
        self._source = source
        self._start = start
        self._size = end - start
        self._at = 0
        self._block, self._block_at = b"", 0
        self._ahead = FIRST_BYTES

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("a file has no places before its beginning")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        wanted = max(0, min(len(buffer), self._size - self._at))
        done = 0
        while done < wanted:
            data = self._some(wanted - done)
            buffer[done : done + len(data)] = data
            done += len(data)
            self._at += len(data)
        return done

    def _some(self, wanted: int) -> memoryview:
        """Return bytes from the present place on, at least one."""
        offset = self._at - self._block_at
        if not 0 <= offset < len(self._block):
            is_next = offset == len(self._block)
            self._ahead = min(4 * self._ahead, MOST_BYTES) if is_next and self._block else FIRST_BYTES
            end = min(self._at + min(max(wanted, self._ahead), MOST_BYTES), self._size)
            self._block = self._source.fetch(self._start + self._at, self._start + end)
            self._block_at, offset = self._at, 0
            if len(self._block) != end - self._at:
                raise OSError("an answer was cut")
        return memoryview(self._block)[offset : offset + wanted]

    def close(self) -> None:
        if not self.closed:
            self._source.close()
        super().close()
