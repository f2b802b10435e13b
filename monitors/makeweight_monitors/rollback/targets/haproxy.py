"""`haproxy`: two servers of one backend, weighed against each other through HAProxy's runtime socket.

Source: docs.haproxy.org/2.6/management.html, section 9.3 (`get weight`, `set server … weight`). A weight takes effect
with the next request, and drops none. It does not outlive a reload: keep the configured ones as they should be then.
That it began anew is known from `show info`, so that a canary which is back by that is not taken for let in again.
"""

from __future__ import annotations

import re
import socket
import time
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from makeweight_base.errors import EnvironmentFailed, reason
from makeweight_monitors.rollback.case import Canary
from makeweight_monitors.rollback.seen import Placement
from makeweight_monitors.rollback.targets.target import Moved, TargetOptions, agree, parts

WHOLE = 256
"""The largest weight there is."""
_SECONDS = 5.0
_NAME = r"^[A-Za-z0-9_.:-]+$"
_WEIGHT = re.compile(r"(\d+) \(initial (\d+)\)")
_UPTIME = re.compile(r"^Uptime_sec:\s*(\d+)", re.MULTILINE)


class HaproxyOptions(TargetOptions):
    """Where the socket is, and what the servers are called."""

    socket: str = Field(min_length=1, description="`stats socket` of HAProxy, of level admin: a path, or HOST:PORT.")
    backend: str = Field(pattern=_NAME, description="The backend that both are in.")
    canary: str = Field("canary", pattern=_NAME, description="The server of the canary.")
    stable: str = Field("stable", pattern=_NAME, description="The server of the original.")


class HaproxyTarget:
    """Weights of two servers; it does not know which file is behind them."""

    Options: ClassVar[type[TargetOptions]] = HaproxyOptions

    def __init__(self, options: HaproxyOptions, folder: Path) -> None:
        self.address = options.socket if re.search(r":\d+$", options.socket) else str(folder / options.socket)
        self.canary, self.stable = (f"{options.backend}/{name}" for name in (options.canary, options.stable))

    def get(self) -> Placement:
        now, configured = zip(self._weights(self.canary), self._weights(self.stable), strict=True)
        return Placement(_share(*now), mark=f"{now[0]}:{now[1]}", began=self._began(), configured=_share(*configured))

    def set(self, seen: Placement, share: float) -> None:
        stands = self.get()
        if stands.mark != seen.mark:
            raise Moved(f"the weights are {stands.mark} by now, and were {seen.mark}", where=self.address)
        canary = parts(share, WHOLE)
        # first the one that is to have more: at no time has nobody any weight
        order = [(self.stable, WHOLE - canary), (self.canary, canary)]
        for server, weight in order if share <= stands.share else reversed(order):
            said = self._ask(f"set server {server} weight {weight}")
            if said:
                raise EnvironmentFailed(f"HAProxy refuses a weight of {server}: {said[:200]}", where=self.address)

    def verify(self, share: float) -> None:
        agree(self.get().share, share, self.address, WHOLE)

    def finalize(self, canary: Canary, promoted: bool, why: str) -> None:
        """Nothing: which file a server has is not HAProxy's to know."""

    def _weights(self, server: str) -> tuple[int, int]:
        """The weight that it has, and the configured one."""
        said = self._ask(f"get weight {server}")
        found = _WEIGHT.match(said)
        if found is None:
            raise EnvironmentFailed(f"HAProxy does not tell the weight of {server}: {said[:200]}", where=self.address)
        return int(found[1]), int(found[2])

    def _began(self) -> float | None:
        """A second early, as it tells whole ones: nothing that it was told is to seem to be of before."""
        found = _UPTIME.search(self._ask("show info"))
        return None if found is None else time.time() - float(found[1]) - 1

    def _ask(self, command: str) -> str:
        try:
            with self._connected() as connection:
                connection.sendall(command.encode() + b"\n")
                chunks = []
                while chunk := connection.recv(4096):
                    chunks.append(chunk)
        except OSError as error:
            raise EnvironmentFailed(f"HAProxy's socket does not answer: {reason(error)}", where=self.address) from error
        return b"".join(chunks).decode(errors="replace").strip()

    def _connected(self) -> socket.socket:
        host, colon, port = self.address.rpartition(":")
        if colon and port.isdecimal():
            # an address of IPv6 stands in brackets; HAProxy itself writes it without
            return socket.create_connection((host.removeprefix("[").removesuffix("]"), int(port)), _SECONDS)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(_SECONDS)
        try:
            connection.connect(self.address)
        except OSError:
            connection.close()
            raise
        return connection


def _share(canary: int, stable: int) -> float:
    return canary / (canary + stable) if canary + stable else 0.0
