"""Waiting for what happens, and telling what goes on from what stands still: tests run on busy machines."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


def eventually(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


WENT_ON = 30
"""Turns of the loop in a second in which nothing holds it up; where something does there are one or two."""


@asynccontextmanager
async def turns() -> AsyncIterator[list[int]]:
    """Turn the event loop every millisecond meanwhile; the one item lent is how many turns it made."""
    made = [0]

    async def turn() -> None:
        while True:
            await asyncio.sleep(0.001)
            made[0] += 1

    turner = asyncio.create_task(turn())
    try:
        yield made
    finally:
        turner.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await turner
