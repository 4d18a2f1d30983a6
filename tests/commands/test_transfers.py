"""The commands that move rows in and out of files."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from prediction.batch import sinks
from prediction.batch.sinks import Writer
from prediction.journal import feedback, tables
from prediction.journal.database import Journal
from prediction.journal.feedback import Label
from prediction.times import DAY_US, now_us
from tests import command_line, databases
from tests.command_line import IRIS_FEATURES, Main, command, iris, label_all, read
from tests.databases import record
from tests.servers import PROJECT, environment

postgres = databases.postgres
journal_url = databases.journal_url
journal = databases.journal
main = command_line.main


def on_a_terminal(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Run a command whose errors go to a terminal; return exit code, output, and what was shown."""
    here, there = os.openpty()
    process = subprocess.Popen(
        ["python", "-m", "prediction", *arguments],
        cwd=PROJECT,
        env=environment(folder) | {"TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=there,
        text=True,
    )
    output, _ = process.communicate(timeout=60)
    os.close(there)
    with os.fdopen(here, errors="replace") as terminal:
        shown = os.read(terminal.fileno(), 100_000).decode()
    return process.returncode, output, shown


def test_export_in_a_process(tmp_path: Path) -> None:
    """`export` writes a labelled prediction with all that is known of it, typed."""
    with databases.opened(f"sqlite:///{tmp_path / 'journal.db'}") as journal:
        ids = record(journal, [iris(1), iris(2)])
        label_all(journal, ids[:1], "virginica")

    done = command(tmp_path, "export", "iris", str(tmp_path / "outcomes.parquet"), "--since", "7d")

    path = tmp_path / "outcomes.parquet"
    assert (0, f"1 labelled predictions of iris in {path}\n") == (done.returncode, done.stdout)
    (row,) = read(path)
    assert IRIS_FEATURES == {name: row[name] for name in IRIS_FEATURES}
    assert (ids[0], "setosa", "virginica") == (
        row["prediction_id"],
        row["predicted_class"],
        row["label"],
    )
    assert [0.9, 0.1, 0.0] == [row[f"probability_{name}"] for name in ("setosa", "versicolor", "virginica")]
    assert row["at"] < row["labelled_at"]
    assert row["labelled_at"].endswith("+00:00")


def test_import_feedback_in_a_process(tmp_path: Path) -> None:
    """`import-feedback` gives the labels of a file, and says of each refused row why, in a file beside."""
    with databases.opened(f"sqlite:///{tmp_path / 'journal.db'}") as journal:
        good, labelled = record(journal, [iris(1), iris(2)])
        label_all(journal, [labelled], "setosa")
        unknown = str(iris(7).prediction_id)
        (tmp_path / "labels.csv").write_text(
            "prediction_id,label,correct\n"
            f"{good},setosa,\n"
            f"{labelled},virginica,\n"
            f"{unknown},setosa,true\n"
            f"{good},tulip,\n"
        )

        code, output, shown = on_a_terminal(
            tmp_path, "import-feedback", "iris", str(tmp_path / "labels.csv")
        )

        refused = tmp_path / "labels.csv.refused.csv"
        summary = f"1 recorded, 0 unchanged, 0 corrected, 3 refused: see {refused}\n"
        assert (1, summary) == (code, output), shown
        assert "importing" in shown
        assert [("2", labelled), ("3", unknown), ("4", good)] == [
            (row["row"], row["prediction_id"]) for row in read(refused)
        ]
        reasons = [row["reason"] for row in read(refused)]
        assert "labelled setosa already" in reasons[0]
        assert "no prediction of iris has that id" == reasons[1]
        assert "must be one of setosa, versicolor, virginica" in reasons[2]
        assert feedback.find(journal, good) is not None


@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".parquet"])
def test_export_leaves_out_what_was_labelled_before(
    main: Main, journal: Journal, tmp_path: Path, kind: str
) -> None:
    """With `--since` only labels of that span are there, in the order they were given."""
    ids = record(journal, [iris(number) for number in range(3)])
    label_all(journal, ids[::-1], "setosa")
    with journal.write() as connection:
        old = tables.feedback.update().where(tables.feedback.c.prediction_id == ids[2])
        connection.execute(old.values(at_us=now_us() - 8 * DAY_US))
    path = tmp_path / f"outcomes{kind}"

    assert (0, f"3 labelled predictions of iris in {path}\n", "") == main("export", "iris", str(path))
    assert ids[::-1] == [row["prediction_id"] for row in read(path)]
    assert 0 == main("export", "iris", str(path), "--since", "7d")[0]
    assert [ids[1], ids[0]] == [row["prediction_id"] for row in read(path)]


