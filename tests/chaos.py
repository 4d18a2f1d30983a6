"""Faults that strike a server under load one after another, and checks that nothing is lost."""

from __future__ import annotations

import os
import random
import signal
import struct
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path

import httpx
import psutil

from models_store import catalog, store
from prediction.journal import ledger, runs
from prediction.journal.database import Journal
from tests.load import Load
from tests.servers import PROJECT, Process, Server, free_port, is_there, launch
from tests.timing import eventually

TOKEN = "a-token-of-the-tests"
ADMIN = {"Authorization": f"Bearer {TOKEN}"}
STOPPED_SECONDS = 2.0
ORPHAN_SECONDS = 10.0
"""Timeout for workers to end after their parent."""

Fault = Callable[["Site"], None]


class Clock:
    """The wall clock of a site's processes: a preloaded library adds seconds to the real time."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self._library = folder / "clock.so"
        self.set(0)
        source = PROJECT / "tests" / "clock.c"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", self._library, source, "-ldl"], check=True)

    def set(self, seconds: int) -> None:
        """Show a time that is so many seconds ahead of the real one."""
        # Overwritten in place: running processes have the file mapped.
        with os.fdopen(os.open(self._file, os.O_WRONLY | os.O_CREAT), "wb") as file:
            file.write(struct.pack("=q", seconds))

    @contextmanager
    def preloaded(self) -> Iterator[None]:
        """Give this clock to the processes that are started meanwhile."""
        os.environ |= {"LD_PRELOAD": os.fspath(self._library), "CLOCK_FILE": os.fspath(self._file)}
        try:
            yield
        finally:
            del os.environ["LD_PRELOAD"], os.environ["CLOCK_FILE"]


class Site:
    """A home, its journal, and a server on a fixed port that is started anew whenever a fault ends it."""

    def __init__(self, home: Path, url: str, clock: Clock) -> None:
        self.home, self.url, self.clock = home, url, clock
        self.port = free_port()
        self.server = self.start()

    def start(self) -> Server:
        """Start a server, and return it once it is ready."""
        with self.clock.preloaded():
            self.server = Server(self.home, port=self.port, database_url=self.url, admin_token=TOKEN)
        return self.server

    def launch(self) -> Process:
        """Start a server without waiting for anything."""
        with self.clock.preloaded():
            return launch(self.home, self.port, database_url=self.url, admin_token=TOKEN)

    def processes(self) -> list[psutil.Process]:
        """Return all living processes that work on this home."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get("BENTOML_HOME") == str(self.home) and is_there(process):
                    found.append(process)
        return found

    def end(self) -> None:
        """End all its processes at once."""
        self.server.kill()
        for process in self.processes():
            with suppress(psutil.Error):
                process.kill()

    def worker(self) -> psutil.Process:
        """Return a worker."""
        found: list[psutil.Process] = []

        def look() -> bool:
            with suppress(psutil.Error):  # one of them ends just now
                found.extend(self.server.workers)
            return bool(found)

        eventually(look)
        return random.choice(found)

    def wait_ready(self) -> None:
        """Wait until the server answers, with all its workers."""
        eventually(lambda: len(self.workers_ready()) == 2, ORPHAN_SECONDS * 6)

    def workers_ready(self) -> set[int]:
        """Return the workers that say that they serve the champion of iris."""
        try:
            model = httpx.get(f"{self.server.url}/models/iris", timeout=20).json()
            living = {worker.pid for worker in self.server.workers}
        except (httpx.TransportError, ValueError, psutil.Error):
            return set()
        serving = {
            item["worker"] for item in model.get("workers", ()) if item["version"] == model["champion"]
        }
        return serving & living


# ------------------------------------------------------------------------------------- the faults


def kill_a_worker(site: Site) -> None:
    """`kill -9` of one worker."""
    with suppress(psutil.Error):
        site.worker().kill()


def stop_a_worker(site: Site) -> None:
    """A worker stands still for a moment."""
    _stand_still(site.worker())


def stop_the_parent(site: Site) -> None:
    """The parent stands still for a moment."""
    _stand_still(psutil.Process(site.server.process.pid))


