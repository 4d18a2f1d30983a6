"""Rules of the house that import-linter can't express: names, sizes, twins, lock files, late imports."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from annotated_types import Ge, Le
from pydantic.fields import FieldInfo

from prediction.settings import Settings
from tests.servers import PROJECT, run

ROOTS = ("models_store", "prediction")
PACKAGES = {
    ".".join(path.relative_to(PROJECT).parent.parts)
    for root in ROOTS
    for path in (PROJECT / root).rglob("__init__.py")
    if path.parent.name not in ("catalog", "migrations")
}
API = {"prediction.batch": ["prediction.batch.scoring"]}
"""What a package lets people import from itself."""

MAX_LINES = 350
MAX_TEST_LINES = 2 * MAX_LINES  # a twin may be twice its module
MAX_FUNCTION_LINES = 60
MAX_MODULES = 14
MAX_POSITIONAL = 5
MAX_ARGUMENTS = 8

LATE = {
    *("sklearn", "pandas", "scipy", "skl2onnx", "onnx", "onnxruntime", "joblib", "palmerpenguins"),
    *("pyarrow", "alembic", "skops"),
}


@dataclass(frozen=True)
class Import:
    """One name that a module imports; `deferred` where importing the module does not run it."""

    name: str
    deferred: bool

    @property
    def package(self) -> str:
        """Its outermost package."""
        return self.name.partition(".")[0]


def sources(folder: Path = PROJECT) -> Iterator[Path]:
    """Walk through every Python file of the project, and not through caches and environments."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.name.startswith((".", "__")):
            yield from sources(path)
        elif path.suffix == ".py":
            yield path


def dotted(path: Path) -> str:
    """Return the name under which a file is imported."""
    parts = path.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    dotted(path): path
    for path in sources()
    if path.parent == PROJECT or path.relative_to(PROJECT).parts[0] in ROOTS
}


def unit(module: str) -> str:
    """Return the name in the table of floors: the catalog is one thing, and so are the migrations."""
    if module.startswith("models_store.catalog."):
        return "models_store.catalog"
    if module.startswith("prediction.journal.migrations"):
        return "prediction.journal.migrations"
    return module


def imports(module: str) -> list[Import]:
    """Read what a module imports; `from package import module` names the module."""
    tree = ast.parse(MODULES[module].read_text())
    found = []
    for node, deferred in _walk(tree, deferred=False):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, deferred) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: import by the whole name"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [Import(name if name in MODULES else str(node.module), deferred) for name in inner]
    return found


def _walk(tree: ast.AST, deferred: bool) -> Iterator[tuple[ast.AST, bool]]:
    for node in ast.iter_child_nodes(tree):
        later = deferred or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            later = True
        yield node, later
        yield from _walk(node, later)


def test_nothing_imports_the_root_scripts() -> None:
    """import-linter checks the packages; these two scripts are above all of them."""
    reached = {item.name for name in MODULES for item in imports(name)}

    assert set() == reached & {"service", "train"}


