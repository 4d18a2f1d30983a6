"""Processes that score units: this module started as a script, one for each thread of an executor.

A process that dies, for want of memory for example, costs its own unit only. Another one takes its place.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from models_store import catalog
from models_store.errors import Error
from prediction.processes import openmp, parent

END_SECONDS = 5.0
"""Timeout of a process that is asked to end; it is killed then."""


class WorkerDied(Exception):
    """A process ended while it scored a unit."""


class Processes(ThreadPoolExecutor):
    """An executor of processes; functions are given to them by their names.

    The processes are scripts of their own, so that a caller's script or notebook is not imported again.
    """

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self._own = threading.local()
        self._lock = threading.Lock()
        self._workers: set[_Worker] = set()
        self._is_stopped = False

    def submit(self, call: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """Call a function in a process; `WorkerDied` if the process ends before it answers."""
        return super().submit(self._call, call, *arguments, **named)

    def _call(self, call: Callable[..., Any], /, *arguments: Any, **named: Any) -> Any:
        worker = getattr(self._own, "worker", None)
        if worker is None:
            worker = self._own.worker = self._start()
        try:
            return worker.call(call, arguments, named)
        except WorkerDied:
            self._own.worker = None
            with self._lock:
                self._workers.discard(worker)
            raise

    def _start(self) -> _Worker:
        with self._lock:
            if self._is_stopped:
                raise WorkerDied("the run was stopped")
            worker = _Worker()
            self._workers.add(worker)
            return worker

    def kill(self) -> None:
        """End all processes at once; no unit is written half."""
        with self._lock:
            self._is_stopped = True
            for worker in self._workers:
                worker.process.kill()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads, and then their processes."""
        super().shutdown(wait, cancel_futures=cancel_futures)
        if wait:
            with self._lock:
                for worker in self._workers:
                    worker.close()
                self._workers.clear()


class _Worker:
    """One process, which answers one call at a time."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(  # noqa: S603 -- this module, with a number of our own
                [sys.executable, "-P", __file__, str(theirs.fileno())],
                env=_environment(),
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl+C of a terminal is for the run, which then ends this
            )
        self._connection = Connection(ours.detach())

    def call(self, call: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Call a function in the process."""
        try:
            self._connection.send((call, arguments, named))
            is_error, answer = self._connection.recv()
        except (EOFError, OSError) as error:
            self._connection.close()
            raise WorkerDied(f"its process ended with {self.process.wait()}") from error
        if is_error:
            raise answer
        return answer

    def close(self) -> None:
        """Let the process end."""
        self._connection.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(END_SECONDS)
            return
        self.process.kill()
        self.process.wait()


def _environment() -> dict[str, str]:
    found = dict(os.environ)
    found["PYTHONPATH"] = os.pathsep.join(path or os.curdir for path in sys.path)
    found[parent.VARIABLE] = str(os.getpid())
    found[catalog.VARIABLE] = str(catalog.FOLDER)
    openmp.wait_asleep(found)
    return found


def main(descriptor: int) -> None:
    """Answer calls until the other side closes the connection, or ends."""
    parent.follow()
    connection = Connection(descriptor)
    with suppress(EOFError, OSError):
        while True:
            call, arguments, named = connection.recv()
            try:
                answer = False, call(*arguments, **named)
            except Error as error:
                answer = True, error
            except Exception as error:
                answer = True, RuntimeError(f"{type(error).__name__}: {error}")  # others may not travel
            connection.send(answer)


if __name__ == "__main__":
    main(int(sys.argv[1]))
