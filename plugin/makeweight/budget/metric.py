"""The catalogue of metrics: what each means, its dimension, which way is better, how it is measured, judged and told.

It is the only place that knows one metric from another: what a part of the house needs to know of one is a column here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from makeweight.budget.quantity import BYTES, COUNT, FRACTION, JOULES, NUMBER, PER_SECOND, SECONDS, Dimension

Better = Literal["lower", "higher", "declared"]
"""`declared`: the project says so, in `task.better`."""
Origin = Literal["compress", "evaluate", "benchmark"]
Judged = Literal["point", "interval"]
TaskKind = Literal["classification", "multilabel", "regression", "segmentation", "detection", "custom"]
Meter = Literal["wall", "cold", "cpu", "end_to_end", "start", "memory", "gpu", "energy"]
Role = Literal["size", "quality", "latency"]


@dataclass(frozen=True)
class Metric:
    """One thing that a budget can limit."""

    name: str
    title: str
    dimension: Dimension
    better: Better
    origin: Origin
    meaning: str
    tasks: tuple[TaskKind, ...] = get_args(TaskKind)
    falling: str = ""
    """The title of its drop, where that may be of something else: of another class."""
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
    counted: bool = False
    """Whether it is a share of the test examples, each of which counts or does not."""
    of_two_classes: bool = False
    """Whether a classification has it only where `task.classes` names two."""

    @property
    def per_device(self) -> bool:
        return self.origin == "benchmark"

    @property
    def judged(self) -> Judged:
        """What a limit is held against: the point estimate (exact figures, and accuracy on the declared test split),
        or the interval and the noise floor (whatever a clock or a meter reads).
        """
        return "interval" if self.per_device else "point"

    @property
    def narrows(self) -> bool:
        """Whether measuring for longer narrows its interval; the range of a few repeats stays what it is."""
        return self.quantile is not None

    @property
    def percentile(self) -> str:
        """`p50`; empty where it is none."""
        return "" if self.quantile is None else f"p{self.quantile * 100:g}"


def _of_the_file(name: str, title: str, dimension: Dimension, meaning: str, **more: Any) -> Metric:
    return Metric(name, title, dimension, "lower", "compress", meaning, **more)


def _of_classes(name: str, title: str, better: Better, meaning: str, **more: Any) -> Metric:
    """A share of the test examples."""
    return Metric(name, title, FRACTION, better, "evaluate", meaning, ("classification",), counted=True, **more)


def _of_the_set(name: str, title: str, tasks: tuple[TaskKind, ...], meaning: str, **more: Any) -> Metric:
    """A fraction that all test examples have together, and no example by itself."""
    return Metric(name, title, FRACTION, "higher", "evaluate", meaning, tasks, role="quality", sliced=True, **more)


def _of_the_worst(name: str, called: str, task: TaskKind, short: str, figure: str) -> Metric:
    """The lowest figure of any class, where a class has no share of examples that are right."""
    title, fell = f"{short} of the worst {called}", f"{short} of the {called} that fell most"
    meaning = f"{figure} of the {called} that has the lowest; its drop is the largest drop of any {called}"
    return Metric(name, title, FRACTION, "higher", "evaluate", meaning, (task,), falling=fell)


def _of_numbers(name: str, title: str, better: Better, task: TaskKind, meaning: str, **more: Any) -> Metric:
    """What can stand for the quality of a task whose answers are numbers."""
    return Metric(name, title, NUMBER, better, "evaluate", meaning, (task,), role="quality", **more)


def _times(name: str, title: str, meter: Meter, of: str, quantiles: Mapping[float, str]) -> list[Metric]:
    """Quantiles of single inferences' times by one clock, each with how its meaning calls it."""
    listed = []
    for quantile, called in quantiles.items():
        stands = meter == "wall" and quantile == 0.5
        listed.append(
            Metric(
                f"{name}_p{quantile * 100:g}",
                f"{title} p{quantile * 100:g}",
                SECONDS,
                "lower",
                "benchmark",
                f"{called} {of}",
                meter=meter,
                quantile=quantile,
                role="latency" if stands else None,
                headline=stands,
                moved=("faster", "slower"),
            )
        )
    return listed


def _metered(name: str, dimension: Dimension, better: Better, meter: Meter, meaning: str, **more: Any) -> Metric:
    return Metric(name, name.replace("_", " "), dimension, better, "benchmark", meaning, meter=meter, **more)


