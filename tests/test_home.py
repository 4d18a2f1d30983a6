"""The lock of a home: one server at a time, whatever becomes of its process. The rights of its journal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from prediction import home
from prediction.errors import AlreadyServing, InvalidSettings
from prediction.journal import backups
from tests import databases
from tests.databases import opened, prediction, record
from tests.servers import PROJECT
from tests.timing import eventually

HOLD = """
import sys
from pathlib import Path
from prediction import home
lock = home.lock(Path(sys.argv[1]))
print("locked", flush=True)
sys.stdin.read()
"""

SERVER = """
import subprocess, sys
from pathlib import Path
from prediction import home
folder = Path(sys.argv[1])
lock = home.lock(folder)
home.share(lock)
worker = "import sys; from pathlib import Path; from prediction import home; "
worker += "home.sign(Path(sys.argv[1])); print('signed', flush=True); sys.stdin.read()"
child = subprocess.Popen([sys.executable, "-c", worker, str(folder)], close_fds=False)
print(child.pid, flush=True)
sys.stdin.read()
"""

RACE = """
from pathlib import Path
from prediction import home
from prediction.journal import backups
from prediction.errors import AlreadyServing
wait()
try:
    lock = home.lock(Path(sys.argv[1]))
    print("locked", flush=True)
    import time
    time.sleep(1.5)
except AlreadyServing:
    print("refused", flush=True)
"""


@contextmanager
def held_by_another_process(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Hold a home's lock from another process."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert "locked\n" == process.stdout.readline()
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_home_is_locked_until_its_file_is_closed(tmp_path: Path) -> None:
    """A second lock is refused in a sentence that says who and what to do; later it is given."""
    lock = home.lock(tmp_path)
    with pytest.raises(AlreadyServing) as caught:
        home.lock(tmp_path)
    lock.close()

    sentence = f"process {os.getpid()} serves {tmp_path}: stop it, or set BENTOML_HOME to another folder"
    assert sentence == str(caught.value)
    home.lock(tmp_path).close()


def test_another_process_is_named(tmp_path: Path) -> None:
    """Who holds the lock is told by its number, also after others have held it."""
    home.lock(tmp_path).close()
    with held_by_another_process(tmp_path) as holder:
        for _ in range(2):
            with pytest.raises(AlreadyServing, match=f"process {holder.pid} serves"):
                home.lock(tmp_path)


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    """The lock of a process that was killed is free at once, although its file is still there."""
    with held_by_another_process(tmp_path) as holder:
        holder.kill()
        holder.wait()
        home.lock(tmp_path).close()


def test_one_of_many_gets_the_lock(tmp_path: Path) -> None:
    """Of processes that ask at the same moment, one is served and the others are refused."""
    answers = databases.run_at_once(RACE, [[str(tmp_path)]] * 3)

    assert ["locked\n", "refused\n", "refused\n"] == sorted(answers)


def test_homes_are_locked_apart(tmp_path: Path) -> None:
    """A home that does not exist yet is made, and two homes know nothing of each other."""
    locks = [home.lock(tmp_path / "new" / name) for name in ("left", "right")]

    assert ["left", "right"] == sorted(path.name for path in (tmp_path / "new").iterdir())
    for lock in locks:
        lock.close()


def test_the_lock_is_not_inherited(tmp_path: Path) -> None:
    """A process that the holder starts does not keep the home locked when the holder ends."""
    lock = home.lock(tmp_path)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    lock.close()
    home.lock(tmp_path).close()
    child.communicate(b"\n")

    assert 0 == child.returncode


def test_workers_hold_the_lock_of_their_server(tmp_path: Path) -> None:
    """A server that was killed leaves the home locked as long as a worker lives; the refusal names that."""
    command = [sys.executable, "-c", SERVER, str(tmp_path)]
    with subprocess.Popen(
        command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        lines = {server.stdout.readline().strip() for _ in range(2)}
        worker = int((lines - {"signed"}).pop())
        with pytest.raises(AlreadyServing, match=f"^process {server.pid} serves .*: stop it, or set"):
            home.lock(tmp_path)

        server.kill()
        server.wait()
        with pytest.raises(AlreadyServing) as caught:
            home.lock(tmp_path)
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: is_free(tmp_path))

    assert f"has ended (process {server.pid})" in str(caught.value)
    assert f"end them by kill -9 {worker}, or set BENTOML_HOME" in str(caught.value)


def is_free(folder: Path) -> bool:
    """Return whether a home can be locked."""
    try:
        home.lock(folder).close()
    except AlreadyServing:
        return False
    return True


def test_a_home_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    """By its path and the user, in one sentence."""
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(InvalidSettings, match=f"file/home can't be written to by user {os.getuid()}"):
        home.lock(tmp_path / "file" / "home")


# ---------------------------------------------------------------------- the rights of the journal's files


def rights(folder: Path) -> dict[str, int]:
    """Return the rights of the journal's files."""
    return {path.name: path.stat().st_mode & 0o777 for path in folder.glob("journal.db*")}


def test_a_new_journal_is_its_owner_s_alone(tmp_path: Path) -> None:
    """The database and its logs hold what clients sent: other users of the machine can't read them."""
    with opened(f"sqlite:///{tmp_path / 'journal.db'}") as journal:
        record(journal, [prediction(1)])

        assert dict.fromkeys(("journal.db", "journal.db-wal", "journal.db-shm"), 0o600) == rights(tmp_path)


@pytest.mark.parametrize(("before", "after"), [(0o644, 0o600), (0o664, 0o660), (0o660, 0o660)])
def test_an_older_journal_is_tightened_at_a_start(tmp_path: Path, before: int, after: int) -> None:
    """Files of an older release lose the rights of others, also while they are open."""
    with opened(f"sqlite:///{tmp_path / 'journal.db'}") as journal:
        record(journal, [prediction(1)])
        for path in tmp_path.glob("journal.db*"):
            path.chmod(before)

        journal.migrate()

        assert [after] * 3 == list(rights(tmp_path).values())


def test_backups_are_their_owner_s_alone(tmp_path: Path) -> None:
    """A backup, and a journal that was restored from a file that all could read."""
    with opened(f"sqlite:///{tmp_path / 'journal.db'}") as journal:
        copy = tmp_path / "copy.db"
        backups.backup(journal, copy)
        assert 0o600 == copy.stat().st_mode & 0o777
        copy.chmod(0o644)

        backups.restore(journal, copy)

        assert {0o600} == set(rights(tmp_path).values())
