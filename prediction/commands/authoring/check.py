"""`loop check`: all faults of the specs, without a training."""

from __future__ import annotations

import argparse

from models_store import catalog
from prediction.checking import checks
from prediction.checking.checks import Check
from prediction.commands import subcommands

EXAMPLE = """\
loop check
loop check iris --json"""


def declare(commands: subcommands.Commands) -> None:
    """Declare the command."""
    text = "list all faults of specs in seconds: schema, rows, a fit on a sample, and whether it compiles"
    command = subcommands.add(commands, "check", check, text, example=EXAMPLE)
    command.add_argument("models", nargs="*", metavar="MODEL", help="name of a model; default: all")
    subcommands.add_json(command)


def check(options: argparse.Namespace) -> int:
    """Check specs, each as soon as the one before is done; 1 if any has a fault."""
    known = catalog.names()  # without a catalog that is the error
    for name in options.models:
        catalog.demand(name)
    found = []
    for name in options.models or known:
        found.append(checks.check(name))
        if not options.json:
            _show(found[-1])
    if options.json:
        subcommands.print_json([_describe(each) for each in found])
    return 1 if any(each.faults for each in found) else 0


def _show(each: Check) -> None:
    """Print faults as compilers do, so that an editor finds the line."""
    place = catalog.shorten(each.file)
    for fault in each.faults:
        print(f"{place}:{fault.line}: {fault.words}" if fault.line else f"{place}: {fault.words}")
    count = len(each.faults)
    state = "ok" if not count else "1 fault" if count == 1 else f"{count} faults"
    print("; ".join([f"{each.name}: {state}", *each.notes]))


def _describe(each: Check) -> dict[str, object]:
    return {
        "model": each.name,
        "file": str(each.file),
        "faults": [{"line": fault.line, "fault": fault.words} for fault in each.faults],
        "notes": each.notes,
    }
