"""`loop artifacts`: list, push, pull and prune the versions in the store that hosts share."""

from __future__ import annotations

import argparse
from typing import Any

from rich.console import Console

from models_store import catalog, store
from models_store.errors import UnknownVersion
from prediction.artifacts import exchange
from prediction.artifacts.exchange import Artifact, Exchange
from prediction.commands import subcommands
from prediction.journal import ledger
from prediction.journal.database import Journal
from prediction.pages import tables
from prediction.serving import versions
from prediction.settings import Settings

EXAMPLE = """\
loop artifacts list
loop artifacts push iris
loop artifacts pull
loop artifacts prune"""


def declare(commands: subcommands.Commands) -> None:
    """Declare the commands."""
    text = "list, publish, fetch or delete versions in the store of artefacts that hosts share"
    command = subcommands.add(commands, "artifacts", subcommands.on_shared(run), text, example=EXAMPLE)
    verbs = ", ".join(ACTS)
    command.add_argument("verb", choices=ACTS, metavar="VERB", help=f"one of {verbs}")
    command.add_argument("model", nargs="?", metavar="MODEL", help="name of a model; default: all")
    subcommands.add_json(command)


def run(options: argparse.Namespace, configured: Settings, journal: Journal) -> int:
    """Do one of them for one model or for all."""
    if options.model:
        catalog.demand(options.model, ledger.champions(journal))
    shared = exchange.of(configured)
    names = [options.model] if options.model else sorted({*catalog.names(), *ledger.champions(journal)})
    found = [fact for name in names for fact in ACTS[options.verb](name, shared, configured, journal)]
    if options.json:
        subcommands.print_json({"artifacts": found})
    else:
        _show(options.verb, found)
    return 0


def _list(name: str, shared: Exchange, _: Settings, journal: Journal) -> list[dict[str, Any]]:
    entry = ledger.champion(journal, name)
    kept = versions.in_use(journal, name)
    here = {version.version for version in store.versions(shared.home, name)}
    facts = []
    for item in shared.published(name):
        known = ledger.entry_of(journal, name, item.version)
        is_champion = entry is not None and (item.version, item.digest) == (entry.to_version, entry.digest)
        notes = ["champion"] * is_champion
        notes += ["in use"] * (item.version in kept and not is_champion)
        notes += ["never promoted"] * (known is None)
        notes += ["not the ledger's digest"] * (known is not None and known.digest != item.digest)
        notes += ["here"] * (item.version in here)
        facts.append(_describe(item) | {"notes": notes})
    return facts


def _push(name: str, shared: Exchange, _: Settings, journal: Journal) -> list[dict[str, Any]]:
    """Publish the champion and those that a rollback would restore, as far as they are here."""
    facts = []
    for entry in ledger.restorable(journal, name):
        here = shared.local(name, entry.to_version, entry.digest)
        if here is not None:
            words = "published" if shared.publish(here) else "was there"
            facts.append(_fact(entry) | {"notes": [words]})
    return facts


def _pull(name: str, shared: Exchange, _: Settings, journal: Journal) -> list[dict[str, Any]]:
    """Fetch the champion, and the one before it for a rollback."""
    facts = []
    for number, entry in enumerate(ledger.restorable(journal, name)[:2]):
        if shared.local(name, entry.to_version, entry.digest) is not None:
            facts.append(_fact(entry) | {"notes": ["was here"]})
            continue
        try:
            shared.obtain(name, entry.to_version, entry.digest)
        except UnknownVersion as error:
            if not number:
                raise
            facts.append(_fact(entry) | {"notes": [str(error)]})
        else:
            facts.append(_fact(entry) | {"notes": ["fetched"]})
    return facts


def _prune(name: str, shared: Exchange, configured: Settings, journal: Journal) -> list[dict[str, Any]]:
    gone = versions.prune_shared(journal, shared, name, configured.keep_versions)
    return [_describe(item) | {"notes": ["deleted"]} for item in gone]


ACTS = {"list": _list, "push": _push, "pull": _pull, "prune": _prune}


def _describe(item: Artifact) -> dict[str, Any]:
    return {
        "model": item.model,
        "version": item.version,
        "digest": item.digest,
        "bytes": item.size,
        "published_at": item.published_at.isoformat(timespec="seconds"),
    }


def _fact(entry: ledger.Entry) -> dict[str, Any]:
    return {"model": entry.model, "version": entry.to_version, "digest": entry.digest}


def _show(verb: str, found: list[dict[str, Any]]) -> None:
    if not found:
        print(f"nothing to {verb}")
        return
    for name in dict.fromkeys(fact["model"] for fact in found):
        table = tables.narrow(name, "version", "digest", "size", "published", "", wrapped=[""])
        for fact in found:
            if fact["model"] == name:
                size = f"{fact['bytes'] / 1024:,.0f} KiB" if "bytes" in fact else ""
                published = fact.get("published_at", "")[:19].replace("T", " ")
                table.add_row(
                    fact["version"], fact["digest"][:12], size, published, ", ".join(fact["notes"])
                )
        Console().print(table)
