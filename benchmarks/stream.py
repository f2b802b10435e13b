"""Data as a stream, beside plain loops that do the same arithmetic. Targets: 1 GB resident, and 1.15x.

Evaluating: images of 3x224x224 that a torch Dataset makes when they are asked for, by `answer`, which is what
`makeweight evaluate` calls, and by a loop over the same session; the two take turns within one pass. The peak is that
of the whole process, PyTorch and the plain loop included.

Training: an epoch of fine-tuning beside a loop in plain PyTorch, of whole arrays and of images made when asked for; the
two take turns, and the median of the ratios counts.

CPU seconds are told besides: their ratio says something even where other things run meanwhile.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from makeweight.artifact.ports import Port
from makeweight.compress.reproducible import reproducible
from makeweight.compress.technique import Given
from makeweight.compress.training_options import TrainingOptions
from makeweight.compress.tuning import tune
from makeweight.config.settings import DataSettings, ModelSettings, TaskSettings
from makeweight.measure.answers import answer
from makeweight.measure.inference import reading
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight.user import data
from makeweight.user.declared import Declared
from makeweight.user.form import Form
from makeweight.user.split import Split
from makeweight_base.progress import Silent
from makeweight_probe.memory import peak_bytes

RATIO, RESIDENT = 1.15, 1e9
SIDE, CLASSES = 224, 10
TURN = 20
"""Batches until it is the other's turn."""
EPOCHS = 5
BATCH = 32


class Images(torch.utils.data.Dataset):  # type: ignore[misc]
    """Images made from their number."""

    def __init__(self, count: int, side: int = SIDE) -> None:
        self._count, self._side = count, side

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], int]:
        pixels = np.frombuffer(np.random.default_rng(index).bytes(3 * self._side**2), np.uint8)
        return pixels.reshape(3, self._side, self._side).astype(np.float32) / np.float32(255), index % CLASSES


class Turns:
    """Ours, interrupted after every few batches by the plain loop over the same ones."""

    def __init__(self, plain: Callable[[int], None]) -> None:
        self._plain = plain
        self.seconds = {"ours": 0.0, "plain": 0.0}
        self.cpu = {"ours": 0.0, "plain": 0.0}

    def say(self, text: str) -> None:
        """Nothing."""

    def over(self, items: Iterable[Any], label: str, total: int | None = None) -> Iterator[Any]:  # noqa: ARG002
        begun, last = clocks(), 0
        for number, item in enumerate(items):
            yield item
            if (number + 1) % TURN and number + 1 != total:
                continue
            turned = clocks()
            for index in range(last, number + 1):
                self._plain(index)
            last, ended = number + 1, clocks()
            for way, start, end in (("ours", begun, turned), ("plain", turned, ended)):
                self.seconds[way] += end[0] - start[0]
                self.cpu[way] += end[1] - start[1]
            begun = ended


def clocks() -> tuple[float, float]:
    """Seconds of the wall's clock, and of all threads of this process."""
    return time.perf_counter(), time.process_time()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50_000, help="how many images are evaluated")
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory(prefix="makeweight-stream-") as folder:
        root = Path(folder)
        network(root / "net.onnx")
        (root / "images_on_demand.py").write_text(
            f"from stream import Images\ndef load(split): return Images({count})\n"
        )
        evaluated(root, count)
        trained("4,096 images of 1x16x16, whole arrays", arrays(4096), 1, root)
        trained("3,072 images of 3x64x64 on demand", Images(3072, 64), 3, root)


