"""Whether the files of a SQLite journal are still at their paths, and whole.

SQLite goes on with the files that it has opened, also after they were deleted or replaced: a commit would
succeed, and its rows would be gone. Nothing is repaired here.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple
from urllib.parse import quote

from prediction.errors import JournalFault

HEADER = b"SQLite format 3\0"
HEADER_BYTES = 100
WAL_VERSIONS = b"\2\2"
"""Bytes 18 and 19 of the file of a journal that is in use; a copy made by `loop backup` has others."""

RESTORE = "stop the server, and put a backup in its place with `loop restore`"
MESSAGES = {
    "missing": "the journal's file is missing: put it back; if it is lost, {restore}",
    "replaced": "another file is in the place of the journal's file: put the old one back, or restart the"
    " server to use the new one",
    "log": "the journal's log (-wal) was deleted or replaced: restart the server",
    "damaged": "the journal's file is damaged: {restore}",
    "full": "the disk of the journal is full: make room on it",
    "read_only": "the journal's file can't be written to: make it and its folder writable for the server",
    "disk": "the disk of the journal fails: see the system's log",
}
"""By kind of fault: what happened, and what to do."""

SUSPENDING = ("missing", "replaced", "log", "damaged")
"""Faults during which nothing is read or written: it would be lost, or make the damage worse."""

LASTING = ("log", "damaged")
"""Faults that only a restart ends."""

KINDS = {
    sqlite3.SQLITE_CORRUPT: "damaged",
    sqlite3.SQLITE_NOTADB: "damaged",
    sqlite3.SQLITE_IOERR_SHORT_READ: "damaged",  # a file was cut
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_READONLY: "read_only",
    sqlite3.SQLITE_IOERR: "disk",
}
"""By SQLite's error code: the kind of fault that it shows."""

SPARE_BYTES = 1_000_000
"""Free space without which a disk that was full is still full: small commits find room now and then."""

Identity = tuple[int, int]
"""Device and inode of a file."""


class FileFault(NamedTuple):
    """What is wrong with the files; `cause` are the words of SQLite or the system, for the log."""

    kind: str
    cause: str = ""

    @property
    def message(self) -> str:
        """What happened, and what to do."""
        return MESSAGES[self.kind].format(restore=RESTORE)


class Opened(NamedTuple):
    """The files that a connection has open. There is no log if the file system can't have one."""

    file: Identity
    log: Identity | None


