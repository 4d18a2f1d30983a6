"""Threads of OpenMP sleep while they wait, in commands and in retrainings."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from prediction.processes import openmp
from tests.servers import run

SHOWN = """
import json, os, sys
from prediction.commands import cli
libraries = {name for name in ("sklearn", "onnxruntime") if name in sys.modules}
cli.main(["init", sys.argv[1]])
print(json.dumps([os.environ["OMP_WAIT_POLICY"], sorted(libraries)]))
"""


def test_what_the_user_says_stays() -> None:
    """The variable is OpenMP's own."""
    said, unsaid = {openmp.VARIABLE: "active"}, dict[str, str]()
    openmp.wait_asleep(said)
    openmp.wait_asleep(unsaid)

    assert ({"OMP_WAIT_POLICY": "active"}, {"OMP_WAIT_POLICY": "passive"}) == (said, unsaid)


def test_a_command_says_it_before_openmp_is_loaded(tmp_path: Path) -> None:
    """It is read when a library that uses OpenMP is loaded."""
    done = run(sys.executable, "-c", SHOWN, str(tmp_path / "shop"), home=tmp_path)

    assert 0 == done.returncode, done.stderr
    assert ["passive", []] == json.loads(done.stdout.splitlines()[-1])
