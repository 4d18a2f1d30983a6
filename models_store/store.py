"""The life of versions in the BentoML model store: save, list, read, verify, adopt.

A version is written once, into a folder of `$BENTOML_HOME/staging/` on the same file system, synced,
and renamed into `$BENTOML_HOME/models/`: it is there whole or not at all. Nothing here trains,
promotes or unpickles without a digest.
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

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin

PIPELINE = "saved_model.pkl"  # the name that `bentoml.sklearn.load_model` looks for
ONNX = "model.onnx"
PROFILE = "profile.json"
GOLDEN = "golden.json"
MANIFEST = "manifest.json"
MODEL_YAML = "model.yaml"


@dataclass(frozen=True)
class Version:
    """One trained, immutable artefact of a spec.

    Parameters
    ----------
    digest
        SHA-256 of the manifest, which holds the SHA-256 of every other file of the version.
    """

    model: str
    version: str
    path: Path
    created_at: datetime
    metadata: dict[str, Any]
    digest: str

    @property
    def runtime(self) -> str:
        """What serves it: `onnx` or `scikit-learn`."""
        return str(self.metadata["runtime"])

    @property
    def metrics(self) -> dict[str, Any]:
        """Its figures on the holdout, as they were when it was saved."""
        return dict(self.metadata["metrics"])

    @property
    def data_digest(self) -> str:
        """The SHA-256 of the rows and labels that it was made of."""
        return str(self.metadata["data_digest"])

    def read_json(self, name: str) -> Any:
        """Read one of its JSON files."""
        try:
            return json.loads((self.path / name).read_bytes())
        except (OSError, ValueError) as error:
            raise DamagedVersion(f"{self.model}:{self.version}: {name} can't be read: {error}") from error


def stage(home: Path) -> AbstractContextManager[Path]:
    """Lend an empty folder, named as a new version, to build that in."""
    return staging.lend(home, str(bentoml.Tag("staged").make_new_version().version))


def publish(
    home: Path, staged: Path, name: str, labels: dict[str, str], metadata: dict[str, Any]
) -> Version:
    """Give a staged folder its manifest and its `model.yaml`, and rename it into the model store.

    Parameters
    ----------
    staged
        A folder lent by `stage`, all files of the version in it.
    name
        The model's name in the store.
    labels, metadata
        Shown by `bentoml models get`; `metadata` must hold plain values, and loses its nulls.

    Returns
    -------
    Version
        As it is in the store, synced to disk.
    """
    tag = bentoml.Tag(name, staged.name)
    manifest = json.dumps({"files": _hash_files(staged)}, indent=1, sort_keys=True).encode()
    (staged / MANIFEST).write_bytes(manifest)
    digest = hashlib.sha256(manifest).hexdigest()
    _write_model_yaml(staged, tag, labels, {**_without_nulls(metadata), "digest": digest})
    staging.sync_tree(staged)
    target = home / "models" / name / staged.name
    with staging.locked(home):
        target.parent.mkdir(parents=True, exist_ok=True)
        staged.rename(target)
        staging.sync(target.parent)
        _point_latest(home, name)
    return get(home, name, staged.name)


def recover(home: Path, names: Sequence[str]) -> None:
    """Remove what killed saves left behind, and make each `latest` name the newest version."""
    with staging.locked(home):
        staging.clean(home)
        for name in names:
            _point_latest(home, name)


def versions(home: Path, name: str) -> list[Version]:
    """List the versions of a model, newest first; folders that are no version are passed over."""
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
    # The name may come from a client: it is one of a folder here, and no path to elsewhere.
    try:
        is_here = bool(re.fullmatch(r"\w[\w.-]{0,62}", version)) and (folder / MODEL_YAML).is_file()
    except OSError as error:
        raise UnknownVersion(f"{name}:{version} can't be read: {error.strerror}") from error
    if not is_here:
        raise UnknownVersion(f"{name}:{version:.63} is not in the model store")
    return _read(folder)


def newest(home: Path, name: str) -> Version:
    """Return the newest version of a model.

    Raises
    ------
    NothingTrained
        When there is none; the message names the command that trains.
    """
    found = versions(home, name)
    if not found:
        raise none_trained(name)
    return found[0]


def verify(version: Version, digest: str) -> None:
    """Check every file of a version against its manifest, and the manifest against `digest`.

    What serves it must be one of them: its name stands in `model.yaml`, which is not.

    Raises
    ------
    DamagedVersion
        Naming the first file that is missing or is not what was saved.
    """
    name = f"{version.model}:{version.version}"
    try:
        manifest = (version.path / MANIFEST).read_bytes()
    except OSError as error:
        raise DamagedVersion(f"{name}: {MANIFEST} can't be read: {error}") from error
    if hashlib.sha256(manifest).hexdigest() != digest:
        raise DamagedVersion(f"{name}: {MANIFEST} is not the one that was promoted")
    files = json.loads(manifest)["files"]
    if {"onnx": ONNX}.get(str(version.metadata.get("runtime")), PIPELINE) not in files:
        raise DamagedVersion(f"{name}: the file that serves it is not what was saved")
    for file, expected in files.items():
        try:
            actual = _hash_file(version.path / file)
        except OSError as error:
            raise DamagedVersion(f"{name}: {file} can't be read: {error}") from error
        if actual != expected:
            raise DamagedVersion(f"{name}: {file} is not what was saved")


def load_pipeline(version: Version, digest: str) -> ClassifierMixin:
    """Unpickle a version's scikit-learn pipeline, once its files match `digest`.

    Raises
    ------
    DamagedVersion
        Before anything is unpickled.
    """
    import joblib

    verify(version, digest)
    return joblib.load(version.path / PIPELINE)


def prune(home: Path, name: str, keep: int, protected: Callable[[], set[str]]) -> list[str]:
    """Delete the oldest versions of a model beyond the `keep` newest; return which.

    Parameters
    ----------
    protected
        Tells which versions stay, however old; asked while nothing can be promoted.
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
    """Take a version out of every list, by rename; what is left is to be deleted without the lock."""
    grave = home / "staging" / f"{name}-{version}"
    (home / "models" / name / version).rename(grave)
    _point_latest(home, name)
    return grave


