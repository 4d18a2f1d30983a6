"""A server process of its own with our connections and a small application: short limits make short tests.

`python -m tests.network.small_server FD LIMITS` serves on a socket that it inherits. LIMITS is JSON: the
fields of `Limits`, and `grace_seconds`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import psutil
import uvicorn
from prometheus_client import generate_latest
from starlette.types import Receive, Scope, Send

from prediction.network.connections import Connections, Limits
from prediction.network.ending import PatientServer
from prediction.network.protocol import Connection
from tests.servers import PROJECT

BIG_BYTES = 50_000_000
SEEN = {"begun": 0, "errors": 0}
"""Requests that were begun, and lines of the log that are errors."""


class Errors(logging.Handler):
    """Counts what is logged as an error."""

    def emit(self, record: logging.LogRecord) -> None:
        """Count a line."""
        SEEN["errors"] += record.levelno >= logging.ERROR


@dataclass(frozen=True)
class Small:
    """The running server."""

    process: psutil.Process
    port: int

    def connect(self, sent: bytes = b"", receive_bytes: int = 0) -> socket.socket:
        """Open a connection and send bytes; `receive_bytes` is the size of its buffer."""
        client = socket.socket()
        if receive_bytes:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        client.settimeout(20)
        client.connect(("127.0.0.1", self.port))
        client.sendall(sent)
        return client

    def exchange(self, sent: bytes) -> bytes:
        """Send bytes on a new connection, and return what comes until the server closes it."""
        with self.connect() as client:
            send(client, sent)
            return read_to_end(client)

    def get(self, path: str) -> bytes:
        """GET a path on a new connection."""
        return self.exchange(get(path, b"Connection: close\r\n")).partition(b"\r\n\r\n")[2]

    def closed(self, reason: str) -> float:
        """Return how many connections were closed for a reason."""
        name = f'prediction_closed_connections_total{{reason="{reason}"}} '
        (line,) = (line for line in self.get("/metrics").decode().splitlines() if line.startswith(name))
        return float(line.removeprefix(name))


def get(path: str, headers: bytes = b"") -> bytes:
    """Return a GET."""
    return b"GET %b HTTP/1.1\r\nHost: localhost\r\n%b\r\n" % (path.encode(), headers)


def send(client: socket.socket, sent: bytes) -> None:
    """Send bytes, as far as the server takes them."""
    try:
        client.sendall(sent)
    except (BrokenPipeError, ConnectionResetError):
        return


def read_to_end(client: socket.socket) -> bytes:
    """Return what comes until the server closes the connection."""
    parts = []
    try:
        while part := client.recv(1_000_000):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def read_to(client: socket.socket, end: bytes) -> bytes:
    """Return what comes until it ends with some bytes; the connection stays open."""
    received = b""
    while not received.endswith(end):
        part = client.recv(1_000_000)
        assert part, received
        received += part
    return received


def is_open(client: socket.socket) -> bool:
    """Tell whether the server has not closed a connection; what it said is read over."""
    client.setblocking(False)
    try:
        while client.recv(1_000_000):
            pass
    except BlockingIOError:
        return True
    except ConnectionResetError:
        pass
    finally:
        client.settimeout(20)
    return False


def problem(answer: bytes, status: int) -> str:
    """Return the sentence of an error, which must be in the common shape and close the connection."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert first.startswith(f"HTTP/1.1 {status} ")
    assert ("application/json", "close") == (headers["content-type"], headers["connection"])
    assert int(headers["content-length"]) == len(body)
    assert {"error", "detail"} == set(json.loads(body))
    return str(json.loads(body)["error"])


@contextmanager
def running(**limits: Any) -> Iterator[Small]:
    """Run the server; it is ended with the context, and must end by itself then."""
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        command = [
            sys.executable,
            "-m",
            "tests.network.small_server",
            str(listener.fileno()),
            json.dumps(limits),
        ]
        process = subprocess.Popen(command, cwd=PROJECT, pass_fds=[listener.fileno()])
        port = listener.getsockname()[1]
    small = Small(psutil.Process(process.pid), port)
    try:
        assert b"ok" == small.get("/")
        yield small
        process.terminate()
        assert process.wait(30) in (0, -15)
    finally:
        process.kill()
        process.wait()


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a GET with `ok` and a POST with the size of its body; some paths take time or are large."""
    assert scope["type"] == "http"
    answer = b"ok"
    SEEN["begun"] += 1
    if scope["path"] == "/slow":
        await asyncio.sleep(1)
    elif scope["path"] == "/stall":
        time.sleep(4)
    elif scope["path"] == "/big":
        answer = b"x" * BIG_BYTES
    elif scope["path"] == "/seen":
        answer = json.dumps(SEEN).encode()
    elif scope["path"] == "/metrics":
        answer = generate_latest()
    elif scope["method"] == "POST":
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            size += len(message["body"])
            if not message["more_body"]:
                break
        answer = b"%d" % size
    headers = [(b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


def main() -> None:
    """Serve as BentoML does: uvicorn takes the protocol, and its own keep-alive would be a second."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    logging.getLogger().addHandler(Errors())
    limits = json.loads(sys.argv[2])
    grace_seconds = limits.pop("grace_seconds", 30)
    connections = Connections(Limits(**limits))
    protocol = partial(Connection, connections)
    uvicorn.config.HTTP_PROTOCOLS["auto"] = protocol  # type: ignore[assignment]
    config = uvicorn.Config(
        application, loop="uvloop", log_config=None, lifespan="off", access_log=False, timeout_keep_alive=1
    )
    PatientServer(connections, grace_seconds, config).run(sockets=[socket.socket(fileno=int(sys.argv[1]))])


if __name__ == "__main__":
    main()
