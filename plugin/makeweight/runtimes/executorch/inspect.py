"""What a program holds: what was delegated and what fell back, what computes on integers."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

from makeweight.runtimes.executorch import program, xnnpack
from makeweight.runtimes.runtime import GraphFacts
from makeweight_probe.sessions.executorch import bookkeeping

# Kernels besides those of delegates that are products: how many multiply-accumulates is not told where they stand.
_PRODUCTS = frozenset({"aten::addmm", "aten::baddbmm", "aten::bmm", "aten::convolution", "aten::linear", "aten::mm"})
# What a weight may be; whole numbers of 64 bits are sizes and indices.
_WEIGHTS = frozenset({"float32", "float16", "float64", "int8", "uint8"})
# What a backend has whose form is not known here, as one operator.
_WHOLE = "all of a part"


def inspect(path: Path, *, free: bool) -> GraphFacts:
    """Operators that are delegated stand under the delegate's name (`XnnpackBackend:Conv2d`), those that fell back to a
    kernel of ExecuTorch's under their own (`aten::argmax.out`). Bookkeeping of sizes and views is no operator.

    Args:
        free: whether sizes besides the batch are free, so that multiply-accumulates are not known.

    Raises:
        Damaged: see `program.read`.
    """
    plan = program.read(path)
    fallen = Counter(name for name in plan.kernels if not bookkeeping(name))
    hidden = Counter(f"{each.backend}:{_WHOLE}" for each in plan.delegates if each.backend != xnnpack.BACKEND)
    graphs = [xnnpack.read(each.data) for each in plan.delegates if each.backend == xnnpack.BACKEND]
    counts = Counter(f"{xnnpack.BACKEND}:{kind}" for graph in graphs for kind in graph.operators)
    operators = dict(sorted((counts + fallen + hidden).items()))
    delegate = next((each.backend for each in plan.delegates), xnnpack.BACKEND)
    if hidden:
        return GraphFacts(operators=operators, delegate=delegate)
    whole = all(graph.whole for graph in graphs)
    products = [product for graph in graphs for product in graph.products]
    unaided = sum(count for name, count in fallen.items() if name.partition(".")[0] in _PRODUCTS)
    beside = sum(math.prod(each.sizes) for each in plan.constants if each.dtype in _WEIGHTS)
    batches: set[int | None] = {each.sizes[0] for each in plan.inputs if each.sizes}
    batches |= {graph.batch for graph in graphs if graph.products}
    macs = sum(product.macs for product in products)
    batch = next(iter(batches)) if len(batches) == 1 else None
    return GraphFacts(
        parameters=beside + sum(graph.parameters for graph in graphs),
        macs=None if free or unaided or not whole or not batch else macs // batch,
        operators=operators,
        delegate=delegate,
        quantized=sum(product.integer for product in products) if whole else None,
        floating=unaided + sum(not product.integer for product in products) if whole else None,
    )
