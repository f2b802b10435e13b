"""What one look saw: of Prometheus, and of the target. Data alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

from makeweight_monitors.metrics import Blindness
from makeweight_monitors.rollback.case import Answered, Canary


@dataclass(frozen=True)
class Alerting:
    """An alert that is active, of a model that is declared."""

    name: str
    kind: str
    """As `rules/rule.py` has it: rollback, alarm, evidence."""
    firing: bool
    """Else it is pending."""
    value: float = float("nan")
    since: str = ""
    """As Prometheus tells the time."""
    test: str = ""
    variant: str = ""
    sha256: str = ""
    attempt: str = ""
    lasts: float = inf
    """Seconds for which it has been true."""
    every: float = 0.0
    """Seconds between two evaluations."""

    def of(self, canary: Canary) -> bool:
        """Whether it is about this canary, and no other."""
        return (self.sha256, self.attempt) == (canary.sha256, canary.attempt)

    def of_another(self, sha256: str, attempt: str) -> bool:
        """Whether it is about another canary than that of this file and attempt. Stable has a file of its own, and what
        is about the model names none.
        """
        about = (self.sha256, self.attempt)
        return self.variant != "stable" and self.sha256 != "" and about != (sha256, attempt)


@dataclass(frozen=True)
class Placement:
    """Who gets the traffic, as the target says."""

    share: float
    """Of the traffic, that the canary gets; 0: none."""
    sha256: str | None = None
    """Of the canary that is there; empty: there is none; None: this target does not know files."""
    attempt: str | None = None
    """Likewise; None: this target does not know attempts."""
    mark: str = ""
    """What differs whenever somebody changed it: a change is made only if it is still this."""
    revision: str = ""
    model: str = ""
    """As the target calls them; empty: it does not."""
    shadowed: bool = False
    """Whether the canary answers copies of requests, though none of its answers goes out."""
    stable: str = ""
    """sha256 of what is stable, where there is no canary and the target knows; else empty."""
    stable_release: tuple[str, str] | None = None
    """Revision and attempt of that; None: the target does not know."""
    began: float | None = field(default=None, compare=False)
    """Unix time since which that runs which moves the traffic, and forgets with its end what it was told; None: it
    does not, or does not tell."""
    configured: float | None = field(default=None, compare=False)
    """The canary's share with which that begins."""

    def holds(self, canary: Canary) -> bool:
        """Whether it is this canary, as far as the target can tell."""
        return self.sha256 in (None, canary.sha256) and self.attempt in (None, canary.attempt)

    def made_stable(self, canary: Canary) -> bool:
        """Whether it is stable by now: it, and not another release of the same file, as far as the target can tell."""
        released = self.stable_release in (None, (canary.revision, canary.attempt))
        return self.stable != "" and self.stable == canary.sha256 and released

    def serves(self, canary: Canary) -> bool:
        """Whether it gets requests."""
        return self.holds(canary) and (self.share > 0 or self.shadowed)


@dataclass(frozen=True)
class Seen:
    """All that a decision goes by."""

    time: float
    """Unix time."""
    placement: Placement
    blind: str = ""
    """Why nothing is known; empty: it is."""
    blindness: Blindness | None = None
    """Of which kind that is."""
    alerting: tuple[Alerting, ...] = ()
    lines: Mapping[str, float] = field(default_factory=dict)
    """By test, the e-value at which it asks for a rollback."""
    drop_high: float | None = None
    """The upper end of the drop's 99 % interval; None: there are no labels to tell."""
    tolerated: float | None = None
    """The drop that the budget tolerates."""
    certified: bool = False
    """Whether disagreement alone shows that the drop is tolerated."""
    share: float | None = None
    """Of the requests of half an hour, that the canary answered."""
    answered: Answered | None = None
    """As of its last scrape; None: none of its processes is scraped."""
    breakers: int = 0
    """Of how many processes the breaker is open, so that the canary's requests go to the original."""
    held: str = ""
    """Who asked for no further step, and why; empty: nobody."""
    last_rollback: float | None = None
    """Of any canary of the model in this environment."""
    scraped_every: float | None = None
    """Seconds between two scrapes of the arm that is scraped more seldom; None: none is, or not known."""
