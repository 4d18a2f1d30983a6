"""The process that reads a model from elsewhere: this module started as a script, with limits of its own.

It gets no settings, no tokens and no rows but those of the dataset. Whatever it does, it ends.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models_store import catalog, failures
from models_store.errors import Error, InvalidModel
from prediction.imports import examining
from prediction.imports.examining import RESULT, Examination
from prediction.imports.mlflow_folders import SignedColumn

PROJECT = Path(__file__).parents[2]
ORDER = "order.json"
MAX_RESULT_BYTES = 16 << 20
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
"""Of the environment; all else may hold secrets."""


@dataclass(frozen=True)
class ProcessLimits:
    """How long a file may be read, and in how much memory."""

    seconds: float = 900
    memory_bytes: int = 4 << 30
    file_bytes: int = 2 << 30


def read(task: Examination, model: str | None, limits: ProcessLimits) -> dict[str, Any]:
    """Examine a model in a process of its own.

    Parameters
    ----------
    model
        The spec to compare it with; None to describe it only.

    Raises
    ------
    InvalidModel
        When it can't be read, does not match the spec, or exceeds the limits.
    """
    order = asdict(task) | {"folder": str(task.folder), "model": model, "limits": asdict(limits)}
    order["columns"] = {name: list(values) for name, values in task.columns.items()}
    (task.folder / ORDER).write_text(json.dumps(order), encoding="utf-8")
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    kept |= {catalog.VARIABLE: str(catalog.FOLDER), "PYTHONDONTWRITEBYTECODE": "1"}
    kept |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")  # each thread reserves memory
    with (task.folder / "said").open("wb") as said:
        process = subprocess.Popen(  # noqa: S603 -- this module, with a folder that we made
            [sys.executable, "-m", __name__, str(task.folder)],
            cwd=PROJECT,
            env=kept,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            code = process.wait(limits.seconds)
        except subprocess.TimeoutExpired as error:
            raise InvalidModel(f"it can't be read in {limits.seconds:g} seconds") from error
        finally:
            _end(process)
    return _result(task.folder / RESULT, code)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and all that it has started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _result(path: Path, code: int) -> dict[str, Any]:
    if code < 0:
        raise InvalidModel(
            f"its process ended by {signal.Signals(-code).name}: the file is damaged, or hostile"
        )
    try:
        if path.is_symlink() or path.stat().st_size > MAX_RESULT_BYTES:
            raise InvalidModel("it says too much of itself")
        found: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidModel(f"its process ended with the exit code {code}, and said nothing") from error
    faults = found["faults"]
    if len(faults) == 1:
        raise InvalidModel(faults[0])
    if faults:
        numbered = [f"({number}) {fault}" for number, fault in enumerate(faults, start=1)]
        raise InvalidModel(f"{len(faults)} faults: {'; '.join(numbered)}")
    return found


def main(arguments: list[str]) -> int:
    """Examine what the order in a folder names, and write the result beside it."""
    folder = Path(arguments[0])
    order = json.loads((folder / ORDER).read_bytes())
    limits, model = ProcessLimits(**order.pop("limits")), order.pop("model")
    _limit(limits)
    signature = order.pop("signature")
    columns = None if signature is None else [SignedColumn(**each) for each in signature]
    task = Examination(**order | {"folder": folder, "signature": columns})
    try:
        spec = catalog.select([model])[0] if model else None
        found = examining.examine(task, spec)
    except MemoryError:
        found = {"faults": [f"it needs more than {limits.memory_bytes / (1 << 30):g} GiB of memory"]}
    except Error as error:
        found = {"faults": [str(error)]}
    except Exception as error:
        found = {"faults": [failures.words(error)]}
    examining.write(folder, found)
    return 0


def _limit(limits: ProcessLimits) -> None:
    """Limit memory, time and files of this process; the limits can't be raised again."""
    seconds = int(limits.seconds) + 1
    for kind, most in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
