"""A port that is in use is refused in one sentence."""

from __future__ import annotations

import socket

import pytest

from prediction.errors import PortTaken
from prediction.network import ports


def test_a_free_port_is_accepted_and_stays_free() -> None:
    """The check leaves nothing behind: the server can listen there."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    ports.demand("127.0.0.1", port)

    socket.create_server(("127.0.0.1", port)).close()


def test_a_port_in_use_is_named_with_the_option_that_chooses_another() -> None:
    """It is one sentence: the place, the reason, the remedy."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(PortTaken) as refused:
            ports.demand("127.0.0.1", port)

    assert (
        f"can't listen on port {port} of 127.0.0.1: Address already in use: choose another one with --port"
        == str(refused.value)
    )
