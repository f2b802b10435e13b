"""Connections whose client has to send the head of a request in time: uvicorn itself waits for it without end.

That the head is whole is known when the application is called.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

_CONNECTION = "makeweight.connection"
SECONDS = 10.0
"""Within which the head of a request has to come."""


class Connection(H11Protocol):
    """One connection; uvicorn's, but for the watch."""

    _watch: asyncio.TimerHandle | None = None
    _answers = False

    def __init__(self, *, app_state: dict[str, Any], **given: Any) -> None:
        # what stands in the state of an application is in the scope of each of its requests
        super().__init__(app_state={**app_state, _CONNECTION: self}, **given)

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

    def answering(self, now: bool) -> None:
        """Whether a request has come as far as to be answered."""
        self._answers = now
        self._end_watch()

    def _begin_watch(self, transport: asyncio.Transport) -> None:
        self._watch = asyncio.get_running_loop().call_later(SECONDS, transport.close)

    def _end_watch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None


def watched(app: Any) -> Any:
    """The application, which tells its connection while it answers."""

    async def answered(scope: Any, receive: Any, send: Any) -> None:
        connection = scope["state"][_CONNECTION]
        connection.answering(True)
        try:
            await app(scope, receive, send)
        finally:
            connection.answering(False)

    return answered
