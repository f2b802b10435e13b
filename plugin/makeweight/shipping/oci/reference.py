"""Where an artifact goes: a registry, a repository of it, and a tag."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from makeweight_base.errors import UsageError

SCHEME = "oci"
_HOST = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?")
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_PART}(?:/{_PART})*")
"""OCI distribution spec 1.1, "Pulling manifests"; of the tag too."""
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_HUB = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}
"""Docker's own registry is called otherwise than the machine that it answers on."""
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Reference:
    """`oci://HOST/NAME:TAG`."""

    host: str
    """With the port, where one is given."""
    name: str
    tag: str

    @property
    def machine(self) -> str:
        """The host that is asked."""
        return _HUB.get(self.host.lower(), self.host)

    def at(self, digest: str) -> str:
        """What the artifact is pulled by, whatever becomes of the tag."""
        return f"{SCHEME}://{self.host}/{self.name}@{digest}"


def parse(text: str) -> Reference:
    """Raises:
    UsageError: it is no `oci://HOST/NAME:TAG`.
    """
    host, _, rest = text.removeprefix(f"{SCHEME}://").partition("/")
    name, _, tag = rest.rpartition(":")
    do = "Give `oci://HOST/NAME:TAG`, such as `oci://registry.example.org/models/digits:v1`."
    if "@" in host:
        do = "Leave the credentials out: they come from `docker login`, or from the environment."
        raise UsageError("credentials stand in the address", where="--to", do=do)
    if "@" in rest:
        raise UsageError(f"`{text}` names a digest, which is what comes of a push", where="--to", do=do)
    found = _HOST.fullmatch(host)
    if found is None or int(found[2] or 0) > 65535:
        raise UsageError(f"`{host}` is no host", where="--to", do=do)
    if not _NAME.fullmatch(name):
        said = f"`{name}` is no name of a repository (lower case, digits, and `/` `.` `_` `-` between them)"
        raise UsageError(said if name else f"`{text}` has no tag", where="--to", do=do)
    if not _TAG.fullmatch(tag):
        raise UsageError(f"`{tag}` is no tag", where="--to", do=do)
    return Reference(host, name, tag)


def authority(url: str) -> tuple[str, int | None]:
    """Host and port of an address, the same however they are written (RFC 3986, 6.2.2.1 and 6.2.3): no host where it is
    none, no port where that is its scheme's own.
    """
    try:
        there = urlsplit(url)
        port = there.port
    except ValueError:
        return "", None
    return there.hostname or "", None if port == _DEFAULT_PORTS.get(there.scheme) else port
