"""The file of a version that holds its fitted pipeline: a pickle, or skops if it came from elsewhere.

The caller has checked the digests.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from models_store.errors import DamagedVersion
from models_store.imported import archives, trusted

PICKLE = "saved_model.pkl"  # the name that `bentoml.sklearn.load_model` reads
SKOPS = "model.skops"


def served(files: Collection[str]) -> str | None:
    """Return the one of some files that holds a pipeline; a model that was only compiled has none."""
    return next((name for name in (PICKLE, SKOPS) if name in files), None)


def load(folder: Path, files: Collection[str]) -> Any:
    """Load the pipeline among the files of a version's manifest.

    Raises
    ------
    DamagedVersion
        When there is none.
    """
    name = served(files)
    if name is None:
        raise DamagedVersion(f"{folder.parent.name}:{folder.name} has no pipeline: only its graph is kept")
    if name == SKOPS:
        return archives.load(folder / name, trusted.KEPT)
    import joblib

    return joblib.load(folder / name)
