"""Versions on disk: they are complete or not there, also after kills and damage."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import pickle
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout, suppress
from datetime import UTC, datetime, timedelta
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import bentoml
import joblib
import pytest
from bentoml._internal.models import ModelStore
from bentoml.models import ModelContext

from models_store import catalog, store
from models_store.errors import DamagedVersion, NothingTrained, UnknownVersion
from models_store.store import Version
from prediction.journal.database import Journal
from prediction.retraining import training
from prediction.retraining.training import Candidate
from prediction.serving.preparing import prepare
from prediction.serving.runtime import Runtime

SPEC = catalog.load()["iris"]
HASHED = ["golden.json", "model.onnx", "profile.json", "saved_model.pkl"]
FILES = [*HASHED, "manifest.json"]

PROCESSES = multiprocessing.get_context("forkserver")
"""Children are forked from a server that has imported what a save needs, so that each starts at once."""
PROCESSES.set_forkserver_preload([__name__, "sklearn.pipeline", "bentoml_cli.cli", "train"])

WRITERS = {"write_bytes", "write_text", "copyfile", "_fastcopy_sendfile", "_write_info", "dump", "rmtree"}
"""A file may be incomplete between two lines of these functions."""


@pytest.fixture(scope="module")
def candidate() -> Candidate:
    """A trained model of irises."""
    return training.train(SPEC, seed=0)


@pytest.fixture(scope="module")
def pickled(candidate: Candidate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in a file, for other processes; the spec stays behind, they have their own."""
    path = tmp_path_factory.mktemp("candidate") / "candidate.pkl"
    joblib.dump({name: value for name, value in vars(candidate).items() if name != "spec"}, path)
    return path


@pytest.fixture
def saved(candidate: Candidate, tmp_path: Path) -> Version:
    """A version in a home of its own."""
    return training.save(candidate, tmp_path)


def publish(home: Path, name: str = "iris", content: bytes = b"some bytes") -> Version:
    """Save a version that holds next to nothing."""
    with store.stage(home) as staged:
        (staged / store.PIPELINE).write_bytes(content)
        return store.publish(home, staged, name, {"a": "label"}, {"runtime": "onnx", "metrics": {"n": 1}})


def listed(home: Path) -> set[str]:
    """List the tags that BentoML finds; it fails if a folder is not a version."""
    models = home / "models"
    return {str(model.tag) for model in ModelStore(models).list()} if models.exists() else set()


def latest(home: Path, name: str = "iris") -> str:
    """Read the version that BentoML takes for the latest."""
    return (home / "models" / name / "latest").read_text()


def remains(home: Path) -> list[str]:
    """List the contents of staging, except the lock."""
    return sorted(path.name for path in (home / "staging").iterdir() if path.name != ".lock")


# publish


def test_a_published_version_is_in_the_store(tmp_path: Path) -> None:
    """It is returned as it was given, with the current time and the digest of its manifest."""
    version = publish(tmp_path)
    manifest = (version.path / store.MANIFEST).read_bytes()

    assert ("iris", "onnx", {"n": 1}) == (version.model, version.runtime, version.metrics)
    assert tmp_path / "models" / "iris" / version.version == version.path
    assert {"runtime": "onnx", "metrics": {"n": 1}} == version.metadata
    assert hashlib.sha256(manifest).hexdigest() == version.digest
    described = (version.path / store.MODEL_YAML).read_text()
    vouched = described.replace(version.digest, store.UNKNOWN_DIGEST).encode()
    assert {
        "files": {store.PIPELINE: hashlib.sha256(b"some bytes").hexdigest()},
        "model_yaml": hashlib.sha256(vouched).hexdigest(),
    } == json.loads(manifest)
    assert timedelta(0) <= datetime.now(UTC) - version.created_at < timedelta(minutes=1)
    assert version.version == latest(tmp_path)
    assert [] == remains(tmp_path)


