"""What a search finds for a ResNet-8 on CIFAR-10 within two hours. Target, at no more than 0.5 points below the
baseline trained as long: 4 times as fast and 6 times as small as float32 in ONNX Runtime.

    python benchmarks/search/cifar.py --data DATA --folder FOLDER [--weights baseline.pt] [--trials N] [--hours H]

DATA has CIFAR-10 as `train/CLASS/*.jpg`, `validation/CLASS/*.jpg` and `test/CLASS/*.jpg` (examples/cifar/README.md has
the lines that make it so; a tenth of train goes into validation). FOLDER keeps what is made: the network, the search,
which goes on where it was, and the best variant, judged on the test pictures as docs/peers.md is.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "compression"))

from peers import BASELINE_EPOCHS, judged
from techniques import makeweight, project

FASTER, SMALLER, DROP = 4.0, 6.0, 0.005
TRAINING: dict[str, Any] = {"batch": 64, "teacher": "baseline"}
SPACE: dict[str, Any] = {
    "small": {
        "steps": [
            [
                {"prune": {"ratio": {"from": 0.2, "to": 0.6}, "rounds": [1, 2], "epochs": [0, 1], "batch": 64}},
                {"distill": {"width": {"from": 0.4, "to": 0.8}, "epochs": [6, 18], "batch": 64}},
                {"factorize": {"energy": {"from": 0.8, "to": 0.97}}},
                None,
            ],
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
    parser.add_argument("--hours", type=float, default=2.0)
    options = parser.parse_args()
    folder, data = options.folder.resolve(), options.data.resolve()
    if not (data / "validation").is_dir():
        parser.error(f"{data} has no validation/, on which recipes are compared")
    if not (folder / "makeweight.yaml").exists():
        project(folder, data, options.weights, BASELINE_EPOCHS)
        config = yaml.safe_load((folder / "makeweight.yaml").read_text())
        config |= {"budget": BUDGET, "search": {"recipes": SPACE}, "prefer": "latency"}
        (folder / "makeweight.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    command = [sys.executable, "-m", "makeweight", "search", "--trials", str(options.trials)]
    subprocess.run([*command, "--hours", str(options.hours)], cwd=folder, check=False)
    told = json.loads((folder / "reports/search/search.json").read_text())
    print(f"{told['tried']} trials in {told['seconds'] / 3600:.2f} h: {told['sentence']}")
    for winner in told["winners"]:
        name = winner["variant"]
        if not (folder / "artifacts" / name).exists():
            makeweight(folder, "compress", name)
        show(name, folder, data)


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
