"""`docs/clients.md`: every block does what the page says, against a real server. The pages from the lab."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from tests.documents import blocks
from tests.servers import PROJECT, Server, environment

PAGE = PROJECT / "docs" / "clients.md"
PRINTED_URL = "http://127.0.0.1:3000"

needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")


def run_script(server: Server, folder: Path, *command: str, script: str) -> str:
    """Run a script of the page on the server's port, with its temporary folders in `folder`."""
    variables = environment(server.home)
    variables |= {"PYTHONPATH": os.fspath(PROJECT), "PYTHONWARNINGS": "ignore", "TMPDIR": os.fspath(folder)}
    done = subprocess.run(
        [*command, script.replace(PRINTED_URL, server.url)],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


def test_shell_blocks_score_a_file_here_and_by_a_server(server: Server, tmp_path: Path) -> None:
    """curl answers, and both commands write all rows with the same classes."""
    script = "\n".join(blocks(PAGE, "sh"))
    printed = run_script(server, tmp_path, "bash", "-euo", "pipefail", "-c", script=script)
    (folder,) = [path for path in tmp_path.iterdir() if path.is_dir()]
    here, there = pd.read_parquet(folder / "scored.parquet"), pd.read_csv(folder / "scored.csv")

    assert '"predicted_class":"Gentoo"' in printed
    assert 2 == printed.count("344 in")
    assert 344 == len(here)
    assert here["predicted_class"].tolist() == there["predicted_class"].tolist()
    assert here["who"].tolist() == there["who"].astype(str).tolist()


def test_python_blocks_print_what_the_page_promises(server: Server, tmp_path: Path) -> None:
    """Each client predicts; the answer to a bad row names its fields."""
    here = [block for block in blocks(PAGE, "python") if "tritonclient" not in block]
    sync, many, plain, batch = (
        run_script(server, tmp_path, "python", "-c", script=block) for block in here
    )

    assert "setosa" in sync
    assert "recorded" in sync
    assert "Gentoo" in many
    assert "['sepal_length_cm'] must be a number from" in plain
    assert "['petal_width_cm'] is required" in plain
    assert "one of Biscoe, Dream, Torgersen" in batch
    assert "1 1 {'" in batch


@pytest.fixture(scope="module")
def typescript(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page's packages, and with the types that it makes of the server's description."""
    folder = tmp_path_factory.mktemp("typescript")
    shutil.copytree(PROJECT / "tests" / "typescript", folder, dirs_exist_ok=True)
    run_program(folder, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
    (commands,) = [block for block in blocks(PAGE, "text") if "npx " in block]
    make_types = commands.splitlines()[-1].replace(PRINTED_URL, server.url)
    run_program(folder, *make_types.removeprefix("npx ").split())
    return folder


def run_program(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of Node.js, or of the folder's packages; it must succeed."""
    path = f"{folder / 'node_modules' / '.bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [program, *arguments],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return done


@needs_npm
def test_the_typescript_client_is_compiled_and_runs(server: Server, typescript: Path) -> None:
    """It predicts, labels, and names what is wrong with a row."""
    (script,) = blocks(PAGE, "ts")
    (typescript / "client.ts").write_text(script.replace(PRINTED_URL, server.url), encoding="utf-8")
    run_program(typescript, "tsc")
    printed = run_program(typescript, "node", "client.js").stdout.splitlines()

    assert printed[0].startswith("Gentoo 0.9")
    assert ["recorded", "400 flipper_length_mm must be a number from 100 to 300 mm or null"] == printed[1:]


@needs_npm
def test_the_compiler_knows_the_service(typescript: Path) -> None:
    """A feature, a field, a class and a route that do not exist are errors before anything runs."""
    (script,) = blocks(PAGE, "ts")
    script += 'await client.POST("/penguins/feed", { body: {} });\n'
    for right, wrong in [
        ("flipper_length_mm: 217", "flipper_mm: 217"),
        ("answer.predicted_class", "answer.predicted_value"),
        ('label: "Gentoo"', 'label: "Emperor"'),
    ]:
        assert right in script
        script = script.replace(right, wrong)
    (typescript / "client.ts").write_text(script, encoding="utf-8")

    with pytest.raises(AssertionError) as caught:
        run_program(typescript, "tsc", "--noEmit")
    numbers = {int(each) for each in re.findall(r"client\.ts\((\d+),\d+\): error TS", str(caught.value))}
    lines = [script.splitlines()[number - 1] for number in sorted(numbers)]

    assert 4 == len(lines), lines
    for line, wrong in zip(lines, ("flipper_mm", "predicted_value", "Emperor", "/feed"), strict=True):
        assert wrong in line


def test_the_page_names_the_packages_that_are_tested() -> None:
    """The versions on the page are those of the lock."""
    wanted = json.loads((PROJECT / "tests" / "typescript" / "package.json").read_text(encoding="utf-8"))
    packages = wanted["dependencies"] | wanted["devDependencies"]

    assert packages == dict(re.findall(r" ([a-z-]+)@([\d.]+)", PAGE.read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", ["from-the-lab.md", "du-tp.md"])
def test_the_pages_from_the_lab_name_files_that_are_there(name: str) -> None:
    """Every path of the second column exists, and both languages have the same rows."""
    page, other = ((PROJECT / "docs" / each).read_text() for each in (name, "from-the-lab.md"))
    named = [re.findall(r"`([\w/.]+)`", row.split("|")[2]) for row in page.splitlines() if row[:3] == "| `"]

    assert [] == [path for row in named for path in row if not (PROJECT / path).exists()]
    assert column(other, 2) == column(page, 2)
    assert 14 + 2 == len(column(page, 2))


def column(page: str, number: int) -> list[str]:
    """Return a column of a page's table; of its head, nothing that a translation changes."""
    rows = [row.split("|") for row in page.splitlines() if row.startswith("|")]
    return ["", "", *(row[number].strip() for row in rows[2:])]
