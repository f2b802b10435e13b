"""From a PyTorch module to a program: captured, perhaps quantized, lowered to XNNPACK, and checked against the module.

https://docs.pytorch.org/executorch/stable/using-executorch-export.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from makeweight.artifact.ports import Feeds, Port
from makeweight.runtimes import composites, environment, traced
from makeweight.runtimes.executorch import program, refusal
from makeweight.runtimes.executorch.program import Plan
from makeweight.runtimes.inputs import from_dict_to_dict
from makeweight.runtimes.runtime import Program
from makeweight_base.errors import UsageError, first_line
from makeweight_base.quiet import quiet
from makeweight_probe.sessions.executorch import open_session, runtime_module

MOST = 64
"""The largest batch that a program takes whose batch is free: memory is planned for it. No run of makeweight's own asks
for more examples at once."""
# A batch below 16 is computed otherwise by PyTorch on this machine, and a program traced with one takes no more.
_LEAST = 17


@dataclass(frozen=True)
class Captured:
    """A module on its way into a program."""

    graph: Any
    """A torch.fx.GraphModule, called with `inputs={name: tensor}`."""
    arrays: Feeds
    """What it is traced on."""
    shapes: Any
    """Which sizes are free, as torch.export takes it; None: none is."""
    answers: Mapping[str, NDArray[Any]]
    """The module's own, to `arrays`, by the names of its outputs."""


Changed = Callable[[Captured], Any]
"""Makes another graph of a captured one, with the same inputs and outputs."""


Ports = tuple[Port, ...]


def export(
    source: Program, path: Path, changed: Changed | None = None, captured: Captured | None = None
) -> tuple[Ports, Ports]:
    """Write a module as a program. Two exports of one module give the same bytes.

    Args:
        changed: what is done to the captured graph; None: nothing, and the program is checked against the module.
        captured: the module, where it is captured already.

    Returns:
        its inputs and outputs.

    Raises:
        UsageError: the module fails on the example, cannot be traced, or holds an operator that ExecuTorch has not; or
            a size is not free in it; or the program computes something else.
    """
    captured = captured or capture(source)
    graph = captured.graph if changed is None else changed(captured)
    path.write_bytes(_lowered(captured, graph))
    with refusal.translated(path):
        plan = program.read(path)
    _refuse_fixed(plan, source)
    if changed is None:
        _check(source, captured, path)
    return _ports(source, captured, plan)


def with_one_free(source: Program) -> Program:
    """XNNPACK reshapes with one free size alone: where another than the batch is free, the batch is one."""
    batches = traced.batches(source.inputs)
    if {letter for axes in traced.free(source.inputs).values() for letter in axes.values()} == batches:
        return source
    one = dict.fromkeys(batches, 1)
    inputs = {name: tuple(one.get(str(size), size) for size in shape) for name, shape in source.inputs.items()}
    return replace(source, inputs=inputs, example=traced.resized(source.inputs, source.example, one))


def capture(source: Program) -> Captured:
    """Raises:
    UsageError: see `export`.
    """
    sizes = _sizes(source)
    arrays = traced.resized(source.inputs, source.example, sizes)
    answers = traced.answers(source.module, traced.tensors(arrays))
    shapes = {"inputs": _free(source)} if sizes else None
    with quiet(), environment.translated(lambda error: traced.untraceable(error, source.inputs)):
        graph = _exported(from_dict_to_dict(source.module), arrays, shapes).module()
    return Captured(graph, arrays, shapes, answers)


def _exported(module: Any, arrays: Feeds, shapes: Any) -> Any:
    import torch

    given = {"inputs": traced.tensors(arrays)}
    return torch.export.export(module, (), given, dynamic_shapes=shapes)


def _largest(source: Program) -> dict[str, int]:
    """What each free size is at most, by its letter.

    Raises:
        UsageError: of one that is not declared.
    """
    most = {**source.largest, **dict.fromkeys(traced.batches(source.inputs), MOST)}
    for name, axes in traced.free(source.inputs).items():
        for letter in axes.values():
            if letter not in most:
                raise UsageError(
                    f"`{letter}` of input `{name}` cannot be free: ExecuTorch plans memory for the largest size, and "
                    "nothing says how large it is",
                    where="makeweight.yaml: model.inputs",
                    do=f"Say so by `model.largest: {{{letter}: …}}`, or declare it as a number, and have the loader "
                    "bring examples to it.",
                )
    return most


def _sizes(source: Program) -> dict[str, int]:
    """What free sizes are while the module is traced: no two alike, and none as one that is fixed.

    Raises:
        UsageError: see `_largest`.
    """
    most = _largest(source)
    taken = {size for shape in source.inputs.values() for size in shape if isinstance(size, int)}
    found: dict[str, int] = {}
    for letter in traced.sizes(source.inputs, source.example):
        choice = (*range(_LEAST, most[letter] + 1), *range(2, min(_LEAST, most[letter] + 1)))
        found[letter] = next((size for size in choice if size not in taken), most[letter])
        taken.add(found[letter])
    return found


def _free(source: Program) -> dict[str, dict[int, Any]]:
    from torch.export import Dim

    sizes = {letter: Dim.DYNAMIC(min=1, max=most) for letter, most in _largest(source).items()}
    return {
        name: {axis: sizes[letter] for axis, letter in axes.items()}
        for name, axes in traced.free(source.inputs).items()
    }