def test_a_published_version_is_a_model_of_bentoml(saved: Version, tmp_path: Path) -> None:
    """BentoML lists it, gets it, and finds its labels, metadata and framework."""
    model = ModelStore(tmp_path / "models").get("iris:latest")

    assert {f"iris:{saved.version}"} == listed(tmp_path)
    assert saved.version == model.tag.version
    assert "bentoml.sklearn" == model.info.module
    assert {"spec": "iris", "runtime": "onnx", "estimator": "LogisticRegression"} == model.info.labels
    assert saved.digest == model.info.metadata["digest"]
    assert saved.metrics == model.info.metadata["metrics"]
    assert {"predict", "predict_proba"} == set(model.info.signatures)
    assert "sklearn" == model.info.context.framework_name


def test_a_failed_save_leaves_nothing(tmp_path: Path) -> None:
    """An error while a version is built removes its folder."""

    def fail() -> None:
        with store.stage(tmp_path) as staged:
            (staged / "half").write_bytes(b"of it")
            (staged / "missing").read_bytes()

    with pytest.raises(FileNotFoundError):
        fail()

    assert ([], [], set()) == (remains(tmp_path), store.versions(tmp_path, "iris"), listed(tmp_path))


# versions, newest, get


def test_versions_are_newest_first(tmp_path: Path) -> None:
    """Each save adds one in front; versions of other models are not listed."""
    saved = [publish(tmp_path) for _ in range(3)]
    publish(tmp_path, "penguins")

    assert saved[::-1] == store.versions(tmp_path, "iris")
    assert saved[-1] == store.newest(tmp_path, "iris")
    assert saved[0] == store.get(tmp_path, "iris", saved[0].version)


@pytest.mark.parametrize("folder", ["", "models", "models/iris"])
def test_an_empty_store_has_no_versions(folder: str, tmp_path: Path) -> None:
    """With no store, or an empty one, the error names the command that trains."""
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)

    assert [] == store.versions(tmp_path, "iris")
    with pytest.raises(NothingTrained, match=r"run `loop train iris`"):
        store.newest(tmp_path, "iris")


@pytest.mark.parametrize("version", ["nosuchversion", "", ".", "..", "latest", "a\0b", "staged", "x" * 300])
def test_an_unknown_version_is_an_error(version: str, tmp_path: Path) -> None:
    """So is a name that can't be a version or a folder that can't be read."""
    publish(tmp_path)

    with pytest.raises(UnknownVersion, match="is not in the model store"):
        store.get(tmp_path, "iris", version)
    with pytest.raises(UnknownVersion, match="can't be read: File name too long"):
        store.get(tmp_path / ("n" * 300), "iris", "v1")


@pytest.mark.parametrize("prefix", ["../penguins/", "../../models/penguins/", "./", "/"])
def test_a_path_is_not_a_version(prefix: str, tmp_path: Path) -> None:
    """A client can't read another model's folder or leave the store."""
    publish(tmp_path)
    other = publish(tmp_path, "iris" if prefix == "./" else "penguins")
    path = str(other.path) if prefix == "/" else prefix + other.version

    with pytest.raises(UnknownVersion):
        store.get(tmp_path, "iris", path)


def test_a_version_that_bentoml_deleted_is_unknown(tmp_path: Path) -> None:
    """It is not listed, and the cache does not return it."""
    old, new = publish(tmp_path), publish(tmp_path)
    assert [new, old] == store.versions(tmp_path, "iris")
    ModelStore(tmp_path / "models").delete(f"iris:{new.version}")

    assert [old] == store.versions(tmp_path, "iris")
    with pytest.raises(UnknownVersion):
        store.get(tmp_path, "iris", new.version)


def foreign_model(folder: Path) -> None:
    """Save a model as BentoML's users do, under a name that is ours."""
    model = bentoml.Model.create(
        bentoml.Tag("iris", folder.name),
        module="bentoml.sklearn",
        api_version="v1",
        signatures={},
        context=ModelContext("sklearn", {}),
    )
    model.flush()
    shutil.copytree(model.path, folder, dirs_exist_ok=True)


def model_yaml(content: bytes) -> Callable[[Path], object]:
    """Write a `model.yaml` that is none."""
    return lambda folder: (folder / store.MODEL_YAML).write_bytes(content)


