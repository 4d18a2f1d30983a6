"""Dask's own scheduler and workers, in processes of their own on 127.0.0.1."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil

from tests.servers import PROJECT, environment

START_SECONDS = 60.0


class Scheduler:
    """A scheduler and its workers; a context manager that ends them.

    Parameters
    ----------
    folder
        For their files and logs.
    bare
        Whether the scheduler can't import this project.
    protocol
        `tls` needs certificates, which are named by variables.
    """

    def __init__(self, folder: Path, bare: bool = False, protocol: str = "tcp") -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self.nannies: list[int] = []
        own = {"PYTHONPATH": str(without_project(folder))} if bare else {}
        options = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--protocol", protocol)
        log = self._start("scheduler", own, *options)
        self.process = self._processes[0]
        self.address = _wait_for(log, r"Scheduler at: +(\S+)")

    def __enter__(self) -> Scheduler:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            kill(process.pid)
            process.wait()

    def work(
        self, home: Path, *options: str, variables: dict[str, str] | None = None, **settings: Any
    ) -> int:
        """Start a worker with a nanny, and return the nanny's process; wait until it is registered."""
        own = environment(home, **settings) | (variables or {})
        options = ("--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1", *options)
        log = self._start("worker", own, self.address, *options, "--local-directory", str(self._folder))
        _wait_for(log, r"Registered to: +(\S+)")
        return self._processes[-1].pid

    def _start(self, command: str, own: dict[str, str], *arguments: str) -> Path:
        log = self._folder / f"{command}-{len(self._processes)}.log"
        path = os.pathsep.join(filter(None, [own.get("PYTHONPATH"), str(PROJECT)]))
        failures = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
        with log.open("wb") as file:
            process = subprocess.Popen(
                ["dask", command, *arguments],
                cwd=PROJECT,
                env=environment(self._folder) | own | failures | {"PYTHONPATH": path},
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes.append(process)
        return log


def without_project(folder: Path) -> Path:
    """Make a folder of modules in which this project can't be imported."""
    (folder / "bare" / "prediction").mkdir(parents=True)
    text = "raise ModuleNotFoundError('there is no prediction here')"
    (folder / "bare" / "prediction" / "__init__.py").write_text(text)
    return folder / "bare"


def kill(process: int) -> None:
    """End a process and those that it started, such as a nanny and its worker."""
    found = [psutil.Process(process), *psutil.Process(process).children(recursive=True)]
    for each in found:
        each.kill()


def kill_worker(nanny: int) -> int:
    """End the worker of a nanny, which starts another one; return its process."""
    (worker,) = [
        each
        for each in psutil.Process(nanny).children(recursive=True)
        if not any("resource_tracker" in word for word in each.cmdline())
    ]
    worker.kill()
    return worker.pid


def die() -> None:
    """End this process like one for which there is no memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def _wait_for(log: Path, pattern: str) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if found := re.search(pattern, log.read_text()):
            return found[1]
        time.sleep(0.05)
    raise AssertionError(log.read_text())
