"""Folders that MLflow has saved, read without MLflow: `MLmodel` names the file, its columns and libraries.

Nothing else of a folder is used: no code, no environment, and no path that leads out of it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from models_store.errors import InvalidModel

MLMODEL = "MLmodel"
REQUIREMENTS = "requirements.txt"
MAX_BYTES = 4 << 20
FLAVOR = "sklearn"
PACKAGES = ("numpy", "pandas", "scikit-learn", "scipy", "skops")
PIN = re.compile(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.+!_-]{1,40})")

KINDS = {
    **dict.fromkeys(("float", "double"), "number"),
    **dict.fromkeys(("integer", "long"), "integer"),
    "boolean": "flag",
    "string": "text",
    "datetime": "moment",
}
"""Our kinds of features by the types of a signature."""


@dataclass(frozen=True)
class SignedColumn:
    """A column of a signature; the kind is None if we have none such."""

    name: str
    kind: str | None
    required: bool


@dataclass(frozen=True)
class MlflowModel:
    """What a folder says of its model."""

    file: Path
    columns: tuple[SignedColumn, ...] | None
    libraries: dict[str, str]


def read(folder: Path) -> MlflowModel:
    """Read a folder.

    Raises
    ------
    InvalidModel
        When it holds no model of scikit-learn, or a strange one.
    """
    content = _mapping(folder, _text(folder / MLMODEL))
    flavors = content.get("flavors")
    flavor = flavors.get(FLAVOR) if isinstance(flavors, dict) else None
    if not isinstance(flavor, dict):
        known = ", ".join(map(str, flavors)) if isinstance(flavors, dict) else "none"
        raise InvalidModel(f"{folder / MLMODEL} has the flavors {known[:200]}: only {FLAVOR} can be read")
    name = flavor.get("pickled_model")
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w.-]*", name):
        raise InvalidModel(f"{folder / MLMODEL}: pickled_model must be the name of a file beside it")
    libraries = _pins(folder / REQUIREMENTS)
    if isinstance(flavor.get("sklearn_version"), str):
        libraries["scikit-learn"] = flavor["sklearn_version"][:40]
    return MlflowModel(folder / name, _columns(folder, content.get("signature")), libraries)


def _text(path: Path) -> str:
    try:
        if path.is_symlink() or not path.is_file():
            raise InvalidModel(
                f"{path} is missing: give a file of skops, or a folder that MLflow has saved"
            )
        if path.stat().st_size > MAX_BYTES:
            raise InvalidModel(f"{path} is larger than {MAX_BYTES >> 20} MiB")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidModel(f"{path} can't be read: {error}") from error


def _mapping(folder: Path, text: str) -> dict[str, Any]:
    """Read YAML of plain values; an alias can make much of little, and MLflow writes none."""
    place = folder / MLMODEL
    try:
        if any(isinstance(token, yaml.AliasToken | yaml.TagToken) for token in yaml.scan(text)):
            raise InvalidModel(f"{place}: it has tags or aliases, which MLflow does not write")
        content = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InvalidModel(f"{place} is no YAML: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(content, dict):
        raise InvalidModel(f"{place} holds no model")
    return content


def _columns(folder: Path, signature: Any) -> tuple[SignedColumn, ...] | None:
    """Read the inputs of a signature: JSON in a text. Tensors have no names."""
    inputs = signature.get("inputs") if isinstance(signature, dict) else None
    if inputs is None:
        return None
    try:
        columns = json.loads(inputs)
        named = [each for each in columns if "name" in each]
        if len(named) < len(columns):
            return None
        return tuple(
            SignedColumn(
                str(each["name"]), KINDS.get(str(each.get("type"))), bool(each.get("required", True))
            )
            for each in named
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidModel(f"{folder / MLMODEL}: its signature can't be read: {error}") from error


def _pins(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    pins = [PIN.fullmatch(line.strip()) for line in _text(path).splitlines()]
    return {pin[1].lower(): pin[2] for pin in pins if pin and pin[1].lower() in PACKAGES}
