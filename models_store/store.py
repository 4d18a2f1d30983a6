"""Versions in the BentoML model store: save, list, read, verify, delete.

A version is written into a folder of `$BENTOML_HOME/staging/`, synced, and renamed into
`$BENTOML_HOME/models/`, so no reader sees an incomplete one. This module never trains or promotes, and
it unpickles only after checking a digest.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bentoml
from bentoml.models import ModelContext

from models_store import staging
from models_store.errors import DamagedVersion, UnknownVersion, none_trained
from models_store.imported import pipeline_files

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin

PIPELINE = pipeline_files.PICKLE
PARAMETERS = "parameters.skops"  # the estimator of a model that was trained elsewhere, not fitted
ONNX = "model.onnx"
SPREAD = "spread.onnx"  # the expected error of an answer, where it is a quantity
PROFILE = "profile.json"
GOLDEN = "golden.json"
MANIFEST = "manifest.json"
MODEL_YAML = "model.yaml"
UNKNOWN_DIGEST = "0" * 64
"""Stands for the version's digest in the text of `model.yaml` that the manifest vouches for."""


@dataclass(frozen=True)
class Version:
    """One trained version of a spec. It never changes.

    Parameters
    ----------
    digest
        SHA-256 of the manifest, which contains the SHA-256 of the other files.
    """

    model: str
    version: str
    path: Path
    created_at: datetime
    metadata: dict[str, Any]
    digest: str

    @property
    def tag(self) -> str:
        """Its name in messages and in BentoML's commands: `iris:k3x...`."""
        return f"{self.model}:{self.version}"

    @property
    def runtime(self) -> str:
        """The runtime that serves it: `onnx` or `scikit-learn`."""
        return str(self.metadata["runtime"])

    @property
    def metrics(self) -> dict[str, Any]:
        """Its figures on the holdout, from its training."""
        return dict(self.metadata["metrics"])

    @property
    def data_digest(self) -> str:
        """The SHA-256 of the rows and labels of its training."""
        return str(self.metadata["data_digest"])

    def read_json(self, name: str) -> Any:
        """Read one of its JSON files."""
        try:
            return json.loads((self.path / name).read_bytes())
        except (OSError, ValueError) as error:
            raise DamagedVersion(f"{self.tag}: {name} can't be read: {error}") from error


def stage(home: Path) -> AbstractContextManager[Path]:
    """Lend an empty folder to build a new version in; its name will be that of the version."""
    return staging.lend(home, str(bentoml.Tag("staged").make_new_version().version))


def publish(
    home: Path, staged: Path, name: str, labels: dict[str, str], metadata: dict[str, Any]
) -> Version:
    """Write the manifest and `model.yaml` into a staged folder, and move it into the store, synced to disk.

    Parameters
    ----------
    staged
        A folder lent by `stage`, with all other files of the version.
    name
        The model's name in the store.
    labels, metadata
        Shown by `bentoml models get`. `metadata` holds plain values; nulls are left out.
    """
    tag = bentoml.Tag(name, staged.name)
    described = _model_yaml(tag, labels, {**_without_nulls(metadata), "digest": UNKNOWN_DIGEST})
    hashes = {"files": _hash_files(staged), "model_yaml": hashlib.sha256(described).hexdigest()}
    manifest = json.dumps(hashes, indent=1, sort_keys=True).encode()
    (staged / MANIFEST).write_bytes(manifest)
    digest = hashlib.sha256(manifest).hexdigest()
    (staged / MODEL_YAML).write_bytes(described.replace(UNKNOWN_DIGEST.encode(), digest.encode()))
    settle(home, staged, name, staged.name)
    return get(home, name, staged.name)


def settle(home: Path, staged: Path, name: str, version: str, *, replace: bool = False) -> None:
    """Move a complete version into the store, synced to disk.

    Parameters
    ----------
    staged
        A folder lent by `stage`.
    replace
        Whether a version of that name in the store is damaged, and gives way. Otherwise it stays.
    """
    target, grave = home / "models" / name / version, home / "staging" / f"{name}-{version}"
    staging.sync_tree(staged)
    with staging.locked(home):
        if replace and target.exists():
            shutil.rmtree(grave, ignore_errors=True)
            target.rename(grave)
        if not target.exists():  # unless another process was faster
            target.parent.mkdir(parents=True, exist_ok=True)
            staged.rename(target)
            staging.sync(target.parent)
            _point_latest(home, name)
    if replace:
        shutil.rmtree(grave, ignore_errors=True)


def recover(home: Path, names: Sequence[str]) -> None:
    """Remove the remains of killed saves, and make each `latest` file name the newest version."""
    with staging.locked(home):
        staging.clean(home)
        for name in names:
            _point_latest(home, name)


def versions(home: Path, name: str) -> list[Version]:
    """List the versions of a model, newest first; folders that are not versions are ignored."""
    try:
        folders = [folder for folder in (home / "models" / name).iterdir() if folder.is_dir()]
    except OSError:
        return []
    found = []
    for folder in folders:
        try:
            found.append(get(home, name, folder.name))
        except UnknownVersion:
            continue
    return sorted(found, key=lambda version: (version.created_at, version.version), reverse=True)


