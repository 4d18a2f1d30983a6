"""README.md, docs/http.md, docs/operate.md: every block runs as printed, and gives the printed answer."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from models_store.spec import Spec
from prediction.journal import ledger
from prediction.journal.database import Journal
from tests import kinds
from tests.documents import (
    DOCS,
    README,
    assert_alike,
    blocks,
    copy_project,
    parsed,
    port_or_free,
    started,
    wait_ready,
)
from tests.servers import run

OPERATE = DOCS / "operate.md"
RUN = (README, DOCS / "http.md", OPERATE)
MARK = "---- next block"

pytestmark = pytest.mark.timeout(900)


def shell_blocks(page: Path) -> list[str]:
    """Return the blocks for the second terminal; `make serve` runs in the first one."""
    return [block for block in blocks(page, "sh") if not block.startswith("make ")]


@dataclass(frozen=True)
class Reader:
    """A reader who types the blocks of the pages into a copy of the project, on the ports that are free."""

    project: Path
    home: Path
    ports: dict[str, int]

    def as_typed(self, block: str) -> str:
        """Replace the page's ports by those of the test."""
        return re.sub(r"\b300[01]\b", lambda match: str(self.ports[match[0]]), block)

    def serve(self) -> str:
        """Return the command for the first terminal."""
        make = blocks(README, "sh")[0].strip()
        return make if self.ports["3000"] == 3000 else f"{make} PORT={self.ports['3000']}"

    def script(self, page: Path) -> str:
        """Return all blocks for the second terminal as one script, with a mark before each."""
        return "\n".join(f"echo; echo '{MARK}'\n{self.as_typed(block)}" for block in shell_blocks(page))

    def run_python(self, page: Path) -> dict[str, subprocess.CompletedProcess[str]]:
        """Run the Python blocks."""
        return {
            block: run(".venv/bin/python", "-c", self.as_typed(block), home=self.home, cwd=self.project)
            for block in blocks(page, "python")
        }


@dataclass(frozen=True)
class Session:
    """The output of every block, by the block."""

    reader: Reader
    served: str
    shown: dict[str, str]
    python: dict[str, subprocess.CompletedProcess[str]]
    elsewhere: Any

    def shown_by(self, words: str) -> str:
        """Return the output of the only shell block that holds these words."""
        (shown,) = [shown for block, shown in self.shown.items() if words in block]
        return shown


def outputs(page: Path, log: Path) -> dict[str, str]:
    """Return what each block of a page printed."""
    return dict(zip(shell_blocks(page), log.read_text().split(f"\n{MARK}\n")[1:], strict=False))


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """Run `make serve` in one terminal, and page after page in a second one.

    The last page ends with the server of an imported Bento.
    """
    folder = tmp_path_factory.mktemp("readme")
    project = copy_project(folder / "prediction-loop")
    ports = {"3000": port_or_free(3000), "3001": port_or_free(3001)}
    reader = Reader(project, folder / "home", ports)
    first, logs = folder / "first.log", {page: folder / f"{page.stem}.log" for page in RUN}
    shown: dict[str, str] = {}
    python: dict[str, subprocess.CompletedProcess[str]] = {}
    with started(reader.serve(), project, reader.home, first) as server:
        wait_ready(f"http://127.0.0.1:{ports['3000']}", server, first)
        for page in RUN:
            python |= reader.run_python(page)
            with started(reader.script(page), project, reader.home, logs[page]) as terminal:
                if page == OPERATE:
                    elsewhere = f"http://127.0.0.1:{ports['3001']}"
                    wait_ready(elsewhere, terminal, logs[page])
                    models = httpx.get(f"{elsewhere}/models").json()
                else:
                    assert 0 == terminal.wait(timeout=300), logs[page].read_text()
            shown |= outputs(page, logs[page])
        yield Session(reader, first.read_text(), shown, python, models)


def test_make_serve_trains_the_models_without_a_version_and_serves(
    session: Session, specs: dict[str, Spec]
) -> None:
    """From an empty home: a table for each model, the address of the docs page, and a server."""
    for name in specs:
        assert f"{name}: fit on " in session.served
        assert re.search(rf"{name}: \w+ is the champion", session.served)
    classifying = sum(map(kinds.predicts_classes, specs.values()))
    for row in ("classes", "accuracy", "macro-F1", "log-loss"):
        assert classifying == session.served.count(f"│ {row} ")
    for row in ("rows", "seconds", "size", "served by"):
        assert len(specs) == session.served.count(f"│ {row} ")
    assert f"http://127.0.0.1:{session.reader.ports['3000']}/\n" in session.served


def test_the_curl_that_make_serve_prints_works(session: Session) -> None:
    """The line can be copied."""
    (command,) = re.findall(r"^Try: +(curl .*)$", session.served, re.MULTILINE)
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)

    assert json.loads(done.stdout)["predicted_class"] == "setosa"


def test_the_second_make_serve_trains_nothing(session: Session) -> None:
    """Every model has a version in the store."""
    done = run("make", "train", home=session.reader.home, cwd=session.reader.project)

    assert done.returncode == 0, done.stderr
    assert not done.stdout + done.stderr


