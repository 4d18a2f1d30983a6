"""A real server in processes of its own, on a free port of 127.0.0.1."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil

PROJECT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
START_SECONDS = 240
Process = subprocess.Popen[bytes]
SHIPPED = ("iris", "penguins", "planes")
"""The models that come with the project; a catalog may have more."""


def environment(home: Path, **settings: Any) -> dict[str, str]:
    """Return the environment of a command that works on `home`; settings without their prefix."""
    inherited = {
        k: v for k, v in os.environ.items() if not k.startswith(("PREDICTION_", "BENTOML_", "MAKE"))
    }
    named = {f"PREDICTION_{name.upper()}": str(value) for name, value in settings.items()}
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    return inherited | named | {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True", "PATH": path}


def run(
    *command: str, home: Path, cwd: Path = PROJECT, **settings: Any
) -> subprocess.CompletedProcess[str]:
    """Run a command of the environment to its end, whatever its exit code."""
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment(home, **settings),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def train(home: Path, catalog: Path) -> None:
    """Train every model of a catalog."""
    done = run("python", "-m", "prediction", "train", home=home, catalog=catalog)
    assert done.returncode == 0, done.stdout + done.stderr


def add_new_models(home: Path, trained_home: Path) -> None:
    """Copy the versions of models that a home of an earlier release does not have."""
    for folder in (trained_home / "models").iterdir():
        if not (home / "models" / folder.name).exists():
            shutil.copytree(folder, home / "models" / folder.name, symlinks=True)


def launch(home: Path, port: int, target: str = ".", cwd: Path = PROJECT, **settings: Any) -> Process:
    """Start `bentoml serve`, and wait for nothing; it logs into `server.log` of its home."""
    with (home / "server.log").open("ab") as log:
        return subprocess.Popen(
            ["bentoml", "serve", target, "--host", "127.0.0.1", "--port", str(port)],
            cwd=cwd,
            env=environment(home, **{"workers": 2, **settings}),
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def interruptible(*command: str | Path, home: Path) -> subprocess.Popen[str]:
    """Start a command of the environment that takes signals, though a shell's background ignores some."""
    return subprocess.Popen(
        command,
        cwd=PROJECT,
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """`bentoml serve`, ready to answer once made; a context manager that ends it.

    Parameters
    ----------
    home
        Its `BENTOML_HOME`; the log is `server.log` in it.
    target
        What to serve: a folder or a Bento's tag.
    probe
        The path that answers 200 once it is started.
    """

    def __init__(
        self,
        home: Path,
        target: str = ".",
        cwd: Path = PROJECT,
        port: int = 0,
        probe: str = "/readyz",
        **settings: Any,
    ) -> None:
        self.home = home
        self.probe = probe
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = home / "server.log"
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        self.process = launch(home, self.port, target, cwd, **settings)
        self.client = httpx.Client(base_url=self.url, timeout=30)
        try:
            self._wait_ready(int({"workers": 2, **settings}["workers"]))
        except BaseException:
            self.kill()
            raise

    def _wait_ready(self, workers: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while self.read_log().count("Completed startup hook") < workers:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the server did not start:\n{self.read_log()}")
            time.sleep(0.05)
        while not self._is_ready():
            assert time.monotonic() < deadline, self.read_log()
            time.sleep(0.05)

    def read_log(self) -> str:
        """Return what it has logged since it was started."""
        return self.log.read_bytes()[self._log_start :].decode()

    def _is_ready(self) -> bool:
        try:
            return self.client.get(self.probe).status_code == 200
        except httpx.TransportError:
            return False

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def workers(self) -> list[psutil.Process]:
        """The worker processes."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in children if "worker.service" in " ".join(child.cmdline())]

    def post(self, path: str, body: Any) -> httpx.Response:
        """POST a JSON body."""
        return self.client.post(path, json=body)

    def get(self, path: str) -> httpx.Response:
        """GET a path."""
        return self.client.get(path)

    def stop(self) -> int:
        """End it as an operator would, and return its exit code."""
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)

    def kill(self) -> None:
        """End it and all its workers at once, as a loss of power would."""
        self.client.close()
        try:
            children = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            children = []
        self.process.kill()
        for child in children:
            if child.is_running():
                child.kill()
        self.process.wait(timeout=30)
        psutil.wait_procs(children, timeout=30)  # the kernel closes their connections as they end


def is_there(process: psutil.Process) -> bool:
    """Return whether a process goes on; one that has ended may wait for its parent to notice."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """Return an error's body, which must be in the common shape, without names of classes and links."""
    assert status == answer.status_code, answer.text
    assert "application/json" == answer.headers["content-type"]
    body = answer.json()
    assert {"error", "detail"} == set(body)
    assert body["error"]
    assert "Features" not in answer.text
    assert "pydantic" not in answer.text
    assert "://" not in answer.text
    for item in body["detail"]:
        assert {"loc", "msg"} == set(item)
        assert all(isinstance(part, str | int) for part in item["loc"])
    return dict(body)


def series(server: Server) -> dict[str, float]:
    """Return every series of `/metrics` with its value."""
    lines = server.get("/metrics").text.splitlines()
    return {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))
    }