def test_folders_hold_few_modules() -> None:
    """A folder can be read at a glance."""
    sizes = Counter(path.parent for path in MODULES.values() if path.name != "__init__.py")

    assert {} == {folder: size for folder, size in sizes.items() if size > MAX_MODULES}


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return all functions of a file."""
    found = ast.walk(ast.parse(path.read_text()))
    return [node for node in found if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


@pytest.mark.parametrize("module", sorted(MODULES))
def test_functions_take_few_arguments(module: str) -> None:
    """Facts that travel together are one dataclass."""
    many = []
    for node in functions(MODULES[module]):
        given = node.args
        positional = [item for item in (*given.posonlyargs, *given.args) if item.arg not in ("self", "cls")]
        if len(positional) > MAX_POSITIONAL or len(positional) + len(given.kwonlyargs) > MAX_ARGUMENTS:
            many.append(node.name)

    assert not many


def test_packages_are_imported_module_by_module() -> None:
    """A package re-exports nothing of its own modules to others, so that an import says its floor."""
    found = {name: [item.name for item in imports(name)] for name in PACKAGES}
    assert {name: [] for name in PACKAGES} | API == found
    reached = {item.name for name in MODULES for item in imports(name)}
    assert set() == reached & PACKAGES


def test_only_the_edge_knows_bentomls_private_names() -> None:
    """A release of BentoML may change its private names; import-linter sees packages only."""
    private = re.compile(r"bentoml\._")
    users = {name for name in MODULES if any(private.match(item.name) for item in imports(name))}

    assert {"prediction.http.edge"} == users


@pytest.mark.parametrize(
    "module",
    [
        "models_store.spec",
        "models_store.targets.classes",
        "prediction.figures.scores",
        "prediction.figures.gate",
        "prediction.figures.drift",
    ],
)
def test_formulas_and_specs_open_nothing(module: str) -> None:
    """They call no builtin that reads a file or runs code; import-linter checks what they import."""
    calls = [
        node for node in ast.walk(ast.parse(MODULES[module].read_text())) if isinstance(node, ast.Call)
    ]

    assert set() == {"open", "exec", "eval", "__import__"} & {ast.unparse(call.func) for call in calls}


def test_a_public_class_has_a_name_of_its_own() -> None:
    """One name is one class in all of prediction/ and models_store/."""
    homes: defaultdict[str, list[str]] = defaultdict(list)
    for module, path in MODULES.items():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(module)

    assert {} == {name: modules for name, modules in homes.items() if len(modules) > 1}


def started_by_name(text: str) -> list[str]:
    """Return the modules of ours that a file starts by `-m`, and the scripts that it gives to `-c`."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.List | ast.Tuple):
            for option, value in pairwise(map(ast.unparse, node.elts)):
                is_foreign = re.match(rf"'(?!{'|'.join(ROOTS)})", value)
                if option in ("'-m'", "'-c'") and value != "__name__" and not is_foreign:
                    found.append(value)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += re.findall(r"-m ?(?:prediction|models_store)\.[a-z_.]+", node.value)
    return found


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"service", "train"}))
def test_a_module_starts_no_module_but_itself(module: str) -> None:
    """A name in a string is an import that import-linter can't see; `-m __name__` goes nowhere up."""
    assert [] == started_by_name(MODULES[module].read_text())


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("run([sys.executable, '-m', __name__, 'x'])", []),
        ("run([sys.executable, '-m', 'pip', 'check'])", []),
        ("run([sys.executable, '-m', 'prediction', 'retrain'])", ["'prediction'"]),
        ("command = (sys.executable, '-m', f'prediction.{name}')", ["f'prediction.{name}'"]),
        ("run([sys.executable, '-c', SCRIPT])", ["SCRIPT"]),
        ("run('python -m prediction.commands.cli', shell=True)", ["-m prediction.commands.cli"]),
    ],
)
def test_modules_started_by_name_are_found(code: str, expected: list[str]) -> None:
    """The check above reads commands as lists and as texts."""
    assert expected == started_by_name(code)


def test_heavy_packages_are_imported_where_they_are_used() -> None:
    """scikit-learn, pandas and the like are imported inside functions: serving needs none of them."""
    early = [
        f"{module} imports {item.name}"
        for module in MODULES
        for item in imports(module)
        if item.package in LATE and not item.deferred and ".migrations." not in module
    ]

    assert not early


IMPORT_ALL = """
import importlib, json, os, sys, threading

foreign, ours = json.loads(sys.argv[1])
for name in foreign:
    importlib.import_module(name)

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
FORBIDDEN = (
    "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate",
    "os.fork", "os.exec", "os.posix_spawn", "os.system", "subprocess.", "shutil.", "tempfile.",
    "socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "sqlite3.connect",
)
module, found = "", []

def watch(event, arguments):
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
    if writes or event.startswith(FORBIDDEN):
        found.append(f"{module}: {event} {arguments[:2]}")

sys.addaudithook(watch)
before = threading.active_count()
for module in ours:
    importlib.import_module(module)
if threading.active_count() != before:
    found.append("a thread was started")
print(json.dumps(found))
"""


