"""This machine itself: no way to it leads over another, so no proxy is asked for it."""

from __future__ import annotations

import ipaddress
import re
from typing import Any
from urllib.parse import urlsplit

_HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(?::\d*)?")


def is_loopback(host: str) -> bool:
    """Whether a host, with or without a port, is this machine, and reached from nowhere else."""
    found = _HOST.fullmatch(host)
    bare = host if found is None else found[1].strip("[]")
    if bare.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False


def is_here(url: str) -> bool:
    """Whether an address is one of this machine; no address is none."""
    try:
        return is_loopback(urlsplit(url).netloc.rpartition("@")[2])
    except ValueError:  # brackets that hold no address
        return False


def proxies(url: str) -> dict[str, Any] | None:
    """What to tell `requests` for an address: no proxy where it is this machine; else None, as the environment says.

    Names of the environment (HTTP_PROXY) that leave out NO_PROXY mean what is beyond this machine; so have it Go's
    programs, Prometheus among them (pkg.go.dev/net/http, ProxyFromEnvironment).
    """
    return {"http": None, "https": None, "all": None} if is_here(url) else None
