"""The models that are served: one file each, found by its name. Adding a model is adding one file.

The files lie in the folder that `PREDICTION_CATALOG` names, by default in `models_store/catalog` of the
project one stands in. From any folder they are imported as `models_store.catalog.<name>`.
"""

import os
import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from inspect import signature
from pathlib import Path
from pkgutil import iter_modules

import models_store.spec
from models_store import failures
from models_store.errors import BrokenSpec, Detail, InvalidSpec, NoCatalog, UnknownModel
from models_store.spec import Spec

VARIABLE = "PREDICTION_CATALOG"
OWN = Path(__file__).parent
TRAVELLING = (".py", ".csv", ".parquet")
"""Files beside a spec that a Bento takes along."""

REMEDY = "correct the file, or remove it"

PROJECT_FILES = ("service.py", "bentofile.yaml")
"""A folder with these is a project; its catalog may be empty."""


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
            folders = [*(folder for each in (here, *here.parents) for folder in _of_project(each)), OWN]
    return next((folder for folder in folders if _names(folder) or _may_be_empty(folder)), None)


def _of_project(folder: Path) -> list[Path]:
    """Return where a folder may have its catalog: a clone of this project, or one that `loop init` made."""
    made = [folder / "catalog"] if all((folder / name).is_file() for name in PROJECT_FILES) else []
    return [folder / "models_store" / "catalog", *made]


def _may_be_empty(folder: Path) -> bool:
    """Tell whether a folder is the catalog of a project that `loop init` made."""
    return folder.is_dir() and folder in _of_project(folder.parent)[1:]


def _names(folder: Path) -> list[str]:
    """Return the names of its modules; a name that begins with _ is of a module that specs share."""
    return sorted(module.name for module in iter_modules([str(folder)]) if not module.name.startswith("_"))


# Found when this package is imported, and not when settings are read: a pickled pipeline names functions
# of `models_store.catalog.<name>`, and whoever loads it, BentoML for example, imports them from here.
FOLDER = find()
__path__ = [str(FOLDER)] if FOLDER else []


@dataclass(frozen=True)
class Broken:
    """A file of the catalog that describes no model. Its name is that of the model that it should describe.

    Parameters
    ----------
    fault
        What is wrong, in one line.
    detail
        Its faults one by one, if `Spec` has found them.
    """

    name: str
    file: Path
    line: int | None
    fault: str
    detail: tuple[Detail, ...] = ()

    @property
    def reason(self) -> str:
        """The place, the fault and the remedy, for commands and the log."""
        return f"{shorten(self.file)}{self._place}: {self.fault}: {failures.advice(self.fault, REMEDY)}"

    @property
    def told(self) -> str:
        """The fault, and what to do if that is known: for whoever has the file before them."""
        known = failures.advice(self.fault, "")
        return f"{self.fault}: {known}" if known else self.fault

    @property
    def public(self) -> str:
        """The place without folders, and the fault: for answers to clients."""
        return f"{self.file.name}{self._place}: {self.fault}"

    @property
    def _place(self) -> str:
        return f", line {self.line}" if self.line else ""


@dataclass(frozen=True)
class _Read:
    specs: dict[str, Spec]
    broken: dict[str, Broken]


def load() -> dict[str, Spec]:
    """Import every file of the folder and return its `SPEC` by name, in alphabetical order.

    Files that describe no model are left out: `broken` returns them.

    Raises
    ------
    NoCatalog
        When there is no folder of specs.
    """
    return dict(_read(_demand_folder()).specs)


def broken() -> dict[str, Broken]:
    """Return the files that describe no model, by name: one can't be imported, or has not its `SPEC`."""
    return dict(_read(_demand_folder()).broken)


def names() -> list[str]:
    """Return the name of every file, in alphabetical order, whether it describes a model or not."""
    return _names(_demand_folder())