def _stand_still(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.suspend()
        time.sleep(STOPPED_SECONDS)
        process.resume()


def kill_the_parent(site: Site) -> None:
    """`kill -9` of the parent: its workers end by themselves, and another server can start."""
    site.server.client.close()
    site.server.process.kill()
    site.server.process.wait()
    eventually(lambda: not [each for each in site.processes() if _serves(each)], ORPHAN_SECONDS)
    site.start()


def _serves(process: psutil.Process) -> bool:
    try:
        return "retraining" not in " ".join(process.cmdline())
    except psutil.Error:
        return False


def restart(site: Site) -> None:
    """A stop as an operator's, and a start."""
    assert site.server.stop() == 0
    site.start()


def restart_in_a_storm(site: Site) -> None:
    """Stops at any moment of a start, one after another."""
    assert site.server.stop() == 0
    for _ in range(3):
        process = site.launch()
        time.sleep(random.uniform(0.2, 4.0))
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    site.start()


def start_a_second_one(site: Site) -> None:
    """A second server on the same home ends at once, and the first goes on."""
    assert site.launch().wait(60) != 0


def kill_a_retraining(site: Site) -> None:
    """`kill -9` of a retraining at any moment: its run is `interrupted`, and another one can begin."""
    answer = httpx.post(f"{site.server.url}/iris/retrain", json={}, headers=ADMIN, timeout=20)
    assert answer.status_code == 202, answer.text
    run_id = answer.json()["run_id"]
    time.sleep(random.uniform(0.5, 4.0))
    for process in site.processes():
        with suppress(psutil.Error):
            if run_id in process.cmdline():
                process.kill()
    eventually(partial(_has_ended, site, run_id))


def _has_ended(site: Site, run_id: str) -> bool:
    with suppress(httpx.TransportError):
        run = httpx.get(f"{site.server.url}/iris/runs/{run_id}", headers=ADMIN, timeout=20).json()
        return run["status"] not in ("queued", "running")
    return False


def retrain(site: Site) -> None:
    """A retraining that nothing disturbs."""
    answer = httpx.post(f"{site.server.url}/iris/retrain", json={}, headers=ADMIN, timeout=20)
    assert answer.status_code == 202, answer.text
    eventually(partial(_has_ended, site, answer.json()["run_id"]), 120)


def turn_the_clock(site: Site) -> None:
    """The wall clock jumps ahead, behind the true time, and back to it."""
    for seconds in (7_200, -5_400, 0):
        site.clock.set(seconds)
        time.sleep(1.5)


FAULTS: tuple[Fault, ...] = (
    kill_a_worker,
    stop_a_worker,
    stop_the_parent,
    kill_the_parent,
    restart,
    restart_in_a_storm,
    start_a_second_one,
    kill_a_retraining,
    retrain,
    turn_the_clock,
)

# ------------------------------------------------------------------------------------- the checks


def strike(site: Site, faults: Iterable[Fault], tell: Callable[[str], None]) -> Load:
    """Let faults happen under load, end the server, and check what is left.

    Parameters
    ----------
    tell
        Called with a line for each fault.

    Returns
    -------
    Load
        What the clients asked and got.
    """
    load = Load(site.server, catalog.load())
    with load.running():
        for fault in faults:
            began, asked = time.monotonic(), len(load.requests)
            fault(site)
            site.wait_ready()
            load.go_on()
            statuses = sorted({str(each.status) for each in load.requests[asked:]})
            tell(f"{fault.__name__}: {time.monotonic() - began:.1f} s, answers {', '.join(statuses)}")
    assert site.server.stop() == 0
    check(site, load)
    return load


def check(site: Site, load: Load) -> None:
    """Assert that nothing acknowledged is missing, the ledger is whole, and nothing is left behind."""
    eventually(lambda: not site.processes(), ORPHAN_SECONDS)
    assert load.statuses <= {200, 429, 503}, load.statuses
    load.assert_recorded(site.url)
    with closing(Journal(site.url)) as journal:
        for model in catalog.load():
            _check_ledger(site, journal, model)
            assert not {run.status for run in runs.latest(journal, model, 100)} & {"queued", "running"}
    left = [path.name for path in (site.home / "staging").iterdir() if path.name != ".lock"]
    assert [] == left


def _check_ledger(site: Site, journal: Journal, model: str) -> None:
    entries = ledger.entries(journal, model, 10_000)[::-1]
    assert list(range(1, len(entries) + 1)) == [entry.position for entry in entries]
    before = None
    for entry in entries:
        assert before == entry.from_version
        before = entry.to_version
    champion = entries[-1]
    store.verify(store.get(site.home, model, champion.to_version), champion.digest)
