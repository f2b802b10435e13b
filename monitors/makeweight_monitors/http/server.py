"""A server: where it listens, and how it ends without losing what it took."""

from __future__ import annotations

import concurrent.futures
import errno
import math
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

import uvicorn

from makeweight_base.errors import EnvironmentFailed, UsageError
from makeweight_monitors.http import patience
from makeweight_monitors.http.tls import Tls

CONNECTIONS = 1000
KEPT = 65
"""Seconds for which a connection is kept between requests: longer than load balancers keep theirs."""
GRACE = 30
"""Seconds for which requests that are being answered are waited for."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_TICK = 0.1


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


def address(listening: socket.socket, tls: Tls | None) -> str:
    """What to ask, of a server that listens there."""
    host, port = listening.getsockname()[:2]
    return f"{'http' if tls is None else 'https'}://{f'[{host}]' if ':' in host else host}:{port}"


def serve(
    app: Any,
    listening: socket.socket,
    tls: Tls | None,
    linger: float,
    on_asked: Callable[[], None],
    every_second: Callable[[], None],
) -> None:
    """Serve until a signal asks to end; returns once what was being answered is.

    Args:
        tls: None: without.
        linger: seconds for which it goes on serving once it was asked; a second signal cuts them short.
        on_asked: called once, when it was asked.
        every_second: called every second.
    """
    config = uvicorn.Config(
        app,
        http=patience.Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=KEPT,
        timeout_graceful_shutdown=GRACE,
        ssl_context_factory=None if tls is None else lambda _, __: tls.context,
    )
    server = uvicorn.Server(config)
    asked, ticks = 0, 0
    end = math.inf

    def ask(_: int, __: FrameType | None) -> None:
        nonlocal asked
        asked += 1

    before = {number: signal.signal(number, ask) for number in _SIGNALS}
    # in a thread of its own uvicorn leaves the signals to us: after its own handlers a process ends by the signal, and
    # not with success
    with ThreadPoolExecutor(1, thread_name_prefix="makeweight-serving") as threads:
        serving = threads.submit(server.run, sockets=[listening])
        try:
            while not concurrent.futures.wait([serving], _TICK).done:
                if asked and end == math.inf:
                    end = time.monotonic() + linger
                    on_asked()
                server.should_exit = asked > 1 or time.monotonic() >= end
                ticks += 1
                if ticks % 10 == 0:
                    every_second()
                    if tls is not None:
                        tls.renew()
        finally:
            server.should_exit = True
            for number, handler in before.items():
                signal.signal(number, handler)
    serving.result()
