"""Train the encoder on the sentences of a folder: `python train.py` writes models/baseline.pt."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from encoder import build
from sentences import Example, Sentences, padded
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader

EPOCHS = 8
BATCH = 32
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.05
SEED = 0
# The number of threads decides the last bits of every sum, so it does not follow the machine's load.
THREADS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"), help="train.tsv, dev.tsv and test.tsv")
    parser.add_argument("--out", type=Path, default=Path("models/baseline.pt"), help="where the weights go")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    arguments = parser.parse_args()
    network = train(arguments.data, arguments.epochs)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), arguments.out)
    print(f"wrote {arguments.out}")


def train(data: Path, epochs: int = EPOCHS) -> nn.Module:
    """The encoder after its best epoch, in eval mode; a line is printed for every epoch."""
    torch.manual_seed(SEED)
    torch.set_num_threads(THREADS)
    batches = DataLoader(Sentences(data, "train"), BATCH, shuffle=True, collate_fn=padded)
    validation = DataLoader(Sentences(data, "validation"), 128, collate_fn=padded)
    network = build()
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=epochs * len(batches))
    best, kept = -1.0, network.state_dict()
    began = time.monotonic()
    for epoch in range(1, epochs + 1):
        network.train()
        for inputs, targets in batches:
            loss = functional.cross_entropy(network(**inputs), targets, label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        accuracy = _accuracy(network.eval(), validation)
        if accuracy > best:
            best, kept = accuracy, {name: value.clone() for name, value in network.state_dict().items()}
        seconds = time.monotonic() - began
        print(
            f"epoch {epoch} of {epochs}  loss {loss.item():.4f}  validation {accuracy:.2%}  {seconds:.0f} s",
            flush=True,
        )
    network.load_state_dict(kept)
    return network


def _accuracy(network: nn.Module, batches: DataLoader[Example]) -> float:
    right = total = 0
    with torch.no_grad():
        for inputs, targets in batches:
            right += int((network(**inputs).argmax(1) == targets).sum())
            total += len(targets)
    return right / total


if __name__ == "__main__":
    main()
