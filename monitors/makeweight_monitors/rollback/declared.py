"""From `canary` of makeweight.yaml to the controller's target and policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from makeweight_base.errors import UsageError
from makeweight_monitors.rollback.policy import Policy
from makeweight_monitors.rollback.targets.target import Target, made

if TYPE_CHECKING:
    from makeweight.project.project import Project


def target(project: Project) -> Target:
    """What decides who gets the traffic.

    Raises:
        UsageError: none is declared, or it cannot be used.
    """
    declared = project.canary.target if project.canary is not None else None
    if declared is None:
        raise UsageError(
            "`canary` declares no target",
            where=str(project.root / "makeweight.yaml"),
            do="Say what moves the traffic, such as `canary: {target: {kind: pointer, path: serving/current.json}}`.",
        )
    return made(declared, project.root)


def policy(project: Project) -> Policy:
    """How far and how fast a canary is let in."""
    canary = project.canary
    if canary is None:
        return Policy()
    return Policy(
        steps=tuple(canary.steps),
        step_for=canary.step_for,
        cooldown=canary.cooldown,
        silence=canary.silence if isinstance(canary.silence, str) else dict(canary.silence.items()),
        silence_for=canary.silence_for,
    )
