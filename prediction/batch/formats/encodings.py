"""The encoding of a text file: its byte order mark says it, or its bytes, or the one who knows the file."""

from __future__ import annotations

import codecs

from models_store.dialects import SEPARATORS, UTF_8
from prediction.batch.files import Readable

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""What the first bytes of a file say of its encoding. UTF-32 begins like UTF-16."""

HEAD_BYTES, BLOCK_BYTES = 10_000, 1 << 20
WINDOWS, LATIN, UTF_16 = "cp1252", "latin-1", ("utf-16-le", "utf-16-be")


def of_file(path: Readable, said: str) -> str:
    """Return the encoding of a file: that of its mark, UTF-8 if it is, or else the one that is said."""
    head = _head(path)
    marked = _marked(head)
    if marked or codecs.lookup(said).name == UTF_8:
        return marked or "utf-8-sig"
    if codecs.lookup(said).name in UTF_16 and b"\0" in head:
        return said
    return "utf-8-sig" if decodes(path, UTF_8) else said


def guess(path: Readable) -> str | None:
    """Find the encoding of a file of which nothing is known; None if it is no text."""
    head = _head(path)
    if marked := _marked(head):
        return marked
    if b"\0" in head:
        return next((each for each in UTF_16 if _is_of_two_bytes(path, each)), None)
    if decodes(path, UTF_8):
        return UTF_8
    return WINDOWS if decodes(path, WINDOWS) else LATIN


def decodes(path: Readable, encoding: str) -> bool:
    """Tell whether a whole file can be read in an encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as file:
        try:
            while data := file.read(BLOCK_BYTES):
                decoder.decode(data)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _head(path: Readable) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _marked(head: bytes) -> str:
    return next((encoding for mark, encoding in MARKS if head.startswith(mark)), "")


def _is_of_two_bytes(path: Readable, encoding: str) -> bool:
    """Tell whether a file without a mark is a table in UTF-16."""
    text = _head(path).decode(encoding, errors="replace")
    is_text = "\0" not in text and any(each in text for each in SEPARATORS)
    return is_text and decodes(path, encoding)
