"""What targets in a Kubernetes cluster have in common: where that is, and which file a canary serves.

A cluster knows images and not models, so that what is deployed is annotated with its file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from makeweight_base.errors import EnvironmentFailed
from makeweight_monitors.rollback.kubernetes import Cluster
from makeweight_monitors.rollback.targets.target import TargetOptions

_SHA256 = re.compile(r"[0-9a-f]{64}")


class ClusterOptions(TargetOptions):
    """Where it is."""

    namespace: str | None = Field(None, min_length=1, description="Default: that of the pod, or of the context.")
    kubeconfig: str | None = Field(
        None,
        min_length=1,
        description="A file, from the folder of makeweight.yaml on. Default: the pod's service account, or KUBECONFIG.",
    )
    context: str | None = Field(None, min_length=1, description="Of the kubeconfig. Default: the current one.")


def cluster(options: ClusterOptions, folder: Path) -> Cluster:
    """Raises: UsageError, see there."""
    kubeconfig = None if options.kubeconfig is None else folder / options.kubeconfig
    return Cluster(options.namespace, kubeconfig, options.context)


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
        number = str(told.get("makeweight/attempt", ""))
        self.attempt = "" if number == "0" else number
        """As the label has it; the first try bears none."""
        self.revision = str(told.get("makeweight/revision", ""))
        self.model = str(told.get("makeweight/model", ""))
