"""Files that hold a model: found, copied, and refused if they could run code."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from models_store.errors import InvalidModel
from prediction.imports import files
from tests.elsewhere import Bomb, fitted, mlflow_folder, pickle_file, skops_file


def test_a_file_of_skops_is_found(tmp_path: Path) -> None:
    """By what is in it and not by its name."""
    found = files.find(skops_file(tmp_path / "model.bin", fitted()), trust_pickle=False)

    assert ("model.bin", files.SKOPS, None) == (found.name, found.format, found.columns)


def test_a_folder_of_mlflow_is_found(tmp_path: Path) -> None:
    """With its signature."""
    folder = mlflow_folder(tmp_path / "churn")
    skops_file(folder / "model.skops", fitted())
    found = files.find(folder, trust_pickle=False)

    assert ("churn", files.SKOPS, 4) == (found.name, found.format, len(found.columns or ()))
    assert "1.7.2" == found.libraries["scikit-learn"]


@pytest.mark.parametrize("name", ["model.skops", "model.pkl", "model.joblib"])
def test_a_pickle_needs_trust(name: str, tmp_path: Path) -> None:
    """Whatever its name says; the sentence names both ways out."""
    path = pickle_file(tmp_path / name, Bomb(tmp_path / "exploded"))

    with pytest.raises(InvalidModel, match=r"runs the code in it: add --trust-pickle .*skops\.io\.dump"):
        files.find(path, trust_pickle=False)
    assert files.PICKLE == files.find(path, trust_pickle=True).format
    assert not (tmp_path / "exploded").exists()


def test_a_folder_can_not_call_a_pickle_skops(tmp_path: Path) -> None:
    """`serialization_format` is the folder's word only."""
    folder = mlflow_folder(tmp_path / "churn")
    pickle_file(folder / "model.skops", Bomb(tmp_path / "exploded"))

    with pytest.raises(InvalidModel, match="is no file of skops"):
        files.find(folder, trust_pickle=False)


def test_links_out_of_a_folder_are_not_followed(tmp_path: Path) -> None:
    """A link that the user names is the user's own."""
    own = skops_file(tmp_path / "model.skops", fitted())
    folder = mlflow_folder(tmp_path / "churn")
    (folder / "model.skops").symlink_to(own)
    with pytest.raises(InvalidModel, match=r"model\.skops can't be read"):
        files.find(folder, trust_pickle=True)

    (tmp_path / "link").symlink_to(own)
    assert own == files.find(tmp_path / "link", trust_pickle=False).path


def test_what_is_no_file_gets_a_sentence(tmp_path: Path) -> None:
    """A pipe would never end, and a device never either."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(InvalidModel, match="a model is a plain file"):
            files.find(path, trust_pickle=True)
    (tmp_path / "empty.skops").touch()
    with pytest.raises(InvalidModel, match="skops is empty"):
        files.find(tmp_path / "empty.skops", trust_pickle=True)
    with pytest.raises(InvalidModel, match="can't be read: No such file"):
        files.find(tmp_path / "missing", trust_pickle=True)
    with pytest.raises(InvalidModel, match="MLmodel is missing"):
        files.find(tmp_path, trust_pickle=True)


def test_the_copy_is_what_is_read_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its digest is the origin of the version; too large a file is not copied whole."""
    found = files.find(skops_file(tmp_path / "model.skops", fitted()), trust_pickle=False)
    digest = found.copy_to(tmp_path / "copy")

    assert hashlib.sha256((tmp_path / "copy").read_bytes()).hexdigest() == digest
    monkeypatch.setattr(files, "MAX_BYTES", 1_000)
    with pytest.raises(InvalidModel, match="is larger than"):
        found.copy_to(tmp_path / "other")
