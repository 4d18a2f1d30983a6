"""The installed code in a Bento. A project that `loop init` made has no copy of it, and no index has it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from prediction.errors import MissingPackage
from prediction.projects import extras

OWN = "prediction-loop"
"""The name under which this project is installed."""

WHEELS = "wheels"
"""The folder of a project for packages that no index has."""

OTHER_LISTS = ("-r", "--requirement", "-c", "--constraint")
PATHS = (".", "/", "file:", "-e", "--editable")
LINKS = ("git+", "http:", "https:")
ROOT = Path(__file__).parents[2]
CODE = ("prediction", "models_store")
SPECS = Path("models_store", "catalog")
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


def pins(requirements: str, source: Path) -> list[str]:
    """Return lines that pin all that the code and a project need, in the versions that are installed here.

    Parameters
    ----------
    requirements
        Those of the project. If they have hashes, they are a lock of everything, and nothing is added.
    source
        The source of the Bento: wheels that are named must be in it. What its specs import of the extra
        `boosting` is pinned too.

    Raises
    ------
    MissingPackage
        When one of them is not installed, or in another version, or can't get into the Bento.
    """
    imported = extras.lacking(requirements, source / SPECS)
    if extras.HASH in requirements:
        return []
    wanted = [Requirement(each) for each in metadata.requires(OWN) or []]
    own = [*_lines(requirements, source), *map(Requirement, imported)]
    for each in own:
        _demand(each)
    found: dict[str, str] = {}
    _collect([*wanted, *own], found)
    return [f"{name}=={version}" for name, version in sorted(found.items())]


def _lines(text: str, source: Path) -> Iterator[Requirement]:
    for line in text.splitlines():
        plain = line.partition(" #")[0].strip()
        if plain.startswith(OTHER_LISTS):
            raise MissingPackage(
                f"requirements.txt: {plain!r} is not in the Bento: copy the lines of that file"
            )
        if plain.startswith(PATHS):
            yield _of_wheel(plain, source)
        elif plain and not plain.startswith(("#", "-", *LINKS)):  # options; and links, which pin themselves
            yield _parsed(plain)


def _parsed(line: str) -> Requirement:
    try:
        return Requirement(line)
    except InvalidRequirement as error:
        reason = str(error).splitlines()[0]
        raise MissingPackage(f"requirements.txt: {line!r} is no requirement: {reason}") from error


def _of_wheel(line: str, source: Path) -> Requirement:
    """Return what a wheel is. It must be in the Bento: an image has no other file of this machine."""
    place = Path(line)
    if place.parts[:-1] != (WHEELS,):
        remedy = f"run `pip wheel --no-deps --wheel-dir {WHEELS} FOLDER`, and write ./{WHEELS}/NAME.whl"
        raise MissingPackage(f"requirements.txt: {line!r} can't get into the Bento: {remedy}")
    try:
        name, version, *_ = parse_wheel_filename(place.name)
    except InvalidWheelFilename as error:
        raise MissingPackage(f"requirements.txt: {line!r} is no wheel: {error}") from error
    if not (source / place).is_file():
        remedy = f"put it there, and /{WHEELS}/*.whl into `include` of bentofile.yaml"
        raise MissingPackage(f"requirements.txt: {line} is not in the Bento: {remedy}")
    return Requirement(f"{name}=={version}")


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
