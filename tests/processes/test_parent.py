"""Processes that end with their parent: real ones, whose parent is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from prediction.processes import parent
from tests.servers import PROJECT, is_there
from tests.timing import eventually

PARENT = """
import os, subprocess, sys
from prediction.processes import parent
if sys.argv[1] == "bound":
    parent.bind_children()
else:
    os.environ[parent.VARIABLE] = str(os.getpid())
child = "import sys; {}; print('begun', flush=True); sys.stdin.read()".format(sys.argv[2])
subprocess.Popen([sys.executable, "-c", child], preexec_fn=os.setsid)
sys.stdin.read()
"""
FOLLOW = "from prediction.processes import parent; assert parent.follow()"


@contextmanager
def family(kind: str, first: str = "pass") -> Iterator[tuple[psutil.Process, psutil.Process]]:
    """Start a process with one child, which does something first; both wait then."""
    command = [sys.executable, "-c", PARENT, kind, first]
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert b"begun\n" == process.stdout.readline()
        (child,) = psutil.Process(process.pid).children()
        try:
            yield psutil.Process(process.pid), child
        finally:
            process.kill()
            if is_there(child):
                child.kill()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel of another system")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_kernel_ends_children_with_their_parent(number: signal.Signals) -> None:
    """Also a child that was stopped, and that knows nothing of its parent."""
    with family("bound") as (process, child):
        child.suspend()
        process.send_signal(number)

        eventually(lambda: not is_there(child))


def test_a_worker_ends_after_its_server() -> None:
    """Without the kernel's help a worker looks for its parent, and goes on while it is there."""
    with family("free", FOLLOW) as (process, child):
        with pytest.raises(psutil.TimeoutExpired):
            child.wait(3 * parent.CHECK_SECONDS)
        process.kill()

        eventually(lambda: not is_there(child))


def test_a_process_without_a_server_follows_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands and tests import the same modules, and have no server."""
    monkeypatch.delenv(parent.VARIABLE, raising=False)
    assert not parent.follow()
    monkeypatch.setenv(parent.VARIABLE, "nobody")
    assert not parent.follow()


def test_a_worker_of_a_server_that_is_gone_ends() -> None:
    """A worker whose server ended while it started has another parent already."""
    command = [sys.executable, "-c", f"{FOLLOW}; import time; time.sleep(60)"]
    done = subprocess.run(
        command, cwd=PROJECT, env=os.environ | {parent.VARIABLE: str(2**22)}, timeout=30, check=False
    )

    assert 1 == done.returncode
