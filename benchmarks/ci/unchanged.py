"""A pull request that changes words only, judged after installation. Target: at most 5 s.

Once as `makeweight ci`, one process, and once as the four processes that the Action runs; for scale, what any such
check has to do at least: fetch the base's commit and ask DVC whether anything would run. Each run has a fresh clone of
its own, one commit deep and without DVC's cache; the three take turns. GitHub and origin are on this machine: a network
adds its own time for as many requests as are counted, and for the fetch.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import repository
import silent_github
from repository import Checkout

RUNS = 5
TARGET = 5.0
TOLD = ("open", "gate")
"""The phases that the Action gives the token."""


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="makeweight-ci-") as folder, silent_github.listening() as github:
        made = repository.make(Path(folder))
        made.change("words", lambda work: (work / "README.md").write_text("words\n"))
        github.pull = made.pull("words")
        base = made.git("rev-parse", "main")
        times: dict[str, list[float]] = {name: [] for name in ("git fetch, dvc repro --dry", "one process")}
        phases: dict[str, list[float]] = {name: [] for name in ("open", "compress", "measure", "gate")}
        asked = 0
        for run in range(RUNS + 1):  # the first only fills the machine's caches
            bare, whole, parts = (made.checkout("words", github.url) for _ in range(3))
            started = time.perf_counter()
            bare.run("git", "fetch", "--quiet", "--depth=1", "--no-tags", "origin", base)
            bare.run("dvc", "repro", "--dry", "--allow-missing")
            times["git fetch, dvc repro --dry"].append(time.perf_counter() - started)

            before = github.requests
            started = time.perf_counter()
            whole.run("makeweight", "ci", token=silent_github.TOKEN)
            times["one process"].append(time.perf_counter() - started)
            asked = github.requests - before

            for phase, taken in phases.items():
                token = silent_github.TOKEN if phase in TOLD else None
                started = time.perf_counter()
                parts.run("makeweight", "ci", phase, token=token)
                taken.append(time.perf_counter() - started)
            for checkout in (whole, parts):
                _see_that_nothing_ran(checkout)
            if run == 0:
                for taken in (*times.values(), *phases.values()):
                    taken.clear()
    times["four processes"] = [sum(together) for together in zip(*phases.values(), strict=True)]
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    for name, taken in times.items():
        print(f"{name:28} {medians[name]:6.2f} s (median of {RUNS}, interleaved; worst {max(taken):.2f} s)")
    shares = ", ".join(f"{phase} {statistics.median(taken):.2f} s" for phase, taken in phases.items())
    print(f"of the four: {shares}; {asked} requests to GitHub besides")
    bare_median = medians["git fetch, dvc repro --dry"]
    for name in ("one process", "four processes"):
        print(
            f"unchanged, {name}: {medians[name] / bare_median:.1f}x fetching and asking DVC, "
            f"{medians[name]:.2f} s (target: at most {TARGET:.0f} s)"
        )


def _see_that_nothing_ran(checkout: Checkout) -> None:
    """A run that made or measured something would be another benchmark."""
    assert (checkout.folder / ".makeweight/reports/verdict.json").exists()
    assert not (checkout.folder / "artifacts").exists()


if __name__ == "__main__":
    main()
