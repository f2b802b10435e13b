"""What a LiteRT file holds, and what of it XNNPACK takes over on this machine."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from makeweight.artifact.model import Model
from makeweight.artifact.ports import Shapes, free_sizes
from makeweight.runtimes.asked import examples, mean
from makeweight.runtimes.litert import graph, weighed
from makeweight.runtimes.runtime import GraphFacts
from makeweight_base.quiet import silent
from makeweight_probe.sessions.litert import runtime_module

DELEGATE = "XNNPACK"
_CONVOLUTIONS = ("CONV_2D", "CONV_3D", "DEPTHWISE_CONV_2D")


def inspect(model: Model, asked: Sequence[Shapes] = ()) -> GraphFacts:
    """Operators that XNNPACK has taken over stand under its name (`XNNPACK:CONV_2D`), those that fell back to a kernel
    of LiteRT's own under theirs.

    Args:
        asked: the inputs' shapes of each inference, over which multiply-accumulates are a mean; those of a layer are of
            the first.
    """
    held = graph.load(model.path)
    products = list(graph.products(held))
    integer = [graph.on_integers(each, node, name) for each, node, name in products]
    with silent():
        opened = runtime_module().Interpreter(model_path=str(model.path), num_threads=1)
        opened.allocate_tensors()
        delegated = _delegated(opened)
        unaided = _undelegated(model)
        macs = _macs(model, held, unaided, asked)
        costs = _costs(model, held, unaided, asked)
    counts: Counter[str] = Counter()
    for each in held.subgraphs:
        for place, node in enumerate(each.operators or ()):
            name = graph.operator(held, node)
            counts[f"{DELEGATE}:{name}" if each is held.subgraphs[0] and place in delegated else name] += 1
    return GraphFacts(
        parameters=_parameters(held),
        macs=macs,
        operators=dict(sorted(counts.items())),
        delegate=DELEGATE,
        quantized=sum(integer),
        floating=len(integer) - sum(integer),
        layers=tuple(
            graph.layer(each, node) for (each, node, _), whole in zip(products, integer, strict=True) if whole
        ),
        weighed=weighed.layers(held, costs),
    )


def _undelegated(model: Model) -> Any:
    """Of what a delegate computes nobody is told the shapes when inputs are resized."""
    runtime = runtime_module()
    plain = runtime.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    opened = runtime.Interpreter(model_path=str(model.path), num_threads=1, experimental_op_resolver_type=plain)
    opened.allocate_tensors()
    return opened


def _delegated(opened: Any) -> set[int]:
    """The places of the first graph's operators that a delegate computes: those that its outputs are made by, back to
    its inputs. An interpreter lists the delegate behind the operators that it stands for."""
    operators = opened._get_ops_details()
    own = [each for each in operators if each["op_name"] != "DELEGATE"]
    makers = {int(output): place for place, each in enumerate(own) for output in each["outputs"]}
    found: set[int] = set()
    for delegate in operators:
        if delegate["op_name"] != "DELEGATE":
            continue
        given = set(map(int, delegate["inputs"]))
        wanted = list(map(int, delegate["outputs"]))
        while wanted:
            tensor = wanted.pop()
            place = makers.get(tensor)
            if place is not None and place not in found and tensor not in given:
                found.add(place)
                wanted += map(int, own[place]["inputs"])
    return found


def _parameters(model: Any) -> int:
    """How many weights there are, each stored one once."""
    biases, scales = set(), set()
    found: dict[tuple[int, int], int] = {}
    for number, each in enumerate(model.subgraphs):
        for node in each.operators or ():
            at = graph.BIAS_AT.get(graph.operator(model, node))
            if at is not None and len(node.inputs) > at:
                biases.add((number, int(node.inputs[at])))
        for tensor in each.tensors:
            if (index := getattr(getattr(tensor.quantization, "details", None), "scales", -1)) >= 0:
                scales.add((number, index))
        for index, tensor in enumerate(each.tensors):
            kind = graph.kind(tensor)
            weight = kind.startswith("FLOAT") or kind in graph.INTEGERS or (number, index) in biases
            if weight and (number, index) not in scales and graph.constant(model, tensor):
                found[tensor.buffer, math.prod(graph.sizes(tensor))] = math.prod(graph.sizes(tensor))
    return sum(found.values())


def _macs(model: Model, held: Any, opened: Any, asked: Sequence[Shapes]) -> int | None:
    """Of one example; None where sizes are free and nothing tells them, or an operator's cost does not follow from
    shapes."""
    if not asked:
        if free_sizes(model.inputs):
            return None
        one = _total(held, opened)
        return None if one is None else one // _batch(opened)

    def cost(shapes: Shapes) -> int | None:
        _plan(model, opened, shapes)
        return _total(held, opened)

    return mean(asked, examples(model.inputs, asked), cost)


def _costs(model: Model, held: Any, opened: Any, asked: Sequence[Shapes]) -> list[int | None] | None:
    """Of each operator of the first graph, for one example; None where sizes are free and nothing tells them."""
    if asked:
        _plan(model, opened, asked[0])
        count = examples(model.inputs, asked[:1])
    elif free_sizes(model.inputs):
        return None
    else:
        count = _batch(opened)
    return [None if cost is None else cost // count for cost in _by_operator(held, opened)]


def _plan(model: Model, opened: Any, shapes: Shapes) -> None:
    """For inputs of these shapes."""
    places = dict(zip((port.name for port in model.inputs), opened.get_input_details(), strict=True))
    for name, shape in shapes.items():
        opened.resize_tensor_input(places[name]["index"], shape, strict=True)
    opened.allocate_tensors()


def _batch(opened: Any) -> int:
    first = {int(each["shape"][0]) for each in opened.get_input_details() if len(each["shape"])}
    return max(1, first.pop()) if len(first) == 1 else 1


def _total(held: Any, opened: Any) -> int | None:
    """Of one inference in the sizes that are planned for."""
    if len(held.subgraphs) > 1:
        return None  # a branch or a loop: how often it runs is known only when it does
    costs = _by_operator(held, opened)
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None


def _by_operator(held: Any, opened: Any) -> list[int | None]:
    shapes = {int(each["index"]): tuple(map(int, each["shape"])) for each in opened.get_tensor_details()}
    return [_cost(graph.operator(held, node), node, shapes) for node in held.subgraphs[0].operators or ()]


def _cost(name: str, node: Any, shapes: Mapping[int, tuple[int, ...]]) -> int | None:
    if name not in graph.WEIGHT_AT:
        return 0
    # an input that may be missing has the number -1
    weight, made = shapes.get(int(node.inputs[graph.WEIGHT_AT[name]]), ()), shapes[int(node.outputs[0])]
    if name == "DEPTHWISE_CONV_2D":  # [1, height, width, channels]
        return math.prod(made) * math.prod(weight[1:-1])
    if name in _CONVOLUTIONS:  # of an image [out, kernel..., in / groups], of a volume [kernel..., in, out]
        return math.prod(made) * math.prod(weight[1:] if name == "CONV_2D" else weight[:-1])
    if name == "TRANSPOSE_CONV":  # [out, kernel..., in], spread from every element of what is given
        return math.prod(shapes[int(node.inputs[2])]) * math.prod(weight[:-1])
    if name == "FULLY_CONNECTED":  # [out, in]
        return math.prod(made) * weight[-1]
    if name == "BATCH_MATMUL":
        given = shapes[int(node.inputs[0])]
        turned = bool(getattr(node.builtinOptions, "adjX", False))
        return math.prod(made) * given[-2 if turned else -1]
    return None
