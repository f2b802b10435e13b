"""The devices as they were found, and how they measured."""

from __future__ import annotations

from typing import Any

from makeweight.report.content import Content
from makeweight.report.facts import flat
from makeweight.report.figures import Figures
from makeweight.report.measuring import machine_line, protocol_line
from makeweight.report.sections.wording import percent


def machines(content: Content, figures: Figures) -> list[dict[str, Any]]:
    return [
        {
            "name": machine.name,
            "line": machine_line(machine),
            "protocol": protocol_line(content, figures, machine.name),
            "floor": percent(figures.noise_floor(machine.name)),
            "facts": flat({"kind": machine.kind, "threads": machine.threads})
            + flat(machine.identity)
            + flat(machine.conditions),
        }
        for machine in figures.machines.values()
    ]
