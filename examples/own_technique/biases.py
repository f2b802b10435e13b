"""A training step of one's own: biases and scales alone are trained, as little as there is to learn again.

Ben Zaken et al., "BitFit: Simple Parameter-efficient Fine-tuning for Transformer-based Masked Language-models", ACL
2022, https://arxiv.org/abs/2106.10199
"""

from __future__ import annotations

from typing import Any


def train(module: Any, training: Any) -> None:
    """`train: biases:train` of a step: the module is trained in place, by the options that the step declares."""
    import torch
    from torch.nn import functional

    learning = [weight for weight in module.parameters() if weight.dim() == 1]
    optimizer = torch.optim.AdamW(learning, training.options.lr, weight_decay=training.options.weight_decay)
    for epoch in range(training.options.epochs):
        for inputs, targets in training.batches(epoch):
            loss = functional.cross_entropy(module(*inputs.values()), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            training.after_step()  # masks and shared values of the steps before hold on
