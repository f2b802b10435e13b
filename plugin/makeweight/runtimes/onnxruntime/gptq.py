"""Rounding whose errors are made up for: what is lost in one weight is put right in those of its row still to come.

Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", 2022,
https://arxiv.org/abs/2210.17323, in numpy and on the graph: what a product multiplies in float32 is seen on calibration
examples, of which a part is held back. There, the roundings are compared by what they change of the product's answers,
and the best is kept, plain rounding among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.artifact.ports import Feeds
from makeweight.runtimes.onnxruntime.groups import Weight
from makeweight.runtimes.runtime import RecipeFailed
from makeweight_probe.sessions.onnxruntime import open_session

BATCH = 8
"""Examples that are run at once."""
# One batch of so many is held back.
_HELD_BACK = 4
# Of the mean of the diagonal, what is added to it, as in the paper: rows of few examples have no inverse else.
_DAMPING = 0.01
# Columns between two updates of all that is to come.
_BLOCK = 128
# Numbers of second moments that are held at once.
_TOGETHER = 2**26


@dataclass
class Moments:
    """Sums of products of what is multiplied, [inner, inner]."""

    fitted: NDArray[np.float64]
    held: NDArray[np.float64]


def correct(model: Any, weights: Mapping[str, Weight], bits: int, fed: Sequence[Feeds], folder: Path) -> dict[str, Any]:
    """Round the weights of products anew, in place.

    Args:
        model: in float32; what the weights multiply is seen in it.
        fed: calibration examples in batches.
        folder: for what is run.

    Returns:
        for the manifest, by weight: how it is rounded, and the relative error of the product's answers on what was held
        back, by plain rounding and by this.

    Raises:
        RecipeFailed: there are too few examples to hold some back.
    """
    if len(fed) < 2:
        raise RecipeFailed(
            f"quantize: `rounding: gptq` judges on examples that it did not see, and wants more than {BATCH} "
            "calibration examples, or more than one batch where that is fixed; give more"
        )
    told: dict[str, Any] = {}
    # what is looked up is multiplied with nothing
    for names in _chunks({name: weight for name, weight in weights.items() if weight.inputs}):
        seen = _moments(model, {name: weights[name].inputs for name in names}, fed, folder)
        for name in names:
            weight, moments = weights[name], seen[name]
            if not np.isfinite(moments.fitted + moments.held).all():
                told[name] = {"rounding": "nearest", "reason": "what it multiplies is not always a finite number"}
                continue
            tried = {"nearest": weight.steps}
            for way, ordered in (("gptq", False), ("gptq, largest inputs first", True)):
                tried[way] = rounded(weight.rows, weight.spread, bits, moments.fitted, ordered=ordered)
            errors = {way: _error(weight, steps, moments.held) for way, steps in tried.items()}
            best = min(errors, key=lambda way: errors[way])
            weight.steps = tried[best]
            told[name] = {"rounding": best, "error": [_told(errors["nearest"]), _told(errors[best])]}
    return told


def rounded(
    rows: NDArray[Any], scales: NDArray[Any], bits: int, moment: NDArray[np.float64], *, ordered: bool = False
) -> NDArray[np.int8]:
    """Steps of the scales, [outputs, inner], one column after the other, each error spread over the columns to come as
    the inverse of the second moments says.

    Args:
        rows: [outputs, inner].
        scales: [outputs, inner], one for each weight.
        moment: [inner, inner], of what is multiplied.
        ordered: the columns of the largest inputs first, in place of the order of the weight.
    """
    half = 2 ** (bits - 1)
    order = np.argsort(-np.diag(moment), kind="stable") if ordered else np.arange(len(moment))
    damped = moment[np.ix_(order, order)]
    # an input that is always zero says nothing: its own weight is rounded, and no other's
    mean = float(np.diag(damped).mean()) or 1.0
    damped = damped + np.eye(len(damped)) * _DAMPING * mean
    # upper triangle whose row i is what column i's error does to those behind it
    spread = np.linalg.cholesky(np.linalg.inv(damped)).T
    left, steps = rows[:, order].astype(np.float64), np.zeros(rows.shape, np.int8)
    scale = np.where(scales == 0, 1, scales).astype(np.float64)[:, order]
    for start in range(0, len(order), _BLOCK):
        end = min(start + _BLOCK, len(order))
        errors = np.zeros((len(rows), end - start))
        for at in range(start, end):
            step = np.clip(np.rint(left[:, at] / scale[:, at]), -half, half - 1)
            errors[:, at - start] = (left[:, at] - step * scale[:, at]) / spread[at, at]
            left[:, at + 1 : end] -= np.outer(errors[:, at - start], spread[at, at + 1 : end])
            steps[:, order[at]] = step
        left[:, end:] -= errors @ spread[start:end, end:]
    return steps


def _error(weight: Weight, steps: NDArray[Any], moment: NDArray[np.float64]) -> float:
    """Of the product's answers, relative to their size."""
    rows = weight.rows.astype(np.float64)
    off = steps * weight.spread.astype(np.float64) - rows
    size = float(((rows @ moment) * rows).sum())
    return float(np.sqrt(max(((off @ moment) * off).sum(), 0) / size)) if size > 0 else 0.0


def _told(error: float) -> float:
    return float(f"{error:.4g}")


def _chunks(weights: Mapping[str, Weight]) -> Iterator[list[str]]:
    chunk, held = list[str](), 0
    for name, weight in weights.items():
        size = 2 * weight.rows.shape[1] ** 2
        if chunk and held + size > _TOGETHER:
            yield chunk
            chunk, held = [], 0
        chunk.append(name)
        held += size
    if chunk:
        yield chunk


def _moments(model: Any, inputs: Mapping[str, Sequence[str]], fed: Sequence[Feeds], folder: Path) -> dict[str, Moments]:
    """Of each weight, over all that it is multiplied with."""
    from onnx import TensorProto, helper

    wanted = {name for names in inputs.values() for name in names}
    shown, given = type(model)(), {value.name for value in model.graph.input}
    shown.CopyFrom(model)
    inner = sorted(wanted - given)
    del shown.graph.output[:]
    shown.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in inner)
    session = None
    if inner:
        path = folder / "inputs.onnx"
        path.write_bytes(shown.SerializeToString())
        session = open_session(str(path), 1)
    sums: dict[str, Moments] = {}
    for index, feeds in enumerate(fed):
        seen = dict(feeds) | (dict(zip(inner, session.run(feeds), strict=True)) if session else {})
        for name in wanted:
            rows = seen[name].reshape(-1, seen[name].shape[-1]).astype(np.float64)
            moment = rows.T @ rows
            of = sums.setdefault(name, Moments(np.zeros_like(moment), np.zeros_like(moment)))
            if index % _HELD_BACK == 1:
                of.held += moment
            else:
                of.fitted += moment
    return {name: _together([sums[each] for each in names]) for name, names in inputs.items()}


def _together(seen: Sequence[Moments]) -> Moments:
    return Moments(*(np.sum([getattr(each, part) for each in seen], axis=0) for part in ("fitted", "held")))
