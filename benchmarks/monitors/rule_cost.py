"""What the rules cost a Prometheus: 1,000 replicas that are scraped every 15 s, and a canary that is old.

A real Prometheus evaluates all rules of a budget that has every kind of limit, each group at its own interval, over
series that are written into its head: as far back as the rules read, which is an hour at most, and ahead of the clock
for as long as it takes. With `--age` it looks at a few replicas that are an hour old and at as many that are three days
old, with what the rules themselves would have recorded by then: what a look costs must not depend on it. Times are of
the processor, as Prometheus counts its own, on one core: other work on the machine must not count.

    python benchmarks/monitors/rule_cost.py [--replicas 2 200 1000]
    python benchmarks/monitors/rule_cost.py --age

Target: all of them together below 2 s in 15 s; and an old canary at most 1.5 times as dear as a young one.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import math
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import remote_write
import requests
from remote_write import Writer, points

from makeweight_monitors import metrics
from makeweight_monitors.prometheus import throwaway
from makeweight_monitors.prometheus.queries import Client
from makeweight_monitors.rules import generate, names, text
from makeweight_monitors.rules.rule import Recording
from makeweight_monitors.rules.terms import LatencyLimit, Terms

EVERY = 15
"""Seconds between two scrapes."""
STEP = 60
"""Seconds between two recorded steps."""
TARGET, MOST_DEARER = 2.0, 1.5
REPLICAS, FEW, HOUR, OLD = (2, 200, 1000), 2, 3_540, 3 * 86_400
"""An hour, less what a Prometheus takes no older samples than."""
SHORT = 480
"""Seconds that the rules look back at what is not kept as totals: five minutes, with a step more, or eight."""
SLICE = 1_800
"""Seconds that are written at once: a Prometheus takes what is up to an hour older than the latest that it has."""
WARM, SLOTS = 90, 8
"""Seconds in which all that is evaluated once a minute was, and how many times 15 s are measured after that: in two
minutes what is evaluated most seldom is evaluated once."""
SPARE = 45
"""Seconds of series ahead of the clock beyond what that takes."""
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
    for (name, told), grown in each.items():
        yield name, dict(told), grown


@dataclass
class Fleet:
    """Replicas in a Prometheus of their own."""

    count: int
    age: float
    """Seconds."""
    whole: bool
    """Whether single processes are written as far back as that, or as far as they are read."""
    client: Client
    rules: Path
    began: float
    written: int = 0
    spent: list[float] = field(default_factory=list)
    """Processor seconds at the bounds of the slots."""

    def write(self, times: Sequence[float], chosen: Callable[[str], bool]) -> None:
        """What is scraped at these times, of the series whose name is chosen."""
        known: dict[tuple[float, float], bytes] = {}
        with Writer(self.client.url) as writer:
            for where in replicas(self.count):
                for name, labels, first, grown in series(where, self.began):
                    if chosen(name):
                        if (first, grown) not in known:
                            values = (first + grown * ((time - self.began) // EVERY) for time in times)
                            known[first, grown] = points(values, times)
                        writer.add(labels | {"__name__": name}, known[first, grown])
                        self.written += len(times)

    def write_past(self, until: float, far: set[str], recorded: set[str]) -> None:
        for start in every(self.began, until, SLICE):
            end = min(start + SLICE, until)
            self.write(every(start, end, EVERY), lambda name: self.whole or name in far)
            minutes = every(start, end, STEP)
            with Writer(self.client.url) as writer:
                for name, labels, grown in steps(self.count, recorded):
                    writer.add(labels | {"__name__": name}, points([grown] * len(minutes), minutes))
                    self.written += len(minutes)

    def write_present(self, past: float, ahead: float, far: set[str]) -> None:
        self.write(every(past, ahead, EVERY), lambda name: self.whole or name in far)
        if not self.whole:
            self.write(every(past - SHORT, ahead, EVERY), lambda name: name not in far)

    def figures(self) -> dict[str, float]:
        """What it tells of itself."""
        page = requests.get(f"{self.client.url}/metrics", timeout=60).text
        told = (line.rsplit(" ", 1) for line in page.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in told}

    def cpu(self) -> float:
        return self.figures()["process_cpu_seconds_total"]

    def evaluate(self, rules: str) -> None:
        self.rules.write_text(rules)
        requests.post(f"{self.client.url}/-/reload", timeout=60).raise_for_status()

    def took(self) -> list[float]:
        """Processor seconds of each slot."""
        wrong = [rule for rule in self.client.rules() if rule["health"] != "ok"]
        if wrong:
            sys.exit(f"rules that fail, or were not evaluated: {wrong}")
        missed = "prometheus_rule_group_iterations_missed_total"
        if any(value for name, value in self.figures().items() if name.startswith(missed)):
            sys.exit("this machine is too busy: evaluations were left out")
        (serving,) = self.client.query("sum(makeweight:canary:serving)")
        if serving.value != self.count // 2:
            sys.exit(f"of {self.count // 2} processes of the canary {serving.value:g} are counted")
        return [after - before for before, after in itertools.pairwise(self.spent)]


def every(start: float, end: float, seconds: float) -> list[float]:
    """The multiples of so many seconds from `start` to before `end`."""
    return [seconds * index for index in range(math.ceil(start / seconds), math.ceil(end / seconds))]


def settled(fleet: Fleet) -> None:
    """Waits until it no longer sorts what was written into blocks."""
    before = fleet.cpu()
    while True:
        time.sleep(5)
        now = fleet.cpu()
        if now - before < 0.2:
            return
        before = now


def measured(asked: Sequence[tuple[int, float, bool]]) -> list[list[float]]:
    """Processor seconds of each slot, of fleets side by side.

    Args:
        asked: how many replicas, of which age in seconds, and whether they are written whole.
    """
    groups = generate.groups(TERMS)
    rules = text.render(groups, [], TERMS.runbooks)
    recorded = {rule.record for group in groups for rule in group.rules if isinstance(rule, Recording)}
    far = {metric.series for metric in metrics.CATALOGUE if names.ended(metric) in recorded} | {metrics.UP.series}
    programs, fleets = throwaway.find(), list[Fleet]()
    with contextlib.ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="makeweight-rules-")))
        past = begun = time.time()
        for index, (count, age, whole) in enumerate(asked):
            path = root / f"{index}.yaml"
            path.write_text("groups: []")
            options = [remote_write.RECEIVES]
            started = throwaway.running(
                programs, root / str(index), rules=[path], scrape="1h", evaluate=f"{EVERY}s", options=options
            )
            fleets.append(Fleet(count, age, whole, stack.enter_context(started), path, past - age))
            fleets[-1].write_past(past, far, recorded)
        for fleet in fleets:
            settled(fleet)
        # what is still to be written, at half the speed so far
        speed = sum(fleet.written for fleet in fleets) / (time.time() - begun) / 2
        known = sum(1 for where in replicas(2) for _ in series(where, 0))
        each = (SHORT + time.time() - past + WARM + EVERY * SLOTS) / EVERY
        needed = sum(fleet.count for fleet in fleets) * known / 2 * each / speed
        ahead = time.time() + needed + WARM + EVERY * SLOTS + SPARE
        for fleet in fleets:
            fleet.write_present(past, ahead, far)
            print(
                f"{fleet.count} replicas, {fleet.age / 3600:.3g} h: {fleet.written:,} samples written "
                f"{time.time() - begun:.0f} s after the start",
                flush=True,
            )
        for fleet in fleets:
            fleet.evaluate(rules)
        time.sleep(WARM)
        start = time.time()
        for slot in range(SLOTS + 1):
            time.sleep(max(0.0, start + EVERY * slot - time.time()))
            for fleet in fleets:
                fleet.spent.append(fleet.cpu())
        if time.time() > ahead:
            sys.exit("this machine is too busy: in the end the series were no longer of now")
        return [fleet.took() for fleet in fleets]


def main() -> int:
    parser = argparse.ArgumentParser(description="The cost of the rules on a Prometheus of one core.")
    parser.add_argument("--replicas", type=int, nargs="+", default=REPLICAS)
    parser.add_argument("--age", action="store_true", help="what three days cost beside an hour, of a few replicas")
    options = parser.parse_args()
    os.environ["GOMAXPROCS"] = "1"
    if options.age:
        young, old = (sum(one) for one in measured([(FEW, HOUR, True), (FEW, OLD, True)]))
        met = old <= MOST_DEARER * young
        line = f"three days beside an hour: {old / young:.2f} times as dear   target at most {MOST_DEARER:g}"
    else:
        for count, took in zip(
            options.replicas, measured([(count, HOUR, False) for count in options.replicas]), strict=True
        ):
            mean = sum(took) / len(took)
            print(f"{count} replicas: {mean:.3f} s of one core in {EVERY} s, at most {max(took):.3f} s")
        met = mean < TARGET
        line = f"all rules over {count} replicas: {mean:.2f} s in {EVERY} s   target below {TARGET:g} s"
    print(f"{line}: {'met' if met else 'missed'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
