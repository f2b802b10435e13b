"""What the rules cost a Prometheus: 1,000 replicas that are scraped every 15 s, and a canary that is old.

A real Prometheus evaluates all rules of a budget that has every kind of limit, over series that promtool put into its
store: as far back as the rules read, which is an hour at most. With `--age` it looks at a few replicas that are an hour
old, then at as many that are three days old, with what the rules themselves would have recorded by then: what a look
costs must not depend on it. Times are of the processor, as Prometheus counts its own: other work on the machine must
not count.

    python benchmarks/monitors/rule_cost.py [--replicas 1000] [--tests]
    python benchmarks/monitors/rule_cost.py --age

Target: all of them together below 2 s; and an old canary at most 1.5 times as dear as a young one.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import requests

from makeweight_monitors import metrics
from makeweight_monitors.prometheus import throwaway
from makeweight_monitors.rules import generate, names, text
from makeweight_monitors.rules.promql import equals
from makeweight_monitors.rules.rule import Group, Recording
from makeweight_monitors.rules.terms import LatencyLimit, Terms

EVERY = 15
"""Seconds between two scrapes."""
CYCLE = 15
"""Seconds between two evaluations."""
STEP = 60
"""Seconds between two recorded steps."""
TARGET, MOST_DEARER = 2.0, 1.5
FEW, HOUR, OLD = 2, 3_600, 3 * 86_400
SHORT = 600
"""Seconds that the rules look back at what is not kept as totals: five minutes, with a step more, and some to spare."""
LOOKS = 4
"""That are measured, after a first one."""
CLASSES = tuple(str(index) for index in range(10))
BINS = tuple(f"{index:02}" for index in range(20))
TERMS = Terms(
    "digits",
    drop=0.01,
    slices={"day": 0.02, "night": 0.02},
    class_drop=0.05,
    classes=len(CLASSES),
    accuracy=0.98,
    flips=0.015,
    latency=(LatencyLimit(0.5, None, 0.7), LatencyLimit(0.99, 0.02)),
    examples=500,
)
VALUES: Mapping[str, Sequence[str]] = {
    "weight": ("0.5",), "class": CLASSES, "bin": BINS, "slice": tuple(TERMS.slices), "feature": ("light", "size"),
    "outcome": metrics.RIGHT_OR_WRONG, "stable": metrics.RIGHT_OR_WRONG, "canary": metrics.RIGHT_OR_WRONG,
    "agree": ("yes", "no"), "result": metrics.LABEL_RESULTS, "reason": metrics.FAILURES,
}  # fmt: skip
OTHERWISE: Mapping[tuple[metrics.Metric, str], Sequence[str]] = {
    (metrics.REPEATS, "outcome"): metrics.ANSWERED_OR_FAILED,
    (metrics.REJECTED, "reason"): metrics.REJECTIONS,
    (metrics.FEATURE_BIN, "bin"): BINS[:5],
}
SELDOM = {"wrong", "no", "failed", "unknown", "late", "rejected", "duplicate", *metrics.FAILURES, *metrics.REJECTIONS}
Labels = dict[str, str]


def replicas(count: int) -> Iterator[Labels]:
    """The labels of each process: half of them serve stable, and half the canary."""
    for index in range(count):
        variant = metrics.VARIANTS[index % 2]
        yield {
            "model": TERMS.model, "revision": "r2", "variant": variant, "sha256": variant[0] * 12,
            "boot": f"{index:012x}", "job": "model", "instance": f"10.0.{index // 250}.{index % 250}:9000",
        }  # fmt: skip


def series(where: Labels, began: float) -> Iterator[tuple[str, Labels, float, float]]:
    """Name, labels, what each series began at, and by how much a scrape finds it grown."""
    yield "up", {name: where[name] for name in ("job", "instance")}, 1, 0
    for metric in metrics.CATALOGUE:
        of_pairs = "variant" not in metric.labels
        if metric is metrics.ERROR_BIN or (of_pairs and where["variant"] == "stable"):
            continue
        known = {name: value for name, value in where.items() if name in (*metric.labels, "job", "instance")}
        own = [name for name in metric.labels if name in VALUES]
        for chosen in itertools.product(*(OTHERWISE.get((metric, name), VALUES[name]) for name in own)):
            labels = known | dict(zip(own, chosen, strict=True))
            grown = 0.01 if SELDOM & set(chosen) else 1.0
            if metric.kind == "counter":
                yield metric.series, labels, 0, grown
            elif metric.kind == "gauge":
                yield metric.series, labels, began if metric is metrics.UP else 0.05, 0
            else:
                for bound in (*map(float, metrics.LATENCY_BUCKETS), "+Inf"):
                    yield f"{metric.series}_bucket", labels | {"le": str(bound)}, 0, grown
                yield f"{metric.series}_count", labels, 0, grown
                yield f"{metric.series}_sum", labels, 0, grown / 100


def steps(count: int, recorded: set[str]) -> Iterator[tuple[str, Labels, float]]:
    """What the rules would have recorded in each minute: by name and labels, the sum over the replicas."""
    each: dict[tuple[str, tuple[tuple[str, str], ...]], float] = defaultdict(float)
    for where in replicas(count):
        for name, labels, _, grown in series(where, 0):
            if names.step(name) in recorded:
                alike = {key: value for key, value in labels.items() if key not in ("boot", "job", "instance")}
                each[names.step(name), tuple(sorted(alike.items()))] += grown * STEP / EVERY
    for (name, alike), grown in each.items():
        yield name, dict(alike), grown


def write(path: Path, count: int, seconds: float, end: float, recorded: set[str], *, whole: bool) -> int:
    """The series as OpenMetrics with times, `whole` or as far back as they are read; how many samples."""
    far = {metric.series for metric in metrics.CATALOGUE if names.ended(metric) in recorded} | {metrics.UP.series}
    every = [f"{end - EVERY * look:.3f}" for look in range(int(seconds // EVERY), -1, -1)]
    last = every[-int(SHORT // EVERY) :]
    minutes = [f"{end - STEP * look:.3f}" for look in range(int(seconds // STEP), -1, -1)]
    written = 0

    def head(name: str, labels: Labels) -> str:
        return f"{name}{{{','.join(equals(*label) for label in sorted(labels.items()))}}}"

    with path.open("w") as file:
        for where in replicas(count):
            for name, labels, first, grown in series(where, end - seconds):
                line, times = head(name, labels), every if whole or name in far else last
                begun = len(every) - len(times)
                file.writelines(f"{line} {first + grown * look:.12g} {at}\n" for look, at in enumerate(times, begun))
                written += len(times)
        for name, labels, grown in steps(count, recorded):
            line = head(name, labels)
            file.writelines(f"{line} {grown:g} {at}\n" for at in minutes)
            written += len(minutes)
        file.write("# EOF\n")
    return written


def groups(tests: bool) -> list[Group]:
    """All rules, or those that are looked at most often: those that may ask for a rollback."""
    every = generate.groups(TERMS)
    return [one for one in every if one.interval == f"{TERMS.interval}s"] if tests else list(every)


def measure(folder: Path, count: int, seconds: float, tests: bool = False, whole: bool = False) -> float:
    """Processor seconds that one look takes."""
    programs = throwaway.find()
    folder.mkdir(exist_ok=True)
    rules = folder / "rules.yaml"
    # all at once, so that single evaluations can be told apart
    chosen = [replace(group, interval=f"{CYCLE}s") for group in groups(tests)]
    rules.write_text(text.render(chosen, [], TERMS.runbooks))
    recorded = {rule.record for group in chosen for rule in group.rules if isinstance(rule, Recording)}
    many = sum(1 for where in replicas(2) for _ in series(where, 0)) * count / 2 * seconds / EVERY
    # it takes until then to put them there: what is looked at has to have been scraped until now
    end = time.time() + 10 + many / 50_000
    written = write(folder / "series.txt", count, seconds, end, recorded, whole=whole)
    print(f"{count} replicas, {seconds / 3600:g} h: {written:,} samples", flush=True)
    data = folder / "prometheus" / "data"
    done = programs.tool("tsdb", "create-blocks-from", "openmetrics", str(folder / "series.txt"), str(data))
    if done.returncode:
        sys.exit(f"promtool: {done.stdout.strip()[-500:]}")
    (folder / "series.txt").unlink()
    if time.time() > end + 60:
        sys.exit("this machine is too busy: by the time the series are there they are no longer of now")
    time.sleep(max(0.0, end - time.time()))
    with throwaway.running(programs, folder / "prometheus", rules=[rules], scrape="1h") as client:

        def spent() -> tuple[float, float]:
            """Processor seconds up to now, and how often each group was evaluated."""
            page = requests.get(f"{client.url}/metrics", timeout=60).text
            told = dict(line.rsplit(" ", 1) for line in page.splitlines() if line and not line.startswith("#"))
            rounds = [
                float(one) for name, one in told.items() if name.startswith("prometheus_rule_group_iterations_total{")
            ]
            return float(told["process_cpu_seconds_total"]), min(rounds, default=0)

        def after(evaluations: int) -> float:
            while spent()[1] < evaluations:
                time.sleep(1)
            time.sleep(CYCLE / 3)  # whatever began then has ended
            return spent()[0]

        # from the second on: from what the first recorded
        first = after(1)
        took = (after(1 + LOOKS) - first) / LOOKS
        wrong = [rule for rule in client.rules() if rule["health"] == "err"]
        if wrong:
            sys.exit(f"rules that fail: {wrong}")
        serving = client.query("sum(makeweight:canary:serving)")
        print(f"processes of the canary that are counted: {serving[0].value:g}; one look: {took:.3f} s", flush=True)
        return took


def main() -> int:
    parser = argparse.ArgumentParser(description="The cost of the rules on a Prometheus of one core.")
    parser.add_argument("--replicas", type=int, default=1000)
    parser.add_argument("--tests", action="store_true", help="only the rules that may ask for a rollback")
    parser.add_argument("--age", action="store_true", help="what three days cost beside an hour, of a few replicas")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="makeweight-rules-"))
    try:
        if options.age:
            young, old = (measure(folder / str(age), FEW, age, options.tests, whole=True) for age in (HOUR, OLD))
            met = old <= MOST_DEARER * young
            line = f"three days beside an hour: {old / young:.2f} times as dear   target at most {MOST_DEARER:g}"
        else:
            took = measure(folder, options.replicas, HOUR, options.tests)
            met = took < TARGET
            line = f"one look of all rules: {took:.2f} s of one core   target below {TARGET:g} s"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{line}: {'met' if met else 'missed'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