@pytest.mark.parametrize(
    "fill",
    [
        lambda _: None,
        lambda folder: (folder / store.PIPELINE).write_bytes(b"alone"),
        lambda folder: (folder / store.MODEL_YAML).mkdir(),
        foreign_model,
        model_yaml(b""),
        model_yaml(b"\0\1\2"),
        model_yaml(b"\xff\xfe\xff"),
        model_yaml(b"- a list\n"),
        model_yaml(b"name: iris\nversion: x\n"),
        model_yaml(b"name: [unclosed\n"),
        model_yaml(b"name: iris\nversion: x\nmodule: 3\nlabels: 4\nmetadata: 5\ncreation_time: never\n"),
    ],
    ids=[
        "empty", "no model.yaml", "a folder", "another program's", "truncated to nothing",
        "control characters", "no UTF-8", "a list", "half of it", "no YAML", "wrong types",
    ],
)  # fmt: skip
def test_a_folder_that_is_not_a_version_is_ignored(fill: Callable[[Path], object], tmp_path: Path) -> None:
    """It is not listed, and causes no error."""
    version = publish(tmp_path)
    folder = tmp_path / "models" / "iris" / "zzzzzzzzzzzzzzzz"
    folder.mkdir()
    fill(folder)
    (tmp_path / "models" / "iris" / "a file").write_text("x")

    with pytest.raises(UnknownVersion):
        store.get(tmp_path, "iris", folder.name)
    assert [version] == store.versions(tmp_path, "iris")
    store.recover(tmp_path, ["iris"])
    assert version.version == latest(tmp_path)


def test_a_copy_with_another_name_is_not_a_version(tmp_path: Path) -> None:
    """Its `model.yaml` names the original, which would be there twice."""
    version = publish(tmp_path)
    shutil.copytree(version.path, version.path.with_name("backup"))

    assert [version] == store.versions(tmp_path, "iris")


def test_a_damaged_model_yaml_is_ignored_or_read_correctly(tmp_path: Path) -> None:
    """It may be cut at any place, or have any byte changed: it causes no error."""
    version = publish(tmp_path)
    content = (version.path / store.MODEL_YAML).read_bytes()
    cut = [content[:size] for size in range(0, len(content), 11)]
    changed = [
        content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]
        for place in range(0, len(content), 11)
        for bit in (1, 128)
    ]
    wrong = []
    for number, damaged in enumerate([*cut, *changed]):
        folder = tmp_path / "models" / "iris" / f"damaged{number}"
        folder.mkdir()
        (folder / store.MODEL_YAML).write_bytes(damaged)
        try:
            store.get(tmp_path, "iris", folder.name)
        except UnknownVersion:
            continue
        except Exception as error:  # noqa: BLE001
            wrong.append(f"{number}: {type(error).__name__}")
        finally:
            shutil.rmtree(folder)

    assert [] == wrong


# verify


def test_what_was_saved_is_verified(saved: Version) -> None:
    """All files are in the manifest, except itself and BentoML's `model.yaml`."""
    store.verify(saved, saved.digest)

    assert sorted(HASHED) == sorted(json.loads((saved.path / store.MANIFEST).read_bytes())["files"])
    assert {*FILES, store.MODEL_YAML} == {path.name for path in saved.path.iterdir()}


def change_byte(path: Path) -> None:
    """Turn one bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def make_folder(path: Path) -> None:
    """Put a folder in its place."""
    path.unlink()
    path.mkdir()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "one bit": change_byte,
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "empty": lambda path: os.truncate(path, 0),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\n"),
    "missing": lambda path: path.unlink(),
    "a folder": make_folder,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_every_damage_is_found_and_the_file_named(name: str, damage: str, saved: Version) -> None:
    """A version with changed files can't be used; the error names the file."""
    DAMAGES[damage](saved.path / name)

    with pytest.raises(DamagedVersion, match=f"iris:{saved.version}: {re.escape(name)}"):
        store.verify(saved, saved.digest)
    with pytest.raises(DamagedVersion, match=re.escape(name)):
        store.load_pipeline(saved, saved.digest)


def test_the_file_that_serves_a_version_must_be_in_its_manifest(tmp_path: Path) -> None:
    """The runtime is named in `model.yaml`, which the digest does not cover; here the graph is missing."""
    version = publish(tmp_path)
    assert "onnx" == version.runtime

    with pytest.raises(DamagedVersion, match="the file that serves it is not in its manifest"):
        store.verify(version, version.digest)


