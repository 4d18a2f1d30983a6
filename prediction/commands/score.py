"""`loop score`: the rows of a file, scored into another file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from prediction.batch import files, scoring
from prediction.commands import progress, subcommands

EXAMPLE = """\
loop score penguins rows.csv scored.parquet
loop score penguins rows.csv scored.csv --server http://127.0.0.1:3000"""


def declare(commands: subcommands.Commands) -> None:
    """Declare the command."""
    text = "score the rows of a file into another file"
    command = subcommands.add(commands, "score", score, text, example=EXAMPLE)
    subcommands.add_model(command)
    kinds = ", ".join(files.KINDS)
    command.add_argument("file", type=Path, metavar="FILE", help=f"the rows; the name ends with {kinds}")
    text = f"the file to write; the name ends with {kinds}"
    command.add_argument("target", type=Path, metavar="TARGET", help=text)
    text = "answer with this version (a name, a tag or latest), and not with the champion"
    command.add_argument("--version", metavar="VERSION", help=text)
    text = "let a server answer, and not this process; it records every row"
    command.add_argument("--server", metavar="URL", help=text)
    command.add_argument(
        "--journal", action="store_true", help="record the rows, so that labels can follow"
    )
    command.add_argument("--strict", action="store_true", help="end at the first refused row")
    subcommands.add_json(command)


def score(options: argparse.Namespace) -> int:
    """Score a file; refused rows are written with their reason into a file beside the target."""
    with progress.remaining() as shown:
        task = shown.add_task("scoring", total=1.0)

        def watch(done: scoring.Summary, fraction: float) -> None:
            told = f"{done.rows:,} rows, {done.rows / done.seconds:,.0f} rows/s"
            shown.update(task, completed=fraction, description=told)

        summary = scoring.score(
            options.model,
            options.file,
            options.target,
            version=options.version,
            server=options.server,
            journal=options.journal,
            strict=options.strict,
            watch=watch,
        )
    if options.json:
        subcommands.print_json(_describe(summary, options.target))
    else:
        _show(summary, options.target)
    return 1 if summary.refused else 0


def _describe(summary: scoring.Summary, target: Path) -> dict[str, Any]:
    return {
        "model": summary.model,
        "file": str(target),
        "rows": summary.rows,
        "scored": summary.scored,
        "refused": summary.refused,
        "refused_file": str(summary.refused_file) if summary.refused_file else None,
        "seconds": summary.seconds,
        "absent": summary.absent,
        "classes": dict(summary.classes),
        "versions": dict(summary.versions),
    }


def _show(summary: scoring.Summary, target: Path) -> None:
    Console().print(_table(summary, target))
    if summary.refused:
        told = "1 row is" if summary.refused == 1 else f"{summary.refused:,} rows are"
        print(f"{told} refused: see {summary.refused_file}")


def _table(summary: scoring.Summary, target: Path) -> Table:
    table = Table(title=escape(f"{summary.model}: {target}"), title_justify="left", show_header=False)
    rate = summary.rows / summary.seconds
    table.add_row("rows", f"{summary.rows:,} in {summary.seconds:.1f} s, {rate:,.0f} rows/s")
    table.add_row("scored", f"{summary.scored:,}")
    table.add_row("refused", f"{summary.refused:,}")
    if summary.absent:  # perhaps a name is misspelt
        table.add_row("no column for", ", ".join(summary.absent))
    for name, rows in summary.classes.items():
        table.add_row(escape(name), f"{rows:,}")
    for version, rows in summary.versions.items():
        table.add_row(escape(f"by {version}"), f"{rows:,}")
    return table
