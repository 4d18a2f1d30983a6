"""`loop score`, through real processes."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from models_store import store
from models_store.spec import Spec
from prediction.commands import cli
from tests import command_line, databases
from tests.command_line import command, read
from tests.scoring import random_frame
from tests.servers import Server, interruptible, run

postgres = databases.postgres
journal_url = databases.journal_url
journal = databases.journal
main = command_line.main


def test_the_command_scores_and_its_exit_code_tells_of_refused_rows(
    home: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """0 when all are scored; 1 with a table that says where the others are; 1 and a sentence otherwise."""
    frame = specs["iris"].load()[0]
    frame.to_csv(tmp_path / "rows.csv", index=False)
    command = ("python", "-m", "prediction", "score", "iris", str(tmp_path / "rows.csv"))

    done = run(*command, str(tmp_path / "out[final].jsonl"), home=home)

    assert (0, "") == (done.returncode, done.stderr)
    assert "150 in" in done.stdout
    assert "out[final].jsonl" in "".join(line.strip() for line in done.stdout.splitlines())
    first = json.loads((tmp_path / "out[final].jsonl").read_text().splitlines()[0])
    assert "setosa" == first["predicted_class"]

    frame.loc[9, "petal_width_cm"] = 99.0
    frame.to_csv(tmp_path / "rows.csv", index=False)
    done = run(*command, str(tmp_path / "out.csv"), home=home)
    assert (1, "") == (done.returncode, done.stderr)
    assert f"1 row is refused: see {tmp_path / 'out.csv.refused.csv'}\n" in done.stdout

    done = run(*command, str(tmp_path / "strict.csv"), "--strict", home=home)
    assert (1, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("loop score: row 10: petal_width_cm: must be")
    assert 1 == len(done.stderr.splitlines())


def test_a_server_needs_no_home_here(server: Server, tmp_path: Path) -> None:
    """Neither a folder nor a journal, not even one that answers."""
    (tmp_path / "rows.csv").write_text("island,flipper_length_mm\nBiscoe,217\n")
    home = tmp_path / "home"
    arguments = ("score", "penguins", str(tmp_path / "rows.csv"), str(tmp_path / "out.csv"))

    done = command(
        home, *arguments, "--server", f"{server.url}/", database_url="postgresql://nobody@127.0.0.1:1/none"
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert ["Gentoo"] == [row["predicted_class"] for row in read(tmp_path / "out.csv")]
    (told,) = (line for line in done.stdout.splitlines() if "no column for" in line)
    assert all(name in told for name in ("bill_length_mm", "bill_depth_mm", "body_mass_g", "sex"))
    assert not home.exists()


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_an_interrupted_command_leaves_no_file(
    number: signal.Signals, code: int, word: str, home: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """One sentence, the exit code that shells know, and nothing half-written."""
    random_frame(specs["penguins"], 200_000).to_json(tmp_path / "rows.jsonl", orient="records", lines=True)
    folder = tmp_path / "out"
    folder.mkdir()
    files = tmp_path / "rows.jsonl", folder / "out.jsonl"
    process = interruptible("python", "-m", "prediction", "score", "penguins", *files, home=home)
    while not any(path.stat().st_size for path in folder.glob(".out.jsonl.*")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)

    output, errors = process.communicate(timeout=60)

    assert (code, "", f"loop score: {word}\n") == (process.returncode, output, errors)
    assert [] == list(folder.iterdir())


def test_the_summary_as_json(home: Path, tmp_path: Path) -> None:
    """By the latest version, with the rows of each class and each version counted."""
    (tmp_path / "rows.csv").write_text("island,flipper_length_mm\nBiscoe,217\nMars,190\n")
    files = str(tmp_path / "rows.csv"), str(tmp_path / "out.csv")

    done = command(home, "score", "penguins", *files, "--version", "latest", "--json")

    found = json.loads(done.stdout)
    assert (1, "") == (done.returncode, done.stderr)
    assert (2, 1, 1, f"{files[1]}.refused.csv") == tuple(
        found[name] for name in ("rows", "scored", "refused", "refused_file")
    )
    assert {store.newest(home, "penguins").version: 1} == found["versions"]
    assert 1 == found["classes"]["Gentoo"]


def test_many_files_are_scored_into_a_folder(
    home: Path,
    tmp_path: Path,
    specs: dict[str, Spec],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As a shell names them; a unit that fails is told with its place, and makes the exit code 1."""
    monkeypatch.setenv("BENTOML_HOME", str(home))
    for number in range(3):
        random_frame(specs["iris"], 100).to_csv(tmp_path / f"{number}.csv", index=False)
    (tmp_path / "2.csv").write_text("a,b\n1,2\n")
    names = [str(tmp_path / f"{number}.csv") for number in range(3)]
    command = ("score", "iris", *names, f"{tmp_path}/out/", "--processes", "1")

    code = cli.main([*command])
    told = capsys.readouterr().out
    assert 1 == code
    assert "200 in" in told
    assert f"1 unit has no part:\n  {names[2]}: {names[2]}: a column is missing: iris needs" in told
    assert "a file that is mended is another one: score it into another folder" in " ".join(told.split())

    code = cli.main([*command, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert (1, 200, 2, 0) == (code, found["rows"], found["units"], found["refused"])
    assert [names[2]] == list(found["failed"])

    code = cli.main(["score", "iris", *names[:2], f"{tmp_path}/out/"])
    assert 1 == code
    errors = capsys.readouterr().err
    words = (
        f"holds a run of other files: {names[2]} is not among them any more: name another folder to write"
    )
    assert f"loop score: {tmp_path}/out {words}\n" == errors
