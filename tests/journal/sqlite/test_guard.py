"""Real SQLite files, deleted, replaced, cut and overwritten while connections have them open."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from prediction.errors import JournalFault, JournalUnavailable
from prediction.journal import backups, predictions
from prediction.journal.database import Journal
from prediction.journal.predictions import CHUNK_ROWS, Inserter
from prediction.journal.sqlite import guard
from tests import databases, disks
from tests.databases import prediction, query

Harm = Callable[[Path], None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The journal's file, in a folder of its own."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home" / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    """A journal with more rows than fit into a page."""
    with databases.opened(f"sqlite:///{path}") as journal:
        databases.record(journal, [prediction(number) for number in range(CHUNK_ROWS)])
        yield journal


@pytest.fixture
def inserter(journal: Journal) -> Iterator[Inserter]:
    """What records predictions, with its connection open."""
    inserter = Inserter(journal)
    inserter.insert([prediction(1_000)])
    yield inserter
    inserter.close()


def ids(path: Path) -> set[str]:
    """Return the ids in a file."""
    return {each for (each,) in query(f"sqlite:///{path}", "SELECT prediction_id FROM predictions")}


def delete(path: Path) -> None:
    """Delete all three files."""
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def rename(path: Path) -> None:
    """Give the file another name."""
    path.rename(path.with_name("other.db"))


def rename_folder(path: Path) -> None:
    """Give the folder another name."""
    path.parent.rename(path.parent.with_name("elsewhere"))


def replace(path: Path) -> None:
    """Put a good copy in its place."""
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(f"{path}.copy")) as copy:
        source.backup(copy)
    Path(f"{path}.copy").replace(path)


def delete_log(path: Path) -> None:
    """Delete the log alone."""
    Path(f"{path}-wal").unlink()


def empty(path: Path) -> None:
    """Cut the file to nothing."""
    os.truncate(path, 0)


def halve(path: Path) -> None:
    """Cut half of the file off."""
    move_log(path)
    os.truncate(path, path.stat().st_size // 2)


def overwrite(path: Path) -> None:
    """Overwrite the beginning of the file."""
    move_log(path)
    overwrite_below_log(path)


def overwrite_below_log(path: Path) -> None:
    """Overwrite the beginning of the file, while new connections still find it whole in the log."""
    with path.open("r+b") as file:
        file.write(os.urandom(20 * 4096))


def empty_log(path: Path) -> None:
    """Cut the log to nothing; its rows are nowhere else."""
    os.truncate(f"{path}-wal", 0)


def move_log(path: Path) -> None:
    """Move the log's content into the file, as SQLite does itself from time to time."""
    with closing(sqlite3.connect(path)) as other:
        assert (0,) == other.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[:1]


HARMS: list[tuple[Harm, str]] = [
    (delete, "missing"),
    (rename, "missing"),
    (rename_folder, "missing"),
    (replace, "replaced"),
    (delete_log, "log"),
    (empty, "damaged"),
    (halve, "damaged"),
    (overwrite, "damaged"),
    (overwrite_below_log, "damaged"),
    (empty_log, "damaged"),
]


# SQLite would write the next rows behind the lost ones: only a look in between shows that a log was cut.
@pytest.mark.parametrize(("harm", "kind"), HARMS[:-1])
def test_nothing_is_promised_after_harm(
    journal: Journal, inserter: Inserter, path: Path, harm: Harm, kind: str
) -> None:
    """The next prediction is an error with the remedy, and so is everything else until it ends."""
    harm(path)

    with pytest.raises(JournalFault) as caught:
        inserter.insert([prediction(2_000)])
    assert journal.fault is not None
    assert kind == journal.fault.kind
    assert journal.fault.message == str(caught.value)
    assert ("loop restore" in str(caught.value)) == (kind in ("missing", "damaged"))
    assert str(path) not in str(caught.value)
    with pytest.raises(JournalFault):
        predictions.find(journal, str(prediction(1_000).prediction_id))
    with pytest.raises(JournalFault), journal.write():
        pytest.fail("nothing may be written")
    assert not list(path.parent.glob("journal.db")) or harm not in (delete, rename)


@pytest.mark.parametrize(("harm", "kind"), HARMS)
def test_harm_is_seen_without_a_request(
    journal: Journal, inserter: Inserter, path: Path, harm: Harm, kind: str
) -> None:
    """A look once a second is enough."""
    journal.watch()
    assert journal.fault is None
    harm(path)

    journal.watch()
    journal.watch()

    assert journal.fault is not None
    assert kind == journal.fault.kind


def test_a_log_that_is_deleted_during_a_look_is_not_taken_for_damage(
    journal: Journal, inserter: Inserter, path: Path
) -> None:
    """A new connection then finds a new, empty log: the file is well, and needs no backup."""
    file = path.stat()
    delete_log(path)

    assert journal._guard is not None
    with pytest.raises(JournalFault, match=r"log \(-wal\) was deleted or replaced: restart"):
        journal._guard._probe(file, guard._read_ends)

    assert journal.fault is not None
    assert "log" == journal.fault.kind


