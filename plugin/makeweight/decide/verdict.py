"""The verdict: what was decided, on each rule, on each variant and on the whole, and why."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from makeweight.budget.operator import OPERATORS, Operator
from makeweight.measurement import Cause
from makeweight_base.errors import Exit, UsageError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Outcome = Literal["pass", "fail", "inconclusive", "not_applicable"]

EXIT_CODES: dict[Outcome, Exit] = {
    "pass": Exit.PASS,
    "fail": Exit.FAIL,
    "inconclusive": Exit.INCONCLUSIVE,
    "not_applicable": Exit.PASS,
}


@dataclass(frozen=True)
class RuleVerdict:
    """One rule held against one variant (on one device, where devices matter)."""

    rule: str
    """The rule's id, such as `latency_p50.max_ratio`."""
    metric: str
    operator: str
    variant: str
    device: str | None
    slice: str | None
    limit: float | None
    """In the base unit of what is compared; None for what holds without being declared."""
    limit_text: str
    value: float | None
    interval: tuple[float, float] | None
    verdict: Outcome
    level: Literal["error", "warn"]
    sentence: str
    settle: str | None = None
    """The command that would settle an inconclusive rule."""
    reason: str | None = None
    """Why what it is held against was not measured, as its sentence has it; None where it was."""
    cause: Cause | None = None
    """Of that, what could be done about it; see `Cause`."""
    waiver: str | None = None
    """Why it does not block although it is broken or open: until when, by whom, for what reason."""

    @property
    def limits(self) -> Operator | None:
        """The operator by which it limits; None for what holds without being declared."""
        return OPERATORS.get(self.operator)

    @property
    def excess(self) -> float:
        """How many times its limit a broken rule's figure is, turned where it lies under it; 0: that is no number."""
        if self.verdict != "fail" or self.limits is None or not self.value or not self.limit:
            return 0.0
        return self.value / self.limit if self.limits.upper else self.limit / self.value

    @property
    def blocks(self) -> bool:
        return self.level == "error" and self.verdict in ("fail", "inconclusive") and self.waiver is None


RECIPE = "recipe"
"""The rule, never declared, that there is a model at all."""


def distance(rules: Iterable[RuleVerdict]) -> tuple[bool, bool, int, int, float]:
    """How far a variant is from passing, the nearest first: by its rules, then by how far it is over their limits.

    A variant that never came to be breaks a single rule, and is yet the farthest away. What is waived holds nothing
    up, but of two variants that are equally near the one that needs fewer waivers is nearer.
    """
    own = list(rules)
    blocking = [rule for rule in own if rule.blocks]
    broken = any(rule.verdict == "fail" for rule in blocking)
    waived = sum(rule.waiver is not None for rule in own)
    farthest = max((rule.excess for rule in blocking), default=0.0)
    return broken, any(rule.rule == RECIPE for rule in blocking), len(blocking), waived, farthest


@dataclass(frozen=True)
class VariantVerdict:
    """One variant: passes when no rule of level `error` is broken or open without a waiver."""

    variant: str
    verdict: Outcome
    ships: bool
    sentence: str


@dataclass(frozen=True)
class Alteration:
    """One thing that is judged in another way than at the base, side by side with what it is there."""

    what: str
    """Names stand in backticks: `seed`, test examples."""
    was: str
    now: str
    weakens: bool = True
    """Whether it may let through what the base would not."""
    accepted: bool = False
    """Whether a waiver lets it count."""

    @property
    def sentence(self) -> str:
        """`seed` (in backticks) `0 → 7`."""
        return f"{self.what} {self.was} → {self.now}"


@dataclass(frozen=True)
class Review:
    """What a change alters of its own judgement, and what somebody who may write said to that."""

    alterations: tuple[Alteration, ...] = ()
    required: bool = False
    """Whether the base asks for somebody's word before such a change passes."""
    label: str = ""
    """The label that is such a word: it names the very commit. Empty: where this was decided, no label is one."""
    by: str | None = None
    """Whose word there is, such as `label by @somebody`."""
    ships: str | None = None
    """The variant that ships as soon as there is one."""

    @property
    def weakening(self) -> list[Alteration]:
        return [each for each in self.alterations if each.weakens]

    @property
    def waiting(self) -> list[Alteration]:
        """What nobody has accepted."""
        return [each for each in self.weakening if not each.accepted and self.by is None]

    @property
    def open(self) -> bool:
        return self.required and bool(self.waiting)


NOT_ASKED = Review()
"""Nothing was altered, and nobody asks for a word."""


@dataclass(frozen=True)
class Verdict:
    """The whole, as verdict.json holds it."""

    verdict: Outcome
    sentence: str
    ship: str | None
    """The variant that ships; None when none may."""
    policy: str
    """What was asked for: a variant's name, or `best`."""
    prefer: str
    project: str
    variants: list[VariantVerdict]
    rules: list[RuleVerdict]
    measurements: list[dict[str, Any]]
    """Every measurement that was looked at, as plain data (see `measurement.py`)."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    """What a reader must know before the rest, as sentences with names in backticks: a lapsed waiver, a fork."""
    review: Review = NOT_ASKED

    def of(self, variant: str) -> list[RuleVerdict]:
        return [rule for rule in self.rules if rule.variant == variant]


def dumps(verdict: Verdict) -> str:
    """The text of verdict.json."""
    return json.dumps(asdict(verdict), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def loads(text: str, source: str) -> Verdict:
    """What `dumps` wrote; `source` is named in errors.

    Raises:
        UsageError: it is no verdict.
    """
    from pydantic import ValidationError

    try:
        data = json.loads(text, parse_constant=_no_number)
        return _reader().validate_python(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        reason = f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}"
    except (ValueError, RecursionError) as error:
        reason = str(error)
    raise UsageError(f"this is no verdict ({reason})", where=source, do="Run `makeweight report` again.")


@functools.cache
def _reader() -> TypeAdapter[Verdict]:
    """Made once: that takes longer than reading a verdict."""
    from pydantic import TypeAdapter  # heavy, and only who reads a verdict needs it

    return TypeAdapter(Verdict)


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")
