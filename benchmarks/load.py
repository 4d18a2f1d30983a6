"""The load generator: N connections, each sending its next request when its last is answered.

A process of its own on a core of its own (`python -m benchmarks.load`): what to send comes in on
standard input, figures go out on standard output. It knows just as much HTTP/1.1 as it needs, so
that it can ask far more than any server answers.
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from typing import Any

import numpy as np
import uvloop

from benchmarks import machine

HEAD_END = b"\r\n\r\n"
CHUNKED_END = b"0\r\n\r\n"
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Order:
    """What to send.

    Parameters
    ----------
    requests
        Whole requests, sent in turns; each character is a byte.
    seconds
        The time that is measured, after `warm_up_seconds` of the same.
    """

    port: int
    connections: int
    seconds: float
    warm_up_seconds: float
    requests: list[str]
    core: int


@dataclass(frozen=True)
class Figures:
    """What was measured; latencies are from the first byte sent to the last byte received.

    Parameters
    ----------
    answered, sent
        Answers within the measured time, and those of the warm-up too.
    failed
        Answers with another status than 200, the first of which is `first_failure`.
    busy_seconds
        What the generator used of its core: near all of the time, it measured itself.
    """

    requests_per_second: float
    answered: int
    sent: int
    failed: int
    first_failure: str
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    busy_seconds: float


def request(port: int, path: str, body: object) -> str:
    """Write a whole POST."""
    content = json.dumps(body)
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n{content}"
    )


def binary_request(port: int, path: str, body: bytes, headers: Mapping[str, str]) -> str:
    """Write a whole POST of bytes."""
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{more}Content-Length: {len(body)}\r\n\r\n"
    return head + body.decode("latin-1")


def run(order: Order) -> Figures:
    """Send an order from a process of its own.

    Raises
    ------
    RuntimeError
        When the server stops answering.
    """
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load"],
        input=json.dumps(asdict(order)),
        capture_output=True,
        text=True,
        timeout=order.seconds + order.warm_up_seconds + 2 * PATIENCE_SECONDS,
        check=False,
    )
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["the load generator failed"])[-1])
    return Figures(**json.loads(done.stdout))


class Tally:
    """Counts the answers of all connections that come in the measured time."""

    def __init__(self, begin: float, end: float) -> None:
        self.begin, self.end = begin, end
        self.latencies: list[float] = []
        self.sent = 0
        self.failed = 0
        self.first_failure = ""

    def add(self, sent: float, received: float) -> None:
        """Count one answer."""
        self.sent += 1
        if self.begin <= received < self.end:
            self.latencies.append(received - sent)

    def fail(self, answer: bytes) -> None:
        """Count one answer that is no success."""
        self.failed += 1
        self.first_failure = self.first_failure or answer[:500].decode(errors="replace")


class Connection(asyncio.Protocol):
    """One client on one connection."""

    def __init__(self, requests: Iterator[bytes], tally: Tally) -> None:
        self._requests, self._tally = requests, tally
        self._buffer = bytearray()
        self._expected = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        """Send the first request."""
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        """Send the next request once the answer is whole."""
        self._buffer += data
        if not self._is_whole():
            return
        received = time.perf_counter()
        self._tally.add(self._sent, received)
        if not self._buffer.startswith(b"HTTP/1.1 200 "):
            self._tally.fail(bytes(self._buffer))
        self._buffer.clear()
        self._expected = 0
        if received < self._tally.end:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """End; an answer that is missing is an error."""
        if self.done.done():
            return
        if time.perf_counter() < self._tally.end or self._buffer:
            self.done.set_exception(error or ConnectionError("the server closed the connection"))
        else:
            self.done.set_result(None)

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(next(self._requests))

    def _is_whole(self) -> bool:
        if not self._expected:
            head = self._buffer.find(HEAD_END)
            if head < 0:
                return False
            fields = bytes(self._buffer[:head]).lower()
            start = fields.find(b"\r\ncontent-length:")
            if start < 0:  # chunked
                return self._buffer.endswith(CHUNKED_END)
            length = fields[start + 17 :].split(b"\r\n", 1)[0]
            self._expected = head + len(HEAD_END) + int(length)
        return len(self._buffer) >= self._expected


async def send(order: Order) -> Figures:
    """Open the connections and keep each of them busy until the time is over."""
    loop = asyncio.get_running_loop()
    requests = cycle([whole.encode("latin-1") for whole in order.requests])
    begin = time.perf_counter() + order.warm_up_seconds
    tally = Tally(begin, begin + order.seconds)
    connections: list[Connection] = []
    for _ in range(order.connections):
        _, connection = await loop.create_connection(
            lambda: Connection(requests, tally), "127.0.0.1", order.port
        )
        connections.append(connection)
    async with asyncio.timeout(order.warm_up_seconds + order.seconds + PATIENCE_SECONDS):
        await asyncio.gather(*(connection.done for connection in connections))
    return _figures(order, tally)


def _figures(order: Order, tally: Tally) -> Figures:
    if not tally.latencies:
        raise TimeoutError(f"no answer within {order.seconds:g} s")
    p50, p90, p99, highest = _percentiles_ms(tally.latencies)
    return Figures(
        requests_per_second=len(tally.latencies) / order.seconds,
        answered=len(tally.latencies),
        sent=tally.sent,
        failed=tally.failed,
        first_failure=tally.first_failure,
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        max_ms=highest,
        busy_seconds=time.process_time(),
    )


def _percentiles_ms(latencies: Sequence[float]) -> list[float]:
    found = np.percentile(np.array(latencies) * 1000, [50, 90, 99, 100])
    return [round(float(value), 3) for value in found]


def main() -> None:
    """Read an order, send it, write the figures."""
    order = Order(**json.load(sys.stdin))
    machine.pin(order.core)
    gc.disable()
    print(json.dumps(asdict(uvloop.run(send(order)))))


if __name__ == "__main__":
    main()
