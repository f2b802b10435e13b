"""What each technique gains on one network: `docs/techniques.md` is written by this.

The project is `examples/cifar` as it stands, with a ResNet-8 that is trained first. Every variant is made, judged and
measured by the verbs that a user types; each figure of the page is one of their files'. What was measured is kept in
`techniques.json` beside this file, so that the page can be written anew without it.

    python benchmarks/compression/techniques.py --data DATA --folder FOLDER [--weights baseline.pt] [VARIANT ...]
    python benchmarks/compression/techniques.py --page

DATA has CIFAR-10 as `train/CLASS/*.jpg` and `test/CLASS/*.jpg` (examples/cifar/README.md has the lines that make it so)
and, if the best epoch shall be kept, `validation/CLASS/*.jpg`. FOLDER keeps what is made: variants that are there
already are not made again.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from makeweight.artifact import artifact
from makeweight.budget.measurand import Measurand
from makeweight.devices import record
from makeweight.layout import Layout
from makeweight.measurement import Measurement, loads

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLE, PAGE = REPOSITORY / "examples/cifar", REPOSITORY / "docs/techniques.md"
KEPT = Path(__file__).with_suffix(".json")
EPOCHS = 24
BASELINE = "baseline"
Result = dict[str, Any]
"""Of one variant: its recipe, and figures as they are in its files."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, help="train/, test/ and perhaps validation/, a folder a class in each")
    parser.add_argument("--folder", type=Path, help="where the project is made, and kept")
    parser.add_argument("--weights", type=Path, help="the baseline's, trained by the example's train.py before")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of the baseline, where it has to be trained")
    parser.add_argument("--page", action="store_true", help="only write the page, from what is kept")
    parser.add_argument("variants", nargs="*", help="of the example (default: all)")
    options = parser.parse_args()
    if not options.page:
        if options.data is None or options.folder is None:
            parser.error("--data and --folder are needed")
        project(options.folder, options.data.resolve(), options.weights, options.epochs)
        results = measured(options.folder, options.variants)
        KEPT.write_text(json.dumps(results, indent=1) + "\n")
    PAGE.write_text(page(json.loads(KEPT.read_text())))
    print(f"wrote {PAGE.relative_to(REPOSITORY)}")


