"""The peers' environments: made by uv below `.cache/benchmarks/`, and made anew when their list changes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

UV = Path(sys.executable).parent / "uv"
MARK = "requirements.txt"


class CannotInstall(Exception):
    """An environment that uv could not make; the message is its last line."""


def make(folder: Path, requirements: Sequence[str], is_compiled: bool = True) -> None:
    """Make an environment of the running Python, unless it is there already.

    Parameters
    ----------
    is_compiled
        Whether every module is compiled now. It takes some seconds, in which no other start has to do it.
    """
    wanted = "\n".join([sys.version, *requirements])
    mark = folder / MARK
    if mark.exists() and mark.read_text() == wanted:
        return
    shutil.rmtree(folder, ignore_errors=True)
    _uv("venv", "--quiet", "--python", sys.executable, str(folder))
    python = str(folder / "bin" / "python")
    compiled = ["--compile-bytecode"] if is_compiled else []
    _uv("pip", "install", "--quiet", *compiled, "--python", python, *requirements)
    mark.write_text(wanted)


def frozen(folder: Path) -> list[str]:
    """Return what is installed, as `name==version`."""
    return _uv("pip", "freeze", "--python", str(folder / "bin" / "python")).split()


def _uv(*arguments: str) -> str:
    done = subprocess.run([UV, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["uv failed"]
        raise CannotInstall(lines[-1].strip())
    return done.stdout
