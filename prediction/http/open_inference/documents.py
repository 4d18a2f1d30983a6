"""The JSON of a request. A long one is parsed in parts: at once it would stop the worker for too long.

Parts are cut out of the arrays of values, which are flat; what is left of the text must be short.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from models_store import arrays
from models_store.validation import BYTE_ORDER_MARK, clip

WHOLE_BYTES = 2 * arrays.PART_BYTES
"""A shorter text is parsed as a whole. No text may be longer without its arrays of values."""

_DATA = re.compile(rb'"data"[ \t\r\n]*:[ \t\r\n]*\[[ \t\r\n]*')
_VALUE = rb'[ \t\r\n]*+(?:"(?:[^"\\]++|\\.)*+"|[^"\],]*+)[ \t\r\n]*+'
_SOME = re.compile(rb"(?:" + _VALUE + rb",)*+", re.DOTALL)
_LAST = re.compile(_VALUE, re.DOTALL)
_CUT = "\0cut"


class NotADocument(Exception):
    """The text is not JSON, or has too much in it; the message says what is wrong."""


@dataclass(frozen=True)
class Document:
    """A parsed text, and the arrays of values that were cut out of it."""

    content: Any
    cut: Sequence[list[Any]] = ()

    def values(self, data: Any) -> Any:
        """Return what stands in `data` of a tensor."""
        first = data[0] if isinstance(data, list) and len(data) == 1 else None
        place = first.get(_CUT) if isinstance(first, dict) else None
        return self.cut[place] if type(place) is int and 0 <= place < len(self.cut) else data


async def read(raw: bytes, max_values: int) -> Document:
    """Parse a text whose arrays of values may have `max_values`.

    Raises
    ------
    NotADocument
    """
    raw = raw.removeprefix(BYTE_ORDER_MARK)
    if len(raw) <= WHOLE_BYTES:
        return Document(_unique(raw))
    parts: list[bytes] = []
    cut: list[list[Any]] = []
    end = left = 0
    while left <= WHOLE_BYTES and (found := _DATA.search(raw, end, end + WHOLE_BYTES)):
        parts += [raw[end : found.end()], b'{"\\u0000cut":%d}' % len(cut)]
        left += len(parts[-2]) + len(parts[-1])
        values, end = await _values(raw, found.end(), max_values)
        cut.append(values)
        await asyncio.sleep(0)
    if left + len(raw) - end > WHOLE_BYTES:
        raise NotADocument(f"has more than {WHOLE_BYTES} bytes besides flat arrays of data: shorten it")
    return Document(_unique(b"".join([*parts, raw[end:]]), bool(cut)), cut)


async def _values(raw: bytes, start: int, most: int) -> tuple[list[Any], int]:
    """Return the values of the flat array whose first one is at `start`, and the place of its end."""
    if raw.startswith(b"[", start):
        raise NotADocument("has a long array of arrays in data: send the values flat")
    values: list[Any] = []
    while True:
        some = _SOME.match(raw, start, start + arrays.PART_BYTES)
        end = some.end() if some else start
        if end == start:
            last = _LAST.match(raw, start, start + WHOLE_BYTES)
            end = last.end() if last else start
            is_last = not raw.startswith(b",", end)
            if is_last and values and not raw[start:end].strip():
                raise _not_flat(len(values), "trailing comma")
            values += _part(raw[start:end], len(values))
            if is_last:
                return values, end
            end += 1
        else:
            values += _part(raw[start : end - 1], len(values))
        if len(values) > most:
            raise NotADocument(f"has more than {most} values in data: split it")
        start = end
        await asyncio.sleep(0)


def _part(raw: bytes, before: int) -> list[Any]:
    """Parse some values of an array, which come after so many others."""
    try:
        values: list[Any] = from_json(b"[" + raw + b"]")
    except ValueError as error:
        raise _not_flat(before, str(error)) from None
    return values


def _not_flat(before: int, cause: str) -> NotADocument:
    """Make the error of an array. A position in a part of it is none in the text."""
    place = f"after value {before - 1} of data" if before else "in data"
    return NotADocument(f"is not JSON, or not flat, {place}: {cause.partition(' at line ')[0]}")


def _unique(raw: bytes, is_cut: bool = False) -> Any:
    """Parse a text, or what is left of one; refuse a repeated key."""
    try:
        found = from_json(raw)
    except ValueError as error:
        cause = str(error).partition(" at line ")[0] if is_cut else error
        raise NotADocument(f"is not JSON: {cause}") from None
    json.loads(raw, object_pairs_hook=_demand_unique, parse_int=str, parse_float=str)
    return found


def _demand_unique(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise NotADocument(f"has {clip(key)!r} twice in one object: send each field once")
        seen.add(key)
