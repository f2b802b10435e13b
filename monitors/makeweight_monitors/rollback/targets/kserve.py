"""`kserve`: an InferenceService of KServe, whose predictor's `canaryTrafficPercent` is set.

KServe gives its newest revision so much, and the rest to the one that last had all. Nothing of that is watched or
undone by KServe itself. Source: kserve.github.io, canary rollout; `status.components.predictor.traffic` of the
InferenceService's CustomResourceDefinition (serving.kserve.io/v1beta1).
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from makeweight_base.errors import EnvironmentFailed
from makeweight_monitors.rollback.case import Canary
from makeweight_monitors.rollback.kubernetes import Kind, settled
from makeweight_monitors.rollback.seen import Placement
from makeweight_monitors.rollback.targets.clustered import Annotated, ClusterOptions, ClusterTarget
from makeweight_monitors.rollback.targets.target import TargetOptions, agree, parts

_WHOLE = 100
_KNATIVE = ("Knative", "Serverless")
"""What KServe calls the deployment mode that has revisions, by its version."""


class KserveOptions(ClusterOptions):
    """Which InferenceService."""

    name: str = Field(min_length=1, description="Of the InferenceService.")


class KserveTarget(ClusterTarget):
    """An InferenceService; its predictor is annotated with the file that it serves."""

    KIND = Kind("serving.kserve.io", "v1beta1", "InferenceService", "inferenceservices")
    Options: ClassVar[type[TargetOptions]] = KserveOptions

    def get(self) -> Placement:
        return self._placement(self._read())

    def verify(self, share: float) -> None:
        def so() -> None:
            service = self._read()
            agree(self._placement(service).share, share, self.where + _not_ready(service), _WHOLE)

        settled(so)

    def finalize(self, canary: Canary, promoted: bool, why: str) -> None:
        """Once promoted, nothing is split any more; a canary without traffic keeps its 0 %, else it would get all."""
        if not promoted:
            return
        service = self._read()
        stands = self._placement(service)
        if stands.stable == canary.sha256:
            return
        if stands.sha256 != canary.sha256 or stands.share < 1:
            raise EnvironmentFailed(f"{canary} does not have all of the traffic any more", where=self.where)
        self._patch(service, _percent(None))

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

    def _towards(self, service: dict[str, Any], share: float) -> dict[str, Any] | None:
        percent = parts(share, _WHOLE)
        if self._placement(service).stable or service["spec"]["predictor"].get("canaryTrafficPercent") == percent:
            return None
        if percent < 100 and not _component(service).get("latestRolledoutRevision"):
            raise EnvironmentFailed(
                "no revision of it ever had all of the traffic: there is none to go back to", where=self.where
            )
        return _percent(percent)


def _percent(percent: int | None) -> dict[str, Any]:
    return {"spec": {"predictor": {"canaryTrafficPercent": percent}}}


def _component(service: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = ((service.get("status") or {}).get("components") or {}).get("predictor") or {}
    return found


def _not_ready(service: dict[str, Any]) -> str:
    """What of its conditions is not as it should be, for a sentence."""
    conditions = (service.get("status") or {}).get("conditions") or []
    bad = [one for one in conditions if one.get("status") == "False"]
    return f" ({bad[0].get('type')}: {bad[0].get('message') or bad[0].get('reason') or ''})" if bad else ""