def test_another_digest_is_refused(saved: Version) -> None:
    """Even if its files match its manifest, it is not the promoted version."""
    with pytest.raises(DamagedVersion, match=r"manifest\.json is not the one that was promoted"):
        store.verify(saved, "0" * 64)


class Trap:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_nothing_is_unpickled_before_its_digest_is_right(saved: Version, tmp_path: Path) -> None:
    """A file that replaced the pipeline is not executed."""
    trap = pickle.dumps(Trap(tmp_path / "sprung"))
    (saved.path / store.PIPELINE).write_bytes(trap)

    with pytest.raises(DamagedVersion, match=r"saved_model\.pkl was changed after it was saved"):
        store.load_pipeline(saved, saved.digest)
    assert not (tmp_path / "sprung").exists()
    pickle.loads(trap)
    assert (tmp_path / "sprung").exists()


def test_a_json_file_that_cant_be_read_is_an_error(saved: Version) -> None:
    """The error of a missing or truncated file names the version and the file."""
    assert saved.read_json(store.PROFILE)["rows"] > 0
    os.truncate(saved.path / store.PROFILE, 20)
    (saved.path / store.GOLDEN).unlink()

    for name in (store.PROFILE, store.GOLDEN):
        with pytest.raises(DamagedVersion, match=f"{saved.version}: {name} can't be read"):
            saved.read_json(name)


# latest and recover


@pytest.mark.parametrize("content", [None, "", "nosuchversion", "\0\1", "the old one"])
def test_recover_makes_latest_name_the_newest(content: str | None, tmp_path: Path) -> None:
    """The file may be missing, empty, damaged or outdated."""
    old, new = publish(tmp_path), publish(tmp_path)
    pointer = tmp_path / "models" / "iris" / "latest"
    pointer.unlink()
    if content is not None:
        pointer.write_text(old.version if content == "the old one" else content)
    store.recover(tmp_path, ["iris", "penguins"])

    assert new.version == latest(tmp_path)
    assert new.version == ModelStore(tmp_path / "models").get("iris:latest").tag.version


def test_recover_removes_what_a_killed_save_left(tmp_path: Path) -> None:
    """Incomplete versions and `latest` files of ended processes are removed."""
    version = publish(tmp_path)
    (tmp_path / "staging" / "half").mkdir()
    (tmp_path / "staging" / "half" / "model.onnx").write_bytes(b"x")
    (tmp_path / "staging" / "latest-999999999").write_text("")
    store.recover(tmp_path, ["iris"])

    assert [] == remains(tmp_path)
    assert [version] == store.versions(tmp_path, "iris")


def test_recover_leaves_a_save_that_is_under_way(tmp_path: Path) -> None:
    """The folder of a running process stays, and can still be published."""
    with store.stage(tmp_path) as staged:
        (staged / store.PIPELINE).write_bytes(b"x")
        store.recover(tmp_path, ["iris"])
        version = store.publish(tmp_path, staged, "iris", {}, {})

    store.verify(version, version.digest)


def test_recover_in_an_empty_home(tmp_path: Path) -> None:
    """There is no error, even if the home does not exist."""
    store.recover(tmp_path / "home", ["iris", "penguins"])

    assert [] == store.versions(tmp_path / "home", "iris")


# other processes


def load_candidate(pickled: Path) -> Candidate:
    """Load the candidate in a process of its own."""
    return Candidate(spec=catalog.load()["iris"], **joblib.load(pickled))


