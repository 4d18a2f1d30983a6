"""`loop train`: train models, save them as versions, and promote those that the gate passes."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from models_store import catalog, store
from models_store.errors import DamagedVersion, InvalidSpec, UnknownVersion
from models_store.targets.kinds import Target
from prediction import home, settings
from prediction.artifacts import exchange
from prediction.artifacts.exchange import Exchange
from prediction.commands import subcommands
from prediction.errors import ArtifactsUnavailable, InvalidSettings, NoRoom, NotComparable
from prediction.figures.targets import kinds
from prediction.journal import ledger
from prediction.journal.database import Journal
from prediction.retraining import trainings
from prediction.retraining.trainings import Trained, Training, Wish
from prediction.settings import Settings

EXAMPLE = """\
loop train
loop train iris --seed 1
loop train iris --promote"""


def declare(commands: subcommands.Commands) -> None:
    """Declare the command."""
    text = "train models on their datasets, and promote them if they are not worse than their champions"
    command = subcommands.add(commands, "train", train, text, example=EXAMPLE)
    command.add_argument("models", nargs="*", metavar="MODEL", help="name of a model; default: all")
    command.add_argument(
        "--seed", type=_seed, default=0, help="the same seed gives the same metrics; default: 0"
    )
    choice = command.add_mutually_exclusive_group()
    choice.add_argument(
        "--promote", action="store_true", default=None, help="promote without comparing with the champion"
    )
    choice.add_argument(
        "--no-promote", dest="promote", action="store_false", help="save, and keep the champion"
    )
    command.add_argument(
        "--missing", action="store_true", help="train only models without a version in the model store"
    )
    subcommands.add_json(command)


def _seed(text: str) -> int:
    """Read a seed as NumPy takes it."""
    seed = int(text)
    if not 0 <= seed < 2**32:
        raise argparse.ArgumentTypeError("give a whole number from 0 to 4294967295")
    return seed


def train(options: argparse.Namespace) -> int:
    """Train, save, judge and promote. If a model of several can't be trained, the others are."""
    configured = settings.load()
    faults = [] if options.models else [each.reason for each in catalog.broken().values()]
    try:
        trained = _train_all(options, configured, faults)
    except OSError as error:
        raise InvalidSettings(f"BENTOML_HOME can't be written to: {error}") from error
    if options.json:
        subcommands.print_json([facts for _, facts in trained])
    for fault in faults:
        print(f"loop train: {fault}", file=sys.stderr)
    return 1 if faults or any(item.verdict and not item.promoted for item, _ in trained) else 0


def _train_all(
    options: argparse.Namespace, configured: Settings, faults: list[str]
) -> list[tuple[Trained, dict[str, Any]]]:
    """Train the models one after another; add to `faults` why some could not be trained."""
    specs = catalog.select(options.models)
    console = Console(stderr=options.json)
    store.recover(configured.home, [spec.name for spec in specs])
    if options.missing:
        specs = [spec for spec in specs if not store.versions(configured.home, spec.name)]
    shared = exchange.of(configured)
    wish = Wish(options.seed, options.promote, options.missing, configured.keep_versions)
    with closing(Journal(configured.journal_url)) as journal:
        if options.promote is not False and specs:  # before hours are lost because the journal fails
            home.make(configured.home)
            journal.migrate()
        trained = []
        for spec in specs:
            try:
                if options.missing and _fetch(spec.name, journal, shared):
                    console.print(f"{spec.name}: the champion was fetched from the store of artefacts")
                    continue
                prepared = trainings.prepare(spec, configured.home, journal, wish, exchange=shared)
                item = execute(console, prepared)
            except (InvalidSpec, NotComparable, ArtifactsUnavailable, NoRoom) as error:
                faults.append(str(error))
                continue
            facts = describe(spec.name, item)
            trained.append((item, facts))
            if not options.json:
                show(console, facts, item)
    return trained


def _fetch(model: str, journal: Journal, shared: Exchange) -> bool:
    """Fetch the champion that other hosts have; return False if there is none, or none that can be fetched.

    Raises
    ------
    ArtifactsUnavailable, NoRoom
    """
    entry = ledger.champion(journal, model) if shared.is_shared else None
    if entry is None:
        return False
    try:
        shared.obtain(model, entry.to_version, entry.digest)
    except (UnknownVersion, DamagedVersion):
        return False
    return True


