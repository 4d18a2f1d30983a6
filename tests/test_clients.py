"""`docs/clients.md`: every block does what the page says, against a real server. The pages from the lab."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from tests.documents import blocks
from tests.servers import PROJECT, Server, environment

PAGE = PROJECT / "docs" / "clients.md"
PRINTED_URL = "http://127.0.0.1:3000"


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
