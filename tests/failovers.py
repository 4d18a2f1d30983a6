"""Two real PostgreSQL servers: a primary, and a standby that has every commit before it is acknowledged."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.databases import PASSWORD, query, start_postgres
from tests.servers import free_port
from tests.timing import eventually

CONFIGURATION = """\
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = off
shared_buffers = 16MB
wal_retrieve_retry_interval = 100ms
"""
REMOTE = "synchronous_standby_names = '*'\n"


class Node:
    """One PostgreSQL on a port of 127.0.0.1; `folder` is its data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()

    @property
    def url(self) -> str:
        """The URL of its database."""
        return f"postgresql+psycopg://postgres:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it, and return once it takes connections."""
        self.control("start", "--log", f"{self.folder}/log", "--options", f"-p {self.port}")

    def control(self, act: str, *options: str) -> None:
        """Call `pg_ctl`."""
        execute("pg_ctl", act, "--wait", "--pgdata", str(self.folder), *options)


def execute(program: str, *arguments: str) -> None:
    """Run a program of PostgreSQL as the user that its servers run as."""
    postgres = start_postgres()
    subprocess.run(
        [postgres.programs / program, *arguments],
        user=postgres.system_user,
        cwd="/",
        stdout=subprocess.DEVNULL,  # pg_ctl's server inherits it
        stderr=subprocess.DEVNULL,
        timeout=60,
        check=True,
    )


class Pair:
    """A primary and its standby. Clients find the one that takes writes by `url`."""

    def __init__(self, folder: Path) -> None:
        self.primary, self.standby = Node(folder / "primary"), Node(folder / "standby")
        execute("initdb", "--auth=trust", "--username=postgres", f"--pgdata={self.primary.folder}")
        with (self.primary.folder / "postgresql.conf").open("a") as file:
            file.write(CONFIGURATION)
        self.primary.start()
        connection = f"host=127.0.0.1 port={self.primary.port} user=postgres application_name=standby"
        copy = ["--checkpoint=fast", "--write-recovery-conf", f"--pgdata={self.standby.folder}"]
        execute("pg_basebackup", f"--dbname={connection}", *copy)
        self.standby.start()
        with (self.primary.folder / "postgresql.conf").open("a") as file:
            file.write(REMOTE)
        self.primary.control("reload")
        eventually(self._is_synchronous)

    def _is_synchronous(self) -> bool:
        return [("sync",)] == query(self.primary.url, "SELECT sync_state FROM pg_stat_replication")

    @property
    def url(self) -> str:
        """The URL that names both, with the requirement that writes are possible."""
        hosts = "&".join(f"host=127.0.0.1:{node.port}" for node in (self.primary, self.standby))
        return f"postgresql+psycopg://postgres:{PASSWORD}@/postgres?{hosts}&target_session_attrs=read-write"

    def restart_primary(self) -> None:
        """Restart it as an upgrade would: it ends the connections."""
        self.primary.control("restart", "--mode=fast", "--options", f"-p {self.primary.port}")

    def fail_over(self) -> None:
        """Lose the primary without a warning, and promote the standby."""
        self.primary.control("stop", "--mode=immediate")
        self.standby.control("promote")

    def stop(self) -> None:
        """Stop what still runs."""
        for node in (self.standby, self.primary):
            if (node.folder / "postmaster.pid").exists():
                node.control("stop", "--mode=immediate")


@contextmanager
def pair() -> Iterator[Pair]:
    """Lend two running servers."""
    folder = Path(tempfile.mkdtemp(prefix="pair-"))
    user = start_postgres().system_user
    if user is not None:
        shutil.chown(folder, user)
    made: Pair | None = None
    try:
        made = Pair(folder)
        yield made
    finally:
        if made is not None:
            made.stop()
        shutil.rmtree(folder, ignore_errors=True)
