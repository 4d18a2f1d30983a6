"""README and docs for tests: their code blocks, a copy of the project to run them in, their answers."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers import PROJECT, environment, free_port

README = PROJECT / "README.md"
DOCS = PROJECT / "docs"
PAGES = sorted([*PROJECT.glob("*.md"), *DOCS.rglob("*.md")])
START_SECONDS = 300


def blocks(page: Path, *languages: str) -> list[str]:
    """Return the code blocks of a page, in order."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return [text for language, text in found if language in languages]


def copy_project(folder: Path) -> Path:
    """Copy the project like a clone, with the environment of the tests as its own environment."""
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns(".*", "__pycache__", "results"))
    made, here = folder / ".venv", Path(sys.prefix)
    (made / "bin").mkdir(parents=True)
    for name in (
        "pyvenv.cfg",
        "include",
        "lib",
        *(f"bin/{path.name}" for path in (here / "bin").iterdir()),
    ):
        (made / name).symlink_to(here / name)
    for name in ("bin/uv", "serving", "testing"):  # make compares their times
        if not (made / name).exists():
            (made / name).touch()
    return folder


@contextmanager
def started(
    script: str, cwd: Path, home: Path, output: Path, **settings: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a script as a user types it, and end it with Ctrl+C."""
    variables = environment(home, **{"workers": 1, **settings})
    variables["PATH"] = os.environ["PATH"]  # the script must find the project's environment itself
    for name in ("HOST", "PORT", "PYTHON"):  # make would take them
        variables.pop(name, None)
    with output.open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=cwd,
            env=variables,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=60)


def wait_ready(url: str, process: subprocess.Popen[bytes], output: Path) -> None:
    """Wait until a server answers."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"no server at {url}:\n{output.read_text()}")
        time.sleep(0.2)


def port_or_free(port: int) -> int:
    """Return the port that a page prints, or another one if it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return free_port()
    return port


def parsed(shown: str) -> Any:
    """Return the last JSON that a block printed; curl's progress is before it."""
    return json.loads(next(line for line in reversed(shown.splitlines()) if line.startswith(("{", "["))))


def assert_alike(expected: Any, actual: Any, key: str = "") -> None:
    """Compare two answers: same keys and words, numbers to four digits, any id and version."""
    if isinstance(expected, dict):
        assert list(expected) == list(actual)
        for name, value in expected.items():
            assert_alike(value, actual[name], name)
    elif isinstance(expected, list):
        for item, other in zip(expected, actual, strict=True):
            assert_alike(item, other, key)
    elif isinstance(expected, float):
        assert actual == pytest.approx(expected, abs=1e-4)
    elif key not in ("prediction_id", "prediction_ids", "version", "model_version"):
        assert expected == actual
