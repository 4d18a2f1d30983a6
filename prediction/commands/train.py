"""`loop train`: train models, save them as versions, and promote them."""

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
from models_store.errors import InvalidSpec
from models_store.spec import Spec
from prediction import home, settings
from prediction.commands import subcommands
from prediction.errors import InvalidSettings
from prediction.journal import ledger
from prediction.journal.database import Journal
from prediction.retraining import training
from prediction.serving import champions, versions
from prediction.settings import Settings

EXAMPLE = """\
loop train
loop train iris --seed 1"""


def declare(commands: subcommands.Commands) -> None:
    """Declare the command."""
    text = "train models on their datasets, save them as versions, and promote these"
    command = subcommands.add(commands, "train", train, text, example=EXAMPLE)
    command.add_argument("models", nargs="*", metavar="MODEL", help="name of a model; default: all")
    command.add_argument(
        "--seed", type=_seed, default=0, help="the same seed gives the same metrics; default: 0"
    )
    command.add_argument(
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
    """Train, save and promote. If a model of several can't be trained, the others are."""
    configured = settings.load()
    faults = [] if options.models else [each.reason for each in catalog.broken().values()]
    try:
        trained = _train_all(options, configured, faults)
    except OSError as error:
        raise InvalidSettings(f"BENTOML_HOME can't be written to: {error}") from error
    if options.json:
        subcommands.print_json(trained)
    for fault in faults:
        print(f"loop train: {fault}", file=sys.stderr)
    return 1 if faults else 0


def _train_all(
    options: argparse.Namespace, configured: Settings, faults: list[str]
) -> list[dict[str, Any]]:
    """Train the models one after another; add to `faults` why some could not be trained."""
    specs = catalog.select(options.models)
    console = Console(stderr=options.json)
    store.recover(configured.home, [spec.name for spec in specs])
    if options.missing:
        specs = [spec for spec in specs if not store.versions(configured.home, spec.name)]
    with closing(Journal(configured.journal_url)) as journal:
        if options.promote and specs:  # before hours of training are lost because the journal fails
            home.make(configured.home)
            journal.migrate()
        trained = []
        for spec in specs:
            try:
                candidate = _train(console, spec, options.seed)
                with console.status(f"{spec.name}: save"):
                    version = training.save(candidate, configured.home)
            except InvalidSpec as error:
                faults.append(str(error))
                continue
            if options.promote:
                _promote(configured, journal, version, options.seed)
            facts = _describe(candidate, version, options.promote)
            trained.append(facts)
            if not options.json:
                _show(console, facts)
    return trained


def _train(console: Console, spec: Spec, seed: int) -> training.Candidate:
    if console.is_terminal:
        with console.status(spec.name) as status:
            return training.train(spec, seed, lambda step: status.update(f"{spec.name}: {step}"))
    return training.train(spec, seed, lambda step: console.print(f"{spec.name}: {step}"))


def _promote(configured: Settings, journal: Journal, version: store.Version, seed: int) -> None:
    ledger.promote(journal, champions.as_champion(version, "train", f"trained, seed {seed}"))
    versions.prune(journal, configured.home, version.model, configured.keep_versions)


def _describe(candidate: training.Candidate, version: store.Version, promoted: bool) -> dict[str, Any]:
    dataset = candidate.dataset
    return {
        "model": version.model,
        "version": version.version,
        "champion": promoted,
        "rows": {"training": len(dataset.training), "holdout": len(dataset.holdout)},
        "classes": list(candidate.spec.target.texts),
        "metrics": version.metrics,
        "seconds": candidate.seconds,
        "bytes": _size(version.path),
        "runtime": candidate.runtime,
        "compiled": candidate.compiled.reason,
    }


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def _show(console: Console, facts: dict[str, Any]) -> None:
    rows, metrics = facts["rows"], facts["metrics"]
    title = f"{facts['model']} {facts['version']}"
    table = Table(title=title, show_header=False, title_justify="left")
    for name, figure in [
        ("rows", f"{rows['training']} trained on, {rows['holdout']} held out"),
        ("classes", escape(", ".join(facts["classes"]))),
        ("accuracy", f"{metrics['accuracy']:.3f} on the holdout"),
        ("macro-F1", f"{metrics['macro_f1']:.3f}"),
        ("log-loss", f"{metrics['log_loss']:.3f}"),
        ("seconds", f"{facts['seconds']:.1f}"),
        ("size", f"{facts['bytes'] / 1024:.0f} KiB"),
        ("served by", escape(f"{facts['runtime']} ({facts['compiled']})")),
    ]:
        table.add_row(name, figure)
    console.print(table)
    if facts["champion"]:
        console.print(f"{facts['model']}: {facts['version']} is the champion\n")
