"""`argo-rollouts`: a Rollout of Argo with the strategy `canary`, whose steps are gone to, promoted and aborted.

What `kubectl argo rollouts abort` and `promote` do: the status is patched, and Argo's controller does the rest. A share
is a step with that `setWeight`; the pauses between the steps have no duration, so that nobody but us goes on.
Source: argoproj.github.io/argo-rollouts/features/canary and its `status` in the Rollout's CustomResourceDefinition.
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


class ArgoRolloutsOptions(ClusterOptions):
    """Which Rollout."""

    name: str = Field(min_length=1, description="Of the Rollout.")


class ArgoRolloutsTarget(ClusterTarget):
    """A Rollout; its pod template is annotated with the file that it serves."""

    KIND = Kind("argoproj.io", "v1alpha1", "Rollout", "rollouts")
    Options: ClassVar[type[TargetOptions]] = ArgoRolloutsOptions

    def get(self) -> Placement:
        found: list[dict[str, Any]] = []

        def noted() -> None:
            found[:] = [self._read()]
            generation = str(found[0]["metadata"].get("generation", ""))
            if _status(found[0]).get("observedGeneration", "") != generation:
                said = "Argo's controller has not taken note of its last change"
                raise EnvironmentFailed(said, where=self.where, do="Does the controller of Argo Rollouts run?")

        settled(noted)
        return self._placement(found[0])

    def verify(self, share: float) -> None:
        def so() -> None:
            rollout = self._read()
            if share >= 1 and _promoted(rollout):
                return
            hint = " (`spec.paused` is set: nothing goes on)" if rollout["spec"].get("paused") else ""
            said = _status(rollout).get("message") or ""
            where = f"{self.where}{hint}{f' ({said})' if said else ''}"
            agree(self._placement(rollout).share, share, where, _most(rollout))
            if _weights(rollout).get("verified") is False:
                raise EnvironmentFailed("the router does not have the weights that Argo gave it", where=self.where)

        settled(so)

    def finalize(self, canary: Canary, promoted: bool, why: str) -> None:
        """Once promoted, Argo makes it stable by itself; an aborted one stays aborted."""
        if not promoted:
            return

        def stable() -> None:
            if self._placement(self._read()).stable != canary.sha256:
                raise EnvironmentFailed(f"Argo has not made {canary} stable yet", where=self.where)

        settled(stable)

    def _placement(self, rollout: dict[str, Any]) -> Placement:
        _canary(rollout, self.where)
        status = _status(rollout)
        told = Annotated(*_annotations(rollout), self.where)
        if not status.get("currentPodHash") or not status.get("stableRS"):
            raise EnvironmentFailed("Argo has not deployed anything stable of it yet", where=self.where)
        if _promoted(rollout):
            return Placement(0.0, "", "", f"{status['stableRS']}", model=told.model, stable=told.sha256)
        share = _share(rollout)
        mark = f"{status['currentPodHash']}:{told.sha256}:{bool(status.get('abort'))}:{share}"
        return Placement(share, told.sha256, told.attempt, mark, told.revision, told.model)

    def _towards(self, rollout: dict[str, Any], share: float) -> dict[str, Any] | None:
        change = _towards(rollout, share, self.where)
        return None if change is None else {"status": change}


def _towards(rollout: dict[str, Any], share: float, where: str) -> dict[str, Any] | None:
    """What of the status leads to a share; None: it is on its way there."""
    status, steps = _status(rollout), _canary(rollout, where).get("steps") or []
    if share <= 0:
        return None if status.get("abort") or _promoted(rollout) else {"abort": True}
    if status.get("abort"):
        raise EnvironmentFailed(
            "it was aborted, and is left so", where=where, do="Deploy a new attempt, or `kubectl argo rollouts retry`."
        )
    if share >= 1:
        index = len(steps)
    else:
        weights = [step.get("setWeight") for step in steps]
        wanted = parts(share, _most(rollout))
        if wanted not in weights:
            has = ", ".join(str(weight) for weight in weights if weight is not None) or "none"
            raise EnvironmentFailed(
                f"no step of it has `setWeight: {wanted}`, which {share:.0%} would be; there is {has}",
                where=where,
                do="Give `canary.steps` here and `strategy.canary.steps` there the same weights.",
            )
        index = weights.index(wanted)
        if _aimed(rollout) == wanted:
            return None
    if status.get("currentStepIndex") == index:
        return None
    return {"currentStepIndex": index, "pauseConditions": None, "controllerPause": False}


def _share(rollout: dict[str, Any]) -> float:
    """What the router has, where there is one; without, Argo counts in pods, and this is what it aims at."""
    status = _status(rollout)
    if rollout["spec"]["strategy"]["canary"].get("trafficRouting"):
        return float((_weights(rollout).get("canary") or {}).get("weight", 0)) / _most(rollout)
    return 0.0 if status.get("abort") else _aimed(rollout) / _most(rollout)


def _weights(rollout: dict[str, Any]) -> dict[str, Any]:
    """What the router was given."""
    found: dict[str, Any] = (_status(rollout).get("canary") or {}).get("weights") or {}
    return found


def _aimed(rollout: dict[str, Any]) -> int:
    """The weight of the last step that sets one, as Argo reads it."""
    steps = rollout["spec"]["strategy"]["canary"].get("steps") or []
    index = _status(rollout).get("currentStepIndex") or 0
    if index >= len(steps):
        return _most(rollout)
    set_so_far = [step["setWeight"] for step in steps[: index + 1] if step.get("setWeight") is not None]
    return int(set_so_far[-1]) if set_so_far else 0


def _most(rollout: dict[str, Any]) -> int:
    """The weight that is all of the traffic."""
    return int((rollout["spec"]["strategy"]["canary"].get("trafficRouting") or {}).get("maxTrafficWeight") or 100)


def _promoted(rollout: dict[str, Any]) -> bool:
    """Whether what is deployed is what is stable."""
    return bool(_status(rollout).get("stableRS")) and _status(rollout)["stableRS"] == _status(rollout).get(
        "currentPodHash"
    )


def _canary(rollout: dict[str, Any], where: str) -> dict[str, Any]:
    canary = rollout["spec"].get("strategy", {}).get("canary")
    if canary is None:
        raise EnvironmentFailed("its strategy is not `canary`", where=where, do="Only a canary has a share.")
    found: dict[str, Any] = canary
    return found


def _annotations(rollout: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """Those of the pods; where the Rollout refers to another's template, its own."""
    template = rollout["spec"].get("template")
    if template is None:
        return rollout["metadata"].get("annotations"), "metadata.annotations"
    return (template.get("metadata") or {}).get("annotations"), "spec.template.metadata.annotations"


def _status(rollout: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = rollout.get("status") or {}
    return found
