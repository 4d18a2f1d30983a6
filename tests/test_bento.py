"""The built Bento: complete, free of the machine it was built on, and the same service elsewhere."""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from models_store import store
from models_store.spec import Columns, Spec
from prediction.retraining import datasets
from tests import kinds
from tests.documents import copy_project
from tests.hosts import iris_home
from tests.servers import PROJECT, Server, run
from tests.timing import eventually

TOKEN = "a-token-of-tests"
ADMIN = {"Authorization": f"Bearer {TOKEN}"}
FLOWER = {"sepal_length_cm": 5.1, "sepal_width_cm": 3.5, "petal_length_cm": 1.4, "petal_width_cm": 0.2}


@dataclass(frozen=True)
class Built:
    """A Bento in the store that it was built into, its exported archive, and where that was done."""

    tag: str
    path: Path
    archive: Path
    built_in: Path

    @property
    def files(self) -> dict[str, Path]:
        """Its files by their path inside the Bento."""
        return {str(path.relative_to(self.path)): path for path in self.path.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def built(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Run `bentoml build` and `bentoml export`, where other files have the names of ours."""
    folder = tmp_path_factory.mktemp("bento")
    home = Path(shutil.copytree(trained_home, folder / "home", symlinks=True))
    project = copy_project(folder / "project")
    for name in ("service.py", "train.py", "requirements.txt", "prediction/other.py"):
        decoy = project / ".cache" / "other" / name
        decoy.parent.mkdir(parents=True, exist_ok=True)
        decoy.write_text("# of another project\n")
    (project / "models_store" / "catalog" / "own.csv").write_text("alcohol_percent,cultivar\n")
    done = run("bentoml", "build", "--output", "tag", home=home, cwd=project)
    assert done.returncode == 0, done.stderr
    (tag,) = re.findall(r"prediction:[a-z0-9]+", done.stdout)
    archive = folder / "prediction.bento"
    done = run("bentoml", "export", tag, str(archive), home=home)
    assert done.returncode == 0, done.stderr
    return Built(tag, home / "bentos" / "prediction" / tag.partition(":")[2], archive, folder)


def source(folder: str, pattern: str) -> set[str]:
    """Return where a Bento keeps the project's files of a pattern."""
    return {f"src/{path.relative_to(PROJECT)}" for path in (PROJECT / folder).rglob(pattern)}


def test_it_holds_the_code_with_templates_and_migrations(built: Built) -> None:
    """All that the service reads at run time is in it."""
    wanted = source("prediction", "*.py") | source("models_store", "*.py") | source("prediction", "*.html")

    assert {"src/service.py", "src/train.py", "src/requirements.txt"} <= set(built.files)
    assert any(name.startswith("src/prediction/journal/migrations/versions/") for name in wanted)
    assert set() == wanted - set(built.files)


def test_a_host_without_versions_builds_the_champions_of_the_others(
    trained_home: Path, built: Built, tmp_path: Path
) -> None:
    """It fetches them from the store of artefacts, to which the other host has published them."""
    shared: dict[str, Any] = {
        "database_url": f"sqlite:///{tmp_path / 'journal.db'}",
        "artifacts_url": f"file://{tmp_path}/shared",
    }
    home = iris_home(trained_home, tmp_path / "first")
    catalog = tmp_path / "catalog"
    catalog.mkdir()
    shutil.copy(PROJECT / "models_store" / "catalog" / "iris.py", catalog)
    promoted = run(
        "loop", "promote", "iris", "latest", "--reason", "x", home=home, catalog=catalog, **shared
    )
    assert 0 == promoted.returncode, promoted.stderr

    project = built.built_in / "project"
    done = run("bentoml", "build", home=tmp_path / "empty", cwd=project, catalog=catalog, **shared)

    assert 0 == done.returncode, done.stderr
    (bento,) = (tmp_path / "empty" / "bentos" / "prediction").glob("*/bento.yaml")
    champion = store.newest(home, "iris")
    assert champion.tag in bento.read_text()
    store.verify(store.get(tmp_path / "empty", "iris", champion.version), champion.digest)


def test_it_holds_data_that_lie_beside_a_spec(built: Built) -> None:
    """Retraining elsewhere reads them."""
    assert "src/models_store/catalog/own.csv" in built.files


def test_it_holds_nothing_else(built: Built) -> None:
    """Tests, docs, caches and environments stay at home."""
    inside = {Path(name).parts[1] for name in built.files if name.startswith("src/")}

    assert inside <= {
        "service.py",
        "train.py",
        "models_store",
        "prediction",
        "requirements.txt",
        "bentofile.yaml",
    }
    assert not [name for name in built.files if "__pycache__" in name]


def test_it_pins_what_the_lock_file_pins(built: Built) -> None:
    """Its requirements are ours, every hash included, and BentoML's own line beside them."""
    pins = re.compile(r"^[a-zA-Z0-9._-]+==[^\s;\\]+|--hash=sha256:\w+", re.MULTILINE)
    ours = pins.findall((PROJECT / "requirements.txt").read_text())
    theirs = pins.findall(built.files["env/python/requirements.txt"].read_text())

    assert ours == theirs[: len(ours)]
    assert len(theirs) - len(ours) <= 1
    assert all(pin.startswith("bentoml==") for pin in theirs[len(ours) :])


def test_its_image_ends_as_ours(built: Built) -> None:
    """In a stage of its own, with our entrypoint; only what BentoML adds at the very end follows."""
    folder = PROJECT / "prediction" / "http" / "image"
    dockerfile = built.files["env/docker/Dockerfile"].read_text()
    base = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
    ours = (folder / "Dockerfile").read_text().strip().replace("FROM BASE_IMAGE", f"FROM {base}")

    assert [f"FROM {base} AS base-container", f"FROM {base}"] == re.findall("^FROM .*", dockerfile, re.M)
    assert ours in dockerfile
    following = dockerfile.split(ours)[1]
    assert ["COPY", "EXPOSE", "EXPOSE", "RUN", "USER", "ENTRYPOINT"] == re.findall(
        r"^[A-Z]+", following, re.M
    )
    assert (folder / "entrypoint.sh").read_text() == built.files["env/docker/entrypoint.sh"].read_text()


def test_it_describes_our_routes(built: Built, specs: dict[str, Spec]) -> None:
    """The OpenAPI file in it has the POSTs of every spec, and the GETs."""
    text = built.files["apis/openapi.yaml"].read_text()
    posts = {f"/{name}/{call}" for name in specs for call in ("predict", "predict_batch")}
    gets = {"/models", "/models/{model}", "/{model}/predictions/{prediction_id}"}

    assert set() == {path for path in posts | gets if f"  {path}:\n" not in text}


def test_it_tells_nothing_of_the_machine_it_was_built_on(built: Built) -> None:
    """No file names a package index, a private host or a folder of the builder."""
    texts = {name: path.read_bytes().decode(errors="replace") for name, path in built.files.items()}
    urls = (urlsplit(url) for text in texts.values() for url in find_urls(text))
    hosts = {url.hostname or "" for url in urls if url.netloc}

    for words in ("index-url", "find-links", "trusted-host", str(built.built_in), str(PROJECT)):
        assert not [name for name, text in texts.items() if words in text], words
    assert not [host for host in hosts if is_private(host)]


def find_urls(text: str) -> list[str]:
    """Return every URL in a text."""
    return re.findall(r"(?:https?|file|ssh|git)://[\w.:@\[\]-]*", text)


def is_private(host: str) -> bool:
    """Return whether only some network knows a host."""
    try:
        address = ip_address(host)
    except ValueError:
        return host != "localhost" and (
            "." not in host or host.endswith((".local", ".internal", ".lan", ".corp", ".intranet"))
        )
    return not (address.is_global or address.is_loopback)


def test_served_elsewhere_it_answers_the_same(
    built: Built, server: Server, specs: dict[str, Spec], tmp_path: Path
) -> None:
    """Imported into an empty home and served from an empty folder, it answers as the source server does."""
    home, empty = tmp_path / "home", tmp_path / "empty"
    home.mkdir()
    empty.mkdir()
    done = run("bentoml", "import", str(built.archive), home=home, cwd=empty)
    assert done.returncode == 0, done.stderr

    with Server(home, target=built.tag, cwd=empty, workers=1) as elsewhere:
        for spec in specs.values():
            rows = rows_of(datasets.load(spec).columns)
            here, there = (
                answers(spec, side.post(f"/{spec.name}/predict_batch", rows).json())
                for side in (server, elsewhere)
            )
            assert len(rows) == len(here)
            assert here == there
        assert server.get("/docs.json").json()["paths"] == elsewhere.get("/docs.json").json()["paths"]
    assert not list(empty.iterdir())


def test_it_takes_the_folder_of_specs_along(tmp_path: Path) -> None:
    """Built with specs of another folder, it holds and serves these and not ours, wherever it is served."""
    specs, home, empty = (tmp_path / name for name in ("specs", "home", "empty"))
    for folder in (specs, home, empty):
        folder.mkdir()
    iris = (PROJECT / "models_store" / "catalog" / "iris.py").read_text()
    (specs / "lilies.py").write_text(iris.replace('"iris"', '"lilies"'))
    (specs / "own.csv").touch()
    for command in (("python", "train.py"), ("bentoml", "build", "--output", "tag")):
        done = run(*command, home=home, catalog=specs)
        assert done.returncode == 0, done.stderr
    (tag,) = re.findall(r"prediction:[a-z0-9]+", done.stdout)
    shutil.rmtree(specs)

    inside = home / "bentos" / "prediction" / tag.partition(":")[2] / "src" / "models_store" / "catalog"
    assert {"__init__.py", "lilies.py", "own.csv"} == {path.name for path in inside.iterdir()}
    for where in (empty, PROJECT):
        with Server(home, target=tag, cwd=where, workers=1, admin_token=TOKEN) as server:
            (model,) = server.get("/models").json()["models"]
            answer = server.post("/lilies/predict", FLOWER).json()
            asked = server.client.post("/lilies/retrain", json={"force": True}, headers=ADMIN)
            eventually(lambda: server.get("/lilies/runs").json()["runs"][0]["finished_at"] is not None)
            (ended, *_) = server.get("/lilies/runs").json()["runs"]
        assert ("lilies", "setosa", 202) == (model["name"], answer["predicted_class"], asked.status_code)
        assert ended["status"] in ("promoted", "rejected"), ended


def rows_of(columns: Columns) -> list[dict[str, Any]]:
    """Turn columns into rows."""
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def answers(spec: Spec, predictions: list[dict[str, Any]]) -> list[tuple[str, str, list[float]]]:
    """Pick what must not differ between two servers of one version."""
    return [
        (item["version"], item.get("predicted_class", ""), kinds.figures(spec, item))
        for item in predictions
    ]
