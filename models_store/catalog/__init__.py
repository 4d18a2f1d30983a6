"""The models that are served: one file each, found by its name. Adding a model is adding one file.

The files lie in the folder that `PREDICTION_CATALOG` names, by default in `models_store/catalog` of the
project one stands in. From any folder they are imported as `models_store.catalog.<name>`.
"""

import os
import shutil
import traceback
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from models_store.errors import Error, InvalidSpec, NoCatalog, UnknownModel
from models_store.spec import Spec

VARIABLE = "PREDICTION_CATALOG"
OWN = Path(__file__).parent
TRAVELLING = (".py", ".csv", ".parquet")
"""Files beside a spec that a Bento takes along."""


def find() -> Path | None:
    """Return the folder of the specs, None where there is none.

    Inside a Bento it is the Bento's own, wherever the server is started.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    folders = [OWN]
    if not (OWN / "../../../bento.yaml").is_file():
        with suppress(FileNotFoundError):  # the working folder is deleted
            here = Path.cwd()
            folders = [*(each / "models_store" / "catalog" for each in (here, *here.parents)), OWN]
    return next((folder for folder in folders if _names(folder)), None)


def _names(folder: Path) -> list[str]:
    return sorted(module.name for module in iter_modules([str(folder)]))


# Found when this package is imported, and not when settings are read: a pickled pipeline names functions
# of `models_store.catalog.<name>`, and whoever loads it, BentoML for example, imports them from here.
FOLDER = find()
__path__ = [str(FOLDER)] if FOLDER else []


def load() -> dict[str, Spec]:
    """Import every file of the folder and return its `SPEC` by name, in alphabetical order.

    Raises
    ------
    NoCatalog
        When there is no folder of specs.
    InvalidSpec
        When a file can't be imported, has no `SPEC`, or its name is not the spec's.
    """
    specs = {}
    for name in _demand_names():
        spec = getattr(_import(name), "SPEC", None)
        if not isinstance(spec, Spec) or spec.name != name:
            raise InvalidSpec(f"{_path(name)} must define SPEC = Spec(name={name!r}, ...)")
        specs[spec.name] = spec
    return specs


def _demand_names() -> list[str]:
    if FOLDER is None:
        raise NoCatalog(
            f"no catalog here: go to the folder of a project, or set {VARIABLE} to a folder of specs"
        )
    names = _names(FOLDER)
    if not names:
        raise NoCatalog(f"{VARIABLE}: {FOLDER} holds no spec: name a folder with a file for each model")
    return names


def _import(name: str) -> Any:
    try:
        return import_module(f"{__name__}.{name}")
    except Exception as error:
        words = str(error) if isinstance(error, Error) else f"{type(error).__name__}: {error}"
        raise InvalidSpec(f"{_path(name)}{_line(name, error)}: {words}") from error


def _path(name: str) -> Path:
    """Return a spec's file, short if it lies below the working folder."""
    path = Path(__path__[0]) / f"{name}.py"
    with suppress(ValueError, FileNotFoundError):
        return path.relative_to(Path.cwd())
    return path


def _line(name: str, error: Exception) -> str:
    """Say in which line of a spec's file an error was raised, if in any."""
    file = str(Path(__path__[0]) / f"{name}.py")
    if isinstance(error, SyntaxError):
        return f", line {error.lineno}" if error.filename == file else ""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f", line {lines[-1]}" if lines else ""


def select(names: Iterable[str]) -> list[Spec]:
    """Return the named specs, or all of them when none is named.

    Raises
    ------
    UnknownModel
        With the known names.
    """
    specs = load()
    names = list(names)
    for name in names:
        if name not in specs:
            raise UnknownModel(f"there is no model {name!r}: the models are {', '.join(specs)}")
    return [specs[name] for name in names or specs]


def copy_to(target: Path) -> None:
    """Replace the specs in another copy of this package by those of the folder and the data beside them."""
    for path in target.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != "__init__.py":
            path.unlink()
    shutil.copytree(__path__[0], target, ignore=_staying, dirs_exist_ok=True)


def _staying(folder: str, names: list[str]) -> list[str]:
    """Choose what is not copied: hidden folders, caches, other kinds of files, and this very file."""
    staying = {"__pycache__", "__init__.py"} if folder == __path__[0] else {"__pycache__"}
    return [
        name
        for name in names
        if name in staying
        or name.startswith(".")
        or not ((Path(folder) / name).is_dir() or name.endswith(TRAVELLING))
    ]
