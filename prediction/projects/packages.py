"""The installed code in a Bento. A project that `loop init` made has no copy of it, and no index has it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from prediction.errors import MissingPackage

OWN = "prediction-loop"
"""The name under which this project is installed."""

HASH = "--hash"
ROOT = Path(__file__).parents[2]
CODE = ("prediction", "models_store")
IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc")


def copy_to(source: Path) -> bool:
    """Copy the installed code into the source of a Bento, unless the project has brought its own.

    Returns
    -------
    bool
        Whether it was copied: the Bento then needs the packages of `pins` too.
    """
    absent = [name for name in CODE if not (source / name).is_dir()]
    for name in absent:
        shutil.copytree(ROOT / name, source / name, ignore=IGNORED)
    return bool(absent)


def pins(requirements: str) -> list[str]:
    """Return lines that pin all that the code and a project need, in the versions that are installed here.

    Parameters
    ----------
    requirements
        Those of the project. If they have hashes, they are a lock of everything, and nothing is added.

    Raises
    ------
    MissingPackage
        When one of them is not installed, or in another version.
    """
    if HASH in requirements:
        return []
    wanted = [Requirement(each) for each in metadata.requires(OWN) or []]
    own = list(_lines(requirements))
    for each in own:
        _demand(each)
    found: dict[str, str] = {}
    _collect([*wanted, *own], found)
    return [f"{name}=={version}" for name, version in sorted(found.items())]


def _lines(text: str) -> Iterator[Requirement]:
    for line in text.splitlines():
        plain = line.partition(" #")[0].strip()
        if not plain or plain.startswith(("#", "-", ".", "/")):  # options, and paths: they pin themselves
            continue
        try:
            yield Requirement(plain)
        except InvalidRequirement as error:
            raise MissingPackage(f"requirements.txt: {plain!r} is no requirement: {error}") from error


def _demand(each: Requirement) -> None:
    if each.marker is not None and not each.marker.evaluate():
        return
    remedy = "run `pip install -r requirements.txt`"
    try:
        version = metadata.version(each.name)
    except metadata.PackageNotFoundError:
        raise MissingPackage(f"requirements.txt: {each.name} is not installed here: {remedy}") from None
    if not each.specifier.contains(version, prereleases=True):
        words = f"requirements.txt: {each} is asked for, and {version} is installed here"
        raise MissingPackage(f"{words}: {remedy}")


def _collect(wanted: list[Requirement], found: dict[str, str]) -> None:
    """Add what is installed of some requirements, and of theirs."""
    waiting = [(each, "") for each in wanted]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        each, extra = waiting.pop()
        if each.marker is not None and not each.marker.evaluate({"extra": extra}):
            continue
        key = canonicalize_name(each.name), frozenset(each.extras)
        if key in seen or each.url:
            continue
        seen.add(key)
        try:
            installed = metadata.distribution(each.name)
        except metadata.PackageNotFoundError:
            continue  # another platform's
        found[key[0]] = installed.version
        deeper = [Requirement(line) for line in installed.requires or []]
        waiting += [(item, name) for item in deeper for name in ("", *each.extras)]
