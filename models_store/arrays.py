"""The text of a JSON array, cut between its rows into parts that take a millisecond to validate.

It cuts without parsing: a part that is not JSON is refused by the validator. It also finds repeated keys.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

PART_BYTES = 32_768
"""A part ends at the first row that ends after this number of bytes."""

_BETWEEN_ROWS = re.compile(rb"\}[ \t\r\n]*,[ \t\r\n]*(?=\{)")


@dataclass(frozen=True)
class Slice:
    """Some rows of an array.

    Parameters
    ----------
    text
        The rows as a JSON array.
    is_whole
        False if the last row has no end within the limit: the text stops inside it, and no part follows.
    """

    text: bytes
    is_whole: bool = True


def cut(raw: bytes, row_bytes: int) -> Iterator[Slice]:
    """Cut the text of an array whose rows have at most `row_bytes`. A short text is one part."""
    start, opening = 0, b""
    while len(raw) - start > 2 * PART_BYTES:
        limit = start + PART_BYTES + row_bytes
        gap = _gap(raw, start, limit)
        if gap is None and len(raw) > limit:
            yield Slice(opening + raw[start:limit], is_whole=False)
            return
        if gap is None:
            break
        yield Slice(opening + raw[start : gap.start() + 1] + b"]")
        start, opening = gap.end(), b"["
    yield Slice(opening + raw[start:])


def _gap(raw: bytes, start: int, limit: int) -> re.Match[bytes] | None:
    """Return the first place between two rows that a part may end at; it is not inside a text."""
    quotes, counted = 0, start
    for gap in _BETWEEN_ROWS.finditer(raw, start + PART_BYTES, limit):
        quotes += _quotes(raw[counted : gap.start()])
        counted = gap.start()
        if quotes % 2 == 0:
            return gap
    return None


def _quotes(text: bytes) -> int:
    """Count the quotation marks that begin or end a text; those with a backslash are part of it."""
    if b"\\" in text:
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    return text.count(b'"')


def repeated_keys(text: bytes) -> list[str | None]:
    """Return, for the object or for each object of the array in a JSON text, a key that it has twice."""
    found = json.loads(text, object_pairs_hook=_repeated, parse_int=str, parse_float=str)
    return found if isinstance(found, list) else [found]


def _repeated(pairs: list[tuple[str, object]]) -> str | None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            return key
        seen.add(key)
    return None
