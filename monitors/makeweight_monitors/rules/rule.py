"""What a file of rules consists of: recordings and alerts, in groups. Data alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from makeweight_monitors.rules.promql import number

Kind = Literal["rollback", "alarm", "evidence"]
"""`rollback`: its false alarms are bounded, so it may act alone. `alarm`: somebody has to look. `evidence`:
something to weigh, which chance or a harmless change can also bring about."""


@dataclass(frozen=True)
class Level:
    kind: Kind
    severity: Literal["page", "ticket", "none"]
    """How urgent it is: `page` calls somebody now, a `ticket` waits until people are at work."""


ROLLBACK, ALARM, EVIDENCE = Level("rollback", "page"), Level("alarm", "page"), Level("evidence", "ticket")


@dataclass(frozen=True)
class Recording:
    record: str
    expression: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """A value beside a line: Prometheus has both in one expression, a graph draws them, Grafana compares by itself."""

    value: str
    operator: Literal[">", "<", "=="]
    line: float

    def __str__(self) -> str:
        return f"{self.value} {self.operator} {number(self.line)}"


@dataclass(frozen=True)
class Alert:
    name: str
    condition: Comparison | str
    """The one comparison that it is, or an expression of several conditions, which has a value where all hold."""
    level: Level
    summary: str
    description: str
    """Both may hold Prometheus's templates."""
    hold: str = "0s"
    """How long it has to be true before it fires."""
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def expression(self) -> str:
        """As Prometheus reads it."""
        return str(self.condition)


def literal(text: str) -> str:
    """A text as a template of Prometheus that expands to it: the labels of alerts are templates."""
    return text.replace("{{", '{{ "{{" }}')


Rule = Recording | Alert


@dataclass(frozen=True)
class Group:
    """Rules that are evaluated one after the other, each seeing what those before it recorded."""

    name: str
    rules: tuple[Rule, ...]
    interval: str | None = None
    """None: as Prometheus is configured."""
