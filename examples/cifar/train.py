"""Train the network on pictures in class folders: `python train.py` writes models/baseline.pt."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from resnet import build
from torch import Tensor, nn
from torch.nn import functional

EPOCHS = 5
BATCH = 64
LEARNING_RATE = 5e-3
WEIGHT_DECAY = 0.05
SEED = 0
# The number of threads decides the last bits of every sum, so it does not follow the machine's load.
THREADS = 2
SIDE, MARGIN = 32, 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"), help="train/CLASS/*.jpg and test/CLASS/*.jpg")
    parser.add_argument("--out", type=Path, default=Path("models/baseline.pt"), help="where the weights go")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    arguments = parser.parse_args()
    network = train(arguments.data, arguments.epochs)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), arguments.out)
    print(f"wrote {arguments.out}")


def train(data: Path, epochs: int = EPOCHS) -> nn.Module:
    """A trained network, in eval mode; a line is printed for every epoch."""
    torch.manual_seed(SEED)
    torch.set_num_threads(THREADS)
    pixels, classes = read(data / "train")
    network = build()
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=WEIGHT_DECAY)
    steps = epochs * -(-len(pixels) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    began = time.monotonic()
    for epoch in range(1, epochs + 1):
        total = 0.0
        for indices in torch.randperm(len(pixels)).split(BATCH):
            images = (varied(pixels[indices]) / 255).contiguous(memory_format=torch.channels_last)
            loss = functional.cross_entropy(network(images), classes[indices])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(indices)
        seconds = time.monotonic() - began
        print(f"epoch {epoch:2d} of {epochs}  loss {total / len(pixels):.4f}  {seconds:.0f} s", flush=True)
    return network.eval()


def read(folder: Path) -> tuple[Tensor, Tensor]:
    """Every picture of a split: bytes [n, 3, 32, 32], and the class [n], by the order of the folders' names."""
    classes = sorted(path for path in folder.iterdir() if path.is_dir())
    files = [(path, number) for number, each in enumerate(classes) for path in sorted(each.glob("*.jpg"))]
    if not files:
        raise SystemExit(f"{folder}: no pictures; there should be a folder with *.jpg for each class")
    pixels = np.stack([np.asarray(Image.open(path).convert("RGB")) for path, _ in files])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), torch.tensor([number for _, number in files])


def varied(pixels: Tensor) -> Tensor:
    """Each picture moved by up to four pixels each way, and half of them mirrored."""
    padded = functional.pad(pixels, (MARGIN,) * 4)
    rows = torch.randint(0, 2 * MARGIN + 1, (len(pixels), 1)) + torch.arange(SIDE)
    columns = torch.randint(0, 2 * MARGIN + 1, (len(pixels), 1)) + torch.arange(SIDE)
    mirrored = torch.rand(len(pixels)) < 0.5
    columns[mirrored] = columns[mirrored].flip(1)
    each, channels = torch.arange(len(pixels)).view(-1, 1, 1, 1), torch.arange(3).view(1, 3, 1, 1)
    return padded[each, channels, rows[:, None, :, None], columns[:, None, None, :]]


if __name__ == "__main__":
    main()
