"""Packages of the extra `boosting`: a Bento has those that its specs import."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from packaging.utils import canonicalize_name

from prediction.errors import MissingPackage

BOOSTING = ("lightgbm", "xgboost")
"""The modules of the extra."""

HASH = "--hash"

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*", re.MULTILINE)


def imported(folder: Path) -> dict[str, str]:
    """Return which modules of the extra the files of a folder import, each with the name of one file."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*.py")):
        with suppress(SyntaxError):  # it is no spec
            for name in _modules(ast.parse(path.read_bytes())):
                if name in BOOSTING:
                    found.setdefault(name, path.name)
    return found


def _modules(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name.partition(".")[0] for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def lacking(requirements: str, folder: Path) -> list[str]:
    """Return the packages that the specs of a folder import and requirements do not name.

    Raises
    ------
    MissingPackage
        When one is not installed here, or can't be added: beside hashes each line needs one.
    """
    named = {canonicalize_name(name) for name in _NAME.findall(requirements)}
    installed = metadata.packages_distributions()
    found: list[str] = []
    for module, file in imported(folder).items():
        names = [canonicalize_name(name) for name in installed.get(module, [])]
        if not names:
            remedy = "run `pip install 'prediction-loop[boosting]'`"
            raise MissingPackage(f"{file} imports {module}, which is not installed here: {remedy}")
        if named.intersection(names):
            continue
        if HASH in requirements:
            remedy = "add it to `dependencies` of pyproject.toml, and run `make lock` and `make install`"
            raise MissingPackage(
                f"{file} imports {module}, and requirements.txt does not lock it: {remedy}"
            )
        found.append(names[0])
    return found
