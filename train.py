"""Train models, save them as versions, and promote them: `python train.py [MODEL...]`."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from models_store import catalog, store
from models_store.errors import Error
from models_store.spec import Spec
from prediction import errors, home, settings
from prediction.commands import stopping
from prediction.journal import ledger
from prediction.journal.database import Journal
from prediction.retraining import training
from prediction.serving import champions, versions


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        with stopping.stoppable():
            _run(options, Console())
    except Error as error:
        print(f"train.py: {errors.in_full(error)}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"train.py: BENTOML_HOME can't be written to: {error}", file=sys.stderr)
        return 1
    except stopping.Stopped as stopped:
        print(f"train.py: {stopped}", file=sys.stderr)
        return stopped.exit_code
    return 0


def _run(options: argparse.Namespace, console: Console) -> None:
    configured = settings.load()
    specs = catalog.select(options.models)
    journal = Journal(configured.journal_url)
    store.recover(configured.home, [spec.name for spec in specs])
    if options.missing:
        specs = [spec for spec in specs if not store.versions(configured.home, spec.name)]
    if options.promote and specs:  # before hours of training are lost on a journal that fails
        home.make(configured.home)
        journal.migrate()
    for spec in specs:
        candidate = _train(console, spec, options.seed)
        with console.status(f"{spec.name}: save"):
            version = training.save(candidate, configured.home)
        console.print(_table(candidate, version))
        if options.promote:
            _promote(configured, journal, version, options.seed)
            console.print(f"{spec.name}: {version.version} is the champion\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="train.py", description=__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="a model's name; default: all")
    parser.add_argument("--seed", type=_seed, default=0, help="same seed, same figures; default: 0")
    parser.add_argument(
        "--no-promote", dest="promote", action="store_false", help="save, and leave the champion"
    )
    parser.add_argument("--missing", action="store_true", help="train only what the model store lacks")
    return parser


def _seed(text: str) -> int:
    """Read a seed as NumPy takes it."""
    seed = int(text)
    if not 0 <= seed < 2**32:
        raise argparse.ArgumentTypeError("give a whole number from 0 to 4294967295")
    return seed


def _train(console: Console, spec: Spec, seed: int) -> training.Candidate:
    if console.is_terminal:
        with console.status(spec.name) as status:
            return training.train(spec, seed, lambda step: status.update(f"{spec.name}: {step}"))
    return training.train(spec, seed, lambda step: console.print(f"{spec.name}: {step}"))


def _promote(configured: settings.Settings, journal: Journal, version: store.Version, seed: int) -> None:
    try:
        ledger.promote(journal, champions.as_champion(version, "train", f"trained, seed {seed}"))
        versions.prune(journal, configured.home, version.model, configured.keep_versions)
    finally:
        journal.close()


def _table(candidate: training.Candidate, version: store.Version) -> Table:
    metrics, dataset = candidate.metrics, candidate.dataset
    size = sum(path.stat().st_size for path in version.path.iterdir())
    table = Table(title=f"{version.model} {version.version}", show_header=False, title_justify="left")
    for name, figure in [
        ("rows", f"{len(dataset.training)} trained on, {len(dataset.holdout)} held out"),
        ("classes", escape(", ".join(candidate.spec.classes))),
        ("accuracy", f"{metrics.accuracy:.3f} on the holdout"),
        ("macro-F1", f"{metrics.macro_f1:.3f}"),
        ("log-loss", f"{metrics.log_loss:.3f}"),
        ("seconds", f"{candidate.seconds:.1f}"),
        ("size", f"{size / 1024:.0f} KiB"),
        ("served by", escape(f"{candidate.runtime} ({candidate.compiled.reason})")),
    ]:
        table.add_row(name, figure)
    return table


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
