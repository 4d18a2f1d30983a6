"""The header `traceparent` of W3C's Trace Context: the trace of a request. A malformed one is ignored."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

HEADER = b"traceparent"
SAMPLED = 1
_WRITTEN = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
_SAMPLED_FLAGS = frozenset(b"%02x" % flags for flags in range(256) if flags & SAMPLED)


class Parent(NamedTuple):
    """The span of a client, in hexadecimal digits, and the flags of its trace."""

    trace_id: str
    span_id: str
    flags: int


def find(headers: Iterable[tuple[bytes, bytes]]) -> Parent | None:
    """Return the parent that a request names; None if it names none, or more than one."""
    parent = None
    for name, value in headers:
        if name == HEADER:
            if parent is not None:
                return None
            parent = value
    return None if parent is None else read(parent)


def find_sampled(headers: Iterable[tuple[bytes, bytes]]) -> Parent | None:
    """Return the parent if its trace is recorded; every request pays for this look."""
    for name, value in headers:
        if name == HEADER:
            # Most parents are not sampled, and to read one takes longer than all else here.
            return find(headers) if value.strip()[53:55] in _SAMPLED_FLAGS else None
    return None


def read(text: bytes) -> Parent | None:
    """Read a header; None if it is malformed. Later versions of the format may be longer than the first."""
    match = _WRITTEN.fullmatch(text.strip())
    if match is None or (match[1] == b"00" and match[5] is not None):
        return None
    return Parent(match[2].decode(), match[3].decode(), int(match[4], 16))
