"""What the commands share: how one is declared, and the home and the journal that are opened for it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from models_store import catalog
from models_store.errors import none_trained
from prediction import home, settings
from prediction.errors import AlreadyServing, InvalidSettings, JournalFault
from prediction.settings import Settings

if TYPE_CHECKING:  # imported where they are used: not every command needs a journal
    from prediction.journal.database import Journal

Run = Callable[[argparse.Namespace], int]
Act = Callable[[argparse.Namespace, Settings, "Journal"], int]
Commands = Any  # argparse does not name the type of its subparsers


def add(commands: Commands, name: str, run: Run, text: str, *, example: str) -> argparse.ArgumentParser:
    """Declare a command.

    Parameters
    ----------
    run
        Does the work and returns the exit code.
    text
        One line for the list of commands.
    example
        One or more command lines, shown at the end of the command's help.
    """
    lines = "".join(f"  {line}\n" for line in example.splitlines())
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=f"example:\n{lines}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(act=run)
    return command


def add_model(command: argparse.ArgumentParser) -> None:
    """Declare the argument that names one model."""
    command.add_argument("model", metavar="MODEL", help="name of a model, for example iris")


def add_reason(command: argparse.ArgumentParser) -> None:
    """Declare the reason of a promotion or a rollback."""
    text = "why; the ledger keeps it (up to 1,000 characters)"
    command.add_argument("--reason", required=True, type=_reason, metavar="TEXT", help=text)


def _reason(text: str) -> str:
    """Read a reason as the admin calls take it."""
    from prediction.http import bodies

    try:
        return bodies.Rollback(reason=text).reason
    except ValueError:
        raise argparse.ArgumentTypeError("give up to 1,000 characters of text, not only blanks") from None


def add_json(command: argparse.ArgumentParser) -> None:
    """Declare `--json`."""
    command.add_argument("--json", action="store_true", help="print JSON in place of tables")


def print_json(value: Any) -> None:
    """Print a value as the HTTP routes write it, on several lines."""
    print(to_json(value, indent=2).decode())


def on_journal(act: Act) -> Run:
    """Make a command that works on the migrated journal of a home in which something was trained."""

    def run(options: argparse.Namespace) -> int:
        from prediction.journal.database import Journal

        configured = settings.load()
        home.make(configured.home)
        with closing(Journal(configured.journal_url)) as journal:
            if _is_new(configured, journal):
                raise none_trained()
            _demand_file(configured, journal)
            journal.migrate()
            return act(options, configured, journal)

    return run


def on_shared(act: Act) -> Run:
    """Make a command that works on the migrated journal and the store of artefacts, also in a new home."""

    def run(options: argparse.Namespace) -> int:
        from prediction.journal.database import Journal

        configured = settings.load()
        if configured.artifacts_url is None:
            raise InvalidSettings("there is no store of artefacts: set PREDICTION_ARTIFACTS_URL")
        home.make(configured.home)
        with closing(Journal(configured.journal_url)) as journal:
            _demand_file(configured, journal)
            journal.migrate()
            return act(options, configured, journal)

    return run


def on_versions(act: Act) -> Run:
    """Make a command that works on the journal and needs a trained version.

    The model is `options.model`; without one, any model will do. Its file of the catalog may be broken: a
    command that needs the spec selects it.
    """

    def act_if_trained(options: argparse.Namespace, configured: Settings, journal: Journal) -> int:
        _demand_versions(configured, journal, options.model)
        return act(options, configured, journal)

    return on_journal(act_if_trained)


def _is_new(configured: Settings, journal: Journal) -> bool:
    """Return whether a home has no versions and no journal; no empty journal is made for it."""
    from models_store import store

    if any(store.versions(configured.home, name) for name in catalog.names()):
        return False
    return journal.is_sqlite and journal.file.parent.is_dir() and not journal.file.exists()


def _demand_file(configured: Settings, journal: Journal) -> None:
    """Make no new journal beside a server whose journal was deleted: the old one may come back."""
    if not journal.is_sqlite or journal.file.exists():
        return
    try:
        home.lock(configured.home).close()
    except AlreadyServing as error:
        raise JournalFault(f"{journal.file} is missing: put it back; {error}") from None


def _demand_versions(configured: Settings, journal: Journal, model: str | None) -> None:
    from models_store import store
    from prediction.journal import ledger

    champions = ledger.champions(journal)  # on a shared journal, another host may have trained
    if model is not None:
        catalog.demand(model, champions)
    names = {*catalog.names(), *champions}
    trained = [name for name in names if name in champions or store.versions(configured.home, name)]
    if not trained:
        raise none_trained()
    if model is not None and model not in trained:
        catalog.select([model])  # a broken file is the better reason
        raise none_trained(model)