def project(folder: Path, data: Path, weights: Path | None, epochs: int) -> None:
    """The example beside its data, with a trained network and what is measured of it."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in (*EXAMPLE.glob("*.py"), EXAMPLE / "makeweight.yaml"):
        shutil.copy(file, folder)
    config = yaml.safe_load((folder / "makeweight.yaml").read_text())
    if (data / "validation").is_dir():
        config["data"]["images"]["validation"] = "data/validation"
        (folder / "makeweight.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    if not (folder / "data").exists():
        (folder / "data").symlink_to(data)
    if not (folder / "models/baseline.pt").exists():
        (folder / "models").mkdir(exist_ok=True)
        if weights is None:
            subprocess.run([sys.executable, "train.py", "--epochs", str(epochs)], cwd=folder, check=True)
        else:
            shutil.copy(weights, folder / "models/baseline.pt")
    if not (folder / "reports/baseline/evaluate.json").exists():
        makeweight(folder, BASELINE)
    makeweight(folder, "device", "local")


def makeweight(folder: Path, *verb: str) -> dict[str, float]:
    """What the verb took; see `spent`."""
    return spent([sys.executable, "-m", "makeweight", *verb], folder)


def spent(command: Sequence[str | Path], folder: Path | None = None) -> dict[str, float]:
    """Run a command in a folder: processor seconds that it took, its children's too, and the most bytes of memory that
    one process of these had."""
    running = subprocess.Popen(command, cwd=folder)
    _, status, usage = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        raise SystemExit(f"`{' '.join(map(str, command))}` ended with {running.returncode}")
    return {"seconds": usage.ru_utime + usage.ru_stime, "memory": usage.ru_maxrss * 1024}


def measured(folder: Path, chosen: list[str]) -> dict[str, Result]:
    """The baseline and the chosen variants, in the order of the file; what is kept of others stays."""
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    trained_on = sum(1 for _ in (folder / "data/train").glob("*/*.jpg"))
    found = {BASELINE: {"trained_on": trained_on, **figures(folder, BASELINE)}}
    for name, recipe in recipes().items():
        if chosen and name not in chosen:
            found |= {name: kept[name]} if name in kept else {}
            continue
        cost = folder / f"{name}.cost.json"
        if not cost.exists():
            cost.write_text(json.dumps(makeweight(folder, "compress", name)))
        for verb in (["evaluate", name], ["benchmark", name, "--device", "local"]):
            makeweight(folder, *verb)
        found[name] = {
            "cpu": record.read(Layout(folder).device("local")).identity["cpu"],
            "recipe": recipe["steps"],
            "seconds": json.loads(cost.read_text())["seconds"],
            **figures(folder, name),
        }
    return found


def recipes() -> dict[str, Any]:
    """The example's by name of the variant, those on the baseline's runtime: another runtime is no technique."""
    declared: dict[str, Any] = yaml.safe_load((EXAMPLE / "makeweight.yaml").read_text())["variants"]
    return {name: recipe for name, recipe in declared.items() if "runtime" not in recipe}


def figures(folder: Path, name: str) -> Result:
    """Those of the page, in base units: bytes, seconds, fractions, ratios."""
    manifest = artifact.read(folder / "artifacts" / name)
    if manifest.status != "ready":
        return {"failed": manifest.reason}
    told: dict[Measurand, Measurement] = {}
    for file in sorted((folder / "reports" / name).glob("*.json")):
        if file.name != "reference.json":
            told |= {one.measurand: one for one in loads(file.read_text(), file.name) if one.variant == name}

    def figure(measurand: Measurand) -> Any:
        one = told.get(measurand)
        return None if one is None or one.value is None else {"value": one.value, "interval": one.interval}

    return {
        "pictures": told[Measurand("accuracy")].samples,
        "size": figure(Measurand("size")),
        "size_compressed": figure(Measurand("size_compressed")),
        "accuracy": figure(Measurand("accuracy")),
        "drop": figure(Measurand("accuracy", "drop")),
        "drop_control": figure(Measurand("accuracy", "drop", None, True)),
        "latency": figure(Measurand("latency_p50", "ratio")),
        "memory": figure(Measurand("peak_memory")),
    }


def page(results: dict[str, Result]) -> str:
    baseline = results[BASELINE]
    counts = {each: baseline[each] for each in ("trained_on", "pictures")}
    lines = [_HEAD.format(size=_kilobytes(baseline["size"]), accuracy=baseline["accuracy"]["value"], **counts)]
    lines += ["| variant | steps | kB | compressed kB | accuracy | against the baseline | against its control "
              "| latency ratio | peak memory | made in |", "|---|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for name, result in results.items():
        cells = [name, _steps(result.get("recipe", []))]
        if "failed" in result:
            cells += [f"failed: {result['failed']}", *[""] * 7]
        else:
            cells += [_kilobytes(result["size"]), _kilobytes(result["size_compressed"])]
            cells.append(f"{result['accuracy']['value']:.2%}")
            cells += ["", "", "1", "", ""] if name == BASELINE else _beside_the_baseline(result)
        lines.append(f"| {' | '.join(cells)} |")
    if missing := [f"`{name}`" for name in recipes() if name not in results]:
        lines += ["", f"Not measured yet: {', '.join(missing)}."]
    lines += measured_on({name: result for name, result in results.items() if name != BASELINE})
    return "\n".join(lines) + "\n"


def measured_on(results: dict[str, Result]) -> list[str]:
    """Which processors the figures are of; of what was kept before that was noted, what else is not as it is now."""
    noted = dict.fromkeys(result["cpu"] for result in results.values() if "cpu" in result)
    lines = ["", f"Measured on: {', '.join(noted)}."] if noted else []
    if before := [name for name, result in results.items() if "cpu" not in result]:
        names = ", ".join(f"`{name.replace('`', '')}`" for name in before)
        lines += ["", _BEFORE.format(figures=f"The figures of {names}" if noted else "All figures")]
    return lines


def _beside_the_baseline(result: Result) -> list[str]:
    return [
        points(result["drop"]),
        points(result["drop_control"]),
        ratio(result["latency"]),
        megabytes(result["memory"]),
        f"{result['seconds']:.0f} s",
    ]


def _steps(recipe: list[Any]) -> str:
    return ", ".join(step if isinstance(step, str) else next(iter(step)) for step in recipe)


def _kilobytes(figure: Any) -> str:
    return f"{figure['value'] / 1e3:.1f}"


def megabytes(figure: Any) -> str:
    return "unavailable" if figure is None else f"{figure['value'] / 1e6:.1f} MB"


def points(figure: Any) -> str:
    """A drop as a difference: what is lost is negative."""
    if figure is None:
        return ""
    low, high = (0 - 100 * end for end in reversed(figure["interval"]))
    return f"{0 - 100 * figure['value']:+.2f} pt [{low:+.2f}, {high:+.2f}]"


def ratio(figure: Any) -> str:
    if figure is None:
        return "unavailable"
    return f"{figure['value']:.3f} [{figure['interval'][0]:.3f}, {figure['interval'][1]:.3f}]"


_HEAD = """\
# What each technique gains

Written by `python benchmarks/compression/techniques.py`, with what the verbs measured. The network is the ResNet-8 of
[examples/cifar](../examples/cifar/README.md), trained on {trained_on:,} pictures of CIFAR-10: {size} kB,
{accuracy:.2%}. The recipes are those of its `makeweight.yaml`; every
key is explained in [configuration.md](configuration.md#variants).

- *Compressed* is after zlib, as a download would be.
- Accuracies are on the same {pictures:,} pictures, and their differences paired, with the 95 % interval. The *control*
  is the baseline, trained as long as the variant was and not compressed: what of the difference is the compression's.
- The latency ratio is to the baseline, on one thread of a shared machine, with the interval of the sequential test:
  below 1 is faster.
- *Made in*: processor time of `makeweight compress`, with the training of the control.
"""

_BEFORE = """\
{figures} are of a processor that was not noted, and of files as makeweight wrote them when what lies
between layers had long names: its int8 of this network is 12 kB smaller since."""

if __name__ == "__main__":
    main()
