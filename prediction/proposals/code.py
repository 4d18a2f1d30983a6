"""Pieces of Python code, laid out as a formatter would do it: literals, calls, lists. It knows no spec."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import Any

WIDTH = 100
INDENT = "    "
LARGE = 10_000
"""Integers from here on are written with an underscore for each thousand."""


def literal(value: Any) -> str:
    """Return a value as code: texts in double quotes, whole floats as integers are shorter."""
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, bool) or value is None:
        return repr(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, int):
        return f"{value:_}" if abs(value) >= LARGE else str(value)
    if isinstance(value, tuple):
        inner = ", ".join(map(literal, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    raise TypeError(f"no literal is known for {value!r}")


def _quoted(text: str) -> str:
    """Write a text; in double quotes, unless others save backslashes."""
    escaped = repr(f'"{text}')[2:-1]  # with a double mark before it, Python takes single ones
    inner = re.sub(r"\\(.)", lambda pair: "'" if pair[1] == "'" else pair[0], escaped)
    if text.count('"') > text.count("'"):
        return "'" + inner.replace("'", "\\'") + "'"
    return '"' + inner.replace('"', '\\"') + '"'


def end_of_range(value: float) -> str:
    """Return an end of a range as code: 500.0 is 500."""
    return literal(int(value)) if float(value).is_integer() and abs(value) < 2**53 else literal(value)


def call(beginning: str, arguments: Sequence[str], indent: int = 0, ending: str = "") -> str:
    """Return a line such as `beginning(arguments)ending`, on several lines if it is too long for one."""
    return enclosed(f"{beginning}(", arguments, f"){ending}", indent)


def enclosed(opening: str, items: Sequence[str], closing: str, indent: int = 0) -> str:
    """Return items between brackets: on one line, or on a line of their own, or on a line each."""
    margin = INDENT * indent
    inner = ", ".join(items)
    whole = f"{margin}{opening}{inner}{closing}"
    if len(whole) <= WIDTH:
        return whole
    line = f"{margin}{INDENT}{inner}"
    if len(line) <= WIDTH and "\n" not in inner and opening.endswith("("):
        return f"{margin}{opening}\n{line}\n{margin}{closing}"
    lines = "".join(f"{margin}{INDENT}{item},\n" for item in items)
    return f"{margin}{opening}\n{lines}{margin}{closing}"


def comment(text: str, indent: int = 0) -> list[str]:
    """Return the lines of a comment."""
    beginning = f"{INDENT * indent}# "
    return textwrap.wrap(text, WIDTH, initial_indent=beginning, subsequent_indent=beginning)


def docstring(paragraphs: Sequence[str]) -> str:
    """Return a docstring of paragraphs. The first is one line; lines of a paragraph stay as they are."""
    text = "\n\n".join(paragraphs).replace("\\", "\\\\").replace('"""', '"\'"')
    end = "\n" if "\n" in text else ""
    if text.endswith('"') and not end:
        text += " "
    return f'"""{text}{end}"""'


def paragraph(text: str) -> str:
    """Return a text in lines that fit."""
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def bullets(items: Sequence[str]) -> str:
    """Return a list with a mark before each item, in lines that fit."""
    return "\n".join(
        textwrap.fill(
            item,
            WIDTH,
            initial_indent="- ",
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for item in items
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of plain text: the first column on the left, figures on the right."""
    cells = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(header))]
    lines = [_row(row, widths) for row in cells]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    return "  ".join([f"{first[0]:<{first[1]}}", *(f"{cell:>{width}}" for cell, width in others)]).rstrip()
