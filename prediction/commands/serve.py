"""`loop serve`: check what a server needs, then become `bentoml serve`."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import urlunsplit

from models_store import catalog, store
from models_store.errors import NothingTrained, none_trained
from models_store.spec import Spec
from prediction import home, settings
from prediction.commands import subcommands
from prediction.journal import ledger
from prediction.journal.database import Journal
from prediction.network import ports
from prediction.settings import Settings
from prediction.telemetry import logs

HOST, PORT = "127.0.0.1", 3000
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- only to show an address that works
PROJECT_FILES = ("service.py", "bentofile.yaml")

EXAMPLE = """\
loop serve
loop serve --host 0.0.0.0 --port 8080"""


def declare(commands: subcommands.Commands) -> None:
    """Declare the command."""
    text = "serve the champions over HTTP until Ctrl+C"
    command = subcommands.add(commands, "serve", serve, text, example=EXAMPLE)
    text = f"address to listen on; 0.0.0.0 is every address of this machine; default: {HOST}"
    command.add_argument("--host", default=HOST, help=text)
    command.add_argument("--port", type=_port, default=PORT, help=f"port to listen on; default: {PORT}")


def _port(text: str) -> int:
    port = int(text)
    if not 1 <= port <= 65_535:
        raise argparse.ArgumentTypeError("give a whole number from 1 to 65535")
    return port


def serve(options: argparse.Namespace) -> int:
    """Check, print the addresses, and replace this process by `bentoml serve`.

    The process stays the same, so that signals reach BentoML itself.
    """
    configured = settings.load()
    specs = catalog.load()
    check(configured, specs, options.host, options.port)
    if not logs.wants_json():  # BentoML logs the address too
        for line in addresses(options.host, options.port, next(iter(specs.values()), None)):
            print(line, flush=True)
    command = [sys.executable, "-m", "bentoml", "serve", *target(Path.cwd())]
    command += ["--host", options.host, "--port", str(options.port)]
    # Both may be relative, and BentoML goes to the project's folder.
    os.environ |= {"BENTOML_HOME": str(configured.home), catalog.VARIABLE: str(catalog.FOLDER)}
    os.execv(sys.executable, command)  # noqa: S606 -- our own interpreter, and no shell


def check(configured: Settings, specs: dict[str, Spec], host: str, port: int) -> None:
    """Raise what would end the start, before anybody reads the addresses.

    Raises
    ------
    AlreadyServing, InvalidSettings, JournalUnavailable, JournalTooNew, NothingTrained, PortTaken
    """
    home.lock(configured.home).close()
    untrained = [name for name in specs if not store.versions(configured.home, name)]
    if untrained and configured.artifacts_url is None:
        raise _none_trained(untrained, specs)
    with closing(Journal(configured.journal_url)) as journal:
        journal.migrate()
        known = ledger.champions(journal) if untrained else {}
    untrained = [name for name in untrained if name not in known]  # the server fetches those
    if untrained:
        raise _none_trained(untrained, specs)
    ports.demand(host, port)


def _none_trained(untrained: list[str], specs: dict[str, Spec]) -> NothingTrained:
    return none_trained(None if len(untrained) == len(specs) else untrained[0])


def addresses(host: str, port: int, spec: Spec | None) -> list[str]:
    """Return the lines that say where the pages are, and a request to try if there is a model."""
    shown = EVERYWHERE.get(host, host)
    place = f"[{shown}]:{port}" if ":" in shown else f"{shown}:{port}"
    url = urlunsplit(("http", place, "", "", ""))
    lines = [f"Docs page:  {url}/", f"Dashboard:  {url}/dashboard"]
    if spec is None:
        return lines
    body = shlex.quote(json.dumps(spec.example))
    post = f"curl {url}/{spec.name}/predict -H 'Content-Type: application/json' -d {body}"
    return [*lines, f"Try:        {post}"]


def target(folder: Path) -> list[str]:
    """Return what BentoML serves: the project that the folder belongs to, or else the installed package."""
    for project in (folder, *folder.parents):
        if all((project / name).is_file() for name in PROJECT_FILES):
            return ["service:prediction", "--working-dir", str(project)]
    return ["prediction.service:prediction"]
