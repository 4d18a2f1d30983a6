"""Folders of MLflow: read without MLflow, and nothing in them runs or leads out of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from models_store.errors import InvalidModel
from prediction.imports import mlflow_folders
from prediction.imports.mlflow_folders import SignedColumn
from tests.elsewhere import SIGNATURE, mlflow_folder


def test_a_folder_names_its_file_columns_and_libraries(tmp_path: Path) -> None:
    """Only libraries that matter here."""
    found = mlflow_folders.read(mlflow_folder(tmp_path))

    assert tmp_path / "model.skops" == found.file
    assert tuple(SignedColumn(each["name"], "number", True) for each in SIGNATURE) == found.columns
    assert {"numpy": "2.3.1", "scikit-learn": "1.7.2"} == found.libraries


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("!!python/object/apply:os.system ['touch exploded']", "tags or aliases"),
        ("flavors: !!python/name:os.system", "tags or aliases"),
        ("a: &a [1]\nb: &b [*a, *a]\nc: [*b, *b]", "tags or aliases"),
        ("flavors: [" * 5_000, "is no YAML"),
        ("- 1", "holds no model"),
        ("flavors: {keras: {}}", "has the flavors keras: only sklearn can be read"),
        ("flavors: {sklearn: {pickled_model: ../model.pkl}}", "the name of a file beside it"),
        ("flavors: {sklearn: {pickled_model: /etc/passwd}}", "the name of a file beside it"),
        ("flavors: {sklearn: {pickled_model: [m]}}", "the name of a file beside it"),
        ("flavors: {sklearn: {pickled_model: m}}\nsignature: {inputs: '{'}", "signature can't be read"),
    ],
)
def test_a_strange_folder_gets_a_sentence(text: str, words: str, tmp_path: Path) -> None:
    """And nothing of it is made."""
    (tmp_path / "MLmodel").write_text(text)

    with pytest.raises(InvalidModel, match=words):
        mlflow_folders.read(tmp_path)
    assert ["MLmodel"] == [path.name for path in tmp_path.iterdir()]


def test_links_and_pipes_are_not_followed(tmp_path: Path) -> None:
    """Neither to a file elsewhere, nor to one that never ends."""
    secret = tmp_path / "secret"
    secret.write_text("flavors: {sklearn: {pickled_model: m}}")
    for name in ("link", "pipe"):
        folder = tmp_path / name
        folder.mkdir()
        if name == "link":
            (folder / "MLmodel").symlink_to(secret)
        else:
            os.mkfifo(folder / "MLmodel")
        with pytest.raises(InvalidModel, match="MLmodel is missing"):
            mlflow_folders.read(folder)


def test_a_signature_of_tensors_names_no_columns(tmp_path: Path) -> None:
    """Models that were fitted on arrays have one."""
    inputs = '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 4]}}]'

    assert mlflow_folders.read(mlflow_folder(tmp_path, signature={"inputs": inputs})).columns is None
    assert mlflow_folders.read(mlflow_folder(tmp_path, signature=None)).columns is None
