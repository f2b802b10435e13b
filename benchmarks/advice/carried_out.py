"""Whether advice keeps what it promises: the first recipe that `makeweight advise` gives is carried out in copies of
projects, and its size, latency and accuracy are held against the ranges.

    python benchmarks/advice/carried_out.py PROJECT...

Each PROJECT is a folder with a makeweight.yaml and the weights and data that it names, such as a copy of
examples/sentences after `python train.py`. It prints a table, and ends with 1 where a figure lies outside its range.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

NAME = "carried-out"
FIGURES = {"size": "size", "latency": "latency_p50", "drop": "accuracy"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("projects", nargs="+", type=Path)
    rows = [row for project in parser.parse_args().projects for row in carried_out(project)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    return int(any(row[-1] == "outside" for row in rows))


def carried_out(project: Path) -> list[tuple[str, ...]]:
    """A row for each figure: project, recipe, figure, what was promised, what was measured, how it compares."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, project.resolve().name)
        shutil.copytree(
            project, folder, ignore=shutil.ignore_patterns(".dvc", ".git", "artifacts", "reports", "samples")
        )
        advice = json.loads(verb(folder, "advise", "--json"))["advice"][0]
        name = advice["name"]
        if not advice["declared"]:
            verb(folder, "advise", "--write", name := NAME, "--rule", advice["rule"])
        device = next(each["device"] for each in advice["expected"] if each["figure"] == "latency")
        for words in (("baseline",), ("compress", name), ("evaluate", name), ("device", device)):
            verb(folder, *words)
        verb(folder, "benchmark", name, "--device", device)
        measured = figures(folder / f"reports/{name}/evaluate.json") | figures(folder / f"reports/{name}/{device}.json")
    return [
        row(project.resolve().name, advice["rule"], promised, measured)
        for promised in advice["expected"]
        if promised["figure"] in FIGURES and promised["device"] in (None, device)
    ]


def row(project: str, rule: str, promised: dict[str, Any], measured: dict[tuple[str, str], Any]) -> tuple[str, ...]:
    figure, low, high = promised["figure"], promised["low"], promised["high"]
    found = measured[FIGURES[figure], "drop" if figure == "drop" else "ratio"]
    value, (least, most) = found["value"], found.get("interval") or (found["value"],) * 2
    # what a clock or some examples read is an interval: it only has to reach into the range
    holds = least <= high + 1e-9 and most >= low - 1e-9
    inside = "inside" if low - 1e-9 <= value <= high + 1e-9 else "within its interval" if holds else "outside"
    return (project, rule, figure, f"{low:.3f} to {high:.3f}", f"{value:.3f} [{least:.3f}, {most:.3f}]", inside)


def figures(path: Path) -> dict[tuple[str, str], Any]:
    records = json.loads(path.read_text(encoding="utf-8"))["measurements"]
    return {
        (each["metric"], each["comparison"]): each
        for each in records
        if each.get("comparison") and each.get("slice") is None and not each.get("control") and "value" in each
    }


def verb(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "makeweight", *words], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"makeweight {' '.join(words)} in {folder.name}: {done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
