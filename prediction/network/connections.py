"""All connections of a worker: how long each may wait, and how many there are.

Knows no HTTP: `network/protocol.py` has what one connection does.
"""

from __future__ import annotations

import asyncio
import logging
import resource
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from prediction import metrics

MAX_CONNECTIONS = 2_048
"""Of one worker: as many heads of the largest size take 200 MB."""

RESERVED_DESCRIPTORS = 128
"""Descriptors that connections leave to the journal, the log, the models and the metrics."""

MAX_LINGERING = 32
LINGER_SECONDS = 1.0
"""How long a refused client is read from, so that it reads its answer."""

SWEEP_SECONDS = 1.0
LOG_SECONDS = 60.0

REASONS = (
    "not_http",
    "framing",
    "slow_head",
    "head_too_large",
    "full",
    "silent",
    "evicted",
    "pipelined",
    "unread",
    "ending",
)
"""Why a connection is closed; `prediction_closed_connections_total` counts them."""

_log = logging.getLogger("bentoml.prediction")


def max_connections() -> int:
    """Return how many connections this process can hold, by its limit of descriptors."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return min(MAX_CONNECTIONS, max(limit - RESERVED_DESCRIPTORS, limit // 2))


@dataclass(frozen=True)
class Limits:
    """The limits of a worker's connections.

    Parameters
    ----------
    keep_alive_seconds
        How long a connection stays open between requests.
    head_seconds
        How long a new connection may be silent, and how long a head may take from its first byte.
    unread_seconds, unread_bytes
        How many bytes of its answer a client must read in that time.
    connections
        How many a worker holds at a time.
    """

    keep_alive_seconds: float = 75.0
    head_seconds: float = 10.0
    unread_seconds: float = 30.0
    unread_bytes: int = 32_768
    connections: int = field(default_factory=max_connections)


class Member(Protocol):
    """What a connection must be able to do."""

    loop: asyncio.AbstractEventLoop
    connections: set[Any]
    queue: Queue | None

    def settle(self) -> None:
        """Wait in the queue that fits the state."""

    def expire(self) -> None:
        """End a wait that was too long."""

    def evict(self) -> None:
        """Make room for another connection."""

    def refuse(self, reason: str) -> None:
        """Answer with an error and close."""

    def be_last(self) -> None:
        """Let the connection end with the answer to its newest request."""


@dataclass(eq=False)
class Queue:
    """Connections that wait for the same event, and since when each waits. The longest wait is first."""

    seconds: float
    since: dict[Member, float] = field(default_factory=dict)

    def first(self) -> Member | None:
        """Return the one that waits longest."""
        return next(iter(self.since), None)

    def expired(self, now: float) -> list[Member]:
        """Return those that have waited too long."""
        found = []
        for connection, since in self.since.items():
            if now - since < self.seconds:
                break
            found.append(connection)
        return found


class Connections:
    """Closes connections that wait too long, and the least useful ones when there are too many.

    A connection is in no queue while its request is answered.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.is_ending = False
        self.silent = Queue(limits.head_seconds)
        self.heads = Queue(limits.head_seconds)
        self.idle = Queue(limits.keep_alive_seconds)
        self.unread = Queue(limits.unread_seconds)
        self.lingering = Queue(LINGER_SECONDS)
        self._acted: Counter[str] = Counter()
        self._next_report = 0.0
        self._next_sweep: float | None = None
        for reason in REASONS:
            metrics.CLOSED_CONNECTIONS.labels(reason)

    def add(self, connection: Member) -> None:
        """Take a new connection; when there are too many, close another one for it, or refuse it."""
        if self._next_sweep is None:
            self._plan_sweep(connection.loop, connection.connections)
        connection.settle()
        if len(connection.connections) - len(self.lingering.since) > self.limits.connections:
            victim = self._least_useful(connection)
            if victim is None:
                connection.refuse("full")
            else:
                victim.evict()

    def _least_useful(self, newest: Member) -> Member | None:
        """Return the oldest one without a complete request, or else the one that is idle longest."""
        silent, head = self.silent.first(), self.heads.first()
        if silent is None or silent is newest:
            return head or self.idle.first()
        if head is not None and self.heads.since[head] < self.silent.since[silent]:
            return head
        return silent

    def move(self, connection: Member, queue: Queue | None) -> None:
        """Let a connection wait in another queue from now on, or in none."""
        if connection.queue is not None:
            del connection.queue.since[connection]
        connection.queue = queue
        if queue is not None:
            queue.since[connection] = connection.loop.time()

    def linger(self, connection: Member) -> None:
        """Let a refused connection be read from for a moment; only a few may at a time."""
        oldest = self.lingering.first()
        if oldest is not None and len(self.lingering.since) >= MAX_LINGERING:
            oldest.expire()
        self.move(connection, self.lingering)

    def end(self, connections: Iterable[Any]) -> None:
        """Answer one more request of each connection, of these and of new ones: the worker ends."""
        self.is_ending = True
        for connection in connections:
            connection.be_last()

    def busy(self, connections: Iterable[Any]) -> int:
        """Count the connections with a request that is not answered yet, or an answer that is not read."""
        return sum(each.queue not in (self.silent, self.idle, self.lingering) for each in connections)

    def idle_since(self) -> float:
        """Return when the last one of the connections without a request began to wait for one."""
        return max((*self.silent.since.values(), *self.idle.since.values()), default=0.0)

    def note(self, reason: str) -> None:
        """Count a connection that a limit closes."""
        metrics.CLOSED_CONNECTIONS.labels(reason).inc()
        self._acted[reason] += 1

    def _plan_sweep(self, loop: asyncio.AbstractEventLoop, connections: set[Any]) -> None:
        self._next_sweep = loop.time() + SWEEP_SECONDS
        loop.call_at(self._next_sweep, self._sweep, loop, connections)

    def _sweep(self, loop: asyncio.AbstractEventLoop, connections: set[Any]) -> None:
        """Close connections that have waited too long. One timer serves all, so requests need none."""
        now = loop.time()
        # After a stall of the worker, the bytes that arrived meanwhile are read first.
        is_late = now - (self._next_sweep or now) > SWEEP_SECONDS
        if not is_late:
            for queue in (self.silent, self.heads, self.idle, self.unread, self.lingering):
                for connection in queue.expired(now):
                    connection.expire()
        if self._acted and now >= self._next_report:
            self._report()
            self._next_report = now + LOG_SECONDS
        self._next_sweep = None
        if connections or self._acted:
            self._plan_sweep(loop, connections)

    def _report(self) -> None:
        """Log one line on what was closed since the line before."""
        is_full = self._acted["evicted"] or self._acted["full"]
        reasons = ", ".join(f"{count} {reason}" for reason, count in self._acted.most_common() if count)
        level = logging.WARNING if is_full else logging.INFO
        _log.log(level, "closed connections: %s (at most %d are open)", reasons, self.limits.connections)
        self._acted.clear()
