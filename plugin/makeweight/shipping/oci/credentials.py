"""As whom a registry is asked: by the environment, else as Docker's configuration says, which `docker login` writes.

Source: docs.docker.com, "docker login", of the configuration and of the protocol of credential helpers.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from makeweight_base.errors import UsageError, reason

USER, PASSWORD = "MAKEWEIGHT_OCI_USER", "MAKEWEIGHT_OCI_PASSWORD"
_HUB, _HUB_KEY = "registry-1.docker.io", "https://index.docker.io/v1/"
_IDENTITY = "<token>"
"""What a helper has for a user where the secret is an identity token."""
_SECONDS = 60
_INSTEAD = f"Or set {USER} and {PASSWORD}, which come first."


@dataclass(frozen=True)
class Credentials:
    """A user and a password, or an identity token alone."""

    user: str
    secret: str = field(repr=False)
    source: str
    """Where they were found."""

    @property
    def is_identity(self) -> bool:
        return self.user == _IDENTITY


def find(machine: str) -> Credentials | None:
    """Those for a registry; None: nobody left any.

    Args:
        machine: its host, with the port.

    Raises:
        UsageError: what is declared cannot be read, or its helper fails.
    """
    user, secret = os.environ.get(USER, ""), os.environ.get(PASSWORD, "")
    if user and secret:
        return Credentials(user, secret, f"{USER} and {PASSWORD}")
    if user or secret:
        lacking = PASSWORD if user else USER
        raise UsageError("is not set, and the other half of the credentials is", where=lacking, do="Set both.")
    if (folder := _dockers()) is None:
        return None
    path = folder / "config.json"
    config = _read(path)
    key = _HUB_KEY if machine == _HUB else machine
    host = _host(key)
    helpers = {_host(name): helper for name, helper in _table(config, "credHelpers").items()}
    helper = helpers.get(host) or config.get("credsStore")
    if helper and (found := _helped(str(helper), key, path)) is not None:
        return found
    for name, entry in _table(config, "auths").items():
        if _host(name) == host and isinstance(entry, dict):
            return _entry(entry, name, path)
    return None


def _dockers() -> Path | None:
    """The folder of its configuration; None: nothing tells where it is, as in a container whose user has no home."""
    if folder := os.environ.get("DOCKER_CONFIG"):
        return Path(folder)
    try:
        return Path.home() / ".docker"
    except RuntimeError:
        return None


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        why = reason(error) if isinstance(error, OSError) else "is no JSON"  # which would quote what it holds
        raise UsageError(f"cannot be read: {why}", where=str(path), do=f"Mend it. {_INSTEAD}") from None
    return content if isinstance(content, dict) else {}


def _table(config: dict[str, Any], key: str) -> dict[str, Any]:
    found = config.get(key)
    return found if isinstance(found, dict) else {}


def _host(key: str) -> str:
    """Of a key, which may be a whole address; in small letters."""
    return key.lower().removeprefix("https://").removeprefix("http://").partition("/")[0]


def _entry(entry: dict[str, Any], name: str, path: Path) -> Credentials | None:
    if token := entry.get("identitytoken"):
        return Credentials(_IDENTITY, str(token), str(path))
    if not entry.get("auth"):
        return None  # an entry for what a helper keeps is empty
    try:
        user, colon, secret = base64.b64decode(str(entry["auth"]), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        user = colon = secret = ""
    if not colon:
        do = f"Run `docker login {_host(name)}` again. {_INSTEAD}"
        raise UsageError(f"`auth` of `{name}` is not base64 of USER:PASSWORD", where=str(path), do=do)
    return Credentials(user, secret.rstrip("\0"), str(path))


def _helped(helper: str, server: str, path: Path) -> Credentials | None:
    """What a credential helper has; nothing that it prints is ever shown."""
    command = f"docker-credential-{helper}"
    failed = UsageError(f"the credential helper `{command}` gives none", where=str(path), do=f"Mend it. {_INSTEAD}")
    if not re.fullmatch(r"[\w.-]+", helper):
        raise failed
    try:
        done = subprocess.run([command, "get"], input=server, text=True, capture_output=True, timeout=_SECONDS)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        raise failed from None
    if done.returncode != 0:
        if "not found" in done.stdout:
            return None
        raise failed
    try:
        answer = json.loads(done.stdout)
        return Credentials(str(answer["Username"]), str(answer["Secret"]), f"`{command}`")
    except (ValueError, KeyError, TypeError):
        raise failed from None