def test_export_of_nothing_is_a_file_without_rows(main: Main, journal: Journal, tmp_path: Path) -> None:
    """A model without labels gives a file with its columns and no rows."""
    path = tmp_path / "outcomes.csv"

    assert (0, f"0 labelled predictions of penguins in {path}\n", "") == main(
        "export", "penguins", str(path)
    )
    with path.open() as file:
        header = next(csv.reader(file))
    assert {"prediction_id", "bill_length_mm", "island", "probability_Adelie", "label"} <= set(header)


def test_export_of_categories_and_missing_values(main: Main, journal: Journal, tmp_path: Path) -> None:
    """Categories are text, and what was not given is missing."""
    features = json.dumps({"bill_length_mm": 39.1, "island": "Biscoe", "sex": None})
    (prediction_id,) = record(journal, [iris(1, model="penguins", features=features, probabilities="{}")])
    feedback.give(journal, "penguins", [Label(prediction_id, "Adelie")])

    assert 0 == main("export", "penguins", str(tmp_path / "outcomes.parquet"))[0]
    (row,) = read(tmp_path / "outcomes.parquet")
    assert (39.1, "Biscoe", None, None) == tuple(
        row[name] for name in ("bill_length_mm", "island", "sex", "body_mass_g")
    )


@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".parquet"])
def test_export_of_what_was_answered_before_the_spec_changed(
    main: Main, journal: Journal, tmp_path: Path, kind: str
) -> None:
    """A feature or class that the spec no longer has is left out, and how many rows had one is told."""
    renamed = json.dumps({"petal_width_cm": 0.1, "petal_colour": "blue"})
    retyped = json.dumps({"petal_width_cm": "wide"})
    old_class = {"setosa": 0.9, "tulip": 0.1}
    changes: list[dict[str, Any]] = [
        {},
        {"features": renamed},
        {"features": retyped},
        {"probabilities": json.dumps(old_class)},
    ]
    label_all(journal, record(journal, [iris(n, **change) for n, change in enumerate(changes)]), "setosa")
    path = tmp_path / f"outcomes{kind}"

    code, output, _ = main("export", "iris", str(path))

    assert (0, f"4 labelled predictions of iris in {path}") == (code, output.splitlines()[0])
    told = "3 of them have features or classes that iris no longer has: these are left out"
    assert told == output.splitlines()[1]
    found = read(path)
    assert set() == {name for row in found for name in row if "colour" in name or "tulip" in name}
    widths = [row.get("petal_width_cm") or None for row in found]
    assert [0.1, None] == [width and float(width) for width in widths[1:3]]


@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".parquet"])
def test_import_feedback_reads_every_kind(main: Main, journal: Journal, tmp_path: Path, kind: str) -> None:
    """Labels come from CSV, JSON Lines and Parquet; the second time they are unchanged."""
    ids = record(journal, [iris(number) for number in range(3)])
    label_all(journal, ids[2:], "setosa")
    path = tmp_path / f"labels{kind}"
    columns = {"prediction_id": str, "label": str, "correct": str}
    rows = [{"prediction_id": each, "label": "virginica", "correct": "true"} for each in ids]
    with Writer(path) as file:
        file.write(sinks.batch_of(rows, columns))

    first, second = main("import-feedback", "iris", str(path)), main("import-feedback", "iris", str(path))

    assert (0, "2 recorded, 0 unchanged, 1 corrected, 0 refused\n", "") == first
    assert (0, "0 recorded, 3 unchanged, 0 corrected, 0 refused\n", "") == second
    assert [path] == list(tmp_path.glob("labels*"))