def test_importing_does_no_io(tmp_path: Path) -> None:
    """Importing every module writes no file, makes no folder, and connects to or starts nothing."""
    ours = [name for name in MODULES if ".migrations." not in name]
    foreign = {
        item.name
        for name in ours
        for item in imports(name)
        if not item.deferred and item.name not in MODULES
    }
    arguments = json.dumps([sorted(foreign), ours])
    done = run("python", "-B", "-c", IMPORT_ALL, arguments, home=tmp_path / "none")

    assert done.returncode == 0, done.stderr
    assert not json.loads(done.stdout)


TWINS = {
    "train": "commands/test_train",
    "prediction.__main__": "commands/test_cli",
    "prediction.journal.tables": "journal/test_migrations",
    "models_store.targets.kinds": "test_targets",
    "prediction.batch.targets.kinds": "test_targets",
    "prediction.figures.targets.kinds": "test_targets",
    "prediction.monitoring.targets.kinds": "test_targets",
    "prediction.http.targets.kinds": "test_targets",
    "prediction.retraining.targets.kinds": "test_targets",
    "prediction.pages.targets.kinds": "test_targets",
    "prediction.pages.tables": "pages/test_reports",
    "prediction.http.open_inference.outputs": "http/open_inference/targets/test_kinds",
    "prediction.http.open_inference.description": "test_description",
    "prediction.retraining.targets.classes": "retraining/test_out_of_fold",
    "models_store.targets.said": "serving/test_predictor",
    "models_store.staging": "models_store/test_store",
    "models_store.errors": "network/test_error_answers",
    "prediction.errors": "network/test_error_answers",
}
"""Modules that are tested with the one that they are part of."""

TWINS |= {
    name: f"{name.removeprefix('prediction.').rpartition('.')[0].replace('.', '/')}/test_kinds"
    for name in MODULES
    if re.match(r"prediction\..+\.features\.|prediction\.http\.open_inference\.targets\.", name)
}


def twin(module: str) -> str:
    """Return the test file of a module."""
    *folders, stem = unit(module).removeprefix("prediction.").split(".")
    return f"tests/{TWINS.get(module, '/'.join([*folders, f'test_{stem}']))}.py"


@pytest.mark.parametrize("module", sorted(set(MODULES) - PACKAGES))
def test_every_module_has_a_twin(module: str) -> None:
    """Beside each module there is a test file of its name."""
    assert (PROJECT / twin(module)).is_file(), f"{module} needs {twin(module)}"


@pytest.mark.parametrize("path", [str(path.relative_to(PROJECT)) for path in sources()])
def test_files_and_functions_are_short(path: str) -> None:
    """A file can be read at one sitting, and a function fits a screen."""
    text = (PROJECT / path).read_text()
    long = {
        node.name: (node.end_lineno or 0) - node.lineno + 1
        for node in functions(PROJECT / path)
        if (node.end_lineno or 0) - node.lineno >= MAX_FUNCTION_LINES
    }

    assert len(text.splitlines()) <= (MAX_TEST_LINES if path.startswith("tests/") else MAX_LINES)
    assert not long


