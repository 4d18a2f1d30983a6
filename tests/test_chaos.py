"""Kills, stops, restarts and a moving clock under load: nothing that was acknowledged is lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests import chaos, databases
from tests.chaos import Clock, Site
from tests.databases import KINDS

FAULTS = {
    "sqlite": (
        chaos.stop_a_worker,
        chaos.kill_the_parent,
        chaos.start_a_second_one,
        chaos.kill_a_retraining,
        chaos.restart_in_a_storm,
        chaos.turn_the_clock,
    ),
    "postgresql": (chaos.kill_the_parent, chaos.kill_a_retraining, chaos.turn_the_clock),
}
"""The faults that differ between the databases come on both; `benchmarks.chaos` has them in any order."""


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler for a clock of its own")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_acknowledged_is_lost(kind: str, home: Path, tmp_path: Path) -> None:
    """Each fault once, under load; then the ledger is whole, and no process or draft is left."""
    told: list[str] = []
    with databases.empty_database(kind, tmp_path) as url:
        site = Site(home, url, Clock(tmp_path))
        try:
            load = chaos.strike(site, FAULTS[kind], told.append)
        finally:
            site.end()

    assert len(FAULTS[kind]) == len(told)
    assert load.labelled
