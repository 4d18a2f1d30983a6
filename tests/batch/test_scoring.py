"""Scoring of files and frames: the same answers as scikit-learn, whole files or none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models_store import store
from models_store.errors import InvalidInput, NothingTrained, UnknownModel
from models_store.spec import Spec
from prediction import batch
from prediction.batch.files import KINDS
from prediction.batch.sources import Source
from tests import kinds, scoring
from tests.scoring import figures, random_frame
from tests.servers import PROJECT, environment, free_port

RANDOM_ROWS = 100_000


home = scoring.home


def answered(spec: Spec, home: Path, frame: pd.DataFrame) -> Any:
    """Return what the scikit-learn pipeline says."""
    version = store.newest(home, spec.name)
    pipeline = store.load_pipeline(version, version.digest)
    return kinds.ask(spec, pipeline, spec.frame(spec.columns_of(frame)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_scored_as_scikit_learn_scores_it(
    kind: str, home: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """Columns are copied, and the answer, its numbers, model and version added."""
    for spec in specs.values():
        frame = random_frame(spec, 3_000).assign(who=[f"row {number}" for number in range(3_000)])
        source, target = tmp_path / f"{spec.name}{kind}", tmp_path / f"{spec.name}-out{kind}"
        if kind == ".parquet":
            frame.to_parquet(source)
        elif kind == ".csv":
            frame.to_csv(source, index=False)
        else:
            frame.to_json(source, orient="records", lines=True, double_precision=15)

        summary = batch.score(spec.name, source, target)

        found = pd.DataFrame([row for chunk in Source(target, 1_000) for row in chunk.by_row()])
        assert (3_000, 0, None) == (summary.scored, summary.refused, summary.refused_file)
        assert frame["who"].tolist() == found["who"].tolist()
        expected = answered(spec, home, frame[list(spec.inputs)])
        found_figures = figures(found, spec).astype(float)
        assert float(np.abs(expected - found_figures).max()) <= kinds.tolerance(spec)
        if kinds.predicts_classes(spec):
            said = [spec.target.texts[best] for best in expected.argmax(axis=1)]
            assert said == found["predicted_class"].tolist()
        assert {spec.name} == set(found["model"])
        assert {store.newest(home, spec.name).version} == set(found["version"]) == set(summary.versions)


def test_a_frame_is_returned_with_its_answers(home: Path, specs: dict[str, Spec]) -> None:
    """The same rows and index; a refused row has a reason and no prediction."""
    frame = random_frame(specs["penguins"], 300)
    frame.index = pd.Index(range(1000, 1300))
    frame["island"] = frame["island"].astype(object)
    frame.loc[1007, "island"] = "Mars"

    found = batch.score("penguins", frame)

    assert frame.index.tolist() == found.index.tolist()
    assert [1007] == found.index[found["predicted_class"].isna()].tolist()
    assert "Torgersen" in found.loc[1007, "refused"]
    good = found.drop(1007)
    assert good["refused"].isna().all()
    expected = answered(specs["penguins"], home, frame.drop(1007))
    assert float(np.abs(expected - figures(good, specs["penguins"])).max()) < 1e-6
    with pytest.raises(InvalidInput, match="row 8: island"):
        batch.score("penguins", frame, strict=True)


def test_refused_rows_are_listed_in_a_file(home: Path, tmp_path: Path, specs: dict[str, Spec]) -> None:
    """With row number, field and reason; the others are scored."""
    frame = random_frame(specs["iris"], 500)
    frame.loc[[3, 400], "petal_width_cm"] = 99.0
    frame.to_csv(tmp_path / "rows.csv", index=False)

    summary = batch.score("iris", tmp_path / "rows.csv", tmp_path / "out.csv")

    assert (498, 2) == (summary.scored, summary.refused)
    assert tmp_path / "out.csv.refused.csv" == summary.refused_file
    refused = pd.read_csv(tmp_path / "out.csv.refused.csv")
    assert [[4, "petal_width_cm"], [401, "petal_width_cm"]] == refused[["row", "field"]].to_numpy().tolist()
    assert 498 == len(pd.read_csv(tmp_path / "out.csv"))


def test_the_list_of_refused_rows_belongs_to_one_target(
    home: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """The list of another target stays, even if only its kind differs; its own is replaced or removed."""
    frame = random_frame(specs["iris"], 3)
    source, refused = tmp_path / "rows.csv", tmp_path / "out.csv.refused.csv"
    frame.assign(petal_width_cm=99.0).to_csv(source, index=False)
    batch.score("iris", source, tmp_path / "out.csv")
    before = refused.read_bytes()
    frame.to_csv(source, index=False)

    batch.score("iris", source, tmp_path / "out.parquet")
    assert before == refused.read_bytes()
    batch.score("iris", source, tmp_path / "out.csv")
    assert not refused.exists()


def test_a_broken_row_is_refused_like_others(home: Path, tmp_path: Path) -> None:
    """It is in the list of refused rows, without a field; `strict` stops there."""
    header = "sepal_length_cm,sepal_width_cm,petal_length_cm,petal_width_cm"
    (tmp_path / "rows.csv").write_text(f"{header}\n5.1,3.5,1.4,0.2\n5.1,3.5,1.4\n5.1,3.5,1.4,0.2\n")

    summary = batch.score("iris", tmp_path / "rows.csv", tmp_path / "out.csv")

    assert (3, 2, 1) == (summary.rows, summary.scored, summary.refused)
    assert summary.refused_file is not None
    (refused,) = (row for chunk in Source(summary.refused_file, 1_000) for row in chunk.by_row())
    assert {"row": "2", "field": None, "reason": "has 3 cells where the header has 4"} == refused
    with pytest.raises(InvalidInput, match=r"^row 2: has 3 cells"):
        batch.score("iris", tmp_path / "rows.csv", tmp_path / "out.csv", strict=True)


def test_strict_writes_nothing_when_a_row_is_refused(
    home: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """The sentence names the row, and an older file of the target's name stays."""
    frame = random_frame(specs["iris"], 200_000)
    frame.loc[150_000, "petal_width_cm"] = 99.0
    frame.to_parquet(tmp_path / "rows.parquet")
    (tmp_path / "out.parquet").write_text("before")

    with pytest.raises(InvalidInput, match="row 150001: petal_width_cm"):
        batch.score("iris", tmp_path / "rows.parquet", tmp_path / "out.parquet", strict=True)

    assert "before" == (tmp_path / "out.parquet").read_text()
    assert {"home", "out.parquet", "rows.parquet"} == {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_without_rows_is_scored(
    kind: str, home: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """The target has no rows, and all columns if its kind has a header."""
    empty = specs["iris"].load()[0].iloc[:0]
    source, target = tmp_path / f"rows{kind}", tmp_path / f"out{kind}"
    if kind == ".parquet":
        empty.to_parquet(source)
    else:
        empty.to_csv(source, index=False) if kind == ".csv" else source.write_text("")

    assert 0 == batch.score("iris", source, target).rows
    if kind == ".jsonl":
        assert "" == target.read_text()
        return
    found = pd.read_parquet(target) if kind == ".parquet" else pd.read_csv(target)
    assert (0, [*empty.columns, "predicted_class"]) == (len(found), list(found.columns)[:5])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", ["[" * 99 + "]" * 99, '{"a":' * 99 + "1" + "}" * 99, "[[], [[]]]"])
def test_nested_json_is_copied(value: str, kind: str, home: Path, tmp_path: Path) -> None:
    """As deep as a file may have it."""
    (tmp_path / "a.jsonl").write_text(f'{json.dumps(scoring.IRIS)[:-1]}, "x": {value}}}\n')

    batch.score("iris", tmp_path / "a.jsonl", tmp_path / f"out{kind}")

    ((row,),) = [chunk.by_row() for chunk in Source(tmp_path / f"out{kind}", 1_000)]
    assert json.loads(value) == (row["x"] if kind == ".jsonl" else json.loads(row["x"]))


@pytest.mark.parametrize("target", KINDS)
def test_no_value_of_json_lines_is_lost(target: str, home: Path, tmp_path: Path) -> None:
    """A column may begin or change its type after thousands of rows, in every kind of target."""
    source, out = tmp_path / "rows.jsonl", tmp_path / f"out{target}"
    rows: list[dict[str, Any]] = [{"island": "Dream", "id": number} for number in range(12_000)]
    rows[-3:] = [
        {"island": "Dream", "id": 1.5, "new": 2},
        {"island": "Biscoe", "id": "n/a", "flipper_length_mm": 217},
        {"island": "Biscoe", "id": "x", "flipper_length_mm": -5},
    ]
    source.write_text("".join(json.dumps(row) + "\n\n" for row in rows))

    summary = batch.score("penguins", source, out)

    found = [row for chunk in Source(out, 1_000) for row in chunk.by_row()]
    assert (11_999, 1) == (summary.scored, summary.refused)
    assert [str(row["id"]) for row in rows[:-1]] == [str(row["id"]) for row in found]
    assert [None, 2.0, None] == [row["new"] and float(row["new"]) for row in found[-3:]]
    assert 217.0 == float(found[-1]["flipper_length_mm"])
    if target == ".jsonl":
        assert [0, 1.5, "n/a"] == [found[row]["id"] for row in (0, -2, -1)]


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("rows.csv", "rows.csv"),
        ("rows.csv", "./rows.csv"),
        ("link.csv", "rows.csv"),
        ("x.csv.refused.csv", "x.csv"),
    ],
)
def test_the_source_is_never_overwritten(source: str, target: str, home: Path, tmp_path: Path) -> None:
    """Neither by the target nor by the list of refused rows."""
    for name in ("rows.csv", "x.csv.refused.csv"):
        (tmp_path / name).write_text("island\nMars\n")
    (tmp_path / "link.csv").symlink_to("rows.csv")
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.csv")}

    with pytest.raises(InvalidInput, match=r"would overwrite .*\.csv itself: name another file"):
        batch.score("penguins", tmp_path / source, f"{tmp_path}/{target}")

    assert before == {path.name: path.read_bytes() for path in tmp_path.glob("*.csv")}


