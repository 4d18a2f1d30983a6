"""podman for the tests: a base image made of Debian's packages, builds, and containers that are ended.

No registry of images is asked. What stands in for `python:3.11-slim` is Debian's own Python, kept in
`.cache/containers/`; users never get it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.servers import PROJECT, environment, free_port

CACHE = PROJECT / ".cache" / "containers"
BASE = "docker.io/library/python:3.11-slim"
TOOLS = ("podman", "runc", "mmdebstrap")
CONFIGURATION = """\
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=16384:16384"]

[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
"""For machines that are virtual themselves: no systemd, and few limits may be raised."""

CERTIFICATES = Path("/usr/local/share/ca-certificates")
START_SECONDS = 120


def missing() -> list[str]:
    """Return which of the tools are not installed."""
    return [tool for tool in TOOLS if shutil.which(tool) is None]


def variables(home: Path) -> dict[str, str]:
    """Return the environment in which podman, and BentoML through it, works."""
    CACHE.mkdir(parents=True, exist_ok=True)
    configuration = CACHE / "containers.conf"
    configuration.write_text(CONFIGURATION)
    return environment(home) | {"CONTAINERS_CONF": os.fspath(configuration)}


def run(home: Path, *command: str, cwd: Path = PROJECT, timeout: float = 900) -> str:
    """Run a command to its good end, and return what it prints."""
    done = subprocess.run(
        command, cwd=cwd, env=variables(home), capture_output=True, text=True, timeout=timeout, check=False
    )
    assert 0 == done.returncode, f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def make_base(home: Path) -> None:
    """Make the base image, unless there is one already."""
    found = subprocess.run(["podman", "image", "exists", BASE], env=variables(home), check=False)
    if found.returncode == 0:
        return
    archive = CACHE / "base.tar"
    if not archive.exists():
        draft = archive.with_suffix(".draft")
        trust = f'mkdir -p "$1{CERTIFICATES}" && cp {CERTIFICATES}/*.crt "$1{CERTIFICATES}/" || true'
        run(
            home,
            "mmdebstrap",
            "--format=tar",
            "--variant=minbase",
            "--include=ca-certificates,python3,python3-pip,python3-venv",
            '--customize-hook=rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED',
            '--customize-hook=ln -s python3 "$1/usr/bin/python"',
            f"--customize-hook={trust}",
            '--customize-hook=chroot "$1" update-ca-certificates',
            "bookworm",
            str(draft),
        )
        draft.rename(archive)
    trusted = "ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"
    run(home, "podman", "import", "--change", trusted, str(archive), BASE)


def build(home: Path, image: str) -> None:
    """Build a Bento of a home's champions, and the image of that."""
    run(home, "bentoml", "build", "--output", "tag")
    run(home, "bentoml", "containerize", "prediction:latest", "--backend", "podman", "-t", image)


def size_mb(home: Path, image: str) -> float:
    """Return the size of an image, 10^6 bytes."""
    (found,) = json.loads(run(home, "podman", "image", "inspect", image))
    return float(found["Size"]) / 1e6


@dataclass(frozen=True)
class Container:
    """A running container, on the host's network and this port of 127.0.0.1."""

    home: Path
    name: str
    port: int
    client: httpx.Client
    ready_seconds: float

    def execute(self, *command: str) -> str:
        """Run a command in it."""
        return run(self.home, "podman", "exec", self.name, *command)

    def post(self, path: str, body: Any, status: int = 200) -> Any:
        """POST with the admin token."""
        answer = self.client.post(path, json=body, headers={"Authorization": "Bearer a-token-of-tests"})
        assert status == answer.status_code, answer.text
        return answer.json()

    def get(self, path: str) -> Any:
        """GET JSON."""
        return self.client.get(path).raise_for_status().json()

    def log(self) -> str:
        """Return what it has logged."""
        done = subprocess.run(
            ["podman", "logs", self.name],
            env=variables(self.home),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.stdout

    def stop(self) -> int:
        """End it by SIGTERM, and return its exit code."""
        run(self.home, "podman", "stop", "--time", "60", self.name)
        return int(run(self.home, "podman", "inspect", "--format", "{{.State.ExitCode}}", self.name))


@contextmanager
def started(home: Path, image: str, volume: str, *options: str, name: str) -> Iterator[Container]:
    """Run an image as deployments do, read-only and with one volume, until it answers; end it after."""
    port = free_port()
    serve = ("serve", "--host", "127.0.0.1", "--port", str(port))
    limits = ("--pull", "never", "--network", "host", "--read-only", "--cap-drop", "ALL")
    token = ("--env", "PREDICTION_ADMIN_TOKEN=a-token-of-tests", "--env", "PREDICTION_WORKERS=2")
    remove(home, name)
    began = time.monotonic()
    run(home, "podman", "run", "--detach", "--name", name, "--volume", f"{volume}:/data", *limits, *token,
        *options, image, *serve)  # fmt: skip
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
    running = Container(home, name, port, client, 0.0)
    try:
        wait_ready(running, began)
        yield Container(home, name, port, client, time.monotonic() - began)
    finally:
        client.close()
        remove(home, name)


def remove(home: Path, name: str) -> None:
    """Remove a container, if there is one: killed at once, as podman fails on one that ends just then."""
    run(home, "podman", "rm", "--force", "--ignore", "--time", "0", name)


def wait_ready(container: Container, began: float) -> None:
    """Wait until it answers."""
    while True:
        try:
            if container.client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        state = run(container.home, "podman", "inspect", "--format", "{{.State.Running}}", container.name)
        if "true" not in state or time.monotonic() > began + START_SECONDS:
            raise AssertionError(f"it does not answer:\n{container.log()}")
        time.sleep(0.2)
