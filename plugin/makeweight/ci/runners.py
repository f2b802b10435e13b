"""Which devices a run may use, and where in continuous integration each is measured."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

from makeweight.forge.event import Event
from makeweight.github.labels import DEVICES, Label, approves_devices
from makeweight.project.project import Project

DEFAULT = "ubuntu-latest"
# GitHub's own machines are thrown away after each job. Whatever else a label names (`ubuntu-lab`) may be somebody's.
_HOSTED = re.compile(r"(ubuntu|macos|windows)-(latest|slim|[0-9]+([.][0-9]+)?)(-(arm|intel|large|xlarge))?")

Runner = str | list[str]


def allowed(project: Project, event: Event, labels: Iterable[Label]) -> tuple[dict[str, Runner], dict[str, str]]:
    """The devices that may measure, with their runners; and why others may not."""
    runners: dict[str, Runner] = {}
    refused: dict[str, str] = {}
    trusted = not event.fork or approves_devices(labels, event.head)
    for name, entry in project.devices.items():
        runner = entry.options.runner
        if not trusted and is_own(runner):
            refused[name] = (
                "a fork's code is not run on machines of one's own until a maintainer sets the label "
                f"`{DEVICES}{event.head}`"
            )
        else:
            runners[name] = DEFAULT if runner is None else runner
    return runners, refused


def is_own(runner: Runner | None) -> bool:
    """Whether a job's labels may lead to a machine that outlives the job."""
    if runner is None:
        return False
    names = [runner] if isinstance(runner, str) else runner
    return not (names and all(_HOSTED.fullmatch(name) for name in names))


def reachable(project: Project) -> list[str]:
    """The devices that are measured from the job at hand: those that ask for no runner of their own."""
    return [name for name, entry in project.devices.items() if entry.options.runner is None]


def matrix(devices: Mapping[str, Runner]) -> str:
    """The list that a workflow's matrix includes, as JSON."""
    return json.dumps([{"device": name, "runner": runner} for name, runner in devices.items()])
