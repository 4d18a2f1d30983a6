"""The id of a request, the client's or one made here: in the answer's header, and for the log."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable

HEADER = b"x-request-id"
MAX_LENGTH = 128
_TAKEN = re.compile(rb"[A-Za-z0-9._~:/+=@-]{1,%d}" % MAX_LENGTH)

_WORKER = os.urandom(10).hex().encode()
_numbers = itertools.count(1)


def choose(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the id of a request with these headers.

    The client's id is taken if it is the only one, and has at most `MAX_LENGTH` characters that can't break
    a log line.
    """
    given = [value for name, value in headers if name == HEADER]
    return given[0] if len(given) == 1 and _TAKEN.fullmatch(given[0]) else make()


def make() -> bytes:
    """Return an id that no other request has."""
    return _WORKER + b"%012x" % next(_numbers)
