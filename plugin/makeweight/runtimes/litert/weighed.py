"""Where the bytes and the multiply-accumulates of a LiteRT file are, layer by layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from makeweight.runtimes.litert import graph
from makeweight.runtimes.runtime import LayerFacts, LayerKind

_KINDS: Mapping[str, LayerKind] = {
    **dict.fromkeys(("CONV_2D", "CONV_3D", "CONV_3D_TRANSPOSE", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"), "convolution"),
    **dict.fromkeys(("BATCH_MATMUL", "FULLY_CONNECTED"), "product"),
    **dict.fromkeys(("EMBEDDING_LOOKUP", "EMBEDDING_LOOKUP_SPARSE", "GATHER", "GATHER_ND"), "table"),
    **dict.fromkeys(
        (
            "BIDIRECTIONAL_SEQUENCE_LSTM",
            "BIDIRECTIONAL_SEQUENCE_RNN",
            "LSTM",
            "RNN",
            "SVDF",
            "UNIDIRECTIONAL_SEQUENCE_LSTM",
            "UNIDIRECTIONAL_SEQUENCE_RNN",
            "WHILE",
        ),
        "recurrence",
    ),
}
# What only hands a weight on, in another shape or other numbers.
_HANDING_ON = frozenset({"CAST", "DEQUANTIZE", "EXPAND_DIMS", "QUANTIZE", "RESHAPE", "SQUEEZE", "TRANSPOSE"})
# Two branches may share a weight. What is multiplied with more often is a recurrence's, taken apart step by step.
_BRANCHES = 2


@dataclass(frozen=True)
class _Reader:
    """An operator, and the buffers that it reads by their numbers."""

    name: str
    operator: str
    place: int | None
    """Among the operators of the first graph; None: it stands in a branch or a loop."""
    buffers: tuple[int, ...]
    weight: int | None
    """Of these, what it multiplies with."""


def layers(model: Any, costs: Sequence[int | None] | None) -> tuple[LayerFacts, ...]:
    """The layers that read weights, in the order of the graph.

    Args:
        costs: multiply-accumulates of each operator of the first graph; None: they are not known.
    """
    readers = list(_readers(model))
    multiplied = Counter(each.weight for each in readers if each.weight is not None)
    owned: set[int] = set()
    told = []
    for each in readers:
        own = set(each.buffers) - owned
        owned |= own
        size = sum(len(model.buffers[buffer].data) for buffer in own)
        cost = None if costs is None or each.place is None else costs[each.place]
        if size or cost:
            told.append(LayerFacts(each.name, _kind(each, multiplied), size, cost))
    return tuple(told)


def _readers(model: Any) -> Iterator[_Reader]:
    for number, part in enumerate(model.subgraphs):
        stored = {at: tensor.buffer for at, tensor in enumerate(part.tensors) if graph.constant(model, tensor)}
        for place, node in enumerate(part.operators or ()):
            name, given = graph.operator(model, node), [int(at) for at in node.inputs]
            if name in _HANDING_ON and given[0] in stored:
                stored[int(node.outputs[0])] = stored[given[0]]
                continue
            weights = [at for spot, at in enumerate(given) if at in stored and not _indices(part, name, spot, at)]
            read = tuple(dict.fromkeys(stored[at] for at in weights))
            weight = stored.get(given[graph.WEIGHT_AT[name]]) if name in graph.WEIGHT_AT else None
            yield _Reader(graph.layer(part, node), name, None if number else place, read, weight)


def _indices(part: Any, operator: str, spot: int, at: int) -> bool:
    """Whether it is sizes or places, and no weight: of biases in integers it is known where they stand."""
    return graph.kind(part.tensors[at]) in ("INT32", "INT64") and spot != graph.BIAS_AT.get(operator)


def _kind(reader: _Reader, multiplied: Mapping[int, int]) -> LayerKind:
    kind = _KINDS.get(reader.operator, "other")
    again = reader.weight is not None and multiplied[reader.weight] > _BRANCHES
    return "recurrence" if kind == "product" and (again or reader.place is None) else kind
