"""The catalogue of metrics: what each means, its dimension, which way is better, and how a limit on it is judged."""

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

    @property
    def per_device(self) -> bool:
        return self.origin == "benchmark"


_CLASSIFICATION: tuple[TaskKind, ...] = ("classification",)
_REGRESSION: tuple[TaskKind, ...] = ("regression",)

_ALL = (
    Metric("size", "size", BYTES, "lower", "compress", "bytes of the model file"),
    Metric(
        "size_compressed",
        "size, compressed",
        BYTES,
        "lower",
        "compress",
        "bytes of the model file after zlib level 9",
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
    ),
    Metric(
        "mae",
        "mean absolute error",
        NUMBER,
        "lower",
        "evaluate",
        "mean of |output - target|",
        tasks=_REGRESSION,
    ),
    Metric(
        "rmse",
        "root mean square error",
        NUMBER,
        "lower",
        "evaluate",
        "square root of the mean of (output - target)^2",
        tasks=_REGRESSION,
    ),
    Metric(
        "r2",
        "R squared",
        NUMBER,
        "higher",
        "evaluate",
        "1 - residual sum of squares / total sum of squares",
        tasks=_REGRESSION,
    ),
    Metric("metric", "metric", NUMBER, "declared", "evaluate", "what `task.metric` computes", tasks=("custom",)),
    Metric(
        "latency_p50",
        "latency p50",
        SECONDS,
        "lower",
        "benchmark",
        "median wall time of one inference",
        judged="interval",
        narrows=True,
    ),
    Metric(
        "latency_p90",
        "latency p90",
        SECONDS,
        "lower",
        "benchmark",
        "90th percentile of the wall time of one inference",
        judged="interval",
        narrows=True,
    ),
    Metric(
        "latency_p99",
        "latency p99",
        SECONDS,
        "lower",
        "benchmark",
        "99th percentile of the wall time of one inference",
        judged="interval",
        narrows=True,
    ),
    Metric(
        "cpu_time_p50",
        "CPU time p50",
        SECONDS,
        "lower",
        "benchmark",
        "median thread CPU time of one inference (single-threaded runs only)",
        judged="interval",
        narrows=True,
    ),
    Metric(
        "cpu_time_p90",
        "CPU time p90",
        SECONDS,
        "lower",
        "benchmark",
        "90th percentile of the thread CPU time of one inference (single-threaded runs only)",
        judged="interval",
        narrows=True,
    ),
    Metric(
        "cpu_time_p99",
        "CPU time p99",
        SECONDS,
        "lower",
        "benchmark",
        "99th percentile of the thread CPU time of one inference (single-threaded runs only)",
        judged="interval",
        narrows=True,
    ),
    Metric(
        "throughput",
        "throughput",
        PER_SECOND,
        "higher",
        "benchmark",
        "examples per second in batches",
        judged="interval",
    ),
    Metric(
        "peak_memory",
        "peak memory",
        BYTES,
        "lower",
        "benchmark",
        "peak resident memory of loading and running, over the runtime's import, in a fresh process",
        judged="interval",
    ),
    Metric("energy", "energy", JOULES, "lower", "benchmark", "energy of one inference", judged="interval"),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}