def _lowered(captured: Captured, graph: Any) -> bytes:
    """The bytes of a program. Inputs and outputs lie where the caller has them, so no memory is planned for them.

    Raises:
        UsageError: there is an operator that the runtime has no kernel for.
    """
    with quiet():
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import EdgeCompileConfig, ExecutorchBackendConfig, to_edge_transform_and_lower
        from executorch.exir.passes import MemoryPlanningPass

        with composites.known_once(), environment.translated(lambda error: _cannot(error, graph)):
            edge = to_edge_transform_and_lower(
                _exported(graph, captured.arrays, captured.shapes),
                partitioner=[XnnpackPartitioner()],
                compile_config=EdgeCompileConfig(_check_ir_validity=False),
            )
            kernels = _called(edge.exported_program().graph_module)
            planned = MemoryPlanningPass(alloc_graph_input=False, alloc_graph_output=False)
            made = edge.to_executorch(ExecutorchBackendConfig(memory_planning_pass=planned))
    lacking = {
        f"{each.name}.{each.overload}".rstrip(".") for each in made.executorch_program.execution_plan[0].operators
    }
    if lost := sorted(lacking - set(runtime_module()._get_operator_names())):
        raise _unknown(lost[0], kernels)
    return bytes(made.buffer)


def _called(graph: Any) -> dict[str, str]:
    """Operators that no delegate has, by name, with the first layer that calls each."""
    found: dict[str, str] = {}
    for node in graph.graph.nodes:
        if node.op == "call_function":
            found.setdefault(_operator(node.target), layer(node))
    return found


def _operator(target: Any) -> str:
    """As `aten::add`, without its overload."""
    schema = getattr(getattr(target, "_op", target), "_schema", None)
    return str(target) if schema is None else str(schema.name)


def layer(node: Any) -> str:
    """The module that a node of a captured graph was called in, by its dotted name; "": the whole."""
    stack = list(node.meta.get("nn_module_stack", {}).values())
    return re.sub(r"^L\['self'\]\.?", "", stack[-1][0]) if stack else ""


def _cannot(error: Exception, graph: Any) -> UsageError:
    """The lowering's error in one sentence."""
    text = str(error)
    if match := re.search(r"Missing out variants: \{'([^']+)'", text):
        return _unknown(match[1], _called(graph))
    match = re.search(r"(?:Operator|operator|op)\s+(?:torch\.ops\.)?(\w+(?:::|\.)\w+)", text)
    if match:
        return _unknown(match[1].replace(".", "::"), _called(graph), first_line(error))
    return UsageError(f"ExecuTorch cannot lower the module: {traced.said(error)}")


def _unknown(operator: str, kernels: Mapping[str, str], said: str = "") -> UsageError:
    name = operator.partition(".")[0]
    place = next((where for called, where in kernels.items() if called.split("::")[-1] == name.split("::")[-1]), "")
    of = f" of layer `{place}`" if place else ""
    return UsageError(
        f"ExecuTorch has no kernel of the operator `{name}`{of}" + (f": {said}" if said else ""),
        do="Write it in forward() with operators that ExecuTorch has, or leave it out of the module.",
    )


def _refuse_fixed(plan: Plan, source: Program) -> None:
    """Refuse a program in which a free size has become a number, or less than it is to take."""
    most = _largest(source)
    for (name, shape), tensor in zip(source.inputs.items(), plan.inputs, strict=True):
        for axis, size in enumerate(shape):
            if isinstance(size, str) and not (tensor.free and tensor.sizes[axis] == most[size]):
                raise traced.fixed(size, name, f"at most {tensor.sizes[axis]}" if tensor.free else tensor.sizes[axis])


@dataclass
class _Named:
    """A session, with the names of what it answers."""

    outputs: tuple[str, ...]
    run: Callable[[Feeds], list[NDArray[Any]]]


def _check(source: Program, captured: Captured, path: Path) -> None:
    """Whether the program answers as the module does: as it was traced, with the least and the largest batch, and
    with the largest of other free sizes and with half of it."""
    with refusal.translated(path):
        session = _Named(tuple(captured.answers), open_session(str(path), 1).run)
    traced.check(session, captured.arrays, captured.answers, {}, refusal.reason)
    batches = traced.batches(source.inputs)
    for letter, most in sorted(_largest(source).items()):
        for size in (1 if letter in batches else most // 2, most):
            arrays = traced.resized(source.inputs, captured.arrays, {letter: size})
            wanted = traced.answers(source.module, traced.tensors(arrays))
            traced.check(session, arrays, wanted, {letter: size}, refusal.reason)


def _ports(source: Program, captured: Captured, plan: Plan) -> tuple[Ports, Ports]:
    letters = {size: letter for letter, size in _sizes(source).items()}

    def outputs() -> Iterator[Port]:
        for (name, answer), tensor in zip(captured.answers.items(), plan.outputs, strict=True):
            sizes = tuple(letters.get(size, size) if tensor.free else size for size in answer.shape)
            yield Port(name, sizes, tensor.dtype)

    taken = zip(source.inputs.items(), plan.inputs, strict=True)
    return tuple(Port(name, shape, tensor.dtype) for (name, shape), tensor in taken), tuple(outputs())
