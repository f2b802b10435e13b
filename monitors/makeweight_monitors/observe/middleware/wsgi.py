"""For WSGI servers (Flask, Django, and what else follows peps.python.org/pep-3333)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from makeweight_monitors.observe.middleware.exchange import Exchange, Middleware

Environ = dict[str, Any]
App = Callable[[Environ, Any], Iterable[bytes]]


class ObserverMiddleware(Middleware[App]):
    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if not self.watches(path):
            return self._app(environ, start_response)
        exchange = Exchange(path, _headers(environ))
        began = time.perf_counter()

        def started(status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], Any]:
            exchange.status = int(status.split(" ", 1)[0])
            write = start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

            def writing(body: bytes) -> Any:
                exchange.keep("response", body)
                return write(body)

            return writing

        if "wsgi.input" in environ:
            environ = {**environ, "wsgi.input": _Kept(environ["wsgi.input"], exchange)}
        try:
            parts = self._app(environ, started)
        except Exception as error:
            self.raised(error)
            raise
        return _Answer(parts, exchange, began, self)


@dataclass
class _Answer:
    """The application's answer as it goes by; told once all of it has been sent."""

    parts: Iterable[bytes]
    exchange: Exchange
    began: float
    told: Middleware[App]
    whole: bool = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            for part in self.parts:
                self.exchange.keep("response", part)
                yield part
        except Exception as error:
            self.told.raised(error)
            raise
        self.exchange.seconds = time.perf_counter() - self.began
        self.whole = True

    def close(self) -> None:
        close = getattr(self.parts, "close", None)
        if close is not None:
            close()
        # an answer that a client did not wait for has no latency
        if self.whole:
            self.whole = False
            self.told.done(self.exchange)


class _Kept:
    """A request's body that is kept as the application reads it."""

    def __init__(self, body: Any, exchange: Exchange) -> None:
        self._body = body
        self._exchange = exchange

    def read(self, *size: int) -> bytes:
        return self._keep(self._body.read(*size))

    def readline(self, *size: int) -> bytes:
        return self._keep(self._body.readline(*size))

    def readlines(self, *hint: int) -> list[bytes]:
        return [self._keep(line) for line in self._body.readlines(*hint)]

    def __iter__(self) -> Iterator[bytes]:
        return map(self._keep, self._body)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)

    def _keep(self, part: bytes) -> bytes:
        self._exchange.keep("request", part)
        return part


def _headers(environ: Environ) -> dict[str, str]:
    named = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
    if environ.get("CONTENT_TYPE"):
        named["content-type"] = environ["CONTENT_TYPE"]
    return named
