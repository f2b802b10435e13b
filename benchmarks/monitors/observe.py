"""What observing costs a model server, side by side in one run with what else could be put there.

Targets: at most 0.5 µs a prediction in batches of 32 or more, 2 µs singly (10 classes, scores and latency). The
comparison is prometheus_client's own Histogram, once alone (one number into buckets) and once with what it takes to
count the same as we do; a detector of river's; a row into a profile of whylogs'. The last two are heavy, and live in an
environment of their own, build/rivals, which is made when there is none; where that fails, they are named as missing.

Times are of the processor, the least of several repetitions: other work on the machine must not count.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from cost import cost
from prometheus_client import CollectorRegistry, Counter, Histogram

from makeweight_monitors.metrics import LATENCY_BUCKETS
from makeweight_monitors.observe.observer import Observer
from makeweight_monitors.observe.pending import Pending

HERE = Path(__file__).resolve().parent
RIVALS = HERE.parents[1] / "build" / "rivals"
REQUIREMENTS = HERE / "rivals.txt"
CLASSES = [str(number) for number in range(10)]


def ours() -> Iterator[tuple[str, float, float | None]]:
    """(what, nanoseconds, target)"""
    observer = Observer("digits", "r1", "canary", classes=CLASSES, scores="softmax", registry=CollectorRegistry())
    scores = np.random.default_rng(0).normal(size=(256, 10)).astype(np.float32) * 3
    one, row = scores[0], scores[0].tolist()
    tops = scores.argmax(axis=1)
    yield "scores, singly (array)", cost(lambda: observer.record(one, 0.002)), 2000
    yield "scores, singly (list)", cost(lambda: observer.record(row, 0.002)), 2000
    yield "class, singly", cost(lambda: observer.record(predictions=3, latency=0.002)), 2000
    for size in (8, 32, 256):
        batch = scores[:size]
        target = 500 if size >= 32 else None
        yield f"scores, batch of {size}", cost(partial(observer.record, batch, 0.002), size), target
    yield "class, batch of 32", cost(lambda: observer.record(predictions=tops[:32], latency=0.002), 32), 500
    with tempfile.TemporaryDirectory() as folder:
        shared = Observer(
            "digits", "r1", "canary", classes=CLASSES, scores="softmax", registry=CollectorRegistry(), shared=folder
        )
        yield "scores, singly, pre-fork", cost(lambda: shared.record(one, 0.002)), 2000
    store = Pending(every=0)
    waiting = Observer("digits", "r1", "canary", classes=CLASSES, registry=CollectorRegistry(), labels=store)
    names = itertools.count()

    def with_id() -> None:
        number = next(names)
        waiting.record(predictions=3, latency=0.002, id=f"request-{number}")
        if number % 20_000 == 0:
            store._fresh.clear()  # what the store's thread would have written meanwhile

    yield "class, singly, with an id", cost(with_id), None


def theirs() -> Iterator[tuple[str, float]]:
    registry = CollectorRegistry()
    alone = Histogram("alone", "h", registry=registry, buckets=[number / 20 for number in range(20)])
    yield "prometheus_client: Histogram.observe alone", cost(lambda: alone.observe(0.7))
    latency = Histogram("latency", "h", ["model", "variant"], registry=registry, buckets=LATENCY_BUCKETS)
    sure = Histogram("sure", "h", ["model", "variant"], registry=registry, buckets=[n / 20 for n in range(20)])
    predicted = Counter("predicted", "h", ["model", "variant", "cls"], registry=registry)
    row = np.random.default_rng(0).normal(size=10).astype(np.float32)

    def same() -> None:
        powers = np.exp(row - row.max())
        sure.labels("digits", "canary").observe(float(powers.max() / powers.sum()))
        predicted.labels("digits", "canary", CLASSES[int(powers.argmax())]).inc()
        latency.labels("digits", "canary").observe(0.002)

    yield "prometheus_client: the same three from scores", cost(same)
    for line in rivals().splitlines():
        nanoseconds, _, what = line.partition("\t")
        yield what, float(nanoseconds)


def rivals() -> str:
    """What rivals.py printed; nothing, and the reason told, where they cannot be had."""
    here = [sys.executable, "-c", "import pandas, river, whylogs"]
    if subprocess.run(here, capture_output=True, check=False).returncode == 0:
        python = Path(sys.executable)
    else:
        python = RIVALS / "bin" / "python"
        making = [[sys.executable, "-m", "venv", str(RIVALS)], installing(python)]
        for command in making if not (RIVALS / ".made").exists() else []:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                return unavailable(done.stderr or done.stdout, python)
    done = subprocess.run([str(python), str(HERE / "rivals.py")], capture_output=True, text=True, check=False)
    if done.returncode:
        return unavailable(done.stderr, python)
    if python.parent.parent == RIVALS:
        (RIVALS / ".made").touch()
    return done.stdout


def installing(python: Path) -> list[str]:
    return [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(REQUIREMENTS)]


def unavailable(said: str, python: Path) -> str:
    reason = (said.strip().splitlines() or ["no reason given"])[-1]
    print(f"river and whylogs: unavailable, not measured ({reason}); to install them: {' '.join(installing(python))}")
    return ""


def main() -> None:
    found = list(theirs())
    unit = found[0][1]
    for name, nanoseconds in found:
        print(f"{name:48} {nanoseconds:10,.0f} ns  {nanoseconds / unit:7.2f} of a Histogram.observe")
    for name, nanoseconds, target in ours():
        told = f"  {nanoseconds / target:5.2f} of the target of {target:,.0f} ns" if target else ""
        print(f"observer: {name:38} {nanoseconds:10,.0f} ns  {nanoseconds / unit:7.2f} of a Histogram.observe{told}")


if __name__ == "__main__":
    main()
