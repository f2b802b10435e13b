"""Torch-Pruning, then training, then ONNX Runtime's static quantizer: the recipe that its users write by hand.

    python peer_torch_pruning.py BASELINE.pt DATA FOLDER EPOCHS MACS

writes FOLDER/int8.onnx and FOLDER/control.onnx: the baseline, trained as long by the same loop and not pruned. Channels
go in ROUNDS, by Taylor's importance, until the part MACS of the multiply-accumulates is left, with an epoch after each
but the last; widths are multiples of 16, which ONNX Runtime is fast at. The best epoch on the validation split is kept,
if the data have one. EPOCHS counts all. FOLDER/MODEL.epochs has the validation accuracy of each.
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import torch
import torch_pruning
from peer_onnxruntime import main as quantize
from pictures import read
from torch import Tensor, nn
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples/cifar"))
from resnet import build
from train import varied

ROUNDS, BATCH, LEARNING_RATE, WEIGHT_DECAY, SEED = 2, 64, 1e-3, 0.01, 0
MULTIPLE = 16
EXAMPLE = torch.zeros(1, 3, 32, 32)


def main() -> None:
    weights, data, folder = map(Path, sys.argv[1:4])
    epochs, macs = int(sys.argv[4]), float(sys.argv[5])
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    splits = {
        path.name: tuple(map(torch.from_numpy, read(path)))
        for path in (data / "train", data / "validation")
        if path.is_dir()
    }
    network = build()
    network.load_state_dict(torch.load(weights))
    control = copy.deepcopy(network)
    export(prune(network, splits, epochs, macs, folder / "int8.epochs"), folder / "float.onnx")
    train(control, splits, epochs, folder / "control.epochs")
    export(control, folder / "control.onnx")
    sys.argv = [sys.argv[0], str(folder / "float.onnx"), str(data), str(folder)]
    quantize()
    (folder / "qoperator.onnx").replace(folder / "int8.onnx")
    for left in ("qdq.onnx", "float.onnx"):
        (folder / left).unlink()


def prune(network: nn.Module, splits: dict[str, Any], epochs: int, macs: float, told: Path) -> nn.Module:
    """A narrower one, trained."""
    before = macs_of(network)
    for number in range(1, ROUNDS + 1):
        network = narrowed(network, before * (1 - (1 - macs) * number / ROUNDS), splits)
        train(network, splits, 1 if number < ROUNDS else epochs - ROUNDS + 1, told)
    return network


def narrowed(network: nn.Module, wanted: float, splits: dict[str, Any]) -> nn.Module:
    """By the least of the ratios that leaves so many multiply-accumulates at most."""
    pixels, classes = splits["train"]
    some = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(SEED))[:512]
    for percent in range(5, 100, 5):
        narrower = copy.deepcopy(network)
        pruner = torch_pruning.pruner.MetaPruner(
            narrower,
            EXAMPLE,
            torch_pruning.importance.TaylorImportance(),
            pruning_ratio=percent / 100,
            global_pruning=True,
            round_to=MULTIPLE,
            ignored_layers=[part for part in narrower.modules() if isinstance(part, nn.Linear)],
        )
        functional.cross_entropy(narrower(pixels[some]), classes[some]).backward()
        pruner.step()
        narrower.zero_grad()
        if macs_of(narrower) <= wanted:
            return narrower
    raise SystemExit(f"no ratio leaves {wanted:.0f} multiply-accumulates with widths that are multiples of {MULTIPLE}")


def macs_of(network: nn.Module) -> float:
    return float(torch_pruning.utils.count_ops_and_params(network, EXAMPLE)[0])


def train(network: nn.Module, splits: dict[str, Any], epochs: int, told: Path) -> None:
    """In place; it is left in eval mode."""
    pixels, classes = splits["train"]
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    steps = epochs * -(-len(pixels) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    best, kept = -1.0, network.state_dict()
    for _ in range(epochs):
        network.train()
        for some in torch.randperm(len(pixels)).split(BATCH):
            with torch.autocast("cpu", torch.bfloat16):
                loss = functional.cross_entropy(network(varied(pixels[some])), classes[some])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        network.eval()
        if "validation" in splits:
            accuracy = right(network, *splits["validation"])
            with told.open("a") as file:
                file.write(f"{accuracy:.4f}\n")
            if accuracy > best:
                best, kept = accuracy, copy.deepcopy(network.state_dict())
    if best >= 0:
        network.load_state_dict(kept)


def right(network: nn.Module, pixels: Tensor, classes: Tensor) -> float:
    with torch.no_grad():
        answers = torch.cat([network(some).argmax(1) for some in pixels.split(500)])
    return float((answers == classes).float().mean())


def export(network: nn.Module, path: Path) -> None:
    batch = torch.export.Dim("N")
    torch.onnx.export(
        network.eval(), (EXAMPLE.repeat(2, 1, 1, 1),), path, input_names=["image"], dynamic_shapes=({0: batch},),
        dynamo=True, external_data=False, verbose=False,
    )  # fmt: skip


if __name__ == "__main__":
    main()
