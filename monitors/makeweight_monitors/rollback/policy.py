"""What is declared of how a canary is let in: how far, how fast, and what silence means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from makeweight_monitors.metrics import ROUNDED, Blindness

Silence = Literal["hold", "rollback"]


@dataclass(frozen=True)
class Policy:
    """Times are in seconds."""

    steps: tuple[float, ...] = (0.05, 0.25, 0.5, 1.0)
    """The shares of the traffic that a canary goes through, rising; with all of it, it becomes stable. Empty: none."""
    step_for: float = 3600.0
    """For how long every look has to find it good enough, at each share."""
    gap: float = 60.0
    """Of looks that are further apart none says anything of the time between them."""
    cooldown: float = 3600.0
    """After a rollback no canary of the model goes further for so long."""
    silence: Silence | Mapping[Blindness, Silence] = "hold"
    """What is done when nothing is known for `silence_for`, by why: nothing, or a rollback."""
    silence_for: float = 300.0
    settle: float = 10.0
    """For how long the canary must have answered nothing, before its traffic counts as gone."""
    confirm_within: float = 300.0
    """A rollback whose traffic is not gone by then has failed, and somebody has to look."""
    retry: float = 2.0
    """Before a second try; doubled with each, up to `most_retry`."""
    most_retry: float = 60.0

    def on(self, blindness: Blindness | None) -> Silence:
        """What silence of a kind means; what is not declared is held."""
        if isinstance(self.silence, str):
            return self.silence
        return "hold" if blindness is None else self.silence.get(blindness, "hold")

    def wait(self, tries: int) -> float:
        """Before the next try, after so many that went wrong."""
        return min(self.retry * 2.0 ** min(tries - 1, 30), self.most_retry)

    def next_step(self, share: float) -> float | None:
        """The share that comes after this one; None: there is none."""
        return next((step for step in self.steps if step > share + ROUNDED), None)
