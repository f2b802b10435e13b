"""The catalogue of metrics: what each means, its dimension, which way is better, how it is measured, judged and told.

It is the only place that knows one metric from another: what a part of the house needs to know of one is a column here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from makeweight.budget.quantity import (
    BYTES,
    COUNT,
    FRACTION,
    JOULES,
    NUMBER,
    PER_SECOND,
    SECONDS,
    Dimension,
)

Better = Literal["lower", "higher", "declared"]
"""`declared`: the project says so, in `task.better`."""
Origin = Literal["compress", "evaluate", "benchmark"]
Judged = Literal["point", "interval"]
TaskKind = Literal["classification", "regression", "custom"]
Meter = Literal["wall", "cold", "cpu", "memory", "energy"]
Role = Literal["size", "quality", "latency"]


@dataclass(frozen=True)
class Metric:
    """One thing that a budget can limit.

    `judged` says what a limit is held against: the point estimate (exact figures, and accuracy on the
    declared test split), or the interval and the noise floor (whatever a clock or a meter reads).
    """

    name: str
    title: str
    dimension: Dimension
    better: Better
    origin: Origin
    meaning: str
    judged: Judged = "point"
    narrows: bool = False
    """Whether measuring for longer narrows its interval; the range of a few repeats stays what it is."""
    tasks: tuple[TaskKind, ...] = ("classification", "regression", "custom")
    plural: bool = False
    """Whether the title is one: sentences about it say `are`."""
    meter: Meter | None = None
    """What reads it on a device."""
    quantile: float | None = None
    """Which one of the single inferences' times it is; None where it is none."""
    role: Role | None = None
    """What it can stand for where a model is told in three figures: the table, the tiles, the Pareto front."""
    headline: bool = False
    """Whether it is the one that stands for its role where the budget does not name another."""
    moved: tuple[str, str] | None = None
    """What a model is called whose figure is better, and whose is worse; None: it has less or more."""
    sliced: bool = False
    """Whether it is also measured on each slice of the test examples."""
    paired: bool = False
    """Whether it is a comparison with the baseline already, which therefore has no figure of its own."""

    @property
    def per_device(self) -> bool:
        return self.origin == "benchmark"

    @property
    def percentile(self) -> str:
        """`p50`; empty where it is none."""
        return "" if self.quantile is None else f"p{self.quantile * 100:g}"


_CLASSIFICATION: tuple[TaskKind, ...] = ("classification",)
_REGRESSION: tuple[TaskKind, ...] = ("regression",)
_SMALLER, _FASTER = ("smaller", "larger"), ("faster", "slower")


def _time(name: str, title: str, meter: Meter, quantile: float, meaning: str, *, headline: bool = False) -> Metric:
    """A quantile of single inferences' times by one clock."""
    return Metric(
        name,
        title,
        SECONDS,
        "lower",
        "benchmark",
        meaning,
        judged="interval",
        narrows=True,
        meter=meter,
        quantile=quantile,
        role="latency" if headline else None,
        headline=headline,
        moved=_FASTER,
    )


_ALL = (
    Metric(
        "size",
        "size",
        BYTES,
        "lower",
        "compress",
        "bytes of the model file",
        role="size",
        headline=True,
        moved=_SMALLER,
    ),
    Metric(
        "size_compressed",
        "size, compressed",
        BYTES,
        "lower",
        "compress",
        "bytes of the model file after zlib level 9",
        moved=_SMALLER,
    ),
    Metric("parameters", "parameters", COUNT, "lower", "compress", "weights stored in the graph", plural=True),
    Metric("macs", "MACs", COUNT, "lower", "compress", "multiply-accumulates for one example", plural=True),
    Metric(
        "accuracy",
        "accuracy",
        FRACTION,
        "higher",
        "evaluate",
        "share of test examples whose top class is right",
        tasks=_CLASSIFICATION,
        role="quality",
        headline=True,
        sliced=True,
    ),
    Metric(
        "worst_class_accuracy",
        "worst class",
        FRACTION,
        "higher",
        "evaluate",
        "accuracy of the least accurate class; its drop is the largest drop of any class",
        tasks=_CLASSIFICATION,
    ),
    Metric(
        "negative_flips",
        "negative flips",
        FRACTION,
        "lower",
        "evaluate",
        "share of test examples that the baseline has right and the variant wrong",
        tasks=_CLASSIFICATION,
        plural=True,
        paired=True,
    ),
    Metric(
        "mae",
        "mean absolute error",
        NUMBER,
        "lower",
        "evaluate",
        "mean of |output - target|",
        tasks=_REGRESSION,
        role="quality",
    ),
    Metric(
        "rmse",
        "root mean square error",
        NUMBER,
        "lower",
        "evaluate",
        "square root of the mean of (output - target)^2",
        tasks=_REGRESSION,
        role="quality",
        headline=True,
    ),
    Metric(
        "r2",
        "R squared",
        NUMBER,
        "higher",
        "evaluate",
        "1 - residual sum of squares / total sum of squares",
        tasks=_REGRESSION,
        role="quality",
    ),
    Metric(
        "metric",
        "metric",
        NUMBER,
        "declared",
        "evaluate",
        "what `task.metric` computes",
        tasks=("custom",),
        role="quality",
        headline=True,
    ),
    _time("latency_p50", "latency p50", "wall", 0.5, "median wall time of one inference", headline=True),
    _time("latency_p90", "latency p90", "wall", 0.9, "90th percentile of the wall time of one inference"),
    _time("latency_p99", "latency p99", "wall", 0.99, "99th percentile of the wall time of one inference"),
    _time(
        "latency_cold_p50",
        "cold latency p50",
        "cold",
        0.5,
        "median wall time of one inference with empty caches, as of a model that is called now and then",
    ),
    _time(
        "cpu_time_p50",
        "CPU time p50",
        "cpu",
        0.5,
        "median thread CPU time of one inference (single-threaded runs only)",
    ),
    _time(
        "cpu_time_p90",
        "CPU time p90",
        "cpu",
        0.9,
        "90th percentile of the thread CPU time of one inference (single-threaded runs only)",
    ),
    _time(
        "cpu_time_p99",
        "CPU time p99",
        "cpu",
        0.99,
        "99th percentile of the thread CPU time of one inference (single-threaded runs only)",
    ),
    Metric(
        "throughput",
        "throughput",
        PER_SECOND,
        "higher",
        "benchmark",
        "examples per second in batches",
        judged="interval",
        meter="wall",
    ),
    Metric(
        "peak_memory",
        "peak memory",
        BYTES,
        "lower",
        "benchmark",
        "peak resident memory of loading and running, over the runtime's import, in a fresh process",
        judged="interval",
        meter="memory",
    ),
    Metric(
        "energy",
        "energy",
        JOULES,
        "lower",
        "benchmark",
        "energy of one inference",
        judged="interval",
        meter="energy",
    ),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}


def times(meter: Meter) -> list[Metric]:
    """The quantiles of single inferences' times by a clock, the lowest first."""
    timed = [metric for metric in METRICS.values() if metric.meter == meter and metric.quantile is not None]
    return sorted(timed, key=lambda metric: metric.quantile or 0.0)


def of_role(role: Role, task: TaskKind | None = None) -> list[Metric]:
    """What can stand for a role in a task (None: in any), the first choice first."""
    fitting = [metric for metric in METRICS.values() if metric.role == role and (task is None or task in metric.tasks)]
    return sorted(fitting, key=lambda metric: not metric.headline)
