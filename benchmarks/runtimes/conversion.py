"""What `makeweight compress` takes beside the tools' own conversion of the same module to static int8, each in a fresh
process with all its imports, in turns. Ours besides opens what it has made in another process, asks it beside float32
on examples, counts its operators, and reads the project. Target: at most 5 s of the processor more.

python benchmarks/runtimes/conversion.py [--rounds 3], on a small network of made-up weights and examples.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

TOOLS = ("litert", "executorch")
LIMIT = 5.0
NETWORK = """
import torch
from torch import nn


def build():
    torch.manual_seed(0)
    convolutions = [
        layer
        for before, after in ((3, 16), (16, 32), (32, 64))
        for layer in (nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.ReLU())
    ]
    return nn.Sequential(*convolutions, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)).eval()
"""
PROJECT = """
model: {build: "network:build", weights: network.pt, inputs: {image: [N, 3, 32, 32]}}
data: {npz: {calibration: seen.npz, test: seen.npz}, calibration: {split: calibration, samples: 128}}
task: classification
sources: [network.py]
variants:
  litert: {runtime: litert, steps: [quantize]}
  executorch: {runtime: executorch, steps: [quantize]}
devices: {local: {kind: local}}
budget: {size: {max_ratio: 1}}
"""
# Each as its guide has it; ranges by least and greatest, as ours.
DIRECTLY = {
    "litert": """
import litert_torch, numpy as np, torch
from ai_edge_quantizer import calibrator, qtyping, quantizer, recipe
from ai_edge_quantizer.utils import qsv_utils
from network import build

net = build()
net.load_state_dict(torch.load("network.pt"))
images = np.load("seen.npz")["image"][:128]
litert_torch.convert(net, (torch.from_numpy(images[:1]),)).export("float.tflite")
whole = quantizer.Quantizer("float.tflite", recipe.static_wi8_ai8())
for port in ("INPUT", "OUTPUT"):
    whole.update_quantization_recipe(".*", qtyping.TFLOperationName(port), algorithm_key="no_quantize")
seeing = calibrator.Calibrator("float.tflite", qsv_update_func=qsv_utils.min_max_update)
seeing.calibrate({"serving_default": [{"args_0": image[None]} for image in images]}, whole._recipe_manager)
open("theirs.tflite", "wb").write(whole.quantize(seeing.get_model_qsvs()).quantized_model)
""",
    "executorch": """
import numpy as np, torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config
from executorch.exir import to_edge_transform_and_lower
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from network import build

net = build()
net.load_state_dict(torch.load("network.pt"))
images = torch.from_numpy(np.load("seen.npz")["image"][:128])
example = (images[:1],)
config = get_symmetric_quantization_config(is_per_channel=True)
prepared = prepare_pt2e(torch.export.export(net, example).module(), XNNPACKQuantizer().set_global(config))
with torch.no_grad():
    for image in images.split(1):
        prepared(image)
exported = torch.export.export(convert_pt2e(prepared), example)
program = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()]).to_executorch()
open("theirs.pte", "wb").write(program.buffer)
""",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    over = 0
    with tempfile.TemporaryDirectory(prefix="makeweight-conversion-") as place:
        folder = Path(place)
        began(folder)
        for tool in TOOLS:
            took: dict[str, list[float]] = {"ours": [], "theirs": []}
            # the first turn brings all that is imported into the system's cache, and counts for none
            for turn in range(rounds + 1):
                for whose in ("ours", "theirs") if turn % 2 else ("theirs", "ours"):
                    seconds = timed(folder, tool, whose)
                    if turn:
                        took[whose].append(seconds)
            ours, theirs = (statistics.median(took[whose]) for whose in ("ours", "theirs"))
            more = statistics.median(own - other for own, other in zip(took["ours"], took["theirs"], strict=True))
            print(
                f"{tool}: makeweight compress {ours:.1f} s, its tools alone {theirs:.1f} s: {more:+.1f} s of our own "
                f"(at most {LIMIT:g}), median of {rounds} turns"
            )
            over += more > LIMIT
    return int(over > 0)


def began(folder: Path) -> None:
    """A project with its baseline."""
    (folder / "network.py").write_text(NETWORK)
    (folder / "makeweight.yaml").write_text(PROJECT)
    run(
        folder,
        "import numpy as np, torch; from network import build; torch.save(build().state_dict(), 'network.pt'); "
        "draw = np.random.default_rng(0); "
        "np.savez('seen.npz', image=draw.random((256, 3, 32, 32), dtype=np.float32), target=draw.integers(0, 10, 256))",
    )
    makeweight(folder, "baseline")


def timed(folder: Path, tool: str, whose: str) -> float:
    start = spent()
    if whose == "ours":
        makeweight(folder, "compress", tool)
    else:
        run(folder, DIRECTLY[tool])
    return spent() - start


def spent() -> float:
    """Seconds of the processor that processes began from here have taken, and theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(folder: Path, code: str) -> None:
    said(subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False))


def makeweight(folder: Path, *verb: str) -> None:
    command = [sys.executable, "-m", "makeweight", *verb]
    said(subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False))


def said(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode:
        sys.exit(done.stderr)


if __name__ == "__main__":
    sys.exit(main())
