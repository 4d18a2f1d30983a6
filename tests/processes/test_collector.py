"""The garbage collector stands still during imports, in processes of their own, and works afterwards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import PROJECT, environment

STATE = "import gc; print(gc.isenabled(), gc.get_freeze_count() > 10_000)"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param("import prediction.service", "True True", id="server"),
        pytest.param(
            "import sys; sys.argv = ['loop', 'status', '--help']\n"
            "from contextlib import suppress\n"
            "from prediction.commands import cli\n"
            "with suppress(SystemExit): cli.main()",
            "True True",
            id="command",
        ),
        pytest.param(
            "from contextlib import suppress\n"
            "from prediction.commands import cli\n"
            "with suppress(SystemExit): cli.main(['status', '--help'])",
            "True False",
            id="called by a program, whose objects are not ours",
        ),
    ],
)
def test_the_collector_stands_still_during_imports(tmp_path: Path, code: str, expected: str) -> None:
    """What was imported is never looked at again."""
    command = [sys.executable, "-c", f"{code}\n{STATE}"]
    done = subprocess.run(
        command, cwd=PROJECT, env=environment(tmp_path), capture_output=True, text=True, check=True
    )

    assert expected == done.stdout.splitlines()[-1]
