"""What a search finds for a ResNet-8 on CIFAR-10 within two hours. Target, at no more than 0.5 points below the
baseline trained as long: 4 times as fast and 6 times as small as float32 in ONNX Runtime.

    python benchmarks/search/cifar.py --data DATA --folder FOLDER [--weights baseline.pt] [--trials N] [--hours H]

DATA has CIFAR-10 as `train/CLASS/*.jpg`, `validation/CLASS/*.jpg` and `test/CLASS/*.jpg` (examples/cifar/README.md has
the lines that make it so; a tenth of train goes into validation). FOLDER keeps what is made: the network, the search,
which goes on where it was, and the best variant (where none is found, what comes nearest), judged on the test pictures
as docs/peers.md is. Beside what Olive finds: `beside_olive.py FOLDER`.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "compression"))

from peers import judged
from techniques import EPOCHS as BASELINE_EPOCHS
from techniques import makeweight, project

from makeweight.compress.checkpoints import Checkpoints, places
from makeweight.layout import CONFIG, Layout
from makeweight.project import reading

FASTER, SMALLER, DROP = 4.0, 6.0, 0.005
NEAREST = "nearest"
TRAINING: dict[str, Any] = {"batch": 64, "teacher": "baseline"}
FROM_ANEW = {"lr": 0.003, "schedule": "one_cycle"}
NARROWER = {"ratio": {"from": 0.2, "to": 0.6}, "round_to": 8}
SPACE: dict[str, Any] = {
    "small": {
        "steps": [
            # fewer layers: what works at the whole resolution takes most of the time, whatever its channels are
            [
                {"distill": {"student": "student:build", "epochs": [6, 18], "batch": 64, **FROM_ANEW}},
                {"prune": {"structure": "block", "ratio": 0.5, "epochs": [0, 1], "batch": 64}},
                None,
            ],
            # fewer channels, in multiples of 8: of 16 there are two widths between all and half of them
            [
                {"distill": {"width": {"from": 0.4, "to": 0.8}, "round_to": 8, "epochs": [6, 18], "batch": 64}},
                {"prune": {**NARROWER, "rounds": [1, 2], "epochs": [0, 1], "batch": 64}},
                None,
            ],
            [{"cluster": {"bits": 4}}, None],
            [{"finetune": {"epochs": [3, 9, 18], **TRAINING}}, None],
            [
                {"quantize": {"method": "static", "calibrate": ["minmax", "mse", "percentile"]}},
                {"qat": {"epochs": [1, 3], **TRAINING}},
            ],
        ]
    }
}
BUDGET = {
    "size": {"max_ratio": round(1 / SMALLER, 4)},
    "latency_p50": {"max_ratio": 1 / FASTER},
    "accuracy": {"max_drop": f"{DROP * 100:g} pt"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument(
        "--data", type=Path, required=True, help="train/, validation/ and test/, a folder a class in each"
    )
    parser.add_argument("--folder", type=Path, required=True, help="where the project is made, and kept")
    parser.add_argument("--weights", type=Path, help="the baseline's, trained by the example's train.py before")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--hours", type=float, default=2.0, help="of all runs in the folder together")
    options = parser.parse_args()
    folder, data = options.folder.resolve(), options.data.resolve()
    if not (data / "validation").is_dir():
        parser.error(f"{data} has no validation/, on which recipes are compared")
    config = folder / CONFIG
    # what to search is written last: what was killed before that is begun again
    if not config.exists() or "search" not in yaml.safe_load(config.read_text()):
        project(folder, data, options.weights, BASELINE_EPOCHS)
        declared = yaml.safe_load(config.read_text())
        declared |= {"budget": BUDGET, "search": {"recipes": SPACE}, "prefer": "latency"}
        config.write_text(yaml.safe_dump(declared, sort_keys=False))
    told, seconds = searched(folder, options.trials, options.hours)
    print(f"{told['spent']:g} trials in {seconds / 3600:.2f} h: {told['sentence']}")
    for name in [winner["variant"] for winner in told["winners"]] or nearest(folder, told):
        if not (folder / "artifacts" / name / "manifest.json").exists():
            makeweight(folder, "compress", name)
        show(name, folder, data)


def searched(folder: Path, trials: int, hours: float) -> tuple[dict[str, Any], float]:
    """What the search tells, and the seconds of all runs; of one that was killed, until the last trial that ended."""
    runs = folder / "runs.json"
    begun: list[float] = json.loads(runs.read_text()) if runs.exists() else []
    ended = sorted(path.stat().st_mtime for path in folder.glob(".makeweight/search/*/trial-*/trial.json"))
    before = sum(
        max((each - begin for each in ended if begin <= each < following), default=0.0)
        for begin, following in zip(begun, [*begun[1:], math.inf], strict=False)
    )
    runs.write_text(json.dumps([*begun, time.time()]))
    left = max(hours - before / 3600, 1e-6)
    command = [sys.executable, "-m", "makeweight", "search", "--trials", str(trials), "--hours", f"{left:.6f}"]
    code = subprocess.run(command, cwd=folder, check=False).returncode
    if code not in (0, 1, 3):  # found, none passes, not settled
        raise SystemExit(f"the search ended with {code}")
    told: dict[str, Any] = json.loads((folder / "reports/search/search.json").read_text())
    return told, before + told["seconds"]


def nearest(folder: Path, told: dict[str, Any]) -> list[str]:
    """The trial that comes nearest to the budget, as a variant, which goes on with what it has trained; none where no
    trial was carried through."""
    named = re.search(r"nearest is `(trial-\d+)`", told["sentence"])
    if named is None:
        return []
    settings = next(trial["proposal"]["settings"] for trial in told["trials"] if trial["name"] == named[1])
    declared = yaml.safe_load((folder / CONFIG).read_text())
    if declared["variants"].get(NEAREST) != settings:
        declared["variants"][NEAREST] = settings
        (folder / CONFIG).write_text(yaml.safe_dump(declared, sort_keys=False))
        shutil.rmtree(folder / "artifacts" / NEAREST, ignore_errors=True)
        own, recipe = Checkpoints(Layout(folder).trainings(NEAREST)), reading.load(folder).variants[NEAREST]
        for trained in folder.glob(".makeweight/search/trainings/*"):
            own.take_over(trained, places(recipe))
    return [NEAREST]


def show(name: str, folder: Path, data: Path) -> None:
    """A variant beside the baseline, on the test pictures."""
    made = folder / "artifacts" / name
    control = made / "control.onnx"
    figures = judged(made / "model.onnx", control if control.exists() else None, folder, data)
    smaller = (folder / "artifacts/baseline/model.onnx").stat().st_size / figures["size"]
    faster, drop = 1 / figures["latency"]["value"], figures["drop_control"]["value"]
    kept = "kept  " if smaller >= SMALLER and faster >= FASTER and drop <= DROP else "BROKEN"
    print(
        f"{kept} {name}: {faster:.1f} times as fast (target {FASTER:g}), {smaller:.1f} times as small (target "
        f"{SMALLER:g}), {drop * 100:.2f} points below its control (target {DROP * 100:g})"
    )


if __name__ == "__main__":
    main()
