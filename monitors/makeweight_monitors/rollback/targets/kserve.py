"""`kserve`: an InferenceService of KServe, whose predictor's `canaryTrafficPercent` is set.

KServe gives its newest revision so much, and the rest to the one that last had all. Nothing of that is watched or
undone by KServe itself. Source: kserve.github.io, canary rollout; `status.components.predictor.traffic` of the
InferenceService's CustomResourceDefinition (serving.kserve.io/v1beta1).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from makeweight_base.errors import EnvironmentFailed
from makeweight_monitors.rollback.case import Canary
from makeweight_monitors.rollback.kubernetes import Conflict, Kind, settled
from makeweight_monitors.rollback.seen import Placement
from makeweight_monitors.rollback.targets.clustered import Annotated, ClusterOptions, cluster
from makeweight_monitors.rollback.targets.target import Moved, TargetOptions, agree

SERVICE = Kind("serving.kserve.io", "v1beta1", "InferenceService", "inferenceservices")
_KNATIVE = ("Knative", "Serverless")
"""What KServe calls the deployment mode that has revisions, by its version."""


class KserveOptions(ClusterOptions):
    """Which InferenceService."""

    name: str = Field(min_length=1, description="Of the InferenceService.")


class KserveTarget:
    """An InferenceService; its predictor is annotated with the file that it serves."""

    Options: ClassVar[type[TargetOptions]] = KserveOptions

    def __init__(self, options: KserveOptions, folder: Path) -> None:
        self.name, self.cluster = options.name, cluster(options, folder)
        self.where = self.cluster.where(SERVICE, self.name)

    def get(self) -> Placement:
        return self._placement(self.cluster.get(SERVICE, self.name))

    def set(self, seen: Placement, share: float) -> None:
        self._change(seen, share, dry=False)

    def rehearse(self, seen: Placement, share: float) -> None:
        self._change(seen, share, dry=True)

    def verify(self, share: float) -> None:
        def so() -> None:
            service = self.cluster.get(SERVICE, self.name)
            agree(self._placement(service).share, share, self.where + _not_ready(service))

        settled(so)

    def finalize(self, canary: Canary, promoted: bool, why: str) -> None:
        """Once promoted, nothing is split any more; a canary without traffic keeps its 0 %, else it would get all."""
        if not promoted:
            return
        service = self.cluster.get(SERVICE, self.name)
        stands = self._placement(service)
        if stands.stable == canary.sha256:
            return
        if stands.sha256 != canary.sha256 or stands.share < 1:
            raise EnvironmentFailed(f"{canary} does not have all of the traffic any more", where=self.where)
        self._patch(service, None, dry=False)

    def _placement(self, service: dict[str, Any]) -> Placement:
        mode = (service.get("status") or {}).get("deploymentMode", _KNATIVE[0])
        if mode not in _KNATIVE:
            raise EnvironmentFailed(
                f"it is deployed in the mode {mode}, in which `canaryTrafficPercent` moves nothing",
                where=self.where,
                do="Deploy it in the mode Knative, or move its traffic with another target.",
            )
        predictor = service["spec"]["predictor"]
        told = Annotated(predictor.get("annotations"), "spec.predictor.annotations", self.where)
        percent = predictor.get("canaryTrafficPercent")
        component = _component(service)
        created, rolled_out = component.get("latestCreatedRevision"), component.get("latestRolledoutRevision")
        mark = f"{told.sha256}:{told.attempt}:{percent}:{created}"
        if percent is None or (created == rolled_out and 0 < percent < 100):
            return Placement(0.0, "", "", mark, model=told.model, stable=told.sha256)
        has = sum(
            one.get("percent") or 0 for one in component.get("traffic") or [] if one.get("revisionName") == created
        )
        return Placement(has / 100, told.sha256, told.attempt, mark, told.revision, told.model)

    def _change(self, seen: Placement, share: float, dry: bool) -> None:
        for _ in range(3):  # others write its status too
            service = self.cluster.get(SERVICE, self.name)
            stands = self._placement(service)
            if stands.mark != seen.mark:
                raise Moved(f"it is at {stands.mark} by now, and was at {seen.mark}", where=self.where)
            percent = round(share * 100)
            if not stands.sha256 or service["spec"]["predictor"].get("canaryTrafficPercent") == percent:
                return
            if percent < 100 and not _component(service).get("latestRolledoutRevision"):
                raise EnvironmentFailed(
                    "no revision of it ever had all of the traffic: there is none to go back to", where=self.where
                )
            try:
                self._patch(service, percent, dry)
                return
            except Conflict as error:
                conflict = error
        raise Moved(conflict.what, where=self.where) from conflict

    def _patch(self, service: dict[str, Any], percent: int | None, dry: bool) -> None:
        change = {"spec": {"predictor": {"canaryTrafficPercent": percent}}}
        self.cluster.change(SERVICE, service, change, dry=dry)


def _component(service: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = ((service.get("status") or {}).get("components") or {}).get("predictor") or {}
    return found


def _not_ready(service: dict[str, Any]) -> str:
    """What of its conditions is not as it should be, for a sentence."""
    conditions = (service.get("status") or {}).get("conditions") or []
    bad = [one for one in conditions if one.get("status") == "False"]
    return f" ({bad[0].get('type')}: {bad[0].get('message') or bad[0].get('reason') or ''})" if bad else ""
