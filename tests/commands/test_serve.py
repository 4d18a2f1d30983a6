"""`loop serve`: what it says before it starts, and the server that it becomes."""

from __future__ import annotations

import re
import shlex
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from models_store.spec import Spec
from prediction.commands import serve
from tests import databases
from tests.documents import wait_ready
from tests.servers import PROJECT, Server, environment, free_port, run

START_SECONDS = 120


def refuse(home: Path, *arguments: str, **settings: Any) -> str:
    """Run a start that fails, and return the one sentence that it prints."""
    arguments = arguments or ("--port", str(free_port()))
    done = run("python", "-m", "prediction", "serve", *arguments, home=home, **settings)

    assert (1, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("loop serve: ")
    assert 1 == len(done.stderr.splitlines()), done.stderr
    return done.stderr


def test_it_prints_the_addresses_and_becomes_bentoml_serve(
    home: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """The printed request is answered; the process that was started is the server, and ends by SIGTERM."""
    port, log = free_port(), tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["python", "-m", "prediction", "serve", "--port", str(port)],
            cwd=PROJECT,
            env=environment(home, workers=1),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_ready(f"http://127.0.0.1:{port}", process, log)
        printed = log.read_text()
        (command,) = re.findall(r"^Try: +(curl .*)$", printed, re.MULTILINE)
        answer = subprocess.run(shlex.split(command), capture_output=True, text=True, check=True)
        owner = (home / "server.lock").read_text().split()[0]
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=60)

    assert printed.startswith(f"Docs page:  http://127.0.0.1:{port}/\nDashboard:  http://127.0.0.1:{port}/")
    assert '"predicted_class":"' in answer.stdout
    assert (0, str(process.pid)) == (code, owner)


def test_a_home_that_is_served_already_is_refused(server: Server) -> None:
    """The sentence names the process; no address is printed, and the first server goes on."""
    assert f"process {server.process.pid} serves {server.home}: stop it, or" in refuse(server.home)
    assert 200 == server.get("/readyz").status_code


def test_a_port_that_is_taken_is_refused(home: Path) -> None:
    """The sentence names the option that chooses another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = refuse(home, "--port", str(port))

    assert (
        f"can't listen on port {port} of 127.0.0.1: Address already in use: choose another one with --port"
        in told
    )


def test_a_journal_that_does_not_answer_is_refused(home: Path) -> None:
    """With the database's own words, and without the password."""
    url = f"postgresql://user:{databases.PASSWORD}@127.0.0.1:1/journal"
    told = refuse(home, database_url=url)

    assert "the journal does not answer" in told
    assert "refused" in told
    assert databases.PASSWORD not in told


def test_a_journal_that_asks_for_a_newer_release_is_refused(home: Path) -> None:
    """As every command does."""
    with databases.connected(f"sqlite:///{home / 'journal.db'}") as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        connection.exec_driver_sql("UPDATE journal_format SET min_reader = 9999")

    assert "the journal was written by a newer release" in refuse(home)


def test_a_bad_setting_is_refused(home: Path) -> None:
    """By its variable."""
    assert "PREDICTION_MAX_BATCH_ROWS: " in refuse(home, max_batch_rows="lots")


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_a_port_that_is_none_is_misuse(port: str, tmp_path: Path) -> None:
    """Usage and exit code 2."""
    done = run("python", "-m", "prediction", "serve", "--port", port, home=tmp_path)

    assert 2 == done.returncode
    assert "--port" in done.stderr


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:80/"),
        ("::", "http://[::1]:80/"),
        ("db.example", "http://db.example:80/"),
    ],
)
def test_the_address_that_is_shown_can_be_opened(host: str, url: str, specs: dict[str, Spec]) -> None:
    """A wildcard is none."""
    assert f"Docs page:  {url}" == serve.addresses(host, 80, specs["iris"])[0]


def test_a_project_is_served_from_any_of_its_folders(tmp_path: Path) -> None:
    """By its own service.py; elsewhere the package's service is served."""
    inside = tmp_path / "project" / "docs"
    inside.mkdir(parents=True)
    for name in ("service.py", "bentofile.yaml"):
        assert ["prediction.service:prediction"] == serve.target(inside)
        (inside.parent / name).touch()

    assert ["service:prediction", "--working-dir", str(inside.parent)] == serve.target(inside)
    assert ["prediction.service:prediction"] == serve.target(tmp_path)