def save_until(step: int, pickled: Path, home: Path) -> None:
    """Save a candidate, and die as soon as the home has changed for the given time.

    It is looked at before each call to the system and at each line of the code that writes.
    """
    tempfile.tempdir = str(home.parent)
    loaded, state, done, looking = load_candidate(pickled), files_of(home), 0, False

    def look() -> None:
        nonlocal state, done, looking
        if not looking:
            looking = True
            if (now := files_of(home)) != state:
                state, done = now, done + 1
            if done == step:
                os.kill(os.getpid(), signal.SIGKILL)
            looking = False

    def line(_frame: Any, event: str, _argument: object) -> Any:
        if event == "line":
            look()
        return line

    def call(frame: Any, _event: str, _argument: object) -> Any:
        code = frame.f_code
        return line if "models_store" in code.co_filename or code.co_name in WRITERS else None

    def call_system(name: str, _arguments: object) -> None:
        if name.startswith(("open", "os.", "fcntl.", "shutil.", "tempfile.")):
            look()

    sys.addaudithook(call_system)
    sys.settrace(call)
    training.save(loaded, home)
    sys.settrace(None)


def files_of(folder: str | Path) -> dict[str, int]:
    """Return the size of every file and folder in a folder."""
    found = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            found[entry.path] = entry.stat().st_size
            if entry.is_dir():
                found |= files_of(entry.path)
    return found


def in_processes(jobs: Sequence[tuple[Any, ...]]) -> list[int | None]:
    """Run functions, each with its arguments in a process of its own, and return the exit codes."""
    processes = [PROCESSES.Process(target=target, args=arguments) for target, *arguments in jobs]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]


def kill_saves(base: Path, pickled: Path, folder: Path) -> list[Path]:
    """Kill a save at its first step, at its second and so on to the last; return the homes."""
    homes: list[Path] = []
    while True:
        steps = range(len(homes) + 1, len(homes) + 7)
        batch = [Path(shutil.copytree(base, folder / str(step) / "home")) for step in steps]
        codes = in_processes(
            [(save_until, step, pickled, home) for step, home in zip(steps, batch, strict=True)]
        )
        assert set(codes) <= {0, -signal.SIGKILL}, "the save itself failed"
        homes += [home for home, code in zip(batch, codes, strict=True) if code]
        if 0 in codes:
            return homes


def latests(home: Path) -> list[str]:
    """Return what `latest` says, if it is there: with the number of files all that BentoML sees."""
    return [path.read_text() for path in home.glob("models/iris/latest")]


def list_and_get(home: Path) -> None:
    """Run BentoML's commands on a home, which take it from the environment once for each process."""
    os.environ["BENTOML_HOME"] = str(home)
    (command,) = entry_points(group="console_scripts", name="bentoml")
    with (home.parent / "log").open("w") as log, redirect_stdout(log):
        command.load()(["models", "list"], standalone_mode=False)
        if store.versions(home, "iris"):
            command.load()(["models", "get", "iris:latest"], standalone_mode=False)


def serve(homes: Sequence[Path]) -> None:
    """Start to serve in each home as the service does: prepare it, then load the champion."""
    for home in homes:
        versions = store.versions(home, "iris")
        journal = Journal(f"sqlite:///{home / 'journal.db'}")
        with suppress(*([] if versions else [NothingTrained])):
            prepare({"iris": SPEC}, home, journal, [])
            serving = Runtime({"iris": SPEC}, home, journal)
            serving.follow()
            assert serving.ready, home
            assert versions == store.versions(home, "iris"), home
        journal.close()


def train_again(homes: Sequence[Path], pickled: Path) -> None:
    """Run `loop train` in each home; what it would train is saved, being trained already."""
    from prediction.commands import cli

    for home in homes:
        os.environ["BENTOML_HOME"] = str(home)
        if store.versions(home, "iris"):
            assert 0 == cli.main(["train", "iris", "--missing"]), home
        else:
            store.recover(home, ["iris"])
        version = training.save(load_candidate(pickled), home)
        assert version == store.newest(home, "iris"), home
        assert version.version == latest(home), home
        assert not [name for name in remains(home) if not name.startswith("latest-")], home


