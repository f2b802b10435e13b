"""A Kubernetes API server, asked through lightkube: an object is read, and changed only if it is as it was read.

What it refuses has a name, with which the sentence begins: unauthorized, forbidden, not found, conflict, invalid, busy,
no answer. Source: kubernetes.io/docs/reference/using-api/api-concepts (resource versions, dry run, field managers).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makeweight_base import loopback
from makeweight_base.errors import EnvironmentFailed, UsageError, first_line

FIELD_MANAGER = "makeweight-monitors"
"""Under this name our changes stand in an object's `managedFields`."""
SECONDS = 5.0
"""For how long an answer is waited for."""
SETTLES = 10.0
"""For how long a controller in the cluster has time to do as it was told, before that is told as not done."""
_PAUSE = 0.25
_MALFORMED = (AttributeError, LookupError, TypeError, ValueError)
"""What lightkube raises where a file or an answer has another form than it takes for granted."""


class Conflict(EnvironmentFailed):
    """It was changed since it was read, or is there already: nothing was changed."""


class NotFound(EnvironmentFailed):
    """There is no such object, or no such kind of object."""


@dataclass(frozen=True)
class Kind:
    """Of objects in a namespace."""

    group: str
    version: str
    name: str
    plural: str


class Cluster:
    """One namespace of one cluster, as far as this process may reach it.

    Args:
        namespace: None: that of the pod, or of the context.
        kubeconfig: a file; None: the service account of the pod, else the file that KUBECONFIG names.
        context: of the kubeconfig; None: the current one.

    Raises:
        UsageError: nothing tells which cluster, or not well enough.
    """

    def __init__(
        self, namespace: str | None = None, kubeconfig: Path | None = None, context: str | None = None
    ) -> None:
        import yaml
        from httpx2 import Timeout
        from lightkube import Client, ConfigError, KubeConfig

        try:
            read = KubeConfig.from_env() if kubeconfig is None else KubeConfig.from_file(kubeconfig)
            config = read.get(context)
            # what the environment names, such as a proxy, is for what lies beyond this machine
            foreign = not loopback.is_here(config.cluster.server)
            self._client = Client(config, namespace, Timeout(SECONDS), field_manager=FIELD_MANAGER, trust_env=foreign)
        except (*_MALFORMED, ConfigError, AssertionError, OSError, yaml.YAMLError) as error:
            said = str(error) if isinstance(error, ConfigError) else f"{type(error).__name__}: {first_line(error)}"
            raise UsageError(
                f"the cluster is not known: {said}",
                where=None if kubeconfig is None else str(kubeconfig),
                do="Run it in a pod with a service account, or name a kubeconfig (KUBECONFIG).",
            ) from error
        self.namespace: str = self._client.namespace

    def where(self, kind: Kind, name: str) -> str:
        """An object, as errors name it."""
        return f"{kind.name} {self.namespace}/{name}"

    def get(self, kind: Kind, name: str) -> dict[str, Any]:
        """An object.

        Raises:
            EnvironmentFailed: by one of the names above.
        """
        with self._told("get", kind, name):
            return _plain(self._client.get(_resource(kind), name))

    def change(
        self, kind: Kind, seen: Mapping[str, Any], change: Mapping[str, Any], dry: bool = False
    ) -> dict[str, Any]:
        """Merge a change into an object that is as it was seen (RFC 7396): the object as it is after that.

        Args:
            change: of the spec and the like, or of the status alone, which is a resource of its own.
            dry: whether the server is only to say if it would take it.

        Raises:
            Conflict: it is not as it was seen; EnvironmentFailed: by another of the names above.
        """
        name = seen["metadata"]["name"]
        version = {"resourceVersion": seen["metadata"]["resourceVersion"]}
        body = {**change, "metadata": {**change.get("metadata", {}), **version}}
        resource, status = _resource(kind), "status" in change
        with self._told("patch", kind, name, "/status" if status else ""):
            from lightkube.types import PatchType

            target = resource.Status if status else resource
            return _plain(self._client.patch(target, name, body, patch_type=PatchType.MERGE, dry_run=dry))

    def create(self, kind: Kind, name: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """A new object.

        Raises:
            Conflict: one of that name is there; EnvironmentFailed: by another of the names above.
        """
        with self._told("create", kind, name):
            return _plain(self._client.create(_resource(kind)(metadata={"name": name}, **content)))

    @contextlib.contextmanager
    def _told(self, verb: str, kind: Kind, name: str, part: str = "") -> Iterator[None]:
        """What the server answers, or that it does not, as an error of ours."""
        import httpx2
        from lightkube import ApiError, ConfigError
        from msgspec import MsgspecError

        where, asked = self.where(kind, name), f"{verb} {kind.plural}{part}"
        try:
            yield
        except httpx2.HTTPStatusError as error:
            said = error.status.message or "" if isinstance(error, ApiError) else ""
            raise _refused(error.response.status_code, asked, said, where) from error
        except ConfigError as error:
            raise _refused(401, asked, str(error), where) from error
        except httpx2.TimeoutException as error:
            said = f"no answer to `{asked}` within {SECONDS:.0f} s"
            raise EnvironmentFailed(said, where=where, do="Is the API server, or the way to it, overloaded?") from error
        except httpx2.HTTPError as error:
            said = f"no answer to `{asked}`: {type(error).__name__}: {first_line(error)}"
            raise EnvironmentFailed(said, where=where, do="Does the API server run, and can it be reached?") from error
        except (*_MALFORMED, MsgspecError) as error:
            said = f"no answer to `{asked}` that can be read: {type(error).__name__}"
            raise EnvironmentFailed(said, where=where, do="Is that a Kubernetes API server, or a proxy?") from error


def settled(check: Callable[[], None]) -> None:
    """Wait until a check passes that others in the cluster have to bring about.

    Raises:
        EnvironmentFailed: that of the check, which did not pass in time.
    """
    ends = time.monotonic() + SETTLES
    while True:
        try:
            return check()
        except EnvironmentFailed:
            if time.monotonic() >= ends:
                raise
        time.sleep(_PAUSE)


def _resource(kind: Kind) -> Any:
    from lightkube.generic_resource import create_namespaced_resource

    return create_namespaced_resource(kind.group, kind.version, kind.name, kind.plural)


def _plain(answered: Any) -> dict[str, Any]:
    told: dict[str, Any] = answered.to_dict()
    if not told.get("metadata", {}).get("resourceVersion") or not isinstance(told.get("spec"), dict):
        raise ValueError("no object")
    return told


def _refused(status: int, asked: str, said: str, where: str) -> EnvironmentFailed:
    """By HTTP's status code; `said` is what the server says itself."""
    more = f": {said[:300]}" if said else ""
    match status:
        case 401:
            name, do = (
                "unauthorized",
                "Is the service account's token mounted, or what the kubeconfig holds still good?",
            )
        case 403:
            name, do = "forbidden", "Bind the Role of docs/monitors/kubernetes.md to whom the controller runs as."
        case 404:
            do = "Are name and namespace right, and is its CustomResourceDefinition installed?"
            return NotFound(f"not found: there is nothing to {asked}{more}", where=where, do=do)
        case 409:
            return Conflict(f"conflict: the API server refuses to {asked}{more}", where=where)
        case 400 | 422:
            name, do = "invalid", "The cluster has another version of it than this was written for; see what it says."
        case _ if status == 429 or status >= 500:
            name, do = "busy", "It is tried again. Should that go on, see how the API server and its webhooks do."
        case _:
            name, do = "no answer", "Is that a Kubernetes API server, or a proxy?"
    return EnvironmentFailed(f"{name}: the API server refuses to {asked} ({status}{more})", where=where, do=do)
