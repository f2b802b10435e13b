"""Connections whose client has to send the head of a request in time: uvicorn itself waits for it without end.

Each is uvicorn's own with a watch around it. That the head is whole is known when the application is called.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

_CONNECTION = "makeweight.connection"
SECONDS = 10.0
"""Within which the head of a request has to come."""


class Connection(asyncio.Protocol):
    """One connection; uvicorn's, but for the watch."""

    def __init__(self, *, app_state: dict[str, Any], **given: Any) -> None:
        # what stands in the state of an application is in the scope of each of its requests
        self._http = H11Protocol(app_state={**app_state, _CONNECTION: self}, **given)
        self._watch: asyncio.TimerHandle | None = None
        self._answering = False

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._begin_watch()
        self._http.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._watch is None and not self._answering:
            self._begin_watch()
        self._http.data_received(data)

    def eof_received(self) -> None:
        self._http.eof_received()

    def pause_writing(self) -> None:
        self._http.pause_writing()

    def resume_writing(self) -> None:
        self._http.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self._end_watch()
        self._http.connection_lost(error)

    def answering(self, now: bool) -> None:
        """Whether a request has come as far as to be answered."""
        self._answering = now
        self._end_watch()

    def _begin_watch(self) -> None:
        self._watch = asyncio.get_running_loop().call_later(SECONDS, self._transport.close)

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
