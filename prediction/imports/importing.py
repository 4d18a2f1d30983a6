"""Bringing in a model: read in a process of its own, then judged and promoted as a training is."""

from __future__ import annotations

import getpass
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models_store.errors import InvalidModel, InvalidSpec
from models_store.spec import Spec
from prediction.imports import candidates, examining, reading
from prediction.imports.candidates import Found
from prediction.imports.examining import Examination
from prediction.imports.files import ModelFile
from prediction.imports.reading import ProcessLimits
from prediction.retraining.datasets import Dataset
from prediction.retraining.training import Candidate
from prediction.retraining.trainings import CandidateSource
from prediction.times import iso, now_us

BY = "import"
LIMITS = ProcessLimits()


@dataclass(frozen=True)
class Importing:
    """A model to bring in.

    Parameters
    ----------
    folder
        An empty folder for the reading process; the caller removes it.
    """

    spec: Spec
    file: ModelFile
    folder: Path
    limits: ProcessLimits = LIMITS

    def source(self) -> CandidateSource:
        """Copy the file, and return the source of its candidate: nothing is known of its recipe."""
        digest = self.file.copy_to(self.folder / examining.MODEL)
        origin = {
            "file": self.file.name,
            "format": self.file.format,
            "sha256": digest,
            "libraries": self.file.libraries,
            "by": _who(),
            "at": iso(now_us()),
        }
        reason = f"imported {self.file.name} ({self.file.format}, sha256 {digest[:12]})"
        return CandidateSource(
            lambda dataset, report: self._make(dataset, report, origin), lambda: None, BY, reason
        )

    def _make(self, dataset: Dataset, report: Callable[[str], None], origin: dict[str, Any]) -> Candidate:
        spec = self.spec
        if not dataset.holdout:
            raise InvalidSpec(f"{spec.name}: no row of load() can be held out to judge by")
        report("read, compare and compile")
        own = range(dataset.own_rows)
        columns, labels = dataset.part(own)
        training = [row for row in dataset.training if row < dataset.own_rows]
        signature = None if self.file.columns is None else list(self.file.columns)
        task = Examination(self.folder, self.file.format, signature, 0, columns, labels, training)
        try:
            said = reading.read(task, spec.name, self.limits)
            origin["libraries"] = origin["libraries"] | {"scikit-learn": said["model"]["sklearn"]}
            found = Found(self.folder, self.file.format, signature, said, origin)
            return candidates.make(spec, dataset, found, report)
        except InvalidModel as error:
            raise InvalidModel(f"{self.file.name} can't become {spec.name}: {error}") from error


def _who() -> str:
    """Name the user, or the number of one without a name, and the host."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "unknown"
    return f"{name} on {platform.node()}"
