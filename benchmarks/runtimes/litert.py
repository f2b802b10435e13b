"""Our LiteRT files beside those of its tools, called as their guides say but for ranges by min/max: bytes, accuracy,
latency in turns of blocks, CPU time to make them. Targets: within 3 % in bytes and latency, 0.1 points of accuracy, at
most 5 s more.

python benchmarks/runtimes/litert.py WEIGHTS PICTURES: a state dict of the ResNet-8 of `examples/cifar`, and a folder
with `train` and `test`, in each a folder of pictures for every class.
"""

from __future__ import annotations

import runpy
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ai_edge_quantizer import calibrator, qtyping, quantizer, recipe
from ai_edge_quantizer.utils import qsv_utils
from PIL import Image

from makeweight.compress.quantize import Quantize
from makeweight.runtimes.format import FLOAT16, FLOAT32
from makeweight.runtimes.litert.runtime import LiteRt
from makeweight.runtimes.runtime import Program
from makeweight.user.arrays import Arrays
from makeweight.user.split import Split
from makeweight_base.quiet import silent
from makeweight_probe.sessions.litert import open_session

RESNET = Path(__file__).parents[2] / "examples" / "cifar" / "resnet.py"
CALIBRATING, TESTING = 128, 2000
ROUNDS, RUNS = 60, 40
INT8 = Quantize().format(Quantize.Options())
DYNAMIC = Quantize().format(Quantize.Options(method="dynamic"))


class Named(torch.nn.Module):  # type: ignore[misc]
    """The network with a name for its input, which the converter takes over into the file."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Any) -> Any:
        return self.net(image)


def main(weights: str, pictures: str) -> None:
    module = runpy.run_path(str(RESNET))["build"]()
    module.load_state_dict(torch.load(weights))
    module.eval()
    seen, _ = read(Path(pictures, "train"), CALIBRATING)
    images, labels = read(Path(pictures, "test"), TESTING)
    print(f"{len(labels)} pictures, {CALIBRATING} for calibration")
    with tempfile.TemporaryDirectory(prefix="makeweight-litert-") as folder:
        ours, theirs = Path(folder, "ours"), Path(folder, "theirs")
        ours.mkdir()
        theirs.mkdir()
        for name, mine, other in (
            ("float32", converted(module, seen, ours), directly_converted(module, seen, theirs)),
            ("static", lowered(INT8, seen, ours, "static"), directly(theirs, "static", seen)),
            ("dynamic", lowered(DYNAMIC, seen, ours, "dynamic"), directly(theirs, "dynamic", seen)),
            ("float16", lowered(FLOAT16, seen, ours, "float16"), directly(theirs, "float16", seen)),
        ):
            if name == "float32":
                other()  # what is imported and compiled at first is nobody's time
            taken = []
            for make in (mine, other):
                start = time.process_time()
                path = make()
                taken.append((path, time.process_time() - start))
            compare(name, taken, images, labels)


def converted(module: Any, seen: Any, folder: Path) -> Callable[[], Path]:
    program = Program(module, {"image": ("N", 3, 32, 32)}, {"image": seen[:4]})
    return lambda: LiteRt().lower(program, FLOAT32, None, folder / "float32.tflite").path


def directly_converted(module: Any, seen: Any, folder: Path) -> Callable[[], Path]:
    def run() -> Path:
        path = folder / "float32.tflite"
        given = {"image": torch.from_numpy(seen[:1])}
        with silent():
            import litert_torch

            litert_torch.convert(Named(module).eval(), sample_kwargs=given).export(str(path))
        return path

    return run


def lowered(format: Any, seen: Any, folder: Path, name: str) -> Callable[[], Path]:
    examples = Split("calibration", Arrays({"image": seen}, None))
    runtime, source = LiteRt(), folder / "float32.tflite"
    return lambda: runtime.lower(runtime.read(source), format, examples, folder / f"{name}.tflite").path


def directly(folder: Path, name: str, seen: Any) -> Callable[[], Path]:
    source, path = folder / "float32.tflite", folder / f"{name}.tflite"
    halves = {
        "weight_tensor_config": {"num_bits": 16, "dtype": "FLOAT"},
        "compute_precision": "FLOAT",
        "explicit_dequantize": True,
    }
    recipes: dict[str, Any] = {
        "static": recipe.static_wi8_ai8(),
        "dynamic": recipe.dynamic_wi8_afp32(),
        "float16": [{"regex": ".*", "operation": "*", "algorithm_key": "float_casting", "op_config": halves}],
    }

    def run() -> Path:
        with silent():
            whole = quantizer.Quantizer(str(source), recipes[name])
            ranges = None
            if name == "static":
                for port in ("INPUT", "OUTPUT"):  # its default takes and gives integers
                    whole.update_quantization_recipe(".*", qtyping.TFLOperationName(port), algorithm_key="no_quantize")
                seeing = calibrator.Calibrator(str(source), qsv_update_func=qsv_utils.min_max_update)
                fed = [{"image": image[None]} for image in seen]
                seeing.calibrate({"serving_default": fed}, whole._recipe_manager)
                ranges = seeing.get_model_qsvs()
            made = whole.quantize(ranges, enable_progress_report=False).quantized_model
        path.write_bytes(bytes(made))
        return path

    return run


def compare(name: str, made: list[tuple[Path, float]], images: Any, labels: Any) -> None:
    (ours, mine), (theirs, other) = made
    with silent():
        sessions = [open_session(str(path), 1) for path in (ours, theirs)]
    right = [np.mean([answer(session, image) for image in images] == labels) for session in sessions]
    sizes = [path.stat().st_size for path in (ours, theirs)]
    latency = ratio(sessions, images)
    print(
        f"{name}: {sizes[0]:,} bytes beside {sizes[1]:,} ({sizes[0] / sizes[1]:.3f}x); {right[0]:.2%} right beside "
        f"{right[1]:.2%}; latency {latency:.3f}x ({ROUNDS} pairs of blocks); made in {mine:.1f} s beside {other:.1f}"
    )


def answer(session: Any, image: Any) -> int:
    return int(session.run({"image": image[None]})[0].argmax())


def ratio(sessions: list[Any], images: Any) -> float:
    """The median of ratios of blocks' medians, ours over theirs."""
    ratios = []
    for turn in range(ROUNDS):
        medians = [0.0, 0.0]
        for which in (0, 1) if turn % 2 else (1, 0):
            feeds = {"image": images[turn % len(images)][None]}
            times = []
            for _ in range(RUNS):
                start = time.perf_counter()
                sessions[which].run(feeds)
                times.append(time.perf_counter() - start)
            medians[which] = statistics.median(times[RUNS // 4 :])
        ratios.append(medians[0] / medians[1])
    return statistics.median(ratios)


def read(folder: Path, count: int) -> tuple[Any, Any]:
    """As many pictures of each class, [n, 3, 32, 32] from 0 to 1, and the numbers of their classes."""
    found = list(pictures(folder, count))
    images = np.stack([np.asarray(Image.open(path).convert("RGB"), np.float32) for path, _ in found])
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)) / np.float32(255), np.array([label for _, label in found])


def pictures(folder: Path, count: int) -> Iterator[tuple[Path, int]]:
    classes = sorted(each for each in folder.iterdir() if each.is_dir())
    for label, each in enumerate(classes):
        for path in sorted(each.iterdir())[: count // len(classes)]:
            yield path, label


if __name__ == "__main__":
    main(*sys.argv[1:])