class Guard:
    """Guards the files of one journal for all connections of this process; for threads too.

    Parameters
    ----------
    path
        The journal's file.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self._name = path
        self._log_path = f"{path}-wal"
        self._lock = Lock()
        self._fault: FileFault | None = None
        self._file: Identity | None = None
        self._log: Identity | None = None
        self._size = self._log_size = self._changed_ns = 0
        self._header: int | None = None

    @property
    def fault(self) -> FileFault | None:
        """What is wrong now, as far as it is known."""
        return self._fault

    def forget(self) -> None:
        """Accept any file from now on: all connections are closed."""
        with self._lock:
            self._fault = self._file = self._log = None
            self._size = self._log_size = self._changed_ns = 0

    def before_opening(self) -> Identity | None:
        """Return which file is at the path; None if SQLite itself has to say what is wrong there.

        Raises
        ------
        JournalFault
            When it is not the one that this process has open, or a fault forbids to use it.
        """
        self.demand_usable()
        try:
            status = self.path.stat()
        except OSError as error:
            if self._file is not None:
                raise self._suspend("missing", error.strerror) from error
            return None
        if self._file is not None:
            self._demand_same(status, self._file)
        return _identity(status)

    def opened(self, before: Identity | None) -> Opened:
        """Return what a new connection has open; `before` is what was at the path before it was opened."""
        self._log_path = f"{self.path.resolve()}-wal"
        status = self._status()
        if _identity(status) != before:
            raise self._suspend("replaced")
        log = None
        with suppress(OSError):
            log = _identity(Path(self._log_path).stat())
        with self._lock:
            if self._file is None:
                self._size, self._changed_ns = status.st_size, status.st_mtime_ns
            if log != self._log:
                self._log_size = 0
            self._file, self._log = before, log
        return Opened(_identity(status), log)

    def demand(self, opened: Opened) -> None:
        """Demand that the files of a connection are those at their paths, and whole.

        It is called after a commit, before the answer that promises it. It takes 4 us; if the file was
        changed, which only moving the log into it does, a fifth of a millisecond more.

        Raises
        ------
        JournalFault
            When they are not. They are not used again, until `watch` finds them well.
        """
        self.demand_usable()
        file = self._status()
        self._demand_same(file, opened.file)
        if opened.log is None:
            return
        try:
            log = os.stat(self._log_path)  # noqa: PTH116 -- as in _status
        except OSError as error:
            raise self._suspend("log", error.strerror) from error
        if (log.st_dev, log.st_ino) != opened.log:
            raise self._suspend("log")
        if log.st_size < self._log_size or file.st_size < self._size:
            self._probe(file, _read_all)
        elif file.st_mtime_ns != self._changed_ns:
            self._probe(file, _read_newest)
        self._log_size = log.st_size

    def watch(self) -> None:
        """Look at the files once more, and let them be used again if a fault has ended.

        It also notices what no request would: that nothing could be written.
        """
        known = self._fault
        if self._file is None or (known is not None and known.kind in LASTING):
            return
        if known is not None and known.kind in SUSPENDING:
            if not (self._is_in_place() and self._log_is_in_place()):
                return
            self._clear(known)
        with suppress(JournalFault, OSError):
            self.demand(Opened(self._file, self._log))
            self._probe(self._status(), _read_ends)
            if self._can_write(known) and known is not None:
                self._clear(known)

    def note(self, error: Any) -> JournalFault | None:
        """Remember what an error of SQLite shows; return ours if nothing may be read or written now."""
        code = getattr(error, "sqlite_errorcode", None) or 0  # the low byte is the error
        kind = KINDS.get(code) or KINDS.get(code & 0xFF)
        if kind is None:
            return None
        if kind == "damaged" and not self._log_is_in_place():  # a new connection finds another, empty log
            kind = "log"
        fault = self._suspend(kind, str(error))
        return fault if kind in SUSPENDING else None

    def demand_usable(self) -> None:
        """Demand that no fault is known during which nothing may be read or written.

        Raises
        ------
        JournalFault
        """
        fault = self._fault
        if fault is not None and fault.kind in SUSPENDING:
            raise JournalFault(fault.message)

    def _suspend(self, kind: str, cause: str | None = None) -> JournalFault:
        """Remember a fault, unless a worse one is known."""
        with self._lock:
            if self._fault is None or self._fault.kind not in LASTING:
                self._fault = FileFault(kind, cause or "")
            return JournalFault(self._fault.message)

    def _status(self) -> os.stat_result:
        try:
            return os.stat(self._name)  # noqa: PTH116 -- each commit waits for it: half as long as Path.stat
        except OSError as error:
            raise self._suspend("missing", error.strerror) from error

    def _demand_same(self, status: os.stat_result, expected: Identity) -> None:
        if _identity(status) != expected:
            raise self._suspend("replaced")
        if not status.st_size and self._size:  # a new connection would take it for new, and delete the log
            raise self._suspend("damaged", "it is empty")

    def _is_in_place(self) -> bool:
        try:
            return _identity(self.path.stat()) == self._file
        except OSError:
            return False

    def _log_is_in_place(self) -> bool:
        try:
            return self._log is None or self._log == _identity(Path(self._log_path).stat())
        except OSError:
            return False

    def _clear(self, known: FileFault) -> None:
        """Forget a fault that has ended, unless another one was noted meanwhile."""
        with self._lock:
            if self._fault is known:
                self._fault = None

    def _probe(self, file: os.stat_result, read: Callable[[sqlite3.Connection], None]) -> None:
        """Read the file's header, and some of the journal by a new connection, which has no cache.

        Parameters
        ----------
        file
            What the system says of the file, from before.
        """
        self._read_header()
        try:
            with closing(_connect(self.path)) as connection:
                read(connection)
        except sqlite3.Error as error:
            if (fault := self.note(error)) is not None:
                raise fault from error
            return  # it is locked, say: the next look will tell
        self._size, self._changed_ns = file.st_size, file.st_mtime_ns

    def _can_write(self, known: FileFault | None) -> bool:
        """Try whether a transaction can begin; after a fault, also write, and demand some free space."""
        try:
            with closing(_connect(self.path)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                if known is not None:  # the same value again, which nobody uses
                    (version,) = connection.execute("PRAGMA user_version").fetchone()
                    connection.execute(f"PRAGMA user_version = {version}")
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            self.note(error)
            return False
        disk = os.statvfs(self.path)
        return disk.f_bavail * disk.f_frsize >= SPARE_BYTES

    def _read_header(self) -> None:
        """Read the beginning of the file itself: SQLite reads it from the log as long as it is there.

        The descriptor stays open: closing it would release the locks that SQLite has on the file.
        """
        if self._header is None or _identity(os.fstat(self._header)) != self._file:
            try:
                self._header = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                return  # the next look will tell
        header = os.pread(self._header, HEADER_BYTES, 0)
        if not header.startswith(HEADER) or (self._log and header[18:20] != WAL_VERSIONS):
            raise self._suspend("damaged", "its header was overwritten")


def address(path: str | Path) -> str:
    """Return the URI by which SQLite opens a file, and does not make it if it is missing."""
    return f"file:{quote(str(path))}?mode=rw"


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(address(path), uri=True, timeout=0, isolation_level=None)


def _identity(status: os.stat_result) -> Identity:
    return status.st_dev, status.st_ino


def _read_newest(connection: sqlite3.Connection) -> None:
    """Read the schema and the newest prediction, by its number and by its id."""
    for column in ("seq", "prediction_id"):
        connection.execute(f"SELECT 1 FROM predictions ORDER BY {column} DESC LIMIT 1").fetchone()  # noqa: S608


def _read_ends(connection: sqlite3.Connection) -> None:
    """Read the first and last row of each table and index, and so the pages where rows are added."""
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    if ("alembic_version",) not in tables:
        raise _corrupt("it is not a journal")
    ends = [(name, "rowid") for (name,) in tables] + connection.execute(
        "SELECT tbl_name, c.name FROM sqlite_master m, pragma_index_info(m.name) c"
        " WHERE type = 'index' AND seqno = 0"
    ).fetchall()
    for table, column in ends:
        for order in ("ASC", "DESC"):
            query = f'SELECT 1 FROM "{table}" ORDER BY "{column}" {order} LIMIT 1'  # noqa: S608 -- ours
            connection.execute(query).fetchone()


def _read_all(connection: sqlite3.Connection) -> None:
    """Read every page: a file has become shorter, which may be damage.

    Some tools cut a log whose content was moved, and `VACUUM` makes the journal itself shorter.
    """
    (state,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if state != "ok":
        raise _corrupt(state)


def _corrupt(words: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(words)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error
