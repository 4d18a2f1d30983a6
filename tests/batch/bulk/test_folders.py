"""Local folders of runs: what faults of the disk say, and what a killed process leaves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from models_store.errors import InvalidInput
from prediction.batch.bulk import folders
from prediction.batch.bulk.folders import DRAFTS, Folder
from tests import disks

KILLED = """
import os, signal, sys
from pathlib import Path
from prediction.batch.bulk.folders import Folder

with Folder(Path(sys.argv[1])).drafts() as folder:
    (folder / "part").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_drafts_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    """Those of a living one stay."""
    place = Folder(tmp_path)
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert 1 == len(list((tmp_path / DRAFTS).glob("*/part")))

    with place.drafts() as mine:
        (mine / "part").write_bytes(b"mine")
        place.clean()
        assert [mine] == [path for path in (tmp_path / DRAFTS).iterdir() if path.is_dir()]
        place.put("part", mine / "part")
    assert b"mine" == place.read("part")
    assert [] == list((tmp_path / DRAFTS).iterdir())


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    """The file that was there is as it was."""
    disk = tmp_path / "disk"
    with disks.small(disk, "1m"):
        place = Folder(disk / "out")
        with place.drafts() as mine:
            (mine / "part").write_bytes(b"first")
            place.put("part", mine / "part")
        message = "can't be written: No space left"
        with disks.full(disk), pytest.raises(InvalidInput, match=message), place.drafts() as mine:
            (mine / "part").write_bytes(b"x" * 100_000)
        assert b"first" == place.read("part")
        assert [] == list((disk / "out" / DRAFTS).iterdir())


def test_what_is_no_folder_is_one_sentence(tmp_path: Path) -> None:
    """Reading and writing say so alike."""
    (tmp_path / "file").touch()
    place = Folder(tmp_path / "file")

    with pytest.raises(InvalidInput, match=r"file can't be written: Not a directory"), place.drafts():
        pass
    for call in (lambda: place.walk(1), lambda: place.read("a")):
        with pytest.raises(InvalidInput, match=r"file can't be read: Not a directory"):
            call()


def test_a_walk_ends_at_its_depth(tmp_path: Path) -> None:
    """None is any depth."""
    for name in ("a", "b/c", "b/d/e"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"12")

    for depth, found in ((1, {"a"}), (2, {"a", "b/c"}), (None, {"a", "b/c", "b/d/e"})):
        assert found == {each.name for each in Folder(tmp_path).walk(depth)}


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    """Links to folders are followed, but not into a folder that is above them."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").touch()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "loop").symlink_to(tmp_path)

    assert {"data/a", "link/a"} == {each.name for each in Folder(tmp_path).walk(None)}


def test_folders_that_lead_to_each_other_end(tmp_path: Path) -> None:
    """A link into a folder by which it was reached is not followed."""
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rows").touch()
        (tmp_path / name / "to").symlink_to(tmp_path / other)

    expected = {"a/rows", "a/to/rows", "b/rows", "b/to/rows"}
    assert expected == {each.name for each in Folder(tmp_path).walk(None)}


def test_an_etag_changes_with_the_time_of_the_last_change(tmp_path: Path) -> None:
    """Sizes alone would not do."""
    (tmp_path / "a").write_bytes(b"12")
    before = Folder(tmp_path).stat("a")
    os.utime(tmp_path / "a", ns=(5, 5))

    assert before != Folder(tmp_path).stat("a")
    assert folders.Listed("a", 2, "5") == Folder(tmp_path).stat("a")
    assert Folder(tmp_path).stat("b") is None
