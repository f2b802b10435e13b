"""An HAProxy that lives as long as a block, before two servers whose weights are changed by its runtime socket."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from makeweight_monitors import program
from makeweight_monitors.rollback.targets.haproxy import WHOLE

SOCKET, BACKEND = "admin.sock", "models"
_CONFIG = f"""
global
  stats socket {{folder}}/{SOCKET} mode 600 level admin
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend front
  bind {{address}}
  default_backend {BACKEND}
backend {BACKEND}
  balance roundrobin
  # so that a server counts its answers by the share that the canary has as they are asked for
  http-request set-header x-canary-weight %[srv_uweight({BACKEND}/canary)]
"""


@contextlib.contextmanager
def running(command: Sequence[str], folder: Path, servers: Mapping[str, str], ready: str) -> Iterator[str]:
    """Its address; `stable` has all of the traffic.

    Args:
        folder: where its socket is.
        servers: their addresses, by name: `stable` and `canary`.
        ready: the path that they answer with 200.

    Raises:
        EnvironmentFailed: it does not start; what it said is part of the error.
    """
    address = f"127.0.0.1:{program.free_port()}"
    lines = [
        f"  server {name} {urlsplit(url).netloc} weight {WHOLE if name == 'stable' else 0}\n"
        for name, url in servers.items()
    ]
    config = folder / "haproxy.cfg"
    config.write_text(_CONFIG.format(folder=folder, address=address) + "".join(lines))
    url, log = f"http://{address}", folder / "haproxy.log"
    with program.running("HAProxy", [*command, "-f", str(config)], url + ready, log, apart=True):
        yield url