def get(home: Path, name: str, version: str) -> Version:
    """Return one version.

    Raises
    ------
    UnknownVersion
        When it is not in the store.
    """
    folder = home / "models" / name / version
    # The name may come from a client: it must name a folder here, and not be a path to another place.
    absent = UnknownVersion(f"{name}:{version:.63} is not in the model store")
    if not re.fullmatch(r"\w[\w.-]{0,62}", version):
        raise absent
    try:
        state = (folder / MODEL_YAML).stat()
    except (FileNotFoundError, NotADirectoryError):
        raise absent from None
    except OSError as error:
        raise UnknownVersion(f"{name}:{version} can't be read: {error.strerror}") from error
    return _read(folder, state.st_ino, state.st_mtime_ns)


def newest(home: Path, name: str) -> Version:
    """Return the newest version of a model.

    Raises
    ------
    NothingTrained
        When the model has no version; the message names the command that trains one.
    """
    found = versions(home, name)
    if not found:
        raise none_trained(name)
    return found[0]


def verify(version: Version, digest: str) -> None:
    """Check every file of a version against its manifest, and the manifest against `digest`.

    The manifest must list the file that serves the version: `model.yaml`, which names the runtime, is
    not in the manifest.

    Raises
    ------
    DamagedVersion
        The message names the first file that is missing or changed.
    """
    name = version.tag
    try:
        manifest = (version.path / MANIFEST).read_bytes()
    except OSError as error:
        raise DamagedVersion(f"{name}: {MANIFEST} can't be read: {error}") from error
    if hashlib.sha256(manifest).hexdigest() != digest:
        raise DamagedVersion(f"{name}: {MANIFEST} is not the one that was promoted")
    files = json.loads(manifest)["files"]
    if {"onnx": ONNX}.get(str(version.metadata.get("runtime")), pipeline_files.served(files)) not in files:
        raise DamagedVersion(f"{name}: the file that serves it is not in its manifest")
    for file, expected in files.items():
        try:
            actual = _hash_file(version.path / file)
        except OSError as error:
            raise DamagedVersion(f"{name}: {file} can't be read: {error}") from error
        if actual != expected:
            raise DamagedVersion(f"{name}: {file} was changed after it was saved")


def load_pipeline(version: Version, digest: str) -> ClassifierMixin:
    """Check a version's files against `digest`, then load its scikit-learn pipeline.

    Raises
    ------
    DamagedVersion
        When a file is missing or changed; then nothing is loaded.
    """
    verify(version, digest)
    return pipeline_files.load(version.path, version.read_json(MANIFEST)["files"])


def prune(home: Path, name: str, keep: int, protected: Callable[[], set[str]]) -> list[str]:
    """Delete the versions of a model beyond the `keep` newest; return their names.

    Parameters
    ----------
    protected
        Returns the versions that must stay. It is called while nothing can be promoted.
    """
    with staging.locked(home):
        old = versions(home, name)[keep:]
        kept = protected() if old else set()
        gone = [version.version for version in old if version.version not in kept]
        graves = [_bury(home, name, version) for version in gone]
    for grave in graves:
        shutil.rmtree(grave, ignore_errors=True)
    return gone


def delete(home: Path, name: str, version: str) -> None:
    """Delete a version."""
    with staging.locked(home):
        grave = _bury(home, name, version)
    shutil.rmtree(grave, ignore_errors=True)


def _bury(home: Path, name: str, version: str) -> Path:
    """Move a version out of the store, so that the caller can delete its files without the lock."""
    grave = home / "staging" / f"{name}-{version}"
    (home / "models" / name / version).rename(grave)
    _point_latest(home, name)
    return grave


@lru_cache(maxsize=1024)
def _read(folder: Path, _inode: int, _changed_ns: int) -> Version:
    # Cached, because a version never changes; a damaged one may be replaced.
    return examine(folder, folder.parent.name, folder.name)


def examine(folder: Path, name: str, version: str) -> Version:
    """Read the version in a folder, which need not be in the store.

    Raises
    ------
    UnknownVersion
        When it is no version, or another one.
    """
    try:
        model = bentoml.Model.from_path(folder)
        metadata = dict(model.info.metadata)
        digest = str(metadata.pop("digest"))
        if (model.tag.name, model.tag.version) != (name, version):
            raise ValueError(f"it is a copy of {model.tag}")
    except Exception as error:  # a damaged model.yaml raises many kinds of errors
        raise UnknownVersion(f"{name}:{version} is not in the model store") from error
    return Version(name, version, folder, model.creation_time, metadata, digest)


def _without_nulls(content: Any) -> Any:
    """Leave out nulls: BentoML's metadata can't contain them."""
    if isinstance(content, dict):
        return {name: _without_nulls(value) for name, value in content.items() if value is not None}
    return [_without_nulls(value) for value in content] if isinstance(content, list) else content


def _model_yaml(tag: bentoml.Tag, labels: dict[str, str], metadata: dict[str, Any]) -> bytes:
    import sklearn

    model = bentoml.Model.create(
        tag,
        module="bentoml.sklearn",
        api_version="v1",
        signatures={"predict": {"batchable": True}, "predict_proba": {"batchable": True}},
        labels=labels,
        metadata=metadata,
        context=ModelContext("sklearn", {"scikit-learn": sklearn.__version__}),
    )
    model.flush()
    return Path(model.path_of(MODEL_YAML)).read_bytes()


def _point_latest(home: Path, name: str) -> None:
    """Replace the file `latest` by a rename, so that no reader sees a part of a name."""
    found = versions(home, name)
    if not found:
        return
    draft = home / "staging" / f"latest-{os.getpid()}"
    draft.write_text(found[0].version)
    draft.replace(home / "models" / name / "latest")


def _hash_files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): _hash_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (MANIFEST, MODEL_YAML)
    }


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
