"""Threads in which requests wait for the journal, and how long: counted from when a request came.

They are not asyncio's and not Starlette's: a journal that hangs holds up nothing but what needs it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from prediction.errors import JournalUnavailable
from prediction.journal import database
from prediction.journal.database import NO_ANSWER

FEEDBACK_SECONDS = 1.0
LABEL_SECONDS = 0.001
ADMIN_SECONDS = 5.2
READING_SECONDS = database.STATEMENT_SECONDS
"""How long a request of each kind, and each label more, may take, before it is answered 503."""

Argument = TypeVar("Argument")
Answer = TypeVar("Answer")


class Threads:
    """So many threads, made when they are needed first; what comes while all are taken waits.

    Whatever hangs in one of them ends with the process: none keeps a server from ending.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._started = 0
        self._waiting: SimpleQueue[Callable[[], None]] = SimpleQueue()

    async def run(self, seconds: float, call: Callable[..., Answer], *arguments: Any) -> Answer:
        """Call a function that may block, on an event loop.

        What is given up while it waits is never begun, and a transaction of it is not committed later.

        Raises
        ------
        JournalUnavailable
            When it has no answer in time.
        """
        promise = self._submit(seconds, call, arguments)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(promise), seconds)
        except TimeoutError:
            raise JournalUnavailable(NO_ANSWER) from None

    def call(self, seconds: float, call: Callable[..., Answer], *arguments: Any) -> Answer:
        """Do the same where blocking is allowed."""
        promise = self._submit(seconds, call, arguments)
        try:
            return promise.result(seconds)
        except TimeoutError:
            promise.cancel()
            raise JournalUnavailable(NO_ANSWER) from None

    def _submit(
        self, seconds: float, call: Callable[..., Answer], arguments: tuple[Any, ...]
    ) -> Future[Answer]:
        promise: Future[Answer] = Future()
        given_up_at = time.monotonic() + seconds

        def work() -> None:
            if not promise.set_running_or_notify_cancel():
                return
            try:
                with database.until(given_up_at):
                    answer = call(*arguments)
            except Exception as error:
                promise.set_exception(error)
            else:
                promise.set_result(answer)

        self._waiting.put(work)
        if self._started < self._count:
            self._started += 1
            Thread(target=self._work, daemon=True).start()
        return promise

    def _work(self) -> None:
        while True:
            self._waiting.get()()


FEEDBACK = Threads(4)
ADMIN = Threads(2)
READING = Threads(6)


def reading(call: Callable[[Argument], Answer]) -> Callable[[Argument], Awaitable[Answer]]:
    """Make of a function that reads the journal one that an event loop can await."""

    async def run(argument: Argument) -> Answer:
        return await READING.run(READING_SECONDS, call, argument)

    return run