def evaluated(root: Path, count: int) -> None:
    declared = Declared(
        root, ModelSettings(onnx="net.onnx"), DataSettings(load="images_on_demand:load"), TaskSettings(), seed=0
    )
    runtime = OnnxRuntime()
    model = runtime.read(root / "net.onnx")
    session, images = runtime.open(model), Images(count)
    split = data.load(declared, "test")
    size = -(-count // (reading(model, split).total or 1))
    right: list[NDArray[np.int64]] = []

    def plain(index: int) -> None:
        pairs = [images[number] for number in range(index * size, min((index + 1) * size, count))]
        (scores,) = session.run({"image": np.stack([image for image, _ in pairs])})
        right.append(np.asarray(scores).argmax(1))

    turns = Turns(plain)
    own = answer(declared, runtime, model, split, "images", turns)
    assert np.array_equal(own.prediction, np.concatenate(right))
    resident, ours, plainly = peak_bytes(), turns.seconds["ours"], turns.seconds["plain"]
    told = f"{count:,} images of 3x{SIDE}x{SIDE}"
    print(f"{kept(resident / RESIDENT, 1)} {told}: {resident / 1e6:.0f} MB resident at most", flush=True)
    print(
        f"{kept(ours / plainly, RATIO)} {told}: {ours / plainly:.3f}x a plain loop over the session "
        f"({ours / count * 1e3:.2f} and {plainly / count * 1e3:.2f} ms an image; "
        f"{turns.cpu['ours'] / turns.cpu['plain']:.3f}x its CPU seconds)",
        flush=True,
    )


def trained(title: str, given: Any, channels: int, root: Path) -> None:
    """An epoch of ours and one of a plain loop, in turns."""
    task = TaskSettings()
    form = Form(("image",), task.kind, "the benchmark", "the benchmark", root)
    split = Split("train", data.source(given, lambda: given, form))
    options = TrainingOptions(epochs=1, batch=BATCH)
    ratios, seconds, cpu = [], {"ours": 0.0, "plain": 0.0}, {"ours": 0.0, "plain": 0.0}
    for epoch in range(EPOCHS):
        taken = {}
        for way in ("ours", "plain")[:: 1 if epoch % 2 else -1]:
            with reproducible(0):
                module = classifier(channels)
                begun = clocks()
                if way == "ours":
                    handed = Given(
                        root=root,
                        task=task,
                        ports=[Port("image", (None, channels, None, None), "float32")],
                        output=None,
                        seed=0,
                        channel_multiple=1,
                        scratch=root,
                        progress=Silent(),
                        splits={"train": split},
                        baseline=classifier(channels),
                    )
                    tune(module, options, handed, "epoch")
                else:
                    plain_epoch(module, given, options)
                ended = clocks()
                taken[way] = ended[0] - begun[0]
                cpu[way] += ended[1] - begun[1]
        ratios.append(taken["ours"] / taken["plain"])
        seconds = {way: seconds[way] + taken[way] / EPOCHS for way in taken}
    ratio = statistics.median(ratios)
    print(
        f"{kept(ratio, RATIO)} an epoch of {title}: {ratio:.3f}x a plain PyTorch loop ({seconds['ours']:.2f} and "
        f"{seconds['plain']:.2f} s; {cpu['ours'] / cpu['plain']:.3f}x its CPU seconds)",
        flush=True,
    )


def plain_epoch(module: nn.Module, given: Any, options: TrainingOptions) -> None:
    whole = isinstance(given, tuple)
    count = len(given[1] if whole else given)
    optimizer = torch.optim.AdamW(module.parameters(), lr=options.lr, weight_decay=options.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=-(-count // BATCH))
    if whole:
        images, labels = (torch.from_numpy(values) for values in given)
    module.train()
    for indices in torch.randperm(count).split(BATCH):
        if whole:
            inputs, targets = images[indices], labels[indices]
        else:
            pairs = [given[index] for index in indices.tolist()]
            inputs = torch.from_numpy(np.stack([image for image, _ in pairs]))
            targets = torch.tensor([label for _, label in pairs])
        loss = nn.functional.cross_entropy(module(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def arrays(count: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    return rng.random((count, 1, 16, 16), dtype=np.float32), np.arange(count) % CLASSES


def classifier(channels: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, CLASSES),
    )


def network(path: Path) -> None:
    """Convolutions with strides, about 240 million multiply-accumulates an image."""
    rng = np.random.default_rng(0)
    nodes, weights, last, channels = [], [], "image", 3
    for number, (width, stride) in enumerate([(24, 2), (48, 2), (48, 1), (96, 2), (96, 1), (192, 2)]):
        kernel = rng.standard_normal((width, channels, 3, 3)) / np.sqrt(4.5 * channels)
        weights.append(numpy_helper.from_array(kernel.astype(np.float32), f"w{number}"))
        nodes.append(
            helper.make_node("Conv", [last, f"w{number}"], [f"c{number}"], strides=[stride] * 2, pads=[1, 1, 1, 1])
        )
        nodes.append(helper.make_node("Relu", [f"c{number}"], [f"r{number}"]))
        last, channels = f"r{number}", width
    weights.append(numpy_helper.from_array(rng.standard_normal((channels, CLASSES)).astype(np.float32), "head"))
    nodes += [
        helper.make_node("GlobalAveragePool", [last], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "head"], ["scores"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", CLASSES])
    graph = helper.make_graph(nodes, "net", [image], [scores], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)


def kept(figure: float, limit: float) -> str:
    return "kept  " if figure <= limit else "BROKEN"


if __name__ == "__main__":
    main()
