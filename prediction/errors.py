"""The errors of the loop, beside those of the models: one tree that knows no HTTP."""

from models_store.errors import Error


class InvalidSettings(Error):
    """An environment variable has a value that can't be used."""


class AlreadyServing(Error):
    """Another server uses the same home."""


class PortTaken(Error):
    """The server can't listen on its port."""


class UnknownPrediction(Error):
    """No prediction of that id."""


class UnknownRun(Error):
    """No retraining of that id."""


class RunEnded(Error):
    """The retraining is over."""


class NothingToRollBack(Error):
    """The champion is the first one."""


class ConflictingLabel(Error):
    """The prediction has another label already, and the request does not ask to correct it."""


class NotReady(Error):
    """This worker has no version to answer with."""


class JournalUnavailable(Error):
    """The journal can't be read or written now."""


class JournalBusy(JournalUnavailable):
    """Another process holds the journal's write lock for the moment."""


class JournalTooNew(Error):
    """The journal was written by a newer release."""


class JournalMissing(Error):
    """A command needs rows of a journal that does not exist yet."""


class ServerFailed(Error):
    """The server that was to answer does not."""


def in_full(error: BaseException) -> str:
    """Return an error's sentence for a command line; where the journal fails, with what is behind it."""
    has_more = isinstance(error, JournalUnavailable) and error.__cause__ is not None
    return f"{error} ({cause(error)})" if has_more else str(error)


def cause(error: BaseException) -> str:
    """Return in one line what is behind an error: a database's further lines quote statements and rows."""
    return str(error.__cause__ or error).partition("\n")[0]
