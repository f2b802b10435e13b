"""What the rules are made from: one project's budget and what was measured on its test split, as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from makeweight_monitors import durations
from makeweight_monitors.rules import names
from makeweight_monitors.rules.arguments import ENVIRONMENT, RUNBOOKS
from makeweight_monitors.rules.promql import CANARY, STABLE, equals, inner, selector
from makeweight_monitors.rules.windows import RECENT

LOOKS = 4
"""Of the sequential tests, in a step: a minute of four looks, and never more than that."""
Test = Literal["failures", "paired", "split", "slice", "class"]


@dataclass(frozen=True)
class LatencyLimit:
    """A limit of the budget on a percentile."""

    quantile: float
    most: float | None = None
    """Seconds."""
    most_ratio: float | None = None
    """canary / stable."""


@dataclass(frozen=True)
class Terms:
    """Shares and drops are fractions, times seconds."""

    model: str
    alpha: float = 0.001
    """The probability, at most, that a canary within the tolerated drop is ever rolled back."""
    drop: float | None = None
    """The tolerated drop in accuracy; None: nothing is rolled back."""
    slices: Mapping[str, float] = field(default_factory=dict)
    """Tolerated drops of their own, by slice."""
    class_drop: float | None = None
    """What each class alone may lose."""
    classes: int = 0
    accuracy: float | None = None
    """At least this share is to be right."""
    flips: float | None = None
    """At most this share may be right before and wrong after."""
    latency: tuple[LatencyLimit, ...] = ()
    examples: int | None = None
    """How many the reference was measured on; None: it has no scores, as in regression."""
    reference_psi: float = 0.0
    """How far the two models' confidences differ on the same test split: compression alone does that."""
    classification: bool = True
    judged: bool = True
    """Whether an answer is counted as right or wrong; where not, it can still fail, be slow, and be fed strange inputs.
    """
    controlled: bool = False
    """Whether something that moves the traffic is declared, so that a controller ought to be there."""
    interval: int = 15
    """Seconds between two looks of the sequential tests."""
    history: str = "7d"
    """At least as long as a canary lives."""
    environment: tuple[str, ...] = ENVIRONMENT
    """The labels that tell environments apart."""
    models: int = 1
    """How many models share alpha."""
    runbooks: str = RUNBOOKS
    """The page that alerts point at."""

    @property
    def step(self) -> int:
        """Seconds between two looks at what need not be known sooner, or is dear."""
        return min(LOOKS * self.interval, 60)

    @property
    def every_step(self) -> str:
        """`step` as a rule file writes it."""
        return f"{self.step}s"

    def of(self, series: str, *matchers: str) -> str:
        """A selector of the model's own."""
        return selector(series, equals("model", self.model), *matchers)

    def over(self, series: str, window: str, *matchers: str, offset: str = "") -> str:
        """What a counter rose by over a window, from what `steps.py` records; `offset` ends it so long ago."""
        then = f" offset {offset}" if offset else ""
        # a second less: of two steps at its ends one belongs to it
        return f"sum_over_time({self.of(names.step(series), *matchers)}[{durations.seconds(window) - 1:g}s]{then})"

    def by_arm(self, series: str, window: str, *matchers: str, by: Iterable[str] = ()) -> str:
        """A counter over a window: the canary's by revision, the stable model's pooled."""
        canary, stable = (self.over(series, window, arm, *matchers) for arm in (CANARY, STABLE))
        labels = ", ".join(("variant", *by))
        return f"sum by (model, revision, {labels}) ({canary})\nor\nsum by (model, {labels}) ({stable})"

    def speed(self, series: str, window: str, by: Iterable[str] = ()) -> str:
        """The same, a second."""
        return f"(\n{inner(self.by_arm(series, window, by=by))}\n) / {durations.seconds(window):g}"

    def lately(self, series: str, by: str, *matchers: str) -> str:
        """What a counter of which no step is recorded rose by of late."""
        return f"sum by ({by}) (increase({self.of(series, *matchers)}[{RECENT}]))"

    def families(self) -> tuple[Test, ...]:
        """Which tests may ask for a rollback; they share alpha equally, so that all together keep it."""
        families: list[Test] = []
        if self.drop is not None:
            families += ["failures", "paired", "split"] if self.judged else ["failures"]
        if self.slices:
            families.append("slice")
        if self.class_drop is not None and self.classes:
            families.append("class")
        return tuple(families)

    def of_pairs(self) -> bool:
        """Whether any of these tests goes by labelled pairs."""
        return not {"paired", "slice", "class"}.isdisjoint(self.families())

    def line(self, test: Test) -> float:
        """The e-value at which one hypothesis of this test is rejected: its share of alpha, inverted."""
        members = {"slice": len(self.slices), "class": self.classes}.get(test, 1)
        return self.models * len(self.families()) * members / self.alpha
