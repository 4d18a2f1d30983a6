"""The reading process: it ends, whatever a model does, and gets no secrets."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from models_store.errors import InvalidModel
from prediction.imports import files, reading
from prediction.imports.examining import MODEL, Examination
from prediction.imports.reading import ProcessLimits
from tests.elsewhere import pickle_file


class Call:
    """Whoever unpickles it calls a function."""

    def __init__(self, function: Any, *given: Any) -> None:
        self.call = function, given

    def __reduce__(self) -> Any:
        return self.call


def read(folder: Path, content: Any, limits: ProcessLimits) -> Any:
    """Read a pickle, which its owner trusts."""
    pickle_file(folder / MODEL, content)
    return reading.read(Examination(folder, files.PICKLE, None, 0), None, limits)


def test_no_setting_is_inherited() -> None:
    """Some of them are secrets; so are the keys of other programs."""
    assert not [name for name in reading.INHERITED if name.startswith(("PREDICTION_", "BENTOML_", "AWS_"))]


def test_memory_is_limited(tmp_path: Path) -> None:
    """A file may ask for all there is."""
    with pytest.raises(InvalidModel, match="more than 3 GiB of memory"):
        read(tmp_path, Call(bytearray, 4 << 30), ProcessLimits(memory_bytes=3 << 30))


def test_time_is_limited(tmp_path: Path) -> None:
    """The process is gone afterwards."""
    with pytest.raises(InvalidModel, match="can't be read in 1 seconds"):
        read(tmp_path, Call(time.sleep, 600), ProcessLimits(seconds=1))


def test_an_end_without_a_word_gets_a_sentence(tmp_path: Path) -> None:
    """A hostile tree can end the process, and nothing else."""
    with pytest.raises(InvalidModel, match="ended by SIGABRT: the file is damaged, or hostile"):
        read(tmp_path, Call(os.abort), ProcessLimits())


def test_a_forged_result_is_no_result(tmp_path: Path) -> None:
    """It is read as JSON of a limited size."""
    result = tmp_path / "result.json"
    for content in (b"", b"[" * 100_000, b"\x80\x04"):
        result.write_bytes(content)
        with pytest.raises(InvalidModel, match="said nothing"):
            reading._result(result, 0)
    result.write_text('{"faults": ["one", "two"]}')
    with pytest.raises(InvalidModel, match=r"2 faults: \(1\) one; \(2\) two"):
        reading._result(result, 0)
