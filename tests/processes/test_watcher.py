"""The watcher of the workers: a port that takes no more connections, and what we change in BentoML's."""

from __future__ import annotations

import errno
import inspect
import logging
import signal
import socket
import sys
from types import SimpleNamespace

import pytest
from _bentoml_impl.server import serving as bentoml_server
from bentoml import serving
from circus.watcher import Watcher

from prediction.processes import watcher
from tests.timing import eventually


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel of another system")
@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_port_ends_without_a_reset(family: socket.AddressFamily, host: str) -> None:
    """Who waits to be accepted is served. Who comes later is refused as soon as the port is closed."""
    with socket.socket(family) as listening:
        listening.bind((host, 0))
        listening.listen()
        address = listening.getsockname()[:2]
        with socket.create_connection(address, timeout=20) as early, socket.socket(family) as late:
            watcher.refuse_new(listening)
            late.setblocking(False)
            assert errno.EINPROGRESS == late.connect_ex(address)
            accepted, _ = listening.accept()
            listening.setblocking(False)
            with pytest.raises(BlockingIOError):
                listening.accept()
            listening.close()

            with accepted:
                early.sendall(b"asked")
                assert b"asked" == accepted.recv(10)
                accepted.sendall(b"answered")
                assert b"answered" == early.recv(10)
            eventually(lambda: late.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED)


def test_bentomls_watcher_waits_for_the_grace_period() -> None:
    """BentoML's own waits for a day; ours has its hooks besides."""
    theirs = serving.create_watcher("service", ["-c", "pass"])
    ours = watcher.make(serving.create_watcher, 7, name="service", args=["-c", "pass"])

    assert (86_400, 7) == (theirs.graceful_timeout, ours.graceful_timeout)
    assert {} == theirs.hooks
    assert {"before_stop", "after_signal"} == set(ours.hooks)


def test_a_server_goes_on_listening_when_it_only_restarts_its_workers() -> None:
    """As `bentoml serve --reload` does after a change of the code."""
    before = signal.getsignal(signal.SIGINT)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        arbiter = SimpleNamespace(_stopping=False, sockets={"service": listening})

        assert watcher.stop_listening(None, arbiter, hook_name="before_stop")

        socket.create_connection(listening.getsockname(), timeout=20).close()
    assert before == signal.getsignal(signal.SIGINT)


def test_only_a_kill_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Workers get SIGTERM at every end."""
    with caplog.at_level(logging.INFO, "bentoml.prediction"):
        for number in (signal.SIGTERM, signal.SIGKILL):
            assert watcher.log_kill(
                pid=12, signum=number, watcher=None, arbiter=None, hook_name="after_signal"
            )

    assert ["worker 12 had not ended by itself: killed"] == [record.message for record in caplog.records]


def test_circus_and_bentoml_have_what_we_use() -> None:
    """Names of the pinned versions: the function that makes watchers, the hooks and what they are given."""
    source = inspect.getsource(bentoml_server.serve_http)

    assert "from bentoml.serving import create_watcher" in source
    assert "preexec_fn=preexec_fn" in inspect.getsource(sys.modules["circus.process"])
    stop = inspect.getsource(Watcher._stop)
    assert stop.index("self.call_hook('before_stop')") < stop.index("self.kill_processes()")
    assert 'self.call_hook("after_signal", pid=pid, signum=signum)' in inspect.getsource(
        Watcher.send_signal
    )
    assert "'arbiter': self.arbiter" in inspect.getsource(Watcher.call_hook)
    assert "_stopping = True" in inspect.getsource(sys.modules["circus.arbiter"].Arbiter.stop)
