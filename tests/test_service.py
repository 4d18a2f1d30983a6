"""The routes, over HTTP, on a real server."""

from __future__ import annotations

from models_store.spec import Spec
from tests.serving import Server


def test_predict_answers_the_example_of_every_spec(server: Server, specs: dict[str, Spec]) -> None:
    """What the docs page offers to try is answered as it stands."""
    for name, spec in specs.items():
        answer = server.post(f"/{name}/predict", spec.example)
        assert answer.status_code == 200, answer.text
        assert set(spec.classes) == set(answer.json()["probabilities"])
