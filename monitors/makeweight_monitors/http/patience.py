"""Connections whose client has to send the head of a request in time: uvicorn itself waits for it without end.

That the head is whole is known when the application is called.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

SECONDS = 10.0
"""Within which the head of a request has to come."""


class Connection(H11Protocol):
    """One connection; uvicorn's, but for the watch."""

    _watch: asyncio.TimerHandle | None = None
    _answers = False

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._unwatched, self.app = self.app, self._watched

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._begin_watch(transport)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._watch is None and not self._answers:
            self._begin_watch(self.transport)
        super().data_received(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._end_watch()
        super().connection_lost(error)

    async def _watched(self, scope: Any, receive: Any, send: Any) -> None:
        """The application, which is called as soon as a head is whole."""
        self._end_watch()
        self._answers = True
        try:
            await self._unwatched(scope, receive, send)
        finally:
            self._end_watch()
            self._answers = False

    def _begin_watch(self, transport: asyncio.Transport) -> None:
        self._watch = asyncio.get_running_loop().call_later(SECONDS, transport.close)

    def _end_watch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
