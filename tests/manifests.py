"""The manifests of `deploy/`, rendered as kustomize does it, by the few rules that they use."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from tests.servers import PROJECT

DEPLOY = PROJECT / "deploy"
OVERLAYS = ("one", "many", "prometheus")
Manifest = dict[str, Any]


def read(path: Path) -> list[Manifest]:
    """Return the documents of a file."""
    return list(yaml.safe_load_all(path.read_text()))


def rendered(overlay: str) -> list[Manifest]:
    """Return what `kubectl apply -k deploy/kubernetes/<overlay>` sends."""
    return _render(DEPLOY / "kubernetes" / overlay)


def _render(folder: Path) -> list[Manifest]:
    (kustomization,) = read(folder / "kustomization.yaml")
    assert kustomization.keys() <= {"resources", "patches"}
    found: list[Manifest] = []
    for name in kustomization["resources"]:
        place = folder / name
        found += _render(place) if place.is_dir() else read(place)
    for patch in kustomization.get("patches", ()):
        assert patch.keys() == {"path"}
        (change,) = read(folder / patch["path"])
        (number,) = [n for n, item in enumerate(found) if _identity(item) == _identity(change)]
        found[number] = _merge(found[number], change)
    return found


def _identity(item: Manifest) -> tuple[str, str]:
    return item["kind"], item["metadata"]["name"]


def _merge(old: Any, new: Any) -> Any:
    """Merge strategically: maps by key, lists of named things by name; null deletes."""
    if isinstance(old, dict) and isinstance(new, dict):
        merged = copy.deepcopy(old)
        for key, value in new.items():
            if value is None:
                merged.pop(key, None)
            else:
                merged[key] = _merge(merged.get(key), value)
        return merged
    if isinstance(old, list) and isinstance(new, list) and all("name" in item for item in old + new):
        names = [item["name"] for item in new]
        mine = {item["name"]: item for item in old}
        changed = [_merge(mine.get(item["name"]), item) for item in new]
        return changed + [item for item in old if item["name"] not in names]
    if isinstance(new, dict):
        return {key: value for key, value in new.items() if value is not None}
    return copy.deepcopy(new)
