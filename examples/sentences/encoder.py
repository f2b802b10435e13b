"""A transformer encoder (Vaswani et al., 2017, https://arxiv.org/abs/1706.03762) written by hand: 2 layers, 4 heads."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

WORDS, LONGEST = 8000, 64
WIDTH, HEADS, LAYERS, CLASSES = 64, 4, 2, 2


def build() -> nn.Module:
    """The encoder, untrained."""
    return Encoder()


class Encoder(nn.Module):
    """Words in, scores out: what the words of a sentence become is averaged and classified."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.places = nn.Embedding(LONGEST, WIDTH)
        self.dropout = nn.Dropout(0.3)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Args:
            input_ids: the numbers of the words, shape [n, words].
            attention_mask: 1 for a word, 0 for what fills up a shorter sentence, shape [n, words].

        Returns:
            Scores of the classes, shape [n, 2].
        """
        states = self.words(input_ids) + self.places(torch.arange(input_ids.shape[1], device=input_ids.device))
        states = self.dropout(states)
        for layer in self.layers:
            states = layer(states, attention_mask)
        weights = attention_mask.unsqueeze(-1).to(states.dtype)
        return self.head((self.norm(states) * weights).sum(1) / weights.sum(1))


class Layer(nn.Module):
    """Attention, then two linear layers, each on what is normalized and added to what came in."""

    def __init__(self) -> None:
        super().__init__()
        self.before_attention, self.before_linear = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attention = Attention()
        self.linear = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))
        self.dropout = nn.Dropout(0.3)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        states = states + self.dropout(self.attention(self.before_attention(states), mask))
        return states + self.dropout(self.linear(self.before_linear(states)))


class Attention(nn.Module):
    """Every word looks at every other of its sentence."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        query, key, value = (_heads(each(states)) for each in (self.query, self.key, self.value))
        scores = query @ key.transpose(-1, -2) / math.sqrt(WIDTH // HEADS)
        scores = scores.masked_fill(mask[:, None, None, :] == 0, float("-inf"))
        return self.out((scores.softmax(-1) @ value).transpose(1, 2).flatten(2))


def _heads(states: Tensor) -> Tensor:
    """[n, words, width] to [n, heads, words, width / heads]."""
    return states.unflatten(-1, (HEADS, WIDTH // HEADS)).transpose(1, 2)
