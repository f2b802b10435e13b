"""For ASGI servers (Starlette, FastAPI, and what else follows asgi.readthedocs.io/en/latest/specs/www.html)."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from makeweight_monitors.observe.middleware.exchange import Exchange, Middleware

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class ObserverMiddleware(Middleware[App]):
    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self.watches(scope["path"]):
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        exchange = Exchange(scope["path"], headers)
        began = time.perf_counter()
        ended = False

        async def received() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                exchange.keep("request", message.get("body", b""))
            return message

        async def sent(message: Message) -> None:
            nonlocal ended
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
            elif message["type"] == "http.response.body":
                exchange.keep("response", message.get("body", b""))
                if not message.get("more_body", False):
                    exchange.seconds = time.perf_counter() - began
                    ended = True
            await send(message)

        try:
            await self._app(scope, received, sent)
        except Exception as error:
            self.raised(error)
            raise
        if ended:
            self.done(exchange)
