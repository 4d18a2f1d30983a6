"""The folder of a project: an empty catalog, and what BentoML needs to serve, build and containerize it."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from string import Template

from prediction.errors import FolderTaken

CATALOG = "catalog"
NAMES = {
    "service.txt": "service.py",
    "bentofile.yaml": "bentofile.yaml",
    "requirements.txt": "requirements.txt",
    "README.md": "README.md",
}
"""The files of `template/`, and their names in a project. A linter must not take the first one for ours."""


def make(folder: Path) -> list[Path]:
    """Make a project, and return its files. Nothing is overwritten.

    Raises
    ------
    FolderTaken
        When one of its files is there already.
    """
    paths = [folder / name for name in NAMES.values()]
    try:
        if folder.is_file():
            raise FolderTaken(f"{folder} is a file: name a folder")
        for taken in (*paths, folder / CATALOG):
            if taken.exists():
                raise FolderTaken(f"{taken} is there already, and stays: name another folder")
        (folder / CATALOG).mkdir(parents=True)
    except OSError as error:
        raise FolderTaken(f"{folder} can't be made: {error.strerror}: name another folder") from error
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", folder.resolve().name).strip("-._") or "project"
    for source, path in zip(NAMES, paths, strict=True):
        text = resources.files(__package__).joinpath("template", source).read_text(encoding="utf-8")
        with path.open("x", encoding="utf-8") as file:
            file.write(Template(text).safe_substitute(name=name))
    return paths
