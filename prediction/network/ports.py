"""The port that a server is about to listen on."""

from __future__ import annotations

import socket

from prediction.errors import PortTaken


def demand(host: str, port: int) -> None:
    """Refuse a port that is in use with one sentence: BentoML would print a traceback.

    Raises
    ------
    PortTaken
        Naming the port and the option that chooses another one.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        reason = (error.strerror or "").partition(" (")[0]
        message = f"can't listen on port {port} of {host}: {reason}: choose another one with --port"
        raise PortTaken(message) from None