@pytest.mark.parametrize("before", [0, 1], ids=["the first save", "the second save"])
def test_a_save_killed_at_any_step_causes_no_error_later(
    before: int, pickled: Path, tmp_path: Path
) -> None:
    """The version is complete or not there; listing, reading, serving and training work as before."""
    base = tmp_path / "base"
    base.mkdir()
    for _ in range(before):
        training.save(load_candidate(pickled), base)
    homes = kill_saves(base, pickled, tmp_path / "killed")
    found = [store.versions(home, "iris") for home in homes]

    assert len(homes) > 12
    assert {before, before + 1} == {len(versions) for versions in found}
    for home, versions in zip(homes, found, strict=True):
        assert {f"iris:{version.version}" for version in versions} == listed(home)
        for version in versions:
            store.verify(version, version.digest)
            assert {*FILES, store.MODEL_YAML} == {path.name for path in version.path.iterdir()}
    seen = {(len([*home.glob("models/**/*")]), *latests(home)): home for home in homes}
    assert {0} == set(in_processes([(list_and_get, home) for home in seen.values()]))
    copies = [Path(shutil.copytree(home, home.with_name("copy"))) for home in homes]
    assert [0, 0] == in_processes([(serve, homes), (train_again, copies, pickled)])


def save_often(number: int, pickled: Path, home: Path) -> None:
    """Save the same candidate some times."""
    loaded = load_candidate(pickled)
    for _ in range(number):
        training.save(loaded, home)


def recover_often(number: int, home: Path) -> None:
    """Clean up, as every start of a server does."""
    for _ in range(number):
        store.recover(home, ["iris"])


def test_processes_save_at_the_same_time(pickled: Path, tmp_path: Path) -> None:
    """All versions are complete, `latest` is the newest, and staging is empty."""
    jobs = [(save_often, 5, pickled, tmp_path), (save_often, 5, pickled, tmp_path)]
    assert [0, 0, 0] == in_processes([*jobs, (recover_often, 50, tmp_path)])
    versions = store.versions(tmp_path, "iris")

    assert 10 == len({version.version for version in versions}) == len(listed(tmp_path))
    assert versions[0].version == latest(tmp_path)
    assert [] == remains(tmp_path)
    for version in versions:
        store.verify(version, version.digest)


def test_readers_never_see_an_incomplete_version(pickled: Path, tmp_path: Path) -> None:
    """While another process saves, listings are complete and `latest` names an existing version."""
    first = training.save(load_candidate(pickled), tmp_path)
    process = PROCESSES.Process(target=save_often, args=(8, pickled, tmp_path))
    process.start()
    counts = {1}
    while process.is_alive():
        versions = store.versions(tmp_path, "iris")
        counts.add(len(versions))
        for version in versions:
            store.verify(version, version.digest)
        assert (tmp_path / "models" / "iris" / latest(tmp_path) / store.MODEL_YAML).is_file()
        assert f"iris:{first.version}" in listed(tmp_path)
    process.join()

    assert 0 == process.exitcode
    assert 9 == len(store.versions(tmp_path, "iris"))
    assert len(counts) > 1, "the saves were not watched"


# prune and delete


def test_prune_keeps_the_newest_and_the_protected(tmp_path: Path) -> None:
    """The oldest versions are deleted, except protected ones."""
    versions = [publish(tmp_path) for _ in range(5)]
    other = publish(tmp_path, "penguins")
    gone = store.prune(tmp_path, "iris", keep=2, protected=lambda: {versions[1].version})

    assert {versions[0].version, versions[2].version} == set(gone)
    assert [versions[4], versions[3], versions[1]] == store.versions(tmp_path, "iris")
    assert [other] == store.versions(tmp_path, "penguins")
    assert [] == store.prune(tmp_path, "iris", keep=5, protected=set)
    assert ([], versions[4].version) == (remains(tmp_path), latest(tmp_path))


def test_deleting_the_newest_makes_the_one_before_the_latest(tmp_path: Path) -> None:
    """BentoML and the store agree on the versions that are left, until there is none."""
    old, new = publish(tmp_path), publish(tmp_path)
    store.delete(tmp_path, "iris", new.version)
    assert ({f"iris:{old.version}"}, old.version) == (listed(tmp_path), latest(tmp_path))
    store.delete(tmp_path, "iris", old.version)

    assert (set(), []) == (listed(tmp_path), store.versions(tmp_path, "iris"))
    with pytest.raises(bentoml.exceptions.NotFound):
        ModelStore(tmp_path / "models").get("iris:latest")
    assert [] == remains(tmp_path)
    assert publish(tmp_path) == store.newest(tmp_path, "iris")
