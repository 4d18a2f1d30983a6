"""The server beside its description: schemathesis with all its checks, on a real server."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.servers import Server, run

EXAMPLES = 10
"""Bodies and parameters that it draws for each route, besides the edges of each schema."""

TOKEN = "a-token-of-tests"


def test_the_server_does_what_its_description_says(trained_home: Path, tmp_path: Path) -> None:
    """It takes what docs.json allows, refuses everything else, and answers as described; never with a 5xx.

    Retraining is left out: a thousand trainings would say nothing about the description. So is `infer`,
    because no schema says that shapes and data fit: `test_open_inference` draws its requests.
    """
    home = tmp_path / "home"
    shutil.copytree(trained_home, home, symlinks=True)
    with Server(home, admin_token=TOKEN, workers=1) as server:
        done = run(
            *("schemathesis", "run", f"{server.url}/docs.json", "--checks", "all", "--no-color"),
            *("--seed", "1", "--max-examples", str(EXAMPLES), "--exclude-path-regex", "/(retrain|infer)$"),
            *("--header", f"Authorization: Bearer {TOKEN}"),
            home=home,
            cwd=tmp_path,
        )

    assert 0 == done.returncode, done.stdout[-10_000:]
    assert " passed" in done.stdout
