"""What is known and meant of one canary: where it stands, and what was begun with it. Data alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

Stage = Literal["observing", "rolling_back", "rolled_back", "failed", "promoted"]
"""`rolled_back` and `promoted` are latched: no alert moves them. `failed`: a rollback that is not done yet, though it
was tried; it is tried again."""
Kind = Literal["rollback", "step", "promote"]
Phase = Literal["begun", "acted", "read_back", "confirmed"]
"""`begun`: written down, perhaps done. `acted`: the target took it. `read_back`: the target says that it is so.
`confirmed`: the traffic says so too; what is left is to tell the target that it is over."""


@dataclass(frozen=True, order=True)
class Canary:
    """One file of a model on trial in one environment, and which try of it this is."""

    environment: str
    model: str
    sha256: str
    attempt: str = ""
    revision: str = field(default="", compare=False)
    """For people: it does not tell canaries apart."""

    def __str__(self) -> str:
        named = " ".join(part for part in (self.model, self.revision or self.sha256[:12]) if part)
        return f"{self.environment}: {named}" if self.environment else named


def attempt(label: str) -> str:
    """Of a canary, from a label or what stands for one: the first try bears no number, or nought."""
    return "" if label == "0" else label


@dataclass(frozen=True)
class Answered:
    """How many requests the canary had answered at a time (Unix, in seconds), over all its processes."""

    time: float
    count: float


@dataclass(frozen=True)
class Deed:
    """A change of the traffic that was begun and is not done."""

    kind: Kind
    share: float
    """Of the traffic, that the canary is to have."""
    begun: float
    """Unix time, like all times here."""
    phase: Phase = "begun"
    tries: int = 0
    """How often it went wrong."""
    again: float = 0.0
    """It is not tried before that."""
    answered: Answered | None = None
    """After it was read back: the last look at the canary's traffic at which that had grown."""
    why: str = ""
    """The sentence in which it was decided."""


@dataclass(frozen=True)
class Case:
    """One canary."""

    canary: Canary
    stage: Stage = "observing"
    share: float = 0.0
    """Of the traffic, that it has."""
    since: float = 0.0
    """When it got that share."""
    good_since: float | None = None
    """Since when every look found it good enough for more."""
    good_at: float | None = None
    """When one of the last looks found so."""
    blind_since: float | None = None
    """Since when nothing is known."""
    deed: Deed | None = None
    why: str = ""
    """The last decision, in a sentence."""
    topic: str = ""
    """What that was about, as `machine.Step` has it."""
    configured: float | None = None
    """Of the traffic, what the target began with as the rollback was decided; None: it does not tell."""

    def not_after(self, time: float) -> Case:
        """With no time later than this one: a clock that went back tells of some, and nothing would come to its end.
        `good_since`, `good_at` and `Deed.again` are left: who reads those looks whether they can be."""
        deed, blind = self.deed, self.blind_since
        if deed is not None:
            answered = deed.answered
            if answered is not None:
                answered = replace(answered, time=min(answered.time, time))
            deed = replace(deed, begun=min(deed.begun, time), answered=answered)
        blind = None if blind is None else min(blind, time)
        return replace(self, since=min(self.since, time), blind_since=blind, deed=deed)

    @property
    def latched(self) -> bool:
        """Whether no alert moves it any more."""
        return self.stage in ("rolled_back", "promoted")
