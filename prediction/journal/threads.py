"""Threads in which requests access the journal, and the timeouts for it, counted from a request's arrival.

They are separate from the threads of asyncio and Starlette: while the journal hangs, requests that do not
need it are answered.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from prediction.errors import JournalUnavailable
from prediction.journal import database
from prediction.journal.database import NO_ANSWER
from prediction.journal.postgresql.engine import STATEMENT_SECONDS

FEEDBACK_SECONDS = 1.0
LABEL_SECONDS = 0.001
ADMIN_SECONDS = 5.2
READING_SECONDS = STATEMENT_SECONDS
"""Timeouts for journal access: of a request with one label, of each further label, of administrators'
requests, and of requests that only read. After its timeout a request is answered 503."""

NICENESS = 13

Argument = TypeVar("Argument")
Answer = TypeVar("Answer")


class Threads:
    """At most `count` threads, started when they are needed. Further calls wait until a thread is free.

    The threads are daemons: a call that hangs does not keep the process alive.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._started = 0
        self._waiting: SimpleQueue[Callable[[], None]] = SimpleQueue()

    async def run(self, seconds: float, call: Callable[..., Answer], *arguments: Any) -> Answer:
        """Call a function that may block, and await its answer on the event loop.

        After the timeout, a call that still waits is never started, and one that is running can't commit.

        Raises
        ------
        JournalUnavailable
            After the timeout of so many seconds.
        """
        promise = self._submit(seconds, call, arguments)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(promise), seconds)
        except TimeoutError:
            raise JournalUnavailable(NO_ANSWER) from None

    def call(self, seconds: float, call: Callable[..., Answer], *arguments: Any) -> Answer:
        """Do the same as `run` where blocking is allowed."""
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
        deadline = time.monotonic() + seconds

        def work() -> None:
            if not promise.set_running_or_notify_cancel():
                return
            try:
                with database.deadline(deadline):
                    answer = call(*arguments)
            except Exception as error:
                promise.set_exception(error)
            else:
                promise.set_result(answer)

        self._waiting.put(work)
        if self._started < self.count:
            self._started += 1
            Thread(target=self._work, daemon=True).start()
        return promise

    def _work(self) -> None:
        while True:
            self._waiting.get()()


def lower_priority() -> None:
    """Let this thread run when others leave time: next to them it gets a twentieth of a core.

    Only Linux has priorities of threads.
    """
    if sys.platform == "linux":
        mine = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, mine, min(19, os.getpriority(os.PRIO_PROCESS, mine) + NICENESS))


FEEDBACK_THREADS = Threads(4)
ADMIN_THREADS = Threads(2)
READING_THREADS = Threads(6)


def reading(call: Callable[[Argument], Answer]) -> Callable[[Argument], Awaitable[Answer]]:
    """Turn a function that reads the journal into one that an event loop can await."""

    async def run(argument: Argument) -> Answer:
        return await READING_THREADS.run(READING_SECONDS, call, argument)

    return run
