"""Stores of artefacts for the tests: folders, and one real S3 server that runs while the tests do.

A module takes the server by `s3 = buckets.s3`. Between it and its clients there may be a line that fails.
"""

from __future__ import annotations

import atexit
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from models_store import store
from models_store.store import Version
from prediction.artifacts.bucket import Bucket
from tests.servers import BIN, free_port

KEY, SECRET = "a-key-of-the-tests", "hunter3-is-secret"
"""What the S3 server asks for; no log or message may show the second one."""

START_SECONDS = 60


class S3:
    """SeaweedFS, with one bucket; it runs once made, and ends with this process."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="s3-")
        atexit.register(self._close)
        self.port = 0
        self._log = Path(self._folder) / "log"
        self._process = self._start()
        self._wait()

    def _start(self) -> subprocess.Popen[bytes]:
        options = [f"-dir={self._folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-bucket=models"]
        for name in ("master", "volume", "filer", "s3", "webdav", "admin"):
            port = free_pair()
            options.append(f"-{name}.port={port}")
            options += [f"-{name}.port.grpc={port + 10_000}"] if name != "webdav" else []
            self.port = port if name == "s3" else self.port
        off = ("master.telemetry", "webdav", "admin.ui")
        options += [*(f"-{name}=false" for name in off), "-s3.port.lance=0", "-s3.port.iceberg=0"]
        keys = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [BIN / "weed", "-logtostderr=true", "mini", *options],
                env=os.environ | keys,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment().items():
                patch.setenv(name, value)
            probe = Path(self._folder) / "probe"
            probe.write_bytes(b"x")
            while True:
                assert self._process.poll() is None, self._log.read_text()[-2_000:]
                assert time.monotonic() < deadline, self._log.read_text()[-2_000:]
                with suppress(Exception):
                    Bucket("s3://models/probe").put("x", probe)
                    return
                time.sleep(0.1)

    def environment(self, port: int = 0) -> dict[str, str]:
        """Return the variables that lead to it, or to a line before it."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port or self.port}",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
        }

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it hang meanwhile."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def _close(self) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def free_pair() -> int:
    """Return a port that is free, as is the one 10,000 above it."""
    while True:
        port = random.randrange(20_000, 32_000)
        with suppress(OSError), socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", port))
            second.bind(("127.0.0.1", port + 10_000))
            return port


@cache
def start_s3() -> S3:
    """Start it the first time, and return the same one from then on."""
    return S3()


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    """A running S3 server; the environment of the tests leads to it."""
    server = start_s3()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment().items():
            patch.setenv(name, value)
        yield server


class Wire:
    """A way to the S3 server that can be cut, or be slow: a context manager.

    Parameters
    ----------
    port
        Where it leads.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self.port = free_port()
        self._listening: socket.socket | None = None
        self.pause_seconds = 0.0
        """Of each answer's every piece of 1 KB."""
        self.watch: Callable[[], None] = lambda: None
        """Called before each such piece of a request is sent on."""

    def __enter__(self) -> Wire:
        self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def connect(self) -> None:
        """Let it lead to the server."""
        self._listening = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listening,), daemon=True).start()

    def cut(self) -> None:
        """Refuse connections."""
        if self._listening is not None:
            self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()
            self._listening = None

    def _accept(self, listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                for ends in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, is_answer: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1_024):
                if is_answer:
                    time.sleep(self.pause_seconds)
                else:
                    self.watch()
                if self._listening is None:
                    break
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def small_version(home: Path, size: int = 2_000, **metadata: Any) -> Version:
    """Save a version of a few bytes that no test loads."""
    with store.stage(home) as staged:
        (staged / store.PIPELINE).write_bytes(os.urandom(size))
        return store.publish(home, staged, "iris", {}, {"runtime": "scikit-learn", **metadata})
