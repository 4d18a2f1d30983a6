"""Parameters of GET routes: their rules on the server, and the same rules as JSON Schema.

`docs.json` shows the schemas.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request

from models_store.errors import InvalidInput
from prediction.journal.predictions import is_id
from prediction.monitoring import health
from prediction.times import MAX_DIGITS, UNITS_US

LIMIT, MAX_LIMIT = 50, 1_000
"""Length of a list, by default and at most: a whole answer is in memory at once."""

MAX_POSITION = 1_000_000

ID_PATTERN = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"


def check(request: Request, known: Sequence[str]) -> None:
    """Refuse unknown parameters, which may be misspelt, and repeated ones.

    Raises
    ------
    InvalidInput
    """
    given = [name for name, _ in request.query_params.multi_items()]
    for name in given:
        if name not in known:
            rest = f"the parameters are {', '.join(known)}" if known else "this path has none"
            raise _invalid(name[:50], f"is not a parameter: {rest}")
        if given.count(name) > 1:
            raise _invalid(name, "is given more than once")


def limit(request: Request) -> int:
    """Read the length of a list."""
    return _integer(request, "limit", LIMIT, MAX_LIMIT)


def position(request: Request) -> int | None:
    """Read `before` of the ledger: a position."""
    return _integer(request, "before", 0, MAX_POSITION) or None


def cursor(request: Request) -> str | None:
    """Read `before` of the other lists: an id."""
    raw = request.query_params.get("before")
    if raw is not None and not is_id(raw):
        raise _invalid("before", "must be the `next` value of the previous page")
    return raw


def window(request: Request) -> health.Window:
    """Read the window of monitoring."""
    return health.window(request.query_params.get("window", health.DEFAULT_WINDOW))


def _integer(request: Request, name: str, default: int, most: int) -> int:
    raw = request.query_params.get(name)
    if raw is None:
        return default
    if not re.fullmatch("[0-9]{1,30}", raw) or not 1 <= int(raw) <= most:
        raise _invalid(name, f"must be a whole number from 1 to {most}")
    return int(raw)


def _invalid(name: str, message: str) -> InvalidInput:
    return InvalidInput(f"{name} {message}", [{"loc": [name], "msg": message}])


# ------------------------------------------------------------------------------------ for docs.json


def in_path(name: str, **schema: Any) -> dict[str, Any]:
    """Describe a part of a path."""
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", **schema}}


def in_query(name: str, **schema: Any) -> dict[str, Any]:
    """Describe a parameter after the question mark."""
    return {"name": name, "in": "query", "required": False, "schema": schema}


def described_limit() -> dict[str, Any]:
    """Describe `limit`."""
    return in_query("limit", type="integer", minimum=1, maximum=MAX_LIMIT, default=LIMIT)


def described_position() -> dict[str, Any]:
    """Describe `before` of the ledger."""
    return in_query("before", type="integer", minimum=1, maximum=MAX_POSITION)


def described_cursor() -> dict[str, Any]:
    """Describe `before` of the other lists."""
    return in_query("before", type="string", pattern=ID_PATTERN)


def described_window() -> dict[str, Any]:
    """Describe `window`: a pattern can say that it is at most 366 days."""
    most = {unit: min(health.MAX_WINDOW_US // size, 10**MAX_DIGITS - 1) for unit, size in UNITS_US.items()}
    spans = [f"{_up_to(number)}{unit}" for unit, number in most.items()]
    return in_query(
        "window", type="string", pattern=f"^0*({'|'.join(spans)})$", default=health.DEFAULT_WINDOW
    )


def _up_to(most: int) -> str:
    """Return a pattern of the whole numbers from 1 to `most`."""
    digits = str(most)
    choices = [digits]
    if len(digits) > 1:
        choices.append(f"[1-9][0-9]{{0,{len(digits) - 2}}}")
    for place, digit in enumerate(digits):
        least = 0 if place else 1
        if int(digit) > least:
            rest = len(digits) - place - 1
            choices.append(f"{digits[:place]}[{least}-{int(digit) - 1}][0-9]{{{rest}}}")
    return f"({'|'.join(choices)})"
