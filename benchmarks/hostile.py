"""Clients that abuse a server on 127.0.0.1, each kind in its own way: they belong to `benchmarks.soak`.

They run in a process of their own, so that they take no time from the clients that are measured. The
number of connections is fixed, and each of them ends after `PATIENCE_SECONDS`.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from multiprocessing.queues import Queue
from typing import NamedTuple, TypeAlias

from models_store import catalog

HOST = "127.0.0.1"
PATIENCE_SECONDS = 60.0
READ_BYTES = 1 << 16

Abuse = Callable[[StreamWriter], Coroutine[None, None, None]]
Outcomes: TypeAlias = "Queue[tuple[str, str]]"


def post(path: str, content: bytes, length: int | None = None) -> bytes:
    """Write a POST that ends its connection; `length` may promise more than `content`."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\nConnection: close\r\n"
        f"Content-Length: {len(content) if length is None else length}\r\n\r\n"
    )
    return head.encode() + content


EXAMPLE = json.dumps(catalog.load()["iris"].example)
BAD_BATCH = post("/iris/predict_batch", b"[" + b",".join([b"{}"] * 10_000) + b"]")
BIG_BATCH = post("/iris/predict_batch", f"[{','.join([EXAMPLE] * 10_000)}]".encode())
BIG_BATCHES = BIG_BATCH.replace(b"Connection: close\r\n", b"") * 2 + BIG_BATCH
"""Their answers are larger than what the system buffers for a connection."""
TWICE = post("/iris/predict", EXAMPLE.replace("{", '{"sepal_width_cm": 3.0, ', 1).encode())
STALLED = post("/iris/predict_batch", b"[" + b" " * 100_000, length=8_000_000)
NO_HTTP = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + random.Random(0).randbytes(500) + b"\r\n\r\n"


async def trickle(writer: StreamWriter) -> None:
    """Send one byte of a head every half second, for longer than a head may take."""
    for byte in f"GET /livez HTTP/1.1\r\nX-Slow: {'a' * 60}".encode():
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.5)


async def silent(_writer: StreamWriter) -> None:
    """Send nothing."""


async def flood(writer: StreamWriter) -> None:
    """Send two megabytes of header lines."""
    writer.write(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n")
    for number in range(2_000):
        writer.write(f"X-{number}: {'a' * 1000}\r\n".encode())
        await writer.drain()


def send(content: bytes) -> Abuse:
    """Return a client that sends this, and nothing more."""

    async def sending(writer: StreamWriter) -> None:
        writer.write(content)
        await writer.drain()

    return sending


class Kind(NamedTuple):
    """One kind of abuse: how many connections of it are open at a time, and the pause between two.

    A slow reader reads the beginning of an answer, and the rest only after `late_seconds`.
    """

    abuse: Abuse
    connections: int
    pause_seconds: float
    late_seconds: float = 0.0


KINDS = {
    "trickled head": Kind(trickle, 20, 0.1),
    "silent": Kind(silent, 40, 0.1),
    "header flood": Kind(flood, 2, 1.0),
    "stalled body": Kind(send(STALLED), 6, 0.5),
    "bad batch": Kind(send(BAD_BATCH), 2, 0.5),
    "duplicate key": Kind(send(TWICE), 1, 0.2),
    "slow reader": Kind(send(BIG_BATCHES), 2, 5.0, late_seconds=45.0),
    "no HTTP": Kind(send(NO_HTTP), 2, 0.2),
}


def run(port: int, seconds: float, outcomes: Outcomes) -> None:
    """Let clients of all kinds go on for so long; put the kind and the outcome of each attempt."""
    asyncio.run(_all(port, seconds, outcomes))


async def _all(port: int, seconds: float, outcomes: Outcomes) -> None:
    clients = [
        asyncio.create_task(_again(port, name, kind, outcomes))
        for name, kind in KINDS.items()
        for _ in range(kind.connections)
    ]
    await asyncio.wait(clients, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    for client in clients:
        client.cancel()
    ended = await asyncio.gather(*clients, return_exceptions=True)
    for error in ended:
        if isinstance(error, Exception):
            raise error


async def _again(port: int, name: str, kind: Kind, outcomes: Outcomes) -> None:
    while True:
        outcomes.put((name, await attempt(port, kind)))
        await asyncio.sleep(kind.pause_seconds)


async def attempt(port: int, kind: Kind) -> str:
    """Abuse one connection; return the status of the answer, or that it was closed, or was left open."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, READ_BYTES)
    connection.setblocking(False)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.get_running_loop().sock_connect(connection, (HOST, port))
            reader, writer = await asyncio.open_connection(sock=connection, limit=READ_BYTES)
            try:
                return await _outcome(reader, writer, kind)
            finally:
                writer.transport.abort()
    except TimeoutError:
        return "left open"
    except OSError:
        return "closed"
    finally:
        connection.close()


async def _outcome(reader: StreamReader, writer: StreamWriter, kind: Kind) -> str:
    abusing = asyncio.create_task(kind.abuse(writer))
    try:
        first = await reader.read(READ_BYTES)  # beside the abuse: the server may answer early
    finally:
        abusing.cancel()
        await asyncio.gather(abusing, return_exceptions=True)
    await asyncio.sleep(kind.late_seconds)
    last = first
    with suppress(ConnectionError):
        while chunk := await reader.read(READ_BYTES):
            last = chunk
    if not first.startswith(b"HTTP/1.1 ") or (kind.late_seconds and not last.endswith(b"]")):
        return "closed"
    return first.split(b" ", 2)[1].decode()