def test_texts_are_read_and_written_in_an_encoding_that_is_named() -> None:
    """Whatever the locale of the process is."""
    unnamed = [
        f"{path.name}:{node.lineno}"
        for path in (PROJECT / "prediction").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", None) in ("read_text", "write_text")
        and "encoding" not in [keyword.arg for keyword in node.keywords]
    ]

    assert [] == unnamed


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_lock_files_pin_every_package_by_hash(name: str) -> None:
    """Each package has one exact version and its hashes; no line says where packages come from."""
    lines = [
        line for line in (PROJECT / name).read_text().splitlines() if not line.lstrip().startswith("#")
    ]
    joined = re.sub(r"\\\n\s+", "", "\n".join(lines)).split("\n")
    pinned = re.compile(
        r"[A-Za-z0-9._-]+(\[[a-z0-9,._-]+\])?==\S+ ?(;[^\\]*?)?(--hash=sha256:[0-9a-f]{64} ?)+"
    )

    assert not [line for line in joined if line.strip() and not pinned.fullmatch(line)]
    assert not [line for line in lines if "://" in line or "index" in line]


def test_lock_files_hold_what_was_asked_for() -> None:
    """Every package that pyproject.toml declares is in its lock file."""
    declared = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    asked = {
        "requirements.txt": declared["project"]["dependencies"],
        "requirements-dev.txt": declared["project"]["dependencies"] + declared["dependency-groups"]["dev"],
    }
    for name, packages in asked.items():
        locked = re.findall(r"^([a-z0-9._-]+)==", (PROJECT / name).read_text(), re.MULTILINE)
        assert [] == [each for each in packages if re.split("[^a-z0-9._-]", each)[0] not in locked]


def documented(name: str, info: FieldInfo) -> tuple[str, str]:
    """Return how the table of settings must begin for a setting: its variable and its default."""
    variable = str(info.validation_alias or f"PREDICTION_{name.upper()}")
    default = str(info.default).lower() if isinstance(info.default, bool) else str(info.default)
    return variable, "unset" if info.default is None else default


def bounds(info: FieldInfo) -> str | None:
    """Return how a number's bounds must be told, None for what is no number."""
    low = next((item.ge for item in info.metadata if isinstance(item, Ge)), None)
    high = next((item.le for item in info.metadata if isinstance(item, Le)), None)
    if low is None:
        return None
    return f"{low} to {high}" if high is not None else f"{low} or more"


def test_the_table_of_settings_is_exact() -> None:
    """docs/settings.md lists every setting with its default and its bounds, in order, and no other."""
    rows = re.findall(
        r"^\| `([A-Z_]+)` \| `?([^|`]+)`? \| ([^|]+) \|",
        (PROJECT / "docs" / "settings.md").read_text(),
        re.MULTILINE,
    )
    fields = Settings.model_fields

    assert [documented(name, info) for name, info in fields.items()] == [
        (variable, default.strip()) for variable, default, _ in rows
    ]
    for info, (_, _, allowed) in zip(fields.values(), rows, strict=True):
        assert bounds(info) in (None, allowed.strip())


def test_pre_commit_runs_what_make_lint_runs() -> None:
    """Each hook is a command of `make lint` from the same environment, so nothing is downloaded."""
    repos = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = [hook for repo in repos for hook in repo["hooks"]]
    recipe = (PROJECT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]
    linted = re.findall(r"@\$\(BIN\)/(.+)", recipe)
    done = run("pre-commit", "validate-config", home=PROJECT)

    assert 0 == done.returncode, done.stdout
    assert ["local"] * len(repos) == [repo["repo"] for repo in repos]
    assert {"system"} == {hook["language"] for hook in hooks}
    entries = [hook["entry"].removeprefix(".venv/bin/").removesuffix(" --force-exclude") for hook in hooks]
    assert [command.removesuffix(" .") for command in linted] == entries


def test_units_of_time_have_one_home() -> None:
    """`prediction/times.py` names them; migrations keep their own, because they must never change."""
    named = re.compile(r"^(SECOND|MINUTE|HOUR|DAY)_US\b.*=", re.MULTILINE)
    homes = {name for name, path in MODULES.items() if named.search(path.read_text())}

    assert {"prediction.times"} == {name for name in homes if ".migrations." not in name}
