"""The end of a worker: requests that were read are answered, and no client's connection is reset.

The server's process has stopped new connections before (`processes/watcher.py`).
"""

from __future__ import annotations

import asyncio
import logging
import socket

import uvicorn

from prediction.network.connections import Connections

HANDSHAKE_SECONDS = 0.3
"""How long a worker that ends accepts connections: handshakes that have begun are over then."""

IDLE_SECONDS = 5.0
"""How long a connection without a request stays open: its client may be about to send one."""

CLOSING_SECONDS = 3.0
"""The part of the grace period that is left for the last errors, and to close the journal."""

READ_SECONDS = 0.5
"""How long clients may read the last errors."""

CHECK_SECONDS = 0.05

_log = logging.getLogger("bentoml.prediction")


class PatientServer(uvicorn.Server):
    """uvicorn's server, which ends without a reset.

    Parameters
    ----------
    all_connections
        The connections of this worker.
    grace_seconds
        The time after which the worker is killed.
    """

    def __init__(self, all_connections: Connections, grace_seconds: float, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._all = all_connections
        self._seconds = max(grace_seconds - CLOSING_SECONDS, grace_seconds / 2)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what was read, and what clients send on open connections; then end as uvicorn does."""
        now, everyone = asyncio.get_running_loop().time, self.server_state.connections
        began, busy = now(), self._all.busy(everyone)
        idle = len(everyone) - busy
        _log.info("the worker ends: %d connections with a request, %d without", busy, idle)
        self._all.end(everyone)
        await asyncio.sleep(min(HANDSHAKE_SECONDS, self._seconds / 2))
        for server in self.servers:
            server.close()
        for listening in sockets or []:
            listening.close()
        while everyone and not self.force_exit and now() - began < self._seconds:
            idle_since = max(began, self._all.idle_since())
            if now() - idle_since > IDLE_SECONDS and not self._all.busy(everyone):
                break
            await asyncio.sleep(CHECK_SECONDS)
        await self._give_up()
        await super().shutdown()

    async def _give_up(self) -> None:
        """Close all connections; a request without an answer gets an error."""
        everyone = list(self.server_state.connections)
        late = self._all.busy(everyone)
        for connection in everyone:
            connection.give_up()  # type: ignore[union-attr]
        if late:
            _log.warning("the worker ends: %d requests took longer than %g s", late, self._seconds)
            await asyncio.sleep(READ_SECONDS)
        self.config.timeout_graceful_shutdown = 1  # for the tasks of these requests
