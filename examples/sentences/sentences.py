"""Sentences from tab separated files, `sentence<TAB>0 or 1` a line, as the numbers of their words.

The binary Stanford Sentiment Treebank: Socher et al., 2013, https://aclanthology.org/D13-1170
"""

from __future__ import annotations

import functools
from collections import Counter
from pathlib import Path

import torch
from encoder import LONGEST, WORDS
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

FOLDER = Path(__file__).parent / "data"
FILES = {"train": "train.tsv", "validation": "dev.tsv", "test": "test.tsv"}
PADDING, UNKNOWN, FIRST = 0, 1, 2
Example = tuple[dict[str, Tensor], int]


def load(split: str) -> DataLoader[Example]:
    """The sentences of a split, each as long as it is; `padded` makes a batch of them."""
    return DataLoader(Sentences(FOLDER, split), collate_fn=padded)


class Sentences(Dataset[Example]):
    """Examples are `({input_ids: [words], attention_mask: [words]}, class)`, without a batch."""

    def __init__(self, folder: Path, split: str) -> None:
        self.lines = read(folder / FILES[split])
        self.numbers = vocabulary(folder)

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, number: int) -> Example:
        sentence, target = self.lines[number]
        words = torch.tensor([self.numbers.get(word, UNKNOWN) for word in sentence.split()[:LONGEST]])
        return {"input_ids": words, "attention_mask": torch.ones_like(words)}, target


def padded(examples: list[Example]) -> tuple[dict[str, Tensor], Tensor]:
    """One batch: every sentence filled up to the longest of them, which the mask tells."""
    inputs = {
        name: pad_sequence([given[name] for given, _ in examples], batch_first=True, padding_value=PADDING)
        for name in ("input_ids", "attention_mask")
    }
    return inputs, torch.tensor([target for _, target in examples])


@functools.cache
def vocabulary(folder: Path) -> dict[str, int]:
    """The number of each word of the training sentences: the more frequent it is, the lower; rare ones have none."""
    counts = Counter(word for sentence, _ in read(folder / FILES["train"]) for word in sentence.split())
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return {word: number for number, word in enumerate(ranked[: WORDS - FIRST], FIRST)}


def read(path: Path) -> list[tuple[str, int]]:
    """Sentences and their classes."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        sentence, _, target = line.rpartition("\t")
        found.append((sentence, int(target)))
    return found