_SMALLER = ("smaller", "larger")
_TAILS = {0.9: "90th percentile of the", 0.99: "99th percentile of the"}
_COLD = "wall time of one inference with empty caches, as of a model that is called now and then"
_WHOLE = "wall time from a raw sample to what `pipeline.postprocess` returns"
_START = "time that a fresh process takes to load the model and answer for the first time"
_CPU = "thread CPU time of one inference (single-threaded runs only)"
_ALL = (
    _of_the_file("size", "size", BYTES, "bytes of the model file", role="size", headline=True, moved=_SMALLER),
    _of_the_file(
        "size_compressed", "size, compressed", BYTES, "bytes of the model file after zlib level 9", moved=_SMALLER
    ),
    _of_the_file("parameters", "parameters", COUNT, "weights stored in the graph", plural=True),
    _of_the_file("macs", "MACs", COUNT, "multiply-accumulates for one example", plural=True),
    _of_classes(
        "accuracy",
        "accuracy",
        "higher",
        "share of test examples whose top class is right",
        role="quality",
        headline=True,
        sliced=True,
    ),
    _of_classes(
        "worst_class_accuracy",
        "worst class",
        "higher",
        "accuracy of the least accurate class; its drop is the largest drop of any class",
        falling="class that fell most",
    ),
    _of_classes(
        "negative_flips",
        "negative flips",
        "lower",
        "share of test examples that the baseline has right and the variant wrong",
        plural=True,
        paired=True,
    ),
    _of_the_set(
        "f1",
        "F1",
        ("multilabel", "classification"),
        "F1 score by label or class, and their mean (macro)",
        headline=True,
    ),
    _of_the_set(
        "average_precision",
        "average precision",
        ("multilabel", "classification"),
        "area under the steps of precision over recall, by label, and their mean",
        of_two_classes=True,
    ),
    _of_the_set(
        "auroc",
        "AUROC",
        ("multilabel", "classification"),
        "area under the receiver operating characteristic, by label, and their mean",
        of_two_classes=True,
    ),
    _of_the_worst("worst_label_f1", "label", "multilabel", "F1", "F1 score"),
    _of_the_set(
        "miou",
        "mIoU",
        ("segmentation",),
        "intersection over union by class, and their mean over classes",
        headline=True,
    ),
    _of_the_set("pixel_accuracy", "pixel accuracy", ("segmentation",), "share of all pixels whose top class is right"),
    _of_the_worst("worst_class_iou", "class", "segmentation", "IoU", "intersection over union"),
    _of_the_set(
        "map", "mAP", ("detection",), "COCO's mean average precision, over IoU 0.50 to 0.95 and classes", headline=True
    ),
    _of_the_set("map_50", "mAP at IoU 0.5", ("detection",), "COCO's mean average precision at an IoU of 0.5"),
    _of_the_worst("worst_class_ap", "class", "detection", "AP", "COCO's average precision"),
    _of_numbers("mae", "mean absolute error", "lower", "regression", "mean of |output - target|", sliced=True),
    _of_numbers(
        "rmse",
        "root mean square error",
        "lower",
        "regression",
        "square root of the mean of (output - target)^2",
        headline=True,
        sliced=True,
    ),
    _of_numbers(
        "r2", "R squared", "higher", "regression", "1 - residual sum of squares / total sum of squares", sliced=True
    ),
    _of_numbers("metric", "metric", "declared", "custom", "what `task.metric` computes", headline=True, sliced=True),
    *_times("latency", "latency", "wall", "wall time of one inference", {0.5: "median", **_TAILS}),
    *_times("latency_cold", "cold latency", "cold", _COLD, {0.5: "median"}),
    *_times("cpu_time", "CPU time", "cpu", _CPU, {0.5: "median", **_TAILS}),
    *_times("end_to_end_latency", "end-to-end latency", "end_to_end", _WHOLE, {0.5: "median", **_TAILS}),
    _metered("cold_start", SECONDS, "lower", "start", _START, quantile=0.5, moved=("faster", "slower")),
    _metered("throughput", PER_SECOND, "higher", "wall", "examples per second in batches"),
    _metered(
        "peak_memory",
        BYTES,
        "lower",
        "memory",
        "peak resident memory of loading and running, over the runtime's import, in a fresh process",
    ),
    _metered(
        "gpu_memory",
        BYTES,
        "lower",
        "gpu",
        "memory of the GPU that a fresh process holds after loading and running, by `execution_provider: cuda`",
    ),
    _metered("energy", JOULES, "lower", "energy", "energy of one inference"),
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
