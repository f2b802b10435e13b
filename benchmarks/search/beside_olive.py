"""What Olive finds on its own terms, with as many trials and the same examples, beside what `makeweight search` found.

    python benchmarks/search/beside_olive.py PROJECT --folder FOLDER

PROJECT is a classifier on ONNX Runtime for which `makeweight search` has found something, such as cifar.py leaves it;
its budget limits the loss of accuracy, and Olive is held to the same limit. Olive runs in an environment of its own,
made under FOLDER by venv and pip, with `peer_olive.py`. All models are judged in one way: bytes, answers of ONNX
Runtime on the test examples, and `makeweight compare` with the baseline.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "compression"))

from peers import ONNX_RUNTIME, TORCH, Peer, compared, environment
from techniques import makeweight, points, ratio, spent

from makeweight.layout import CONFIG
from makeweight.measure.statistics import paired_difference
from makeweight.project import reading
from makeweight.project.project import Project
from makeweight.search.told import recipe_words as told_words
from makeweight.user import data
from makeweight.user.split import Split

HERE = Path(__file__).parent
# it imports requests, and does not say so
OLIVE = Peer("Olive", "peer_olive.py", ("olive-ai==0.13.0", "requests", TORCH, *ONNX_RUNTIME), makes=())
Examples = dict[str, NDArray[Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("project", type=Path, help="where `makeweight search` has found something")
    parser.add_argument("--folder", type=Path, required=True, help="where Olive and what it makes are kept")
    parser.add_argument(
        "--variant", help="of PROJECT, such as `nearest` of cifar.py (default: the first that was found)"
    )
    options = parser.parse_args()
    root, folder = options.project.resolve(), options.folder.resolve()
    project, told = reading.load(root), json.loads((root / "reports/search/search.json").read_text())
    name = options.variant or next((each["variant"] for each in told["winners"]), None)
    if name is None:
        parser.error(f"the search in {root} has found nothing: {told['sentence']}")
    runtime = project.variant(name).runtime
    steps = yaml.safe_load((root / CONFIG).read_text())["variants"][name]["steps"]
    if not (root / "artifacts" / name / "manifest.json").exists():
        makeweight(root, "compress", name)
    baseline, ours = (root / "artifacts" / each / "model.onnx" for each in ("baseline", name))
    control = ours.with_name("control.onnx")
    if not ours.exists():
        parser.error(f"`{name}` does not run on ONNX Runtime, as Olive's do")
    theirs = of_olive(project, baseline, folder, math.ceil(told["spent"]))
    tested = drawn(data.load(project.declared, "test"), "test")
    rows: list[tuple[str, ...]] = [
        ("", "kB", "times as small", "accuracy", "beside its control", "latency ratio", "recipe")
    ]
    own = row(f"makeweight, `{name}`", ours, control if control.exists() else baseline, baseline, tested)
    rows.append((*own, told_words({"steps": steps, "runtime": runtime})))
    for number, each in enumerate(theirs["found"]):
        title = "Olive, its choice" if number == 0 else f"Olive, its front, {number + 1}"
        rows.append((*row(title, folder / each["model"], baseline, baseline, tested), recipe_words(each)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for cells in rows:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip())
    spent_on = sum(trial["seconds"] for trial in told["trials"])
    tried = f"makeweight: {told['spent']:g} trials in {spent_on:.0f} s"
    print(f"{tried}; Olive: as many in {theirs['seconds']:.0f} s, of which came {theirs['made']} models")


def of_olive(project: Project, baseline: Path, folder: Path, trials: int) -> dict[str, Any]:
    """What peer_olive.py writes, and its `seconds` by the clock on the wall; kept, and not made again."""
    kept = folder / "search.json"
    if not kept.exists():
        folder.mkdir(parents=True, exist_ok=True)
        declared = project.declared
        splits = {"calibration": data.calibration(declared), "validation": data.load(declared, "validation")}
        held = {each: values for name, split in splits.items() for each, values in drawn(split, name).items()}
        np.savez(folder / "examples.npz", **held)  # type: ignore[arg-type]
        words = [environment(OLIVE, "olive", folder), HERE / OLIVE.script, baseline, folder / "examples.npz", folder]
        os.environ["OLIVE_DISABLE_TELEMETRY"] = "1"
        began = time.monotonic()
        # what is called like a file that lies there, Olive takes for that file
        spent([*words, str(trials), str(allowed(project))], folder)
        told = json.loads((folder / "found.json").read_text())
        kept.write_text(json.dumps({**told, "seconds": time.monotonic() - began}))
    found: dict[str, Any] = json.loads(kept.read_text())
    return found


def allowed(project: Project) -> float:
    """What of the accuracy may be lost, a fraction."""
    drops = [
        rule.limit
        for rule in project.rules
        if (rule.metric.name, rule.operator.comparison, rule.slice) == ("accuracy", "drop", None)
    ]
    if not drops:
        raise SystemExit("the budget has no `accuracy: {max_drop: …}`, which Olive is to be held to")
    return min(drops)


def drawn(split: Split, name: str) -> Examples:
    """All examples of a split: those of the only input by the split's name, and the targets."""
    batches = list(split.batches(256))
    if len(batches[0].inputs) != 1:
        raise SystemExit("a model of several inputs is not compared here")
    (own,) = batches[0].inputs
    found: Examples = {name: np.concatenate([batch.inputs[own] for batch in batches])}
    if all(batch.targets is not None for batch in batches):
        found[f"{name}_targets"] = np.concatenate([np.asarray(batch.targets) for batch in batches])
    return found


def row(title: str, model: Path, control: Path, baseline: Path, tested: Examples) -> tuple[str, ...]:
    inputs, classes = tested["test"], tested["test_targets"]
    right, of_control = (answers(each, inputs) == classes for each in (model, control))
    harm, gain, count = int((of_control & ~right).sum()), int((right & ~of_control).sum()), len(classes)
    size = model.stat().st_size
    return (
        title,
        f"{size / 1e3:.1f}",
        f"{baseline.stat().st_size / size:.1f}",
        f"{right.mean():.2%}",
        points({"value": (harm - gain) / count, "interval": paired_difference(harm, gain, count)}),
        ratio(compared(baseline, model)),
    )


def answers(model: Path, inputs: NDArray[Any]) -> NDArray[np.int64]:
    """The class of each example."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    (name,) = (port.name for port in session.get_inputs())
    some = [session.run(None, {name: inputs[at : at + 250]})[0].argmax(1) for at in range(0, len(inputs), 250)]
    return np.concatenate(some)


def recipe_words(each: dict[str, Any]) -> str:
    """The pass, with what was searched of it."""
    own = each["recipe"]
    searched = ("precision", "activation_type", "quant_format", "calibrate_method", "per_channel", "reduce_range")
    words = [f"{name} {own[name]}" for name in searched if own.get(name) is not None]
    return f"{each['pass']} ({', '.join(words)})" if words else str(each["pass"])


if __name__ == "__main__":
    main()
