"""A Dask cluster as the executor of a run.

A worker on which nothing works, for want of room or of the catalog for example, is set aside: others get
its units. A worker that dies costs its own unit only: the scheduler gives that to another one.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import platform
import re
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from models_store.errors import Error, InvalidInput
from prediction.batch.bulk.running import GivenUp
from prediction.errors import ClusterFailed, MissingPackage

ADDRESS = re.compile(r"(tcp|tls)://[^@/\s]+:\d{1,5}")
CONNECT_SECONDS = 10.0
"""Timeout of the connection to the scheduler."""

WORKER_SECONDS = 120.0
"""How long a run waits for the first worker: a cluster may start it only now."""

PACKAGES = ("distributed", "numpy", "onnxruntime", "pyarrow")
"""Packages that need the same version everywhere: a part has the same bytes wherever it was written."""

CERTIFICATES = "DASK_DISTRIBUTED__COMM__TLS__CA_FILE, ..._TLS__CLIENT__CERT and ..._TLS__CLIENT__KEY"
SAME = "start schedulers and workers from the environment, or the image, of this process"

logger = logging.getLogger(__name__)


@contextmanager
def connect(address: str, patience_seconds: float = WORKER_SECONDS) -> Iterator[Cluster]:
    """Connect to a scheduler; at the end its tasks of this process are cancelled.

    Parameters
    ----------
    address
        Such as `tcp://scheduler:8786`.

    Raises
    ------
    ClusterFailed
        When it does not answer, has no worker, or has other versions.
    MissingPackage
        When `distributed` is not installed here.
    """
    with _quiet():
        client = _client(address, min(patience_seconds, CONNECT_SECONDS))
        try:
            cluster = Cluster(client, address)
            cluster.demand_worker(patience_seconds)
            yield cluster
        finally:
            client.close(timeout=CONNECT_SECONDS)


def _client(address: str, timeout_seconds: float) -> Any:
    try:
        import distributed
    except ModuleNotFoundError as error:
        remedy = "run `pip install 'prediction-loop[dask]'`"
        raise MissingPackage(f"Dask needs {error.name}, which is not installed here: {remedy}") from None
    if not ADDRESS.fullmatch(address):
        raise InvalidInput("the address of a scheduler must be such as tcp://scheduler:8786")
    try:
        security = distributed.Security()
        if address.startswith("tls:") and not security.get_connection_args("client").get("ssl_context"):
            raise ClusterFailed(f"{address} needs certificates: set {CERTIFICATES}")
        with ThreadPoolExecutor(1) as thread:  # that of a notebook has a loop already
            there = thread.submit(asyncio.run, _versions(address, security, timeout_seconds)).result()
        found = {"Python": there["host"]["python"], "distributed": there["packages"]["distributed"]}
        _demand_same(found, versions(), f"the scheduler {address}")
        return distributed.Client(address, timeout=timeout_seconds, security=security, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ClusterFailed(
            f"no scheduler answers at {address}: {_first_line(error)}: start `dask scheduler` there"
        ) from error


async def _versions(address: str, security: Any, timeout_seconds: float) -> Any:
    """Ask a scheduler for its versions. One that hangs is left in time: `Client` would wait for it."""
    import distributed

    arguments = security.get_connection_args("client")
    async with asyncio.timeout(timeout_seconds):
        async with distributed.rpc(address, connection_args=arguments) as there:
            return await there.versions()


@dataclass(frozen=True)
class Answer:
    """What a worker answers to a call.

    Parameters
    ----------
    worker
        Its address.
    error
        An error of the project.
    fault
        The text of any other error, which may be of a package that only the worker has.
    """

    worker: str
    value: Any = None
    error: Error | None = None
    fault: str = ""


class _Call:
    """A call that is answered where it is unpickled.

    So a scheduler needs nothing of this project, and a worker without it answers with an error: it would
    end itself if it could not unpickle the function of a task.
    """

    def __init__(self, *arguments: Any) -> None:
        self._arguments = arguments

    def __reduce__(self) -> Any:
        return run, self._arguments


class Cluster(Executor):
    """An executor whose workers are those of a Dask cluster."""

    def __init__(self, client: Any, address: str) -> None:
        self._client = client
        self._address = address
        self._versions = versions()
        self._aside: dict[str, Error] = {}

    @property
    def threads(self) -> int:
        """How many calls its workers answer at a time."""
        return sum(self._client.nthreads().values())

    def demand_worker(self, patience_seconds: float) -> None:
        """Wait until a worker answers a call."""
        try:
            self.submit(platform.node).result(patience_seconds)
        except TimeoutError:
            raise ClusterFailed(
                f"no worker of {self._address} has answered within {patience_seconds:.0f} s:"
                f" start one by `dask worker {self._address}`"
            ) from None
        except BrokenExecutor as error:
            raise ClusterFailed(str(error)) from error

    def submit(self, call: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """Call a function that workers can import; an error of the project comes from all of them."""
        future: Future[Any] = Future()
        self._give(future, pickle.dumps(_Call(self._versions, call, arguments, named)))
        return future

    def _give(self, future: Future[Any], pickled: bytes) -> None:
        where: dict[str, Any] = {}
        if self._aside:
            others = [each for each in self._client.nthreads() if each not in self._aside]
            where = {"workers": others, "allow_other_workers": True}  # these may all be gone by then
        task = self._client.submit(pickle.loads, pickled, pure=False, **where)
        task.add_done_callback(lambda task: self._take(future, pickled, task))

    def _take(self, future: Future[Any], pickled: bytes, task: Any) -> None:
        """Hand on what came, in Dask's thread of callbacks; or give the call to another worker."""
        try:
            answer = self._answer(task)
            if answer.error is not None and self._set_aside(answer):
                self._give(future, pickled)
                return
            error: BaseException | None = answer.error
            if error is None and answer.fault:
                error = RuntimeError(answer.fault)
        except Exception as raised:
            answer, error = Answer(""), raised
        with suppress(Exception):  # it was cancelled
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(answer.value)

    def _answer(self, task: Any) -> Answer:
        from distributed import KilledWorker

        if task.cancelled():
            raise BrokenExecutor(f"the connection to {self._address} is lost")
        error = task.exception()
        if error is None:
            answer: Answer = task.result()
            return answer
        if isinstance(error, KilledWorker):
            raise GivenUp("each worker that was given it has died: it may need more memory")
        raise ClusterFailed(
            f"{self._address} can't run the functions of this release: {_first_line(error)}: {SAME}"
        )

    def _set_aside(self, answer: Answer) -> bool:
        """Give a worker nothing more; return False if it is the last one, or the fault is not its own."""
        assert answer.error is not None
        known = answer.worker in self._aside
        self._aside[answer.worker] = answer.error
        if not self._client.nthreads().keys() - self._aside.keys():
            return False
        if not known:
            logger.warning("worker %s is set aside: %s", answer.worker, answer.error)
        return True


