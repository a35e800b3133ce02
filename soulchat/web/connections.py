"""How long a client may take to send a request and to take the answer, and how many clients may be at it.

A connection from which no whole request has come, or whose answer nobody takes, holds a file of this process, and with
a thousand of them a server takes no more.
"""

import asyncio
from typing import cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

# New connections that are taken in one go.
BACKLOG = 128


class BoundedConnection(H11Protocol):
    """A connection of uvicorn's that is closed when headers and body of a request are not there in time.

    The same time has a client that lets its answer fill the buffers on the way, to take what is in them.

    Of more connections than `waiting_connections` that have sent no whole request the oldest is closed, and a new one
    is closed where `all_connections` are open.
    """

    request_seconds = 30.0
    waiting_connections = 256
    all_connections = 768  # of the 1,024 files that a process usually has

    _deadline: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()
        others = [cast(BoundedConnection, other) for other in self.connections if other is not self]
        live = [other for other in others if not other.transport.is_closing()]
        waiting = [other for other in live if other.is_waiting]
        if len(waiting) >= self.waiting_connections:
            min(waiting, key=BoundedConnection.closes_at).transport.abort()
        elif len(live) >= self.all_connections:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(self.request_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_watching()
        if self._stalled is not None:
            self._stalled.cancel()

    @property
    def is_waiting(self) -> bool:
        """Whether a request, or the rest of one, is still to come."""
        return self.conn.their_state in (h11.IDLE, h11.SEND_BODY)

    def closes_at(self) -> float:
        """When the time of the request runs out, on the loop's clock; 0 between two requests."""
        return self._deadline.when() if self._deadline else 0.0

    def _watch(self) -> None:
        if not self.is_waiting:
            self._stop_watching()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.request_seconds, self._close_late)

    def _stop_watching(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _close_late(self) -> None:
        self._deadline = None
        if self.is_waiting:
            self.transport.abort()
