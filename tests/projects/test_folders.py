"""The folder that `loop init` makes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from prediction.errors import FolderTaken
from prediction.projects import folders
from tests.servers import PROJECT


def test_a_project_has_an_empty_catalog_and_what_bentoml_needs(tmp_path: Path) -> None:
    """Its service is the one of this project, its README has ten lines."""
    made = folders.make(tmp_path / "my shop")

    names = ["service.py", "bentofile.yaml", "requirements.txt", "README.md"]
    assert names == [path.name for path in made]
    assert [] == list((tmp_path / "my shop" / "catalog").iterdir())
    readme = (tmp_path / "my shop" / "README.md").read_text()
    assert readme.startswith("# my-shop\n")
    assert len(readme.splitlines()) <= 10
    code = (tmp_path / "my shop" / "service.py").read_text().partition('"""\n')[2]
    assert (PROJECT / "service.py").read_text().partition('"""\n')[2] == code
    build = yaml.safe_load((tmp_path / "my shop" / "bentofile.yaml").read_text())
    assert {"project": "my-shop"} == build["labels"]


def test_a_folder_that_exists_is_taken_if_nothing_is_overwritten(tmp_path: Path) -> None:
    """A catalog that is there already may be somebody's."""
    (tmp_path / "notes.txt").write_text("mine")

    folders.make(tmp_path)

    assert "mine" == (tmp_path / "notes.txt").read_text()
    with pytest.raises(FolderTaken, match=r"service.py is there already, and stays: name another folder"):
        folders.make(tmp_path)
    with pytest.raises(FolderTaken, match=r"notes.txt is a file: name a folder"):
        folders.make(tmp_path / "notes.txt")


def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    """With the reason, whatever it is."""
    (tmp_path / "file").touch()
    for folder, reason in (
        (tmp_path / "file" / "shop", "Not a directory"),
        (tmp_path / ("a" * 300), "too long"),
    ):
        with pytest.raises(FolderTaken, match=rf"can't be made: .*{reason}: name another folder"):
            folders.make(folder)
