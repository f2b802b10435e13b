"""ExecuTorch's own way to static int8 beside ours, on the network of the CIFAR example: bytes, accuracy, time of an
inference and of the conversion. Targets: within 3 % in bytes and time, within 0.1 points, at most 5 s of our own.

Its own is what its documentation does: XNNPACK's quantizer by channel with its default observers, a batch of one.
Run it as `executorch_int8.py WEIGHTS PICTURES`, with what the example's train.py leaves: `models/baseline.pt data`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from makeweight.compress.quantize import Quantize
from makeweight.runtimes.executorch.runtime import Executorch
from makeweight.runtimes.runtime import Program
from makeweight.user.arrays import Arrays
from makeweight.user.split import Split
from makeweight_base.quiet import quiet

EXAMPLE = Path(__file__).parents[2] / "examples" / "cifar"
SECONDS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("pictures", type=Path, help="class folders within `train` and `test`")
    parser.add_argument("--tested", type=int, default=2000, help="pictures that accuracy is counted on")
    asked = parser.parse_args()
    sys.path.insert(0, str(EXAMPLE))
    from resnet import build

    module = build()
    module.load_state_dict(torch.load(asked.weights, weights_only=True))
    module.eval()
    calibration, _ = read(asked.pictures / "train", 256)
    tested, labels = read(asked.pictures / "test", asked.tested)
    with tempfile.TemporaryDirectory() as folder:
        own, theirs = Path(folder, "own.pte"), Path(folder, "theirs.pte")
        with quiet():  # once more below: what is loaded and compiled once counts for none
            by_hand(module, calibration[:32], theirs)
        took = {"theirs": by_hand(module, calibration, theirs), "ours": ours(module, calibration, own)}
        for name, path in (("theirs", theirs), ("ours", own)):
            right = np.mean(answered(path, tested) == labels)
            made = f"{path.stat().st_size:,} bytes, {took[name]:.1f} s to make"
            print(f"{name:6} {made}, {right:.2%} of {len(labels):,} right")
        command = [sys.executable, "-m", "makeweight", "compare", str(theirs), str(own), "--json"]
        done = subprocess.run([*command, "--seconds", str(SECONDS)], capture_output=True, text=True, check=False)
        told = json.loads(done.stdout)
        low, high = told["interval"]
        print(f"time of an inference, ours / theirs: {told['ratio']:.3f} [{low:.3f}, {high:.3f}]")


def read(folder: Path, count: int) -> tuple[Any, Any]:
    """Pictures [count, 3, 32, 32] from 0 to 1 from all over a folder, and the numbers of their classes."""
    classes = sorted(path for path in folder.iterdir() if path.is_dir())
    files = [(file, number) for number, each in enumerate(classes) for file in sorted(each.iterdir())]
    chosen = [files[index] for index in np.linspace(0, len(files) - 1, count).round().astype(int)]
    arrays = [np.asarray(Image.open(file).convert("RGB"), np.float32).transpose(2, 0, 1) / 255 for file, _ in chosen]
    # row by row in memory, as they are run: a program takes numbers in the order of what it was traced with
    return np.ascontiguousarray(np.stack(arrays)), np.array([number for _, number in chosen])


def ours(module: Any, pictures: Any, path: Path) -> float:
    """Seconds."""
    source = Program(module, {"image": ("N", 3, 32, 32)}, {"image": pictures[:4]})
    examples = Split("calibration", Arrays({"image": pictures}, None))
    begun = time.perf_counter()
    Executorch().lower(source, Quantize().format(Quantize.Options()), examples, path)
    return time.perf_counter() - begun


def by_hand(module: Any, pictures: Any, path: Path) -> float:
    """Seconds."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from executorch.exir import to_edge_transform_and_lower
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    begun = time.perf_counter()
    example = (torch.from_numpy(pictures[:1]),)
    quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    prepared = prepare_pt2e(torch.export.export(module, example).module(), quantizer)
    with torch.no_grad():
        for picture in torch.from_numpy(pictures).split(1):
            prepared(picture)
    exported = torch.export.export(convert_pt2e(prepared), example)
    program = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()]).to_executorch()
    path.write_bytes(program.buffer)
    return time.perf_counter() - begun


def answered(path: Path, pictures: Any) -> Any:
    runtime = Executorch()
    session = runtime.open(runtime.read(path))
    return np.array([session.run({"image": picture[None]})[0][0].argmax() for picture in pictures])


if __name__ == "__main__":
    main()
