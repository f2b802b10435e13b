"""The exporter as a server: where it listens, TLS, and how it ends without losing what it took."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from makeweight_base.errors import EnvironmentFailed, UsageError, reason

PATIENCE = 10.0
"""Seconds within which the head of a request has to come."""
CONNECTIONS = 1000
KEPT = 65
"""Seconds for which a connection is kept between requests: longer than load balancers keep theirs."""
GRACE = 30
"""Seconds for which requests that are being answered are waited for."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)
class Tls:
    """Files of PEM."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Raises UsageError where they do not serve."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            both = f"{self.certificate}, {self.key}"
            raise UsageError(f"no certificate with its key: {reason(error)}", where=both) from error
        if self.client_ca is not None:
            try:
                context.load_verify_locations(self.client_ca)
            except (OSError, ssl.SSLError) as error:
                raise UsageError(f"no certificate of a CA: {reason(error)}", where=str(self.client_ca)) from error
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        EnvironmentFailed: the port is taken, or may not be had; UsageError: there is no such address here.
    """
    where = f"{host}:{port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise UsageError(f"there is no such address: {error.strerror}", where=where) from error
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(1024)
    except OSError as error:
        listening.close()
        do = None
        if error.errno == errno.EADDRINUSE:
            do = "Something listens there already; stop it, or choose another with `--port`."
        elif error.errno in (errno.EACCES, errno.EPERM):
            do = "This port is not for everybody; choose one above 1024 with `--port`."
        raise EnvironmentFailed(f"cannot listen there: {error.strerror}", where=where, do=do) from error
    return listening


class Patient(H11Protocol):
    """Gives up on a client that lets the head of its request drip in: uvicorn itself waits for it without end."""

    _waiting: Any = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        if self._waiting is None and (self.cycle is None or self.cycle.response_complete):
            self._wait()
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self._stop_waiting()
        super().on_response_complete()

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(PATIENCE, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


class Server(uvicorn.Server):
    """Ends when asked by a signal, and then with success.

    Args:
        linger: seconds for which it goes on serving once it was asked; a second signal cuts them short.
        on_asked: called once, when it was asked.
        every_second: called every second.
    """

    def __init__(
        self, app: Any, tls: Tls | None, linger: float, on_asked: Callable[[], None], every_second: Callable[[], None]
    ) -> None:
        config = uvicorn.Config(
            app,
            http=Patient,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=KEPT,
            timeout_graceful_shutdown=GRACE,
        )
        config.load()
        config.ssl = tls.context() if tls is not None else None  # read by us, for the sake of what it says of bad files
        super().__init__(config)
        self._linger = linger
        self._on_asked = on_asked
        self._every_second = every_second
        self._asked = 0
        self._end = 0.0

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn's own raises the signal anew at the end, which is no exit with success."""
        before = {number: signal.signal(number, self._ask) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def on_tick(self, counter: int) -> bool:
        if self._asked and not self._end:
            self._end = time.monotonic() + self._linger
            self._on_asked()
        if self._end and (self._asked > 1 or time.monotonic() >= self._end):
            self.should_exit = True
        if counter % 10 == 0:
            self._every_second()
        return await super().on_tick(counter)

    def _ask(self, _: int, __: FrameType | None) -> None:
        self._asked += 1
