"""The ledger: which version became a model's champion, when, by whom and why. Rows are never changed."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from prediction.errors import AlreadyChampion, NothingToRollBack
from prediction.journal.database import Journal
from prediction.journal.tables import ledger
from prediction.times import iso, now_us


@dataclass(frozen=True)
class NewChampion:
    """A version to promote, and the facts of its promotion that the ledger keeps.

    Parameters
    ----------
    digest
        Digest of the version's files.
    by, reason
        Who promotes it, and why.
    data_digest
        Digest of the rows that it was trained on.
    """

    model: str
    version: str
    digest: str
    by: str
    reason: str
    data_digest: str | None = None


@dataclass(frozen=True)
class Entry:
    """One row of the ledger: the champion of `model` went from one version to another.

    `position` counts 1, 2, 3 for each model; `from_version` is None for the first champion.
    """

    model: str
    position: int
    from_version: str | None
    to_version: str
    digest: str
    by: str
    reason: str
    at_us: int
    is_rollback: bool = False
    data_digest: str | None = None


def promote(journal: Journal, new: NewChampion) -> Entry:
    """Make a version the champion of its model.

    Concurrent promotions of a model get consecutive positions, each from the version before it.

    Raises
    ------
    AlreadyChampion
        When the version is the champion, with the same files.
    """
    while True:
        try:
            with journal.write(durable=True) as connection:
                last = _last(connection, new.model)
                if last and (last.to_version, last.digest) == (new.version, new.digest):
                    raise AlreadyChampion(_already(last))
                return _append(connection, new, last)
        except IntegrityError:  # another host took the position between our read and our write
            continue


def promote_after(journal: Journal, new: NewChampion, position: int) -> Entry | None:
    """Promote a version if the last entry has this position; otherwise do nothing and return None."""
    try:
        with journal.write(durable=True) as connection:
            last = _last(connection, new.model)
            return _append(connection, new, last) if last and last.position == position else None
    except IntegrityError:  # another host took the position between our read and our write
        return None


def promote_first(journal: Journal, new: NewChampion) -> Entry | None:
    """Promote a version if the model has no champion yet; otherwise do nothing and return None."""
    try:
        with journal.write(durable=True) as connection:
            if _last(connection, new.model):
                return None
            return _append(connection, new, last=None)
    except IntegrityError:  # another host was first
        return None


def champion_before(journal: Journal, model: str) -> Entry:
    """Return the entry of the champion that a rollback would restore.

    Raises
    ------
    NothingToRollBack
        When the champion is the first one.
    """
    with journal.read() as connection:
        return _champion_before(model, _history(connection, model))


def roll_back(journal: Journal, before: Entry, by: str, reason: str) -> Entry | None:
    """Make the previous champion the champion again.

    A second rollback goes one step further back: it does not restore the version that the first removed.

    Parameters
    ----------
    before
        The answer of `champion_before`. If that has changed, nothing is done and None is returned.
    """
    new = NewChampion(before.model, before.to_version, before.digest, by, reason, before.data_digest)
    try:
        with journal.write(durable=True) as connection:
            history = _history(connection, before.model)
            if _champion_before(before.model, history) != before:
                return None
            return _append(connection, new, last=history[-1], is_rollback=True)
    except IntegrityError:  # another host took the position between our read and our write
        return None


def champions(journal: Journal) -> dict[str, Entry]:
    """Return the entry that made each model's champion."""
    last = sa.select(ledger.c.model, sa.func.max(ledger.c.position).label("position"))
    last_of_model = last.group_by(ledger.c.model).subquery()
    same = (ledger.c.model == last_of_model.c.model) & (ledger.c.position == last_of_model.c.position)
    with journal.read() as connection:
        rows = connection.execute(sa.select(ledger).join(last_of_model, same))
        return {row.model: Entry(*row) for row in rows}


def champion(journal: Journal, model: str) -> Entry | None:
    """Return the entry that made a model's champion; None if it has none."""
    with journal.read() as connection:
        return _last(connection, model)


def entries(journal: Journal, model: str, limit: int, before: int | None = None) -> list[Entry]:
    """Return a model's entries, newest first; with `before` only those of lower positions."""
    query = sa.select(ledger).where(ledger.c.model == model)
    if before is not None:
        query = query.where(ledger.c.position < before)
    with journal.read() as connection:
        rows = connection.execute(query.order_by(ledger.c.position.desc()).limit(limit))
        return [Entry(*row) for row in rows]


def entry_of(journal: Journal, model: str, version: str) -> Entry | None:
    """Return the newest entry that made a version the champion; None if it was never promoted."""
    query = sa.select(ledger).where(ledger.c.model == model, ledger.c.to_version == version)
    with journal.read() as connection:
        row = connection.execute(query.order_by(ledger.c.position.desc()).limit(1)).one_or_none()
    return Entry(*row) if row else None


def restorable(journal: Journal, model: str) -> list[Entry]:
    """Return the champion, and the champions that rollbacks would restore, newest first."""
    with journal.read() as connection:
        return _stack(_history(connection, model))[::-1]


def data_digest(journal: Journal, model: str, version: str) -> str | None:
    """Return the digest of the rows that a version was trained on, if it was ever promoted."""
    known = sa.select(ledger.c.data_digest).where(
        ledger.c.model == model, ledger.c.to_version == version, ledger.c.data_digest.is_not(None)
    )
    with journal.read() as connection:
        return connection.scalar(known.limit(1))


def append(connection: sa.Connection, new: NewChampion) -> Entry:
    """Append to the ledger in a transaction of the caller."""
    return _append(connection, new, _last(connection, new.model))


def _append(
    connection: sa.Connection, new: NewChampion, last: Entry | None, is_rollback: bool = False
) -> Entry:
    """Append after the entry `last`; an `IntegrityError` if another host has appended meanwhile."""
    entry = Entry(
        model=new.model,
        position=last.position + 1 if last else 1,
        from_version=last.to_version if last else None,
        to_version=new.version,
        digest=new.digest,
        by=new.by,
        reason=new.reason,
        at_us=now_us(),
        is_rollback=is_rollback,
        data_digest=new.data_digest,
    )
    connection.execute(ledger.insert(), [vars(entry)])
    return entry


def _already(champion: Entry) -> str:
    return (
        f"{champion.to_version} is the champion of {champion.model} already, since"
        f" {iso(champion.at_us)[:19]} (UTC): promote another version, or roll back"
    )


def _last(connection: sa.Connection, model: str) -> Entry | None:
    query = sa.select(ledger).where(ledger.c.model == model)
    row = connection.execute(query.order_by(ledger.c.position.desc()).limit(1)).one_or_none()
    return Entry(*row) if row else None


def _history(connection: sa.Connection, model: str) -> list[Entry]:
    query = sa.select(ledger).where(ledger.c.model == model).order_by(ledger.c.position)
    return [Entry(*row) for row in connection.execute(query)]


def _champion_before(model: str, history: list[Entry]) -> Entry:
    stack = _stack(history)
    if len(stack) < 2:
        raise NothingToRollBack(f"{model} had no other champion before: promote a version instead")
    return stack[-2]


def _stack(history: list[Entry]) -> list[Entry]:
    """Replay the ledger as a stack: a promotion pushes a champion, a rollback pops one."""
    stack: list[Entry] = []
    for entry in history:
        if entry.is_rollback:
            stack.pop()
        elif not stack or stack[-1].to_version != entry.to_version:
            stack.append(entry)
    return stack
