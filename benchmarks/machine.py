"""The machine that is measured on: its cores and who gets which, its name and versions."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import psutil

PACKAGES = (
    "bentoml",
    "scikit-learn",
    "onnxruntime",
    "pydantic",
    "starlette",
    "uvicorn",
    "uvloop",
    "httptools",
    "sqlalchemy",
    "numpy",
    "pandas",
)


def cores() -> tuple[int, int]:
    """Return the core of the load generator, and that of the server with all its processes.

    They are the same where there is but one.
    """
    if not hasattr(os, "sched_getaffinity"):
        return 0, 0
    ours = sorted(os.sched_getaffinity(0))
    return ours[0], ours[-1]


def pin(core: int) -> None:
    """Keep this process, and those it starts, on one core, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


def describe() -> dict[str, str | int | bool]:
    """Return what the figures depend on."""
    generator, server = cores()
    return {
        "processor": _processor(),
        "cores": psutil.cpu_count() or 1,
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "pinned": generator != server,
    }


def versions() -> dict[str, str]:
    """Return the versions of the project's own environment."""
    return {name: version(name) for name in PACKAGES}


def cpu_seconds() -> float:
    """Return the processor time that everything on the machine has used, or was denied."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
