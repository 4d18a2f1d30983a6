"""A real PgBouncer in front of a PostgreSQL, with the configuration in `deploy/pgbouncer/`."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from tests.databases import PASSWORD, start_postgres
from tests.servers import PROJECT, free_port
from tests.timing import eventually

CONFIGURATION = PROJECT / "deploy" / "pgbouncer" / "pgbouncer.ini"
PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
POOL_SIZE = 3
"""Fewer sessions than the tests have connections, so that transactions share them."""


@contextmanager
def pgbouncer(url: str) -> Iterator[str]:
    """Run it in front of a database of the tests' PostgreSQL, and lend the URL that goes by it."""
    with tempfile.TemporaryDirectory(prefix="pooler-") as name:
        folder, port = Path(name), free_port()
        _configure(folder, port, url)
        user = start_postgres().system_user  # PgBouncer does not run as root
        for each in (folder, *folder.iterdir()):
            each.chmod(0o755)
        log = folder / "log"
        with log.open("wb") as written:
            command = [str(PGBOUNCER), "pgbouncer.ini"]
            process = subprocess.Popen(command, cwd=folder, user=user, stdout=written, stderr=written)
        try:
            eventually(lambda: _listens(port) or process.poll() is not None, 20)
            assert process.poll() is None, log.read_text()
            yield f"postgresql+psycopg://postgres:{PASSWORD}@127.0.0.1:{port}/prediction"
        finally:
            process.kill()
            process.wait(20)


def _configure(folder: Path, port: int, url: str) -> None:
    """Write the printed configuration with the places of the tests."""
    parsed = sa.make_url(url)
    place = f"host={parsed.query['host']} dbname={parsed.database}"
    changes = {
        r"host=127.0.0.1 port=5432 dbname=prediction": place,
        r"listen_port = 6432": f"listen_port = {port}\nunix_socket_dir =",
        r"auth_file = .*": f"auth_file = {folder / 'userlist.txt'}",
        r"default_pool_size = \d+": f"default_pool_size = {POOL_SIZE}",
    }
    text = CONFIGURATION.read_text()
    for old, new in changes.items():
        text, found = re.subn(old, new, text)
        assert 1 == found, old
    (folder / "pgbouncer.ini").write_text(text)
    (folder / "userlist.txt").write_text(f'"postgres" "{PASSWORD}"\n')


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