@cache  # once a process: a file that failed is not run again
def _read(folder: Path) -> _Read:
    specs, found = {}, {}
    for name in _names(folder):
        try:
            specs[name] = _import(name)
        except _Unusable as error:
            found[name] = Broken(name, file(name), error.line, str(error), error.detail)
    return _Read(specs, found)


def _demand_folder() -> Path:
    folder = demand_own_folder()
    if not _names(folder):
        named = f"{VARIABLE}: " if os.environ.get(VARIABLE) else ""
        remedy = "write one by `loop new`, or name a folder with a file for each model"
        raise NoCatalog(f"{named}{folder} holds no spec: {remedy}")
    return folder


def demand_own_folder() -> Path:
    """Return the folder of the specs, which may hold none.

    Raises
    ------
    NoCatalog
        When there is none.
    """
    if FOLDER is None or not FOLDER.is_dir():
        raise NoCatalog(
            f"no catalog here: go to the folder of a project, or set {VARIABLE} to a folder of specs"
        )
    return FOLDER


class _Unusable(Exception):
    """What is wrong with a file, in which line if that is known, and part by part if it is a spec."""

    def __init__(self, fault: str, line: int | None = None, detail: Iterable[Detail] = ()) -> None:
        super().__init__(fault)
        self.line = line
        self.detail = tuple(detail)


def _import(name: str) -> Spec:
    if file(name).is_symlink() and not file(name).exists():
        raise _Unusable("it is a link to a file that is missing")
    try:
        spec = getattr(import_module(f"{__name__}.{name}"), "SPEC", None)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # SystemExit too: other models must go on, whatever a file does
        fault = failures.words(error) + _signature(error)
        detail = error.detail if isinstance(error, InvalidSpec) else ()
        raise _Unusable(fault, failures.line(error, str(file(name))), detail) from error
    if not isinstance(spec, Spec):
        raise _Unusable(f"it must define SPEC = Spec(name={name!r}, ...)")
    if spec.name != name:
        taken = f", which is the name of {spec.name}.py" if spec.name in _names(_demand_folder()) else ""
        raise _Unusable(f"its SPEC has the name {spec.name!r}{taken}: give it the file's name, {name!r}")
    return spec


def _signature(error: BaseException) -> str:
    """Say which arguments `Spec`, `number` and the like take, if the error is about these."""
    called = re.match(r"(\w+)(?:\.__init__)?\(\) (?:missing|got|takes) ", str(error))
    function = getattr(models_store.spec, called[1], None) if called else None
    if called is None or function is None or not isinstance(error, TypeError):
        return ""
    made = function.__init__ if isinstance(function, type) else function  # type: ignore[misc]
    taken = [name for name in signature(made).parameters if name != "self"]
    return f": {called[1]}() takes {', '.join(taken)}"


def file(name: str) -> Path:
    """Return a spec's file; it may be a package."""
    folder = Path(__path__[0])
    package = folder / name / "__init__.py"
    return package if package.is_file() else folder / f"{name}.py"


def shorten(path: Path) -> Path:
    """Return a path relative to the working folder if it lies below it."""
    with suppress(ValueError, FileNotFoundError):
        return path.relative_to(Path.cwd())
    return path


def select(names: Iterable[str]) -> list[Spec]:
    """Return the named specs, or all of them when none is named.

    Raises
    ------
    BrokenSpec
        When the file of a named one is broken; the message says where and how.
    UnknownModel
        With the known names.
    """
    specs, unusable = load(), broken()
    names = list(names)
    for name in names:
        demand(name)
        if name in unusable:
            raise BrokenSpec(unusable[name].reason)
    return [specs[name] for name in names or specs]


def demand(name: str, others: Iterable[str] = ()) -> None:
    """Check that the catalog has a file of that name, broken or not, or that `others` have it.

    Raises
    ------
    UnknownModel
        With the known names.
    """
    known = names()
    if name not in known and name not in others:
        raise UnknownModel(f"there is no model {name!r}: the models are {', '.join(known)}")


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
