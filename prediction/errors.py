"""The errors of the loop. They and the errors of the models are one tree, which knows no HTTP."""

from models_store.errors import Error


class InvalidSettings(Error):
    """An environment variable has a value that can't be used."""


class AlreadyServing(Error):
    """Another server uses the same home."""


class FolderTaken(Error):
    """A project would overwrite a file."""


class MissingPackage(Error):
    """A package that a Bento or a command needs is not installed here."""


class PortTaken(Error):
    """The server can't listen on its port."""


class UnknownPrediction(Error):
    """No prediction has that id."""


class UnknownRun(Error):
    """No retraining has that id."""


class RunEnded(Error):
    """The retraining has ended already."""


class NothingToRollBack(Error):
    """The model has no previous champion."""


class AlreadyChampion(Error):
    """The version to promote is the champion already."""


class NotComparable(Error):
    """The gate can't compare a candidate with the champion."""


class ConflictingLabel(Error):
    """The prediction has another label already, and the request does not allow a correction."""


class NotReady(Error):
    """This worker has not loaded a version of the model."""


class JournalUnavailable(Error):
    """The journal can't be read or written now."""


class JournalBusy(JournalUnavailable):
    """Another process holds the journal's write lock."""


class JournalFault(JournalUnavailable):
    """The SQLite file of the journal is missing, replaced or damaged."""

    committed = False
    """Whether the rows were committed before that was noticed, and may be there once it has ended."""


class JournalTooNew(Error):
    """The journal was written by a newer release."""


class ArtifactsUnavailable(Error):
    """The store of artefacts can't be read or written now."""


class PlaceUnavailable(Error):
    """A bucket of files to score can't be read or written now."""


class ClusterFailed(Error):
    """A Dask cluster does not answer, or can't score files."""


class NoRoom(Error):
    """The disk of the home is full, or can't be written to."""


class Fetching(Error):
    """A version is on its way from the store of artefacts."""


class ServerFailed(Error):
    """The server does not answer, or not as expected."""


def in_full(error: BaseException) -> str:
    """Return an error's message for a command line; if the journal failed, with the database's."""
    has_more = isinstance(error, JournalUnavailable) and error.__cause__ is not None
    return f"{error} ({cause(error)})" if has_more else str(error)


def cause(error: BaseException) -> str:
    """Return the first line of an error's cause. A database's further lines quote statements and rows."""
    return str(error.__cause__ or error).partition("\n")[0]
