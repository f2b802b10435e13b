"""A detector without anchors, as small as can be; and what a server does to its answers (`decode`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pictures import CLASSES, SIDE
from torch import Tensor, nn

STRIDE = 4
CELLS = SIDE // STRIDE
# What is less sure is not looked at, and what overlaps a surer box of its class by more than this is dropped.
_SUREST_LEFT_OUT, _MOST_OVERLAP = 0.05, 0.5


def build() -> nn.Module:
    """The network, untrained."""
    return Detector()


class Detector(nn.Module):
    """Pictures [n, 1, 48, 48] to, for each of 12 x 12 cells, `edges` [n, 4, 12, 12] (how far left, top, right and
    bottom of the box lie from the cell's centre, in cells) and `scores` [n, 3, 12, 12] (logits, one a class)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _convolution(1, 16, stride=2),
            _convolution(16, 32, stride=2),
            _convolution(32, 64),
            _convolution(64, 64),
            _convolution(64, 64),
        )
        self.edges = nn.Conv2d(64, 4, 1)
        self.scores = nn.Conv2d(64, len(CLASSES), 1)
        nn.init.constant_(self.scores.bias, -4.0)  # type: ignore[arg-type]  # most cells hold nothing

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        found = self.body(image)
        return {"edges": self.edges(found), "scores": self.scores(found)}


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def centres() -> NDArray[np.float32]:
    """The middle of each cell in pixels, shape [2, 12, 12]: x, then y."""
    rows, columns = np.indices((CELLS, CELLS), dtype=np.float32)
    return (np.stack([columns, rows]) + 0.5) * STRIDE


def decode(outputs: Mapping[str, NDArray[Any]]) -> list[dict[str, NDArray[Any]]]:
    """Boxes, scores and labels of each picture, from what the network gives: `task.outputs` in makeweight.yaml."""
    edges, scores = (np.asarray(outputs[name], dtype=np.float64) for name in ("edges", "scores"))
    middle = centres().reshape(2, -1)
    found = []
    for sides, logits in zip(
        edges.reshape(len(edges), 4, -1), scores.reshape(len(scores), len(CLASSES), -1), strict=True
    ):
        corners = np.concatenate([middle - sides[:2] * STRIDE, middle + sides[2:] * STRIDE]).T
        sure = 1 / (1 + np.exp(-np.clip(logits, -50, 50)))
        labels, cells = np.nonzero(sure > _SUREST_LEFT_OUT)
        kept = _without_doubles(corners[cells], sure[labels, cells], labels)
        found.append({"boxes": corners[cells][kept], "scores": sure[labels, cells][kept], "labels": labels[kept]})
    return found


def _without_doubles(boxes: NDArray[Any], scores: NDArray[Any], labels: NDArray[Any]) -> list[int]:
    """Non-maximum suppression: of boxes of one class that overlap, the surest."""
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable").tolist():
        rivals = [other for other in kept if labels[other] == labels[index]]
        if all(_overlap(boxes[index], boxes[other]) <= _MOST_OVERLAP for other in rivals):
            kept.append(index)
    return kept


def _overlap(box: NDArray[Any], other: NDArray[Any]) -> float:
    """Intersection over union."""
    sides = np.maximum(np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2]), 0)
    areas = [float(np.prod(np.maximum(each[2:] - each[:2], 0))) for each in (box, other)]
    shared = float(np.prod(sides))
    return shared / max(sum(areas) - shared, 1e-9)
