"""Train the reference model: `python -m examples.digits.train` writes models/baseline.pt, the same at every run."""

from __future__ import annotations

import argparse
import io
import os
import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from examples.digits.data import load
from examples.digits.model import build

EPOCHS = 20
BATCH = 32
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.05
SMOOTHING = 0.05
SEED = 0
# The number of threads decides the last bits of every sum, so it does not follow the machine's load.
THREADS = min(2, os.cpu_count() or 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("models/baseline.pt"), help="where the weights go")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    arguments = parser.parse_args()
    write(train(arguments.epochs), arguments.out)
    print(f"wrote {arguments.out}")


def train(epochs: int = EPOCHS) -> nn.Module:
    """A trained network, in eval mode; a line is printed for every epoch."""
    torch.manual_seed(SEED)
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    (images, digits), validation = _tensors("train"), _tensors("validation")
    network = build()
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=WEIGHT_DECAY)
    steps = epochs * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    began = time.monotonic()
    for epoch in range(1, epochs + 1):
        network.train()
        for indices in torch.randperm(len(images)).split(BATCH):
            if len(indices) < BATCH:
                continue
            loss = functional.cross_entropy(
                network(_shifted(images[indices])), digits[indices], label_smoothing=SMOOTHING
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        network.eval()
        accuracy = _accuracy(network, *validation)
        seconds = time.monotonic() - began
        print(
            f"epoch {epoch:2d} of {epochs}  loss {loss.item():.4f}  validation {accuracy:.2%}  {seconds:.0f} s",
            flush=True,
        )
    return network


def write(network: nn.Module, path: Path) -> None:
    """Write the weights whole or not at all."""
    # Saved to memory first: torch.save puts the name of a file it writes into the file, and that name is temporary.
    content = io.BytesIO()
    torch.save(network.state_dict(), content)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        temporary = Path(file.name)
        try:
            file.write(content.getvalue())
            file.flush()
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _shifted(images: Tensor) -> Tensor:
    """Each image moved by up to one pixel each way: digits are not always in the middle."""
    padded = functional.pad(images, (1, 1, 1, 1))
    rows = torch.randint(0, 3, (len(images), 1, 1)) + torch.arange(8).view(1, 8, 1)
    columns = torch.randint(0, 3, (len(images), 1, 1)) + torch.arange(8).view(1, 1, 8)
    return padded[torch.arange(len(images)).view(-1, 1, 1), 0, rows, columns].unsqueeze(1)


def _tensors(split: str) -> tuple[Tensor, Tensor]:
    images, digits = load(split)
    return torch.from_numpy(images), torch.from_numpy(digits)


def _accuracy(network: nn.Module, images: Tensor, digits: Tensor) -> float:
    with torch.no_grad():
        return (network(images).argmax(1) == digits).double().mean().item()


if __name__ == "__main__":
    main()
