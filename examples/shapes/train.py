"""Train the detector: `python train.py` writes models/baseline.pt."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from detector import CELLS, STRIDE, build, centres
from pictures import CLASSES, Truth, load
from torch import Tensor, nn
from torch.nn import functional

EPOCHS = 12
BATCH = 32
LEARNING_RATE = 5e-3
SEED = 0
# The number of threads decides the last bits of every sum, so it does not follow the machine's load.
THREADS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("models/baseline.pt"), help="where the weights go")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--pictures", type=int, default=None, help="of the train split (default: all)")
    arguments = parser.parse_args()
    network = train(arguments.epochs, arguments.pictures)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), arguments.out)
    print(f"wrote {arguments.out}")


def train(epochs: int = EPOCHS, pictures: int | None = None) -> nn.Module:
    """A trained network, in eval mode; a line is printed for every epoch."""
    torch.manual_seed(SEED)
    torch.set_num_threads(THREADS)
    examples = load("train", pictures)
    images = torch.from_numpy(np.stack([image for image, _ in examples]))
    wanted = [torch.stack(each) for each in zip(*(_wanted(truth) for _, truth in examples), strict=True)]
    network = build()
    optimizer = torch.optim.AdamW(network.parameters())
    steps = epochs * -(-len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    began = time.monotonic()
    for epoch in range(1, epochs + 1):
        total = 0.0
        for indices in torch.randperm(len(images)).split(BATCH):
            loss = _loss(network(images[indices]), *(each[indices] for each in wanted))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(indices)
        seconds = time.monotonic() - began
        print(f"epoch {epoch:2d} of {epochs}  loss {total / len(images):.4f}  {seconds:.0f} s", flush=True)
    return network.eval()


def _wanted(truth: Truth) -> tuple[Tensor, Tensor]:
    """What the network should give for one picture: edges and scores. A box is found by the cells around its middle."""
    edges, scores = np.zeros((4, CELLS, CELLS), np.float32), np.zeros((len(CLASSES), CELLS, CELLS), np.float32)
    middle = centres()
    for box, label in zip(truth["boxes"], truth["labels"], strict=True):
        near = np.abs(middle - ((box[:2] + box[2:]) / 2)[:, None, None]).max(axis=0) < STRIDE * 0.75
        sides = np.concatenate([middle - box[:2, None, None], box[2:, None, None] - middle]) / STRIDE
        edges[:, near], scores[label, near] = sides[:, near], 1
    return torch.from_numpy(edges), torch.from_numpy(scores)


def _loss(given: dict[str, Tensor], edges: Tensor, scores: Tensor) -> Tensor:
    found = functional.binary_cross_entropy_with_logits(given["scores"], scores, reduction="sum")
    there = scores.amax(dim=1, keepdim=True)
    off = (functional.smooth_l1_loss(given["edges"], edges, reduction="none") * there).sum()
    return (found + off) / there.sum().clamp(min=1)


if __name__ == "__main__":
    main()