def adopt(home: Path, source: Path) -> None:
    """Copy a version from another store (the one inside a Bento) unless this store has it.

    Parameters
    ----------
    source
        The version's folder, `<store>/<name>/<version>`.

    Raises
    ------
    UnknownVersion
        When the folder is no version.
    """
    target = home / "models" / source.parent.name / source.name
    if source.resolve() == target.resolve() or target.exists():
        return
    if not (source / MODEL_YAML).is_file():
        raise UnknownVersion(f"{source} is no version: it has no {MODEL_YAML}")
    with stage(home) as staged:
        shutil.copytree(source, staged, dirs_exist_ok=True)
        staging.sync_tree(staged)
        with staging.locked(home):
            if target.exists():  # another process was faster
                return
            target.parent.mkdir(parents=True, exist_ok=True)
            staged.rename(target)
            staging.sync(target.parent)
            _point_latest(home, source.parent.name)


@lru_cache(maxsize=1024)
def _read(folder: Path) -> Version:
    # Cached, because a version never changes.
    try:
        model = bentoml.Model.from_path(folder)
        metadata = dict(model.info.metadata)
        digest = str(metadata.pop("digest"))
        if (model.tag.name, model.tag.version) != (folder.parent.name, folder.name):
            raise ValueError(f"it is a copy of {model.tag}")
    except Exception as error:  # a torn model.yaml fails in as many ways as YAML has
        raise UnknownVersion(f"{folder.parent.name}:{folder.name} is not in the model store") from error
    return Version(
        model=model.tag.name,
        version=str(model.tag.version),
        path=folder,
        created_at=model.creation_time,
        metadata=metadata,
        digest=digest,
    )


def _without_nulls(content: Any) -> Any:
    """Leave out what BentoML's metadata can't hold."""
    if isinstance(content, dict):
        return {name: _without_nulls(value) for name, value in content.items() if value is not None}
    return [_without_nulls(value) for value in content] if isinstance(content, list) else content


def _write_model_yaml(
    folder: Path, tag: bentoml.Tag, labels: dict[str, str], metadata: dict[str, Any]
) -> None:
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
    shutil.copyfile(model.path_of(MODEL_YAML), folder / MODEL_YAML)


def _point_latest(home: Path, name: str) -> None:
    """Replace `latest` by rename, so that no reader meets half a name."""
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