def test_refused_rows_are_numbered_through_all_chunks(main: Main, journal: Journal, tmp_path: Path) -> None:
    """A row far down a long file is named by its own number; once all is well, no side file is left."""
    ids = record(journal, [iris(number) for number in range(2_500)])
    path, refused = tmp_path / "labels.csv", tmp_path / "labels.csv.refused.csv"
    rows = [f"{each},setosa" for each in ids]
    rows[1_700] = f"{ids[1_700]},tulip"
    path.write_text("\n".join(["prediction_id,label", *rows]))

    assert 1 == main("import-feedback", "iris", str(path))[0]
    assert [("1701", ids[1_700], "tulip")] == [
        (row["row"], row["prediction_id"], row["label"]) for row in read(refused)
    ]
    rows[1_700] = f"{ids[1_700]},virginica"
    path.write_text("\n".join(["prediction_id,label", *rows]))
    assert (0, "1 recorded, 2499 unchanged, 0 corrected, 0 refused\n", "") == main(
        "import-feedback", "iris", str(path)
    )
    assert not refused.exists()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"prediction_id": "x", "label": "setosa"}, "must be the id of a prediction"),
        ({"prediction_id": "\ud800" * 36, "label": "setosa"}, "must be the id of a prediction"),
        ({"prediction_id": "\x00" * 36, "label": "setosa"}, "no prediction of iris has that id"),
        ({"prediction_id": None, "label": "setosa"}, "prediction_id: is required"),
        ({"prediction_id": "0" * 36}, "label: is required"),
        ({"prediction_id": "0" * 36, "label": 1}, "must be one of setosa"),
        ({"prediction_id": "0" * 36, "label": ["setosa"]}, "must be one of setosa"),
        ({"prediction_id": "0" * 36, "label": "setosa", "correct": "yes"}, "must be true or false"),
        ({"prediction_id": "0" * 36, "label": "setosa", "when": "now"}, "unknown field"),
        ({}, "is required"),
    ],
)
@pytest.mark.parametrize("journal_url", ["sqlite"], indirect=True)
def test_any_row_is_refused_with_its_reason(
    main: Main, journal: Journal, tmp_path: Path, line: dict[str, Any], reason: str
) -> None:
    """Whatever stands in a row, the reason is in the side file and the command goes on to its end."""
    (tmp_path / "labels.jsonl").write_text(json.dumps(line) + "\n")

    code, _, errors = main("import-feedback", "iris", str(tmp_path / "labels.jsonl"))

    assert (1, "") == (code, errors)
    (row,) = read(tmp_path / "labels.jsonl.refused.csv")
    assert reason in row["reason"]


def test_a_malformed_file_ends_in_one_sentence(main: Main, journal: Journal, tmp_path: Path) -> None:
    """What can't be read is told in one line, and no side file is left; none of its labels is given."""
    ids = record(journal, [iris(number) for number in range(1_001)])
    rows = [f"{each},setosa" for each in ids]
    (tmp_path / "half.csv").write_text("\n".join(["prediction_id,label", *rows, '"an open one']))
    (tmp_path / "other.csv").write_text("\n".join(["id,label", *rows]))
    (tmp_path / "text.parquet").write_text("prediction_id,label\n")
    (tmp_path / "sheet.xlsx").write_text("")

    for name in ("half.csv", "other.csv", "text.parquet", "sheet.xlsx", "missing.csv"):
        before = set(tmp_path.iterdir())
        code, output, errors = main("import-feedback", "iris", str(tmp_path / name))
        assert (1, "") == (code, output)
        assert errors.startswith("loop import-feedback: ")
        assert str(tmp_path / name) in errors
        assert 1 == errors.count("\n")
        assert before == set(tmp_path.iterdir())
    assert feedback.find(journal, ids[0]) is None


@pytest.mark.parametrize("journal_url", ["sqlite"], indirect=True)
def test_what_was_given_before_the_journal_failed_is_told(
    main: Main, journal: Journal, journal_url: str, tmp_path: Path
) -> None:
    """And how to go on."""
    ids = record(journal, [iris(number) for number in range(1_001)])
    rows = [f"{each},setosa" for each in ids[:-1]]
    path = tmp_path / "labels.csv"
    path.write_text("\n".join(["prediction_id,label", *rows, f"{ids[-1]},virginica"]))
    with databases.connected(journal_url) as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER fails BEFORE INSERT ON feedback WHEN new.label = 'virginica'"
            " BEGIN SELECT abs(-9223372036854775807 - 1); END"
        )

    code, output, errors = main("import-feedback", "iris", str(path))

    assert (1, 1) == (code, errors.count("\n"))
    assert "the journal does not answer" in errors
    assert output.startswith("1000 recorded, 0 unchanged, 0 corrected before the journal failed")


def test_a_ragged_row_is_refused_alone(main: Main, journal: Journal, tmp_path: Path) -> None:
    """With its reason, and all others are given."""
    ids = record(journal, [iris(number) for number in range(2)])
    path = tmp_path / "labels.csv"
    lines = ["prediction_id,label", f"{ids[0]},setosa", ids[1], f"{ids[1]},setosa,true", f"{ids[1]},setosa"]
    path.write_text("\n".join(lines))

    assert 1 == main("import-feedback", "iris", str(path))[0]

    told = [(row["row"], row["reason"]) for row in read(tmp_path / "labels.csv.refused.csv")]
    ends = "where the header has 2"
    assert [("2", f"has 1 cell {ends}"), ("3", f"has 3 cells {ends}")] == told
    assert None not in [feedback.find(journal, each) for each in ids]