@pytest.mark.parametrize("harm", [rename, rename_folder])
def test_a_file_that_comes_back_is_used_again(
    journal: Journal, inserter: Inserter, path: Path, harm: Harm
) -> None:
    """Everything that was promised is there, and nothing that was refused."""
    harm(path)
    with pytest.raises(JournalFault) as caught:
        inserter.insert([prediction(2_000)])
    refused = caught.value
    journal.watch()
    assert journal.fault is not None
    if harm is rename:
        path.with_name("other.db").rename(path)
    else:
        path.parent.with_name("elsewhere").rename(path.parent)
    journal.watch()
    inserter.insert([prediction(3_000)])

    assert journal.fault is None
    assert {str(prediction(number).prediction_id) for number in (0, 1_000, 3_000)} <= ids(path)
    # A row that was committed before the fault was noticed is for the caller to delete.
    assert refused.committed == (str(prediction(2_000).prediction_id) in ids(path))


def test_a_journal_that_was_closed_takes_the_file_that_is_there(journal: Journal, path: Path) -> None:
    """As after a restart: a restored journal is another file."""
    backups.backup(journal, path.with_name("copy.db"))
    replace(path)
    with pytest.raises(JournalFault):
        predictions.find(journal, str(prediction(1).prediction_id))

    journal.close()

    assert predictions.find(journal, str(prediction(1).prediction_id))
    assert journal.fault is None


def vacuum(path: Path) -> None:
    """Make the file shorter, as an operator may."""
    move_log(path)
    before = path.stat().st_size
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("DELETE FROM predictions WHERE seq % 2")
        other.execute("VACUUM")
    move_log(path)
    assert path.stat().st_size < before


def cut_log(path: Path) -> None:
    """Empty the log after its content was moved, as tools for backups may."""
    with closing(sqlite3.connect(path)) as other:
        assert (0, 0, 0) == other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def write_much(path: Path) -> None:
    """Let another process write, and move the log."""
    with databases.opened(f"sqlite:///{path}") as other:
        for start in range(10_000, 14_000, 500):
            databases.record(other, [prediction(number) for number in range(start, start + 500)])
    move_log(path)


def lock(path: Path) -> None:
    """Have had the write lock."""
    with databases.locked(f"sqlite:///{path}"):
        pass


@pytest.mark.parametrize("change", [vacuum, cut_log, write_much, move_log, lock])
def test_ordinary_changes_are_no_fault(
    journal: Journal, inserter: Inserter, path: Path, change: Harm
) -> None:
    """What SQLite and its tools do to the files is not taken for damage."""
    journal.watch()
    change(path)

    inserter.insert([prediction(2_000)])
    journal.watch()

    assert journal.fault is None
    assert str(prediction(2_000).prediction_id) in ids(path)


def test_a_locked_journal_is_no_fault(journal: Journal, inserter: Inserter, path: Path) -> None:
    """Nor is one whose file is looked at while another process writes."""
    with databases.locked(f"sqlite:///{path}"):
        journal.watch()

    assert journal.fault is None


def test_a_look_leaves_no_descriptors_open(journal: Journal, inserter: Inserter) -> None:
    """However often the file is looked at; one stays, which must not be closed."""
    journal.watch()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(50):
        journal.watch()

    assert before == len(list(Path("/proc/self/fd").iterdir()))


def test_a_look_leaves_other_processes_locked_out(journal: Journal, inserter: Inserter, path: Path) -> None:
    """The system releases the locks of a process when it closes a file: SQLite's must stay."""
    with journal.write() as connection:
        connection.exec_driver_sql("DELETE FROM feedback")
        journal.watch()
        code = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
        other = subprocess.run(
            ["python3", "-c", code, str(path)], capture_output=True, text=True, check=False
        )

    assert "database is locked" in other.stderr


def test_a_full_disk_is_a_fault_until_there_is_room(tmp_path: Path) -> None:
    """Requests get their error and go on trying, and a look after there is room ends the fault."""
    folder = tmp_path / "disk"
    with disks.small(folder, "4m"), databases.opened(f"sqlite:///{folder / 'journal.db'}") as journal:
        databases.record(journal, [prediction(0)])
        journal.watch()
        assert journal.fault is None
        with disks.full(folder):
            with pytest.raises(JournalUnavailable, match="try again"):
                databases.record(journal, [prediction(number) for number in range(1, CHUNK_ROWS)])
            assert journal.fault is not None
            assert "full" == journal.fault.kind
            journal.watch()
            assert journal.fault is not None
        journal.watch()
        assert journal.fault is None
        databases.record(journal, [prediction(number) for number in range(1, CHUNK_ROWS)])


def test_a_name_with_special_characters_is_the_file_s_name(tmp_path: Path) -> None:
    """SQLite reads an address: `?`, `#` and `%` in a name must stay what they are."""
    path = tmp_path / "a?b#c%20d é.db"
    with databases.opened(f"sqlite:///{str(path).replace('?', '%3F')}") as journal:
        found = journal.file

    assert found.is_file()
    assert [found] == sorted(tmp_path.iterdir())


def test_each_fault_has_its_words() -> None:
    """Each message says what happened and what to do, and none is left over."""
    kinds = {*guard.KINDS.values(), *guard.SUSPENDING, *guard.LASTING}

    assert kinds == set(guard.MESSAGES)
    for kind in kinds:
        assert ": " in guard.FileFault(kind).message
        assert "{" not in guard.FileFault(kind).message