def test_rows_that_are_scored_already_are_refused(
    home: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """A frame or a file with a column that would be added, even if only its last row has it."""
    X, _ = specs["iris"].load()

    with pytest.raises(InvalidInput, match="the frame: there is a column model already"):
        batch.score("iris", batch.score("iris", X))
    with pytest.raises(InvalidInput, match="the frame: there is a column refused already"):
        batch.score("iris", X.assign(refused=None))
    lines = X.to_json(orient="records", lines=True).splitlines() * 40
    lines.append('{"model": "mine"}')
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    with pytest.raises(InvalidInput, match=r"rows\.jsonl: there is a column model already"):
        batch.score("iris", tmp_path / "rows.jsonl", tmp_path / "out.csv", journal=True)
    assert [] == list(tmp_path.glob("out*"))


@pytest.mark.parametrize(
    "index",
    [
        pd.Index([5, 5, None]),
        pd.MultiIndex.from_tuples([(1, "a"), (1, "a"), (2, "b")], names=["predicted_class", "y"]),
        pd.to_datetime(["2024-01-01", "2024-01-01", "2023-01-01"]),
    ],
    ids=["repeated", "levels", "times"],
)
def test_any_index_of_a_frame_is_kept(index: pd.Index, home: Path, specs: dict[str, Spec]) -> None:
    """Rows are matched by position, not by index."""
    X, _ = specs["iris"].load()
    frame = X.iloc[[0, 75, 149]].set_index(index)
    frame.iloc[1, 0] = -1.0

    found = batch.score("iris", frame)

    assert found.index.equals(index)
    assert index.names == found.index.names
    assert ["setosa", "virginica"] == found["predicted_class"].iloc[[0, 2]].tolist()
    assert [False, True, False] == found["refused"].notna().tolist()


def test_impossible_calls_are_refused(home: Path, tmp_path: Path, specs: dict[str, Spec]) -> None:
    """Each error says what to do."""
    frame = specs["iris"].load()[0]
    nobody = f"http://127.0.0.1:{free_port()}"

    with pytest.raises(UnknownModel, match=", ".join(specs)):
        batch.score("roses", frame)
    with pytest.raises(InvalidInput, match="leave version and journal out"):
        batch.score("iris", frame, server=nobody, version="x")
    with pytest.raises(InvalidInput, match="name the file"):
        batch.score("iris", tmp_path / "rows.csv")
    with pytest.raises(InvalidInput, match="not list"):
        batch.score("iris", [{"sepal_length_cm": 5.1}])
    with pytest.raises(InvalidInput, match="leave the target out"):
        batch.score("iris", frame, tmp_path / "out.csv")
    frame.assign(version="mine").to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(InvalidInput, match="a column version already"):
        batch.score("iris", tmp_path / "rows.csv", tmp_path / "out.csv")
    with pytest.raises(InvalidInput, match="the name must end with"):
        batch.score("iris", tmp_path / "rows.csv", "")
    with pytest.raises(InvalidInput, match="there is no folder"):
        batch.score("iris", tmp_path / "rows.csv", tmp_path / "gone" / "out.csv")


def test_choices_of_runs_may_be_none(home: Path, tmp_path: Path) -> None:
    """A caller that has no executor hands on none."""
    frame = pd.DataFrame([scoring.IRIS])
    source = scoring.write(tmp_path / "a.csv", [scoring.IRIS])

    assert 1 == len(batch.score("iris", frame, executor=None, processes=None))
    assert 1 == batch.score("iris", source, tmp_path / "out.csv", processes=None, dask=None).rows


def test_a_home_without_models_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the command that trains."""
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path))

    with pytest.raises(NothingTrained, match="nothing is trained yet: run `loop train`"):
        batch.score("iris", pd.DataFrame())


PEAK = """
import re, sys
from pathlib import Path
from prediction import batch
batch.score("iris", sys.argv[1], sys.argv[2])
print(int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""
"""Prints the peak memory of the process in MiB; `getrusage` would return its parent's."""


def peak_mib(home: Path, model: str, source: Path, target: Path) -> int:
    """Score a file in a process of its own, and return its peak memory in MiB."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK.replace("iris", model), str(source), str(target)],
        cwd=PROJECT,
        env=environment(home) | {"PYTHONPATH": os.fspath(PROJECT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


def test_memory_does_not_grow_with_the_file(home: Path, tmp_path: Path, specs: dict[str, Spec]) -> None:
    """Ten times the rows need less than 60 MiB more, where the rows themselves are 90 MiB more."""
    X, _ = specs["iris"].load()
    peaks = []
    for rows in (300_000, 3_000_000):
        source = tmp_path / f"{rows}.parquet"
        X.iloc[np.arange(rows) % len(X)].to_parquet(source, index=False, row_group_size=100_000)
        peaks.append(peak_mib(home, "iris", source, tmp_path / "out.parquet"))

    assert peaks[1] - peaks[0] < 60, peaks


def test_memory_does_not_grow_with_json_lines(home: Path, tmp_path: Path) -> None:
    """The file is read twice and never held; as objects it would be 150 MiB."""
    line = json.dumps({"island": "Dream", "flipper_length_mm": 190.5, "note": "x" * 200}) + "\n"
    peaks = []
    for rows in (30_000, 230_000):
        source = tmp_path / f"{rows}.jsonl"
        source.write_text(line * rows)
        peaks.append(peak_mib(home, "penguins", source, tmp_path / "out.jsonl"))

    assert peaks[1] - peaks[0] < 40, peaks
