"""`loop score`: the rows of a file, scored into another file; or those of many, into a folder."""

from __future__ import annotations

import argparse
from itertools import islice
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from prediction.batch import files, scoring
from prediction.batch.jobs import Summary
from prediction.commands import progress, subcommands

EXAMPLE = """\
loop score penguins rows.csv scored.parquet
loop score penguins rows.csv scored.csv --server http://127.0.0.1:3000
loop score penguins 'in/*.parquet' out/ --processes 8
loop score penguins s3://bucket/in/ s3://bucket/out/ --dask tcp://scheduler:8786"""


MAX_FAILED = 20
"""Failed units that are shown; `summary.json` has all."""


def declare(commands: subcommands.Commands) -> None:
    """Declare the command."""
    text = "score the rows of a file into another file, or of many into a folder"
    command = subcommands.add(commands, "score", score, text, example=EXAMPLE)
    subcommands.add_model(command)
    kinds = ", ".join(files.KINDS)
    text = f"the rows: a file, whose name ends with {kinds}; or files, folders, patterns, URLs of buckets"
    command.add_argument("files", nargs="+", metavar="FILE", help=text)
    text = f"the file to write, whose name ends with {kinds}; or a folder, such as out/, for parts"
    command.add_argument("target", metavar="TARGET", help=text)
    text = "how many processes score files into a folder; by default one for each core"
    command.add_argument("--processes", type=int, metavar="N", help=text)
    text = "let the workers of a Dask cluster score files into a folder"
    command.add_argument("--dask", metavar="URL", help=text)
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
    """Score files; refused rows are written with their reason into a file beside the target, or in it."""
    spread: scoring.Spread = {}
    if options.processes is not None:
        spread["processes"] = options.processes
    if options.dask is not None:
        spread["dask"] = options.dask
    with progress.remaining() as shown:
        task = shown.add_task("scoring", total=1.0)

        def watch(done: Summary, fraction: float) -> None:
            told = f"{done.rows:,} rows, {_rate(done):,.0f} rows/s"
            told += f", {len(done.failed):,} units failed" if done.failed else ""
            shown.update(task, completed=fraction, description=told)

        summary = scoring.score(
            options.model,
            options.files[0] if len(options.files) == 1 else options.files,
            options.target,
            version=options.version,
            server=options.server,
            journal=options.journal,
            strict=options.strict,
            watch=watch,
            **spread,
        )
    if options.json:
        subcommands.print_json(_describe(summary, options.target))
    else:
        _show(summary, options.target)
    return 1 if summary.refused or summary.failed else 0


def _rate(summary: Summary) -> float:
    """Return the rows per second of this call."""
    return (summary.rows - summary.rows_before) / max(summary.seconds, 1e-9)


def _describe(summary: Summary, target: str) -> dict[str, Any]:
    return {
        "model": summary.model,
        "file": target,
        "rows": summary.rows,
        "scored": summary.scored,
        "refused": summary.refused,
        "refused_file": str(summary.refused_file) if summary.refused_file else None,
        "seconds": summary.seconds,
        "absent": summary.absent,
        "classes": dict(summary.classes),
        "versions": dict(summary.versions),
        "units": summary.units,
        "failed": summary.failed,
    }


def _show(summary: Summary, target: str) -> None:
    Console().print(_table(summary, target))
    if summary.refused:
        told = "1 row is" if summary.refused == 1 else f"{summary.refused:,} rows are"
        print(f"{told} refused: see {summary.refused_file}")
    if summary.failed:
        units = "1 unit has" if len(summary.failed) == 1 else f"{len(summary.failed):,} units have"
        print(f"{units} no part:")
        for place, reason in islice(summary.failed.items(), MAX_FAILED):
            print(f"  {place}: {reason}")
        print(
            "the others are done: give the same command again if the reason has gone; a file that is mended"
        )
        print("is another one: score it into another folder")


def _table(summary: Summary, target: str) -> Table:
    table = Table(title=escape(f"{summary.model}: {target}"), title_justify="left", show_header=False)
    if summary.units:
        table.add_row("units", f"{summary.units:,}")
    before = f" ({summary.rows_before:,} of them before)" if summary.rows_before else ""
    took = f"{summary.seconds:.1f} s, {_rate(summary):,.0f} rows/s"
    table.add_row("rows", f"{summary.rows:,}{before} in {took}")
    table.add_row("scored", f"{summary.scored:,}")
    table.add_row("refused", f"{summary.refused:,}")
    if summary.absent:  # perhaps a name is misspelt
        table.add_row("no column for", ", ".join(summary.absent))
    for name, rows in summary.classes.items():
        table.add_row(escape(name), f"{rows:,}")
    for version, rows in summary.versions.items():
        table.add_row(escape(f"by {version}"), f"{rows:,}")
    return table
