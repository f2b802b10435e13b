"""What a benchmark is to find out, from the rules of a budget."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from makeweight.bench.grid import Grid
from makeweight.budget.metric import Meter
from makeweight.budget.rule import Rule
from makeweight.measure.statistics import MEDIAN


@dataclass(frozen=True)
class Aim:
    """It stops early once each limit is decided."""

    limits: tuple[float, ...]
    """Ratios time(b)/time(a)."""
    quantile: float = MEDIAN
    """The furthest that is wanted of the single inferences' times."""
    quantile_seconds: float = math.inf
    """Most time per process to spend on reaching it, when all else is decided."""
    memory: bool = True
    cold_limits: tuple[float, ...] | None = None
    """The same with empty caches; None: that latency is not asked for."""
    energy: bool = False
    answers: bool = False
    """Whether to ask what the variant answers to the samples there."""
    profile: bool = False
    """Whether to find out which operators take the time."""
    end_to_end_limits: tuple[float, ...] = ()
    """The same of pipelines, where there are any."""
    end_to_end_quantile: float = MEDIAN
    end_to_end_seconds: float = math.inf
    start_limits: tuple[float, ...] | None = None
    """The same of cold starts; None: they are not asked for."""
    matrix: Grid | None = None
    """Throughput over batch sizes and threads; None: it is not asked for."""
    at_length: bool = False
    """Whether to go on for all of the time, for what no test decides on the way: a limit on a time or on a tail."""


def from_rules(
    rules: Iterable[Rule],
    ratio: Callable[[Rule], float | None],
    *,
    otherwise: tuple[float, float] = (MEDIAN, math.inf),
    memory: bool,
    at_length: bool = False,
) -> Aim:
    """What decides the rules.

    Args:
        ratio: the limit of a rule as a ratio time(b)/time(a); None: it is about something else.
        otherwise: quantile and seconds where no rule is about a tail.
        at_length: whether more time is given than usual, to settle what is open.
    """
    asked = list(rules)
    whole = [rule for rule in asked if rule.metric.meter == "end_to_end"]

    def furthest(rules: Iterable[Rule]) -> float:
        return max((rule.metric.quantile or MEDIAN for rule in rules), default=MEDIAN)

    of_model, of_whole = furthest(rule for rule in asked if rule not in whole), furthest(whole)
    quantile, seconds = otherwise if of_model == MEDIAN else (of_model, math.inf)

    def limits(meter: Meter) -> tuple[float, ...]:
        """Of the median by that clock."""
        about = (ratio(rule) for rule in asked if (rule.metric.meter, rule.metric.quantile) == (meter, MEDIAN))
        return tuple(sorted({limit for limit in about if limit is not None}))

    cold = limits("cold") if any(rule.metric.meter == "cold" for rule in asked) else None
    starts = limits("start") if any(rule.metric.meter == "start" for rule in asked) else None
    energy = any(rule.metric.meter == "energy" for rule in asked)
    still_open = any(_is_open(rule, ratio(rule)) for rule in asked)
    return Aim(
        limits("wall"),
        quantile,
        seconds,
        memory,
        cold,
        energy,
        end_to_end_limits=limits("end_to_end"),
        end_to_end_quantile=otherwise[0] if of_whole == MEDIAN else of_whole,
        end_to_end_seconds=otherwise[1] if of_whole == MEDIAN else math.inf,
        start_limits=starts,
        at_length=at_length and still_open,
    )


def _is_open(rule: Rule, ratio: float | None) -> bool:
    """Whether only more inferences narrow what a rule is held against: the sign test is about ratios of medians, cold
    starts are launches, and what has a merge base is measured by CI."""
    metric = rule.metric
    tested = ratio is not None and metric.quantile == MEDIAN and metric.meter != "cpu"
    return metric.narrows and metric.meter != "start" and not tested and rule.operator.against != "merge base"
