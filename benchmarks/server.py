"""One peer's server: started on its core, asked until it answers, weighed, and ended."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from benchmarks import machine

START_SECONDS = 120
STOP_SECONDS = 20
POLL_SECONDS = 0.01


@dataclass(frozen=True)
class Command:
    """How a server is started.

    Parameters
    ----------
    models
        Those it answers for.
    """

    arguments: list[str]
    port: int
    models: list[str]
    cwd: Path
    environment: dict[str, str]


@dataclass(frozen=True)
class Memory:
    """What a server occupies, in MiB.

    Parameters
    ----------
    worker
        Resident size of its largest process.
    total
        Proportional size of all its processes: pages that they share count once.
    """

    worker: float
    total: float
    processes: int


class CannotStart(Exception):
    """A server that ended, or did not answer in time; the message is the end of its log."""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A running server that has answered once; a context manager that ends it.

    Parameters
    ----------
    path, body
        A request that it must answer before it counts as ready.
    """

    def __init__(self, command: Command, log: Path, path: str, body: object) -> None:
        self.command = command
        self._log = log
        _, core = machine.cores()
        started = time.perf_counter()
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command.arguments,
                cwd=command.cwd,
                env=command.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=partial(machine.pin, core),
            )
        try:
            self._wait(path, body)
        except BaseException:
            self.stop()
            raise
        self.ready_seconds = time.perf_counter() - started

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def ask(self, path: str, body: object) -> tuple[int, Any]:
        """POST one request; return the status and the JSON of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.command.port, timeout=30)
        try:
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
            return answer.status, json.loads(content) if answer.status == 200 else content.decode()
        finally:
            connection.close()

    def memory(self) -> Memory:
        """Weigh all its processes."""
        full = [process.memory_full_info() for process in self._tree()]
        return Memory(
            worker=max(info.rss for info in full) / 2**20,
            total=sum(getattr(info, "pss", info.rss) for info in full) / 2**20,
            processes=len(full),
        )

    def cpu_seconds(self) -> float:
        """Return the processor time that all its processes have used."""
        return sum(sum(process.cpu_times()[:2]) for process in self._tree())

    def stop(self) -> None:
        """End it as an operator would, and whatever of it is left after that."""
        tree = self._tree()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        _, left = psutil.wait_procs(tree, timeout=STOP_SECONDS)
        for process in left:
            process.kill()
        self._process.wait(timeout=STOP_SECONDS)

    def _tree(self) -> list[psutil.Process]:
        try:
            process = psutil.Process(self._process.pid)
            return [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _wait(self, path: str, body: object) -> None:
        deadline = time.monotonic() + START_SECONDS
        answer: object = "no answer"
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                status, answer = self.ask(path, body)
            except (OSError, http.client.HTTPException):
                time.sleep(POLL_SECONDS)
                continue
            if status == 200:
                return
            time.sleep(POLL_SECONDS)
        lines = self._log.read_text(errors="replace").strip().splitlines()
        raise CannotStart(f"{lines[-1] if lines else 'its log is empty'} ({str(answer)[:200]})")


def environment(folder: Path, home: Path, **settings: str) -> dict[str, str]:
    """Return the environment of a command: its own programs first, nothing of ours set but `settings`."""
    ours = ("PREDICTION_", "BENTOML_", "MLSERVER_", "MLFLOW_", "VIRTUAL_ENV", "PYTHON")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {**inherited, "PATH": path, "BENTOML_HOME": str(home), "DO_NOT_TRACK": "true", **settings}
