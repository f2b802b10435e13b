"""What targets in a Kubernetes cluster have in common: where that is, how an object there is changed that others write
too, and which file a canary serves.

A cluster knows images and not models, so that what is deployed is annotated with its file.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from makeweight_base.errors import EnvironmentFailed
from makeweight_monitors.rollback.case import attempt
from makeweight_monitors.rollback.kubernetes import Cluster, Conflict, Kind
from makeweight_monitors.rollback.seen import Placement
from makeweight_monitors.rollback.targets.target import Moved, TargetOptions

_TRIES = 3
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ClusterOptions(TargetOptions):
    """Where it is, and what it is called."""

    namespace: str | None = Field(None, min_length=1, description="Default: that of the pod, or of the context.")
    kubeconfig: str | None = Field(
        None,
        min_length=1,
        description="A file, from the folder of makeweight.yaml on. Default: the pod's service account, or KUBECONFIG.",
    )
    context: str | None = Field(None, min_length=1, description="Of the kubeconfig. Default: the current one.")
    name: str  # each kind of object has words of its own for it


class ClusterTarget(ABC):
    """One object, changed only if it is as it was seen.

    Raises:
        UsageError: the cluster is not known.
    """

    KIND: ClassVar[Kind]

    def __init__(self, options: ClusterOptions, folder: Path) -> None:
        kubeconfig = None if options.kubeconfig is None else folder / options.kubeconfig
        self.name, self.cluster = options.name, Cluster(options.namespace, kubeconfig, options.context)
        self.where = self.cluster.where(self.KIND, self.name)

    def set(self, seen: Placement, share: float) -> None:
        self._move(seen, share, dry=False)

    def rehearse(self, seen: Placement, share: float) -> None:
        self._move(seen, share, dry=True)

    @abstractmethod
    def _placement(self, found: dict[str, Any]) -> Placement:
        """What an object says of who gets the traffic."""

    @abstractmethod
    def _towards(self, found: dict[str, Any], share: float) -> dict[str, Any] | None:
        """What of an object leads to a share, in its spec or in its status; None: it is on its way there."""

    def _read(self) -> dict[str, Any]:
        return self.cluster.get(self.KIND, self.name)

    def _patch(self, found: dict[str, Any], change: dict[str, Any], dry: bool = False) -> None:
        self.cluster.change(self.KIND, found, change, dry)

    def _move(self, seen: Placement, share: float, dry: bool) -> None:
        for _ in range(_TRIES):  # others write its status too, such as how many pods there are
            found = self._read()
            stands = self._placement(found)
            if stands.mark != seen.mark:
                raise Moved(f"it is at {stands.mark} by now, and was at {seen.mark}", where=self.where)
            change = self._towards(found, share)
            if change is None:
                return
            try:
                self._patch(found, change, dry)
                return
            except Conflict as error:
                conflict = error
        raise Moved(conflict.what, where=self.where) from conflict


class Annotated:
    """`makeweight/sha256`, and where they are needed `makeweight/attempt`, `makeweight/revision`, `makeweight/model`.

    Raises:
        EnvironmentFailed: no file is named.
    """

    def __init__(self, annotations: Mapping[str, Any] | None, place: str, where: str) -> None:
        told = annotations or {}
        self.sha256 = str(told.get("makeweight/sha256", ""))
        if not _SHA256.fullmatch(self.sha256):
            raise EnvironmentFailed(
                "it does not tell which file it serves",
                where=where,
                do=f"Annotate `{place}` with `makeweight/sha256`, the label `sha256` of what its processes export.",
            )
        self.attempt = attempt(str(told.get("makeweight/attempt", "")))
        self.revision = str(told.get("makeweight/revision", ""))
        self.model = str(told.get("makeweight/model", ""))
