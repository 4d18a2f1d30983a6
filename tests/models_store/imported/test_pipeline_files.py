"""Which file of a version holds its pipeline."""

from __future__ import annotations

from pathlib import Path

import pytest

from models_store.errors import DamagedVersion, InvalidModel
from models_store.imported import pipeline_files
from models_store.imported.pipeline_files import PICKLE, SKOPS
from tests.elsewhere import Bomb, fitted, pickle_file, skops_file


def test_the_manifest_chooses() -> None:
    """Not the metadata, which are not in it."""
    assert [PICKLE, SKOPS, None] == [
        pipeline_files.served(files) for files in ([PICKLE, "a"], ["a", SKOPS], ["model.onnx"])
    ]


def test_each_format_is_loaded(tmp_path: Path) -> None:
    """Both give the pipeline."""
    pickle_file(tmp_path / PICKLE, fitted())
    skops_file(tmp_path / SKOPS, fitted())
    loaded = [pipeline_files.load(tmp_path, [name]) for name in (PICKLE, SKOPS)]

    assert loaded[0].classes_.tolist() == loaded[1].classes_.tolist()


def test_a_pickle_in_the_place_of_skops_is_not_unpickled(tmp_path: Path) -> None:
    """The name of the file says how it is read, and nothing else does."""
    pickle_file(tmp_path / SKOPS, Bomb(tmp_path / "exploded"))

    with pytest.raises(InvalidModel, match="no file of skops"):
        pipeline_files.load(tmp_path, [SKOPS])
    assert not (tmp_path / "exploded").exists()


def test_a_version_with_only_a_graph_has_no_pipeline(tmp_path: Path) -> None:
    """It says so."""
    with pytest.raises(DamagedVersion, match="only its graph is kept"):
        pipeline_files.load(tmp_path, ["model.onnx"])