def run(
    wanted: dict[str, str], call: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> Answer:
    """Answer a call, in a worker."""
    from distributed import get_worker

    address = get_worker().address
    try:
        _demand_same(versions(), wanted, f"the worker {address}")
        return Answer(address, call(*arguments, **named))
    except Error as error:
        return Answer(address, error=error)
    except Exception as error:
        return Answer(address, fault=f"{type(error).__name__}: {error}")


def versions() -> dict[str, str]:
    """Return the versions of this process."""
    return {"Python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}}


def _demand_same(found: dict[str, str], wanted: dict[str, str], where: str) -> None:
    for name, version in found.items():
        ours = wanted[name]
        if name == "Python":  # what is pickled is the same for 3.11.1 and 3.11.2
            version, ours = (".".join(each.split(".")[:2]) for each in (version, ours))
        if version != ours:
            raise ClusterFailed(f"{where} has {name} {version}, and this process {ours}: {SAME}")


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).strip().partition("\n")[0]


@contextmanager
def _quiet() -> Iterator[None]:
    """Let Dask write nothing itself: what is wrong is said by an error, once."""
    with suppress(ModuleNotFoundError):
        import distributed  # noqa: F401 -- its import sets the levels of its loggers
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client")]
    before = [each.level for each in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="distributed")
        try:
            for each in loggers:
                each.setLevel(logging.CRITICAL + 1)
            yield
        finally:
            for each, level in zip(loggers, before, strict=True):
                each.setLevel(level)
            # Its threads go on for a moment, and note the end of their connections.
            logging.getLogger("distributed.batched").setLevel(logging.WARNING)
