"""`loop retrain`: train a candidate on the dataset and all labels, and promote it if it is not worse."""

from __future__ import annotations

import argparse
import sys

from models_store import catalog
from models_store.errors import InvalidInput, none_trained
from prediction.commands import progress, subcommands
from prediction.http.resources import describe_run
from prediction.journal import ledger, runs
from prediction.journal.database import Journal
from prediction.journal.runs import Retraining
from prediction.retraining import process, steps
from prediction.settings import Settings

EXAMPLE = """\
loop retrain iris
loop retrain iris --force"""


def declare(commands: subcommands.Commands) -> None:
    """Declare the command."""
    text = "train a candidate on dataset and feedback, and promote it if it is not worse than the champion"
    run = subcommands.on_versions(retrain)
    command = subcommands.add(commands, "retrain", run, text, example=EXAMPLE)
    subcommands.add_model(command)
    command.add_argument(
        "--force", action="store_true", help="retrain even with fewer labels than PREDICTION_MIN_OUTCOMES"
    )
    subcommands.add_json(command)


def retrain(options: argparse.Namespace, configured: Settings, journal: Journal) -> int:
    """Retrain in the foreground."""
    (spec,) = catalog.select([options.model])
    plan = steps.Plan.of(spec, configured, journal)
    if ledger.champion(journal, spec.name) is None:
        raise none_trained(spec.name)
    run, is_new = runs.request(journal, spec.name, options.force)
    if not is_new:
        advice = "wait for its end, or cancel it on the dashboard"
        raise InvalidInput(f"a retraining of {spec.name} is {run.status} already: {run.run_id}: {advice}")
    ended = _execute(plan, run)
    if options.json:
        subcommands.print_json(describe_run(ended))
    else:
        print(_say(ended))
    return 0 if ended.status == "promoted" else 1


def _execute(plan: steps.Plan, run: Retraining) -> Retraining:
    with progress.bar("steps") as shown:

        def leave(words: str) -> None:
            shown.stop()  # or the terminal keeps no cursor
            print(f"loop retrain: {words}", file=sys.stderr, flush=True)

        process.take_process(plan.journal, run, leave)
        task = shown.add_task(run.model, total=len(steps.STEPS))

        def show(step: str) -> None:
            shown.update(task, description=f"{run.model}: {step}")
            shown.advance(task)

        return steps.execute(plan, run, watch=show, leave=leave)


def _say(ended: Retraining) -> str:
    """Say how a retraining ended, and name the version that it made."""
    told = ended.verdict["sentence"] if ended.verdict else f"{ended.status}: {ended.step}"
    if ended.candidate is None:
        return told
    if ended.status == "promoted":
        return f"{told}\n{ended.model}: {ended.candidate} is the champion"
    return f"{told}\nthe candidate is kept as {ended.model}-rejected:{ended.candidate}"
