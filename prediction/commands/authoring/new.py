"""`loop new`: a model of a table, written into the catalog."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from models_store import catalog
from prediction.batch import files
from prediction.commands import subcommands
from prediction.proposals import proposing, writing
from prediction.proposals.proposing import Proposal, TableWish

EXAMPLE = """\
loop new churn customers.csv --target left
loop new tips tips.parquet --target tip --as quantity --dry-run"""


def declare(commands: subcommands.Commands) -> None:
    """Declare the command."""
    text = "write a model of a table into the catalog: features, dataset, and an estimator that it chooses"
    command = subcommands.add(commands, "new", new, text, example=EXAMPLE)
    command.add_argument("model", metavar="MODEL", help="name of the new model, for example churn")
    kinds = ", ".join(files.KINDS)
    command.add_argument("file", type=Path, metavar="FILE", help=f"the table; the name ends with {kinds}")
    command.add_argument(
        "--target", required=True, metavar="COLUMN", help="the column that the model shall predict"
    )
    text = "what the target is, if its values don't say it"
    command.add_argument("--as", dest="kind", choices=["classes", "quantity"], help=text)
    text = "zone of times without an offset, such as Europe/Paris; default: UTC"
    command.add_argument("--zone", default="UTC", metavar="ZONE", help=text)
    text = "keep a column that would be left out; may be given several times"
    command.add_argument("--keep", action="append", default=[], metavar="COLUMN", help=text)
    text = "leave a column out; may be given several times"
    command.add_argument("--leave-out", action="append", default=[], metavar="COLUMN", help=text)
    command.add_argument("--dry-run", action="store_true", help="print the file, and write nothing")


def new(options: argparse.Namespace) -> int:
    """Propose a spec for a table, say what was found, and write it."""
    wish = TableWish(
        options.model,
        options.file,
        options.target,
        options.kind,
        options.zone,
        options.keep,
        options.leave_out,
    )
    if options.dry_run:
        catalog.demand_own_folder()
        console = Console(stderr=True)
        proposal = _proposed(console, wish)
        _show(console, wish, proposal)
        print(proposal.text, end="")
        return 0
    console, name = Console(), options.model
    write(console, wish)
    console.print(f"next: loop train {name} && loop serve", soft_wrap=True, highlight=False)
    return 0


def write(console: Console, wish: TableWish) -> None:
    """Propose a spec, say what was found, and write it into the catalog."""
    folder = catalog.demand_own_folder()
    writing.demand_free(folder, wish.name)
    proposal = _proposed(console, wish)
    _show(console, wish, proposal)
    for path in writing.write(folder, wish.name, proposal):
        console.print(f"written: {_shorten(path)}", soft_wrap=True, highlight=False)


def _proposed(console: Console, wish: TableWish) -> Proposal:
    if not console.is_terminal:
        return proposing.propose(wish)
    with console.status(wish.name) as status:
        return proposing.propose(wish, lambda step: status.update(f"{wish.name}: {step}"))


def _shorten(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _show(console: Console, wish: TableWish, proposal: Proposal) -> None:
    rows = f"{len(proposal.goal.labels):,} rows, {len(proposal.columns) + 1} columns"
    table = Table(title=escape(f"{wish.path}: {rows}"), title_justify="left")
    for heading in ("column", "kind", "missing", "values", "note"):
        table.add_column(heading, overflow="fold")
    for column in proposal.columns:
        table.add_row(*map(escape, _cells(column)))
    console.print(table)
    for line in [proposal.goal.words, *proposal.notes, *proposal.chosen.words.split("; ")]:
        console.print(escape(line), soft_wrap=True, highlight=False)


def _cells(column: Any) -> list[str]:
    feature = column.feature
    missing = f"{column.missing:.1%}" if column.missing else ""
    if feature is None:
        return [column.header, "left out", missing, column.seen, column.reason]
    kind = f"open {feature.kind}" if getattr(feature, "open", False) else feature.kind
    named = [f"named {feature.name}"] if feature.name != column.header else []
    return [column.header, kind, missing, column.seen, "; ".join([*named, *column.notes])]
