"""`loop import`: bring in a model that was trained elsewhere, as a candidate."""

from __future__ import annotations

import argparse
import tempfile
from contextlib import closing
from pathlib import Path

from rich.console import Console

from models_store import catalog, store
from models_store.errors import InvalidInput
from prediction import home, settings
from prediction.artifacts import exchange
from prediction.commands import subcommands, train
from prediction.commands.authoring import new
from prediction.imports import drafting, files
from prediction.imports.importing import Importing
from prediction.journal.database import Journal
from prediction.proposals import writing
from prediction.retraining import trainings
from prediction.retraining.trainings import Wish

EXAMPLE = """\
loop import churn model.skops
loop import churn mlruns/1/models/m-0a1b/artifacts
loop import churn model.pkl --trust-pickle
loop import churn model.skops --new customers.csv --target left"""


def declare(commands: subcommands.Commands) -> None:
    """Declare the command."""
    text = "bring in a fitted model as a candidate, and promote it if it is not worse than the champion"
    command = subcommands.add(commands, "import", bring, text, example=EXAMPLE)
    subcommands.add_model(command)
    command.add_argument(
        "file", type=Path, metavar="FILE", help="a file of skops, or a folder that MLflow has saved"
    )
    command.add_argument(
        "--trust-pickle", action="store_true", help="allow a pickle or joblib file: it can run any code"
    )
    command.add_argument(
        "--new", type=Path, metavar="TABLE", help="write the spec too, of a table of labelled rows"
    )
    command.add_argument("--target", metavar="COLUMN", help="with --new: the column of the labels")
    choice = command.add_mutually_exclusive_group()
    choice.add_argument(
        "--promote", action="store_true", default=None, help="promote without comparing with the champion"
    )
    choice.add_argument(
        "--no-promote", dest="promote", action="store_false", help="save, and keep the champion"
    )
    subcommands.add_json(command)


def bring(options: argparse.Namespace) -> int:
    """Read, compare, evaluate, save, judge and promote."""
    if bool(options.new) != bool(options.target):
        raise InvalidInput("give --new TABLE and --target COLUMN together")
    configured = settings.load()
    file = files.find(options.file, options.trust_pickle)
    console = Console(stderr=options.json)
    if options.new:
        writing.demand_free(catalog.demand_own_folder(), options.model)
        model = drafting.described(file)
        new.write(console, drafting.wish_for(options.model, file, model, options.new, options.target))
    (spec,) = catalog.select([options.model])
    store.recover(configured.home, [spec.name])
    wish = Wish(0, options.promote, missing=False, keep_versions=configured.keep_versions)
    with (
        tempfile.TemporaryDirectory(prefix="loop-import-") as folder,
        closing(Journal(configured.journal_url)) as journal,
    ):
        if options.promote is not False:
            home.make(configured.home)
            journal.migrate()
        source = Importing(spec, file, Path(folder)).source()
        shared = exchange.of(configured)
        prepared = trainings.prepare(spec, configured.home, journal, wish, source, exchange=shared)
        item = train.execute(console, prepared)
    facts = train.describe(spec.name, item)
    if options.json:
        subcommands.print_json(facts)
    else:
        train.show(console, facts, item)
    return 1 if item.verdict and not item.promoted else 0