def execute(console: Console, training: Training) -> Trained:
    """Train, and show each step as it begins."""
    name = training.spec.name
    if console.is_terminal:
        with console.status(name) as status:
            return training.execute(lambda step: status.update(f"{name}: {step}"))
    return training.execute(lambda step: console.print(f"{name}: {step}"))


def describe(name: str, item: Trained) -> dict[str, Any]:
    """Return what is printed of a training."""
    dataset, candidate, version = item.dataset, item.candidate, item.version
    facts: dict[str, Any] = {
        "model": version.model if version else name,
        "version": version.version if version else None,
        "champion": item.promoted,
        "restart": list(item.unaware),
        "rows": {"training": len(dataset.training), "holdout": len(dataset.holdout)},
        "origin": None,
        "verdict": item.verdict.as_dict() if item.verdict else None,
    }
    if candidate is None:
        return facts
    stated = {"decision": candidate.compiled.decision.as_dict()}
    origin = candidate.notes.get("origin")
    if origin:
        facts["rows"]["training"] = 0
    return facts | {
        "origin": origin,
        **candidate.spec.target.as_dict(),
        "metrics": candidate.metrics.as_dict(),
        "seconds": candidate.seconds,
        "bytes": _size(version.path) if version else None,
        "runtime": candidate.runtime,
        "compiled": candidate.compiled.reason,
        "decision": candidate.spec.target.describe_decision(stated),
    }


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def show(console: Console, facts: dict[str, Any], item: Trained) -> None:
    """Print how a training ended."""
    name = facts["model"]
    if item.candidate is not None and item.version is not None:
        console.print(_table(facts, item.candidate.spec.target))
    if item.verdict is not None:
        console.print(escape(f"{name}: {item.verdict.sentence}"), soft_wrap=True)
        if not item.promoted:
            console.print(_advise(name.removesuffix("-rejected"), item), soft_wrap=True)
    if item.promoted:
        console.print(
            f"{name}: {facts['version']} is the champion{_advise_restart(item)}\n", soft_wrap=True
        )
    elif item.kept_for is not None:
        words = f"{item.kept_for} stays the champion: other hosts serve it, and it is not in this store"
        console.print(f"{name}: {words}\n", soft_wrap=True)


def _advise_restart(item: Trained) -> str:
    """Say that a server must be restarted: it reads the catalog only when it starts."""
    if not item.unaware:
        return ""
    hosts = ", ".join(item.unaware)
    return f"\nThe server that runs on {hosts} does not know this model yet: restart it to serve the model"


def _advise(name: str, item: Trained) -> str:
    kept = f"the candidate is kept as {item.version.tag}; " if item.version else ""
    return f"{name}: {kept}the champion stays; the same command with --promote asks no gate\n"


def _origin(origin: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Say where a model comes from that was not trained here, and what to doubt."""
    if origin is None:
        return []
    libraries = ", ".join(f"{name} {version}" for name, version in sorted(origin["libraries"].items()))
    doubts = ["it may have been fitted on the rows held out", *origin["warnings"], origin["unrepeatable"]]
    return [
        (
            "origin",
            f"{origin['file']}, {origin['format']}, sha256 {origin['sha256'][:12]}, by {origin['by']}",
        ),
        ("saved by", libraries),
        ("doubts", "; ".join(each for each in doubts if each)),
    ]


def _table(facts: dict[str, Any], target: Target) -> Table:
    rows = facts["rows"]
    title = f"{facts['model']} {facts['version']}"
    table = Table(title=title, show_header=False, title_justify="left")
    for name, figure in [
        ("rows", f"{rows['training']} trained on, {rows['holdout']} held out"),
        *_origin(facts["origin"]),
        *target.table().items(),
        *kinds.of(target).table(facts["metrics"]).items(),
        ("seconds", f"{facts['seconds']:.1f}"),
        ("size", f"{facts['bytes'] / 1024:.0f} KiB"),
        ("served by", f"{facts['runtime']} ({facts['compiled']})"),
        ("decision", facts["decision"]),
    ]:
        table.add_row(name, escape(figure))
    return table
