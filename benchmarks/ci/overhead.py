"""`makeweight ci` beside the `dvc repro` that it stands for, on a pull request that changes a recipe. Target: 2 s more.

Both begin with a fresh clone one commit deep, bring what is stored (`dvc pull`), compress and evaluate the one variant
whose recipe changed, ask the device who it is, benchmark that variant, decide and report: the same stages, by DVC alone
or by `makeweight ci` in its place. `makeweight ci` does besides: fetch and read the base, join the locks, find out what
changed, judge by the base's budget, and tell GitHub (on loopback here). The time in timed rounds depends on how soon a
benchmark is decided and is taken off both, as their raw samples record it.

For scale, the bare stages that it runs: `dvc repro` of the three that it leaves to DVC, which fetches no more than it
finds it needs, and then the two that it runs itself as commands of their own.
"""

from __future__ import annotations

import re
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import repository
import silent_github
from repository import Checkout

from makeweight.layout import Layout
from makeweight.measure import timings

RUNS = 5
TARGET = 2.0
VARIANT = "int8"
MAKING = ("baseline", "compress", "evaluate")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="makeweight-ci-") as folder, silent_github.listening() as github:
        made = repository.make(Path(folder))
        made.change("recipe", _edit)
        github.pull = made.pull("recipe")
        ways: dict[str, Callable[[Checkout], str]] = {
            "dvc pull, dvc repro": _by_dvc,
            "makeweight ci": lambda at: at.run("makeweight", "ci", token=silent_github.TOKEN),
            "its stages alone": _alone,
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        timed: dict[str, list[float]] = {name: [] for name in ways}
        for run in range(RUNS + 1):  # the first only fills the machine's caches
            for name, way in ways.items():
                at = made.checkout("recipe", github.url)
                started = time.perf_counter()
                said = way(at)
                taken = time.perf_counter() - started
                _see_that_one_was_made(said)
                rounds = timings.read(Layout(at.folder).timings(VARIANT, "local")).seconds
                if run > 0:
                    times[name].append(taken - rounds)
                    timed[name].append(rounds)
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    for name, median in medians.items():
        print(
            f"{name:20} {median:6.2f} s without {statistics.median(timed[name]):.2f} s in timed rounds "
            f"(median of {RUNS}, interleaved; {min(times[name]):.2f} to {max(times[name]):.2f} s)"
        )
    whole, own, alone = medians["dvc pull, dvc repro"], medians["makeweight ci"], medians["its stages alone"]
    print(f"over the bare stages that it runs: {own - alone:+.2f} s, {own / alone:.2f}x")
    print(f"overhead of makeweight ci: {own - whole:+.2f} s, {own / whole:.2f}x (target: under {TARGET:.0f} s more)")


def _edit(work: Path) -> None:
    """Another recipe for one variant; nothing else."""
    config = work / "makeweight.yaml"
    before = config.read_text()
    after = before.replace("int8: {steps: [{quantize: {method: dynamic}}]}", "int8: {steps: [{quantize: {}}]}")
    assert after != before
    config.write_text(after)


def _by_dvc(at: Checkout) -> str:
    # a whole pull: DVC would otherwise measure anew whatever it has no samples of
    at.run("dvc", "pull")
    # without the run cache, as `makeweight ci` does it: it may hold what another wrote there
    return at.run("dvc", "repro", "--no-run-cache")


def _alone(at: Checkout) -> str:
    made = at.run("dvc", "repro", "--no-run-cache", "--pull", "--allow-missing", *MAKING)
    asked = at.run("makeweight", "device", "local")
    return made + asked + at.run("makeweight", "benchmark", VARIANT, "--device", "local")


def _see_that_one_was_made(said: str) -> None:
    """Other stages than these would make it another comparison."""
    for pattern in (
        r"^> makeweight compress (\S+)",
        r"^> makeweight evaluate (\S+)",
        r"^(\S+) beside baseline on local",
    ):
        assert re.findall(pattern, said, re.MULTILINE) == [VARIANT], said


if __name__ == "__main__":
    main()
