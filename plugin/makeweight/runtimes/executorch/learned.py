"""Ranges that a training learns: which calls of a module are integers in the graph that is lowered, and where those are
that have a learned range. Both are found by marks on the calls, so the training simulates what is lowered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from makeweight.artifact.ports import Feeds
from makeweight.runtimes.calls import visited
from makeweight.runtimes.executorch.export import Captured, capture
from makeweight.runtimes.executorch.quantize import NONE, PRODUCTS, Observed, kind
from makeweight.runtimes.format import Format
from makeweight.runtimes.integers import LEARNED, Integers, Learned, Range
from makeweight.runtimes.marks import Marks, givers, operator, placed
from makeweight.runtimes.runtime import Program

# Of 8 bits with a sign.
_LEAST, _MOST = -128, 127


def captured(source: Program) -> tuple[Captured, Mapping[str, Range]]:
    """A module as a graph, and the ranges that it learnt, by node.

    Raises:
        RecipeFailed: a range is of something that the module does not compute.
        UsageError: see `export.capture`.
    """
    learned = source.left.get(LEARNED)
    if not isinstance(learned, Learned):
        return capture(source), NONE
    graph, bearing = _marked(source, Marks(learned.ranges))
    return graph, placed(learned.ranges, bearing)


def integers(source: Program, format: Format, fed: Sequence[Feeds]) -> Integers:
    """See `Runtime.integers`."""
    graph, bearing = _marked(source, Marks())
    names = givers(bearing)
    how = replace(format, ranges="static")
    observed = Observed(graph.graph, how)
    observed.calibrate(fed, how)
    ranges, calls, unseen = dict[str, Range](), dict[str, str](), list[str]()
    for observer, seen in observed.ranged.values():
        told = [names[node.name] for node in seen if node.name in names]
        if not told:
            unseen.append(seen[0].name)
            continue
        ranges[told[0]] = _range(observer)
        calls |= dict.fromkeys(told, told[0])
    by_channel = format.weights.scales == "channel"
    products = {names[node.name]: by_channel for node, integer in observed.products() if integer and node.name in names}
    return Integers(ranges, calls, products, {}, unseen=tuple(unseen))


def _range(observer: Any) -> Range:
    scale, zero = (values.item() for values in observer.calculate_qparams())
    return Range((_LEAST - zero) * scale, (_MOST - zero) * scale)


def _marked(source: Program, marks: Marks) -> tuple[Captured, dict[str, list[str]]]:
    """A module as a graph, and by the name of a node the calls that give its result, in their order. Of a convolution
    that a normalization behind it goes into, these are the normalization's."""
    with visited(source.module, marks):
        found = capture(source)
    graph = found.graph.graph
    numbers: dict[int, str] = {}
    for node in [each for each in graph.nodes if each.target is operator()]:
        values, number = node.args
        numbers[number] = values.name
        node.replace_all_uses_with(values)
        graph.erase_node(node)
    found.graph.recompile()
    bearing = marks.bearing(numbers)
    for node in graph.nodes:
        if kind(node) == "batch_norm" and kind(node.args[0]) in PRODUCTS and len(node.args[0].users) == 1:
            bearing[node.args[0].name] = bearing.pop(node.name, [])
    return found, bearing
