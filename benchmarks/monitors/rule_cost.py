"""What the sequential tests cost a Prometheus: 1,000 replicas that are scraped every 15 s, and a canary that is old.

A real Prometheus evaluates the rules that may ask for a rollback (the groups that are looked at every 15 s) over series
that promtool put into its store: an hour of them, beyond which these rules read no series of single processes. With
`--days` a few replicas go back that far in place of many: what a look costs must not depend on it. Times are of the
processor, as Prometheus counts its own: other work on the machine must not count.

    python benchmarks/monitors/rule_cost.py [--replicas 1000] [--days D]

Target: all of them together below 2 s.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import requests

from makeweight_monitors import metrics
from makeweight_monitors.prometheus import throwaway
from makeweight_monitors.rules import generate, text
from makeweight_monitors.rules.promql import equals
from makeweight_monitors.rules.terms import Terms

EVERY = 15
"""Seconds between two scrapes."""
CYCLE = 30
"""Seconds between two evaluations."""
TARGET = 2.0
MODEL = "digits"


def replicas(count: int) -> Iterator[dict[str, str]]:
    """The labels of each process: half of them serve stable, and half the canary."""
    for index in range(count):
        variant = metrics.VARIANTS[index % 2]
        yield {
            "model": MODEL, "revision": "r2", "variant": variant, "sha256": variant[0] * 64, "boot": f"{index:012x}",
            "job": "model", "instance": f"10.0.{index // 250}.{index % 250}:9000",
        }  # fmt: skip


def series(where: dict[str, str]) -> Iterator[tuple[str, dict[str, str], float]]:
    """Name, labels, and by how much a scrape finds each series grown."""

    def one(metric: metrics.Metric, grown: float, **more: str) -> tuple[str, dict[str, str], float]:
        labels = {key: value for key, value in where.items() if key in (*metric.labels, "job", "instance")}
        return metric.series, labels | more, grown

    yield one(metrics.UP, 0)
    yield one(metrics.PREDICTIONS, 30, weight="0.5")
    for reason in metrics.FAILURES:
        yield one(metrics.FAILED, reason == "exception", weight="0.5", reason=reason)
    for outcome in metrics.RIGHT_OR_WRONG:
        yield one(metrics.SPLIT, 9 if outcome == "right" else 1, weight="0.5", outcome=outcome)
    if where["variant"] == "canary":
        for agree in ("yes", "no"):
            yield one(metrics.SHADOW_PAIRS, 29 if agree == "yes" else 1, agree=agree)
            yield one(metrics.SHADOW_LABELLED, 9 if agree == "yes" else 1, agree=agree)
        for stable in metrics.RIGHT_OR_WRONG:
            for canary in metrics.RIGHT_OR_WRONG:
                yield one(metrics.PAIRED, 9 if stable == canary == "right" else 1, stable=stable, canary=canary)


def write(path: Path, count: int, seconds: float, now: float) -> int:
    """The series as OpenMetrics with times; how many samples."""
    looks = int(seconds // EVERY)
    times = [f"{now - EVERY * (looks - look):.3f}" for look in range(looks + 1)]
    written = 0
    with path.open("w") as file:
        for where in replicas(count):
            for name, labels, grown in series(where):
                head = f"{name}{{{','.join(equals(*label) for label in sorted(labels.items()))}}}"
                file.writelines(f"{head} {grown * look:g} {at}\n" for look, at in enumerate(times))
                written += len(times)
        file.write("# EOF\n")
    return written


def measure(folder: Path, count: int, seconds: float) -> float:
    """Processor seconds that one look takes."""
    programs = throwaway.find()
    terms = Terms(MODEL, drop=0.01)
    rules = folder / "rules.yaml"
    # all at once and seldom, so that single evaluations can be told apart
    tests = [group for group in generate.groups(terms) if group.interval == f"{terms.interval}s"]
    groups = [replace(group, interval=f"{CYCLE}s") for group in tests]
    rules.write_text(text.render(groups, [], terms.runbooks))
    written = write(folder / "series.txt", count, seconds, time.time())
    print(f"{count} replicas, {seconds / 3600:g} h: {written:,} samples", flush=True)
    data = folder / "prometheus" / "data"
    done = programs.tool("tsdb", "create-blocks-from", "openmetrics", str(folder / "series.txt"), str(data))
    if done.returncode:
        sys.exit(f"promtool: {done.stdout.strip()[-500:]}")
    (folder / "series.txt").unlink()
    # what was written last is to be seen as the newest for as long as this takes
    with throwaway.running(programs, folder / "prometheus", rules=[rules], scrape="1h", lookback="1h") as client:

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

        # the second and third: from what the first recorded
        first = after(1)
        took = (after(3) - first) / 2
        wrong = [rule for rule in client.rules() if rule["health"] == "err"]
        if wrong:
            sys.exit(f"rules that fail: {wrong}")
        serving = client.query("sum(makeweight:canary:serving)")
        print(f"processes of the canary that are counted: {serving[0].value:g}")
        return took


def main() -> int:
    parser = argparse.ArgumentParser(description="The cost of the rules on a Prometheus of one core.")
    parser.add_argument("--replicas", type=int, default=1000)
    parser.add_argument("--days", type=float, default=0.0, help="how old the canary is; unsaid, an hour")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="makeweight-rules-"))
    try:
        took = measure(folder, options.replicas, options.days * 86_400 or 3_600)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    verdict = "met" if took < TARGET else "missed"
    print(f"one look of all tests: {took:.2f} s of one core   target below {TARGET:g} s: {verdict}")
    return 0 if took < TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
