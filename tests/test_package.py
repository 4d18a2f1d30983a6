"""The package as `pip install .` makes it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tests.servers import PROJECT, run


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel holds. The build downloads nothing: uv is its own build backend."""
    folder = tmp_path_factory.mktemp("package")
    done = run("uv", "build", "--wheel", "--offline", "--out-dir", str(folder), home=folder / "home")
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


def files(root: Path, package: str) -> set[str]:
    """Return the files of a package that git keeps."""
    found = (path for path in (root / package).rglob("*") if path.is_file())
    return {str(path.relative_to(root)) for path in found if "__pycache__" not in path.parts}


def test_it_holds_all_files_of_the_code_and_no_spec(installed: Path) -> None:
    """Templates, migrations, pages, the image's files and the types' markers; specs belong to a project."""
    for package in ("prediction", "models_store"):
        specs = {name for name in files(PROJECT, package) if name.startswith("models_store/catalog/")}
        wanted = files(PROJECT, package) - specs | ({"models_store/catalog/__init__.py"} & specs)

        assert wanted == files(installed, package)
        assert f"{package}/py.typed" in wanted


def test_it_declares_the_command_its_pythons_and_its_packages(installed: Path) -> None:
    """As pyproject.toml does."""
    (info,) = installed.glob("*.dist-info")
    metadata = (info / "METADATA").read_text()

    assert "loop = prediction.commands.cli:main" in (info / "entry_points.txt").read_text()
    assert "Requires-Python: >=3.11, <3.14\n" in metadata
    assert "Requires-Dist: bentoml==1.4.39\n" in metadata


@pytest.mark.parametrize("command", ["train", "serve", "status"])
def test_in_a_folder_without_a_catalog_it_says_so(command: str, installed: Path, tmp_path: Path) -> None:
    """And serves no model of ours."""
    code = "import sys; from prediction.commands import cli; sys.exit(cli.main())"
    code = f"import sys; sys.path.insert(0, {str(installed)!r}); {code}"
    done = run("python", "-c", code, command, home=tmp_path / "home", cwd=tmp_path)

    assert (1, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith(
        f"loop {command}: no catalog here: go to the folder of a project, or set "
    )