def test_every_shell_block_runs(session: Session) -> None:
    """A shell stops at the first command that fails; each one reached the last block."""
    assert [block for page in RUN for block in shell_blocks(page)] == list(session.shown)


def test_every_python_block_runs(session: Session) -> None:
    """BentoML's client and its model store do what the pages say."""
    assert [] == [done.stderr for done in session.python.values() if done.returncode]
    client, loaded = session.python.values()
    assert client.stdout.startswith("setosa ")
    assert loaded.stdout.strip() == "['Adelie' 'Chinstrap' 'Gentoo']"


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_the_printed_answers_are_the_real_ones(session: Session, page: Path) -> None:
    """The command before a printed answer gives this answer, except ids and the last digits."""
    pairs = re.findall(r"^```sh\n([^`]*?)^```\n\n```json\n(.*?)^```$", page.read_text(), re.M | re.S)

    assert len(blocks(page, "json")) == len(pairs)
    for block, printed in pairs:
        assert_alike(json.loads(printed), parsed(session.shown[block]))


def test_a_batch_is_answered_in_order_with_a_warning(session: Session) -> None:
    """The flippers of the second penguin are longer than any in the data."""
    first, second = parsed(session.shown_by("/penguins/predict_batch"))

    assert (first["predicted_class"], first["warnings"]) == ("Adelie", [])
    assert [warning["loc"] for warning in second["warnings"]] == [["flipper_length_mm"]]


def test_a_prediction_is_found_by_its_id(session: Session) -> None:
    """The answer has the features; omitted ones are null."""
    found = parsed(session.shown_by("/penguins/predictions/"))

    assert found["features"]["flipper_length_mm"] == 217
    assert found["features"]["sex"] is None


def test_a_list_has_pages(session: Session) -> None:
    """`?limit=2` gives two predictions and the next page; the last answer is the model."""
    shown = session.shown_by("predictions?limit=2")
    page, model = [json.loads(line) for line in re.findall(r"^\{.*\}", shown, re.MULTILINE)]

    assert 2 == len(page["predictions"])
    assert page["next"]
    assert "penguins" == model["name"]


def test_loop_scores_a_file(session: Session) -> None:
    """Both rows get a class."""
    assert "2 in" in session.shown_by("loop score penguins")


@pytest.mark.parametrize("words", ["loop score penguins", "loop retrain penguins"])
def test_loop_restores_the_champion_before(session: Session, words: str) -> None:
    """The model is trained with another seed, then rolled back."""
    shown = session.shown_by(words)

    assert re.search(r"^iris: \w+ is the champion again; it was \w+$", shown, re.MULTILINE)


def test_loop_retrains_with_a_verdict(session: Session) -> None:
    """The verdict is a sentence, and the ledger has the reason of the rollback."""
    shown = session.shown_by("loop retrain penguins")

    assert re.search(r"^(promoted|rejected): ", shown, re.MULTILINE)
    assert "seed 0" in shown


def test_loop_makes_and_trains_a_model_of_ones_own(session: Session) -> None:
    """From a table, in a project that is no clone: its catalog has no other model."""
    shown = session.shown_by("loop init")

    assert "written: catalog/wine.py" in shown
    assert "wine: fit on " in shown
    assert re.search(r"wine: \w+ is the champion", shown)
    assert "iris" not in shown


def test_labels_and_outcomes_travel_in_files(session: Session) -> None:
    """The label of the file is recorded, and the export has it and the one sent by HTTP."""
    shown = session.shown_by("import-feedback")

    assert "1 recorded, 0 unchanged, 0 corrected, 0 refused" in shown
    assert "2 labelled predictions of penguins in " in shown


def test_the_journal_is_copied_and_pruned(session: Session) -> None:
    """Nothing in it is old."""
    shown = session.shown_by("loop backup")

    assert re.search(r"^the journal is copied to /\S+/journal-copy.db", shown, re.MULTILINE)
    assert "0 predictions deleted" in shown


def test_the_report_is_one_page(session: Session) -> None:
    """The command names it and its size."""
    assert re.search(r"report\.html: \d+\.\d MB", session.shown_by("loop monitor"))


def test_bentoml_lists_the_models(session: Session, specs: dict[str, Spec]) -> None:
    """The list has every model, and `get` shows how it was made."""
    shown = session.shown_by("bentoml models list")

    assert not [name for name in specs if f"{name}:" not in shown]
    for words in ("runtime: onnx", "estimator: LogisticRegression", "log_loss:", "data_digest:"):
        assert words in shown


def test_the_bento_serves_the_champions_elsewhere(session: Session, specs: dict[str, Spec]) -> None:
    """It is exported, imported into an empty home, and served from there."""
    journal = Journal(f"sqlite:///{session.reader.home}/journal.db")
    champions = {name: entry.to_version for name, entry in ledger.champions(journal).items()}
    journal.close()

    served = {model["name"]: model["champion"] for model in session.elsewhere["models"]}
    assert specs.keys() == served.keys()
    assert {name: champions[name] for name in specs} == served
