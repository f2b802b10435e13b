"""Integers in a captured graph, before it is lowered: 8 bits by PyTorch's quantization of graphs with
XNNPACK's quantizer, 4 bits by torchao.

https://docs.pytorch.org/executorch/stable/backends-xnnpack.html
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np

from makeweight.artifact.ports import Feeds
from makeweight.runtimes import environment
from makeweight.runtimes.executorch.export import Captured, Changed, layer
from makeweight.runtimes.format import Format
from makeweight.runtimes.histograms import Histogram, chosen
from makeweight.runtimes.integers import Range
from makeweight.runtimes.layers import fits, told_of, unfit
from makeweight.runtimes.runtime import Program, RecipeFailed
from makeweight.runtimes.traced import said, tensors
from makeweight_base.quiet import quiet

# Operators with weights, as XNNPACK's quantizer finds them, and what goes into one operator with another.
PRODUCTS = frozenset({"conv1d", "conv2d", "conv3d", "linear", "conv_transpose1d", "conv_transpose2d", "convolution"})
_FUSED = frozenset({"relu", "relu_", "hardtanh", "hardtanh_", "clamp", "batch_norm"})
# What XNNPACK computes with ranges that it finds at run time.
_DYNAMIC = frozenset({"linear"})
# The least step of a range, as XNNPACK has it.
_LEAST_STEP = 2**-12
NONE: Mapping[str, Range] = {}
"""No learned ranges."""
_EXCLUDED, _UNREACHED, _UNNAMED = "excluded", "not reached by the quantizer for XNNPACK", "not among `operators`"


def changed(how: Format, fed: Sequence[Feeds], notes: dict[str, Any], learned: Mapping[str, Range] = NONE) -> Changed:
    """What makes 8-bit integers of a captured graph.

    Args:
        fed: calibration examples in batches, where ranges come from them.
        notes: hears what stays in floating point.
        learned: ranges by the node whose result has them.

    Raises:
        RecipeFailed: when it is called: the format changes nothing, or names what the graph has not, or the quantizer
            fails.
    """

    def made(captured: Captured) -> Any:
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e

        observed = Observed(captured.graph, how)
        # observers of weights see these when the graph runs, also where ranges of activations need no examples
        observed.calibrate(fed or [captured.arrays], how)
        observed.learn(learned)
        notes.update(observed.told)
        with quiet(), failing("conversion"):
            return convert_pt2e(observed.graph)

    return made


class Observed:
    """A captured graph with an observer on what is to be integers."""

    def __init__(self, graph: Any, how: Format) -> None:
        with quiet():
            from torchao.quantization.pt2e.quantize_pt2e import prepare_pt2e

        left = _left_out(graph, how)
        with quiet(), failing("preparation"):
            quantizer = _quantizer(how)
            quantizer.set_filter_function(lambda node: node.name not in left)
            # These are for training: here a normalization is folded into its convolution before they are looked for. To
            # look for them it exports a dozen graphs anew, which takes as long as all the rest.
            patterns = [each for each in quantizer.SUPPORTED_PATTERNS if "_bn" not in each.name]
            quantizer.SUPPORTED_PATTERNS = patterns
            self.graph = prepare_pt2e(graph, quantizer)
        self.told = self._of_products(left)

    @functools.cached_property
    def ranged(self) -> dict[str, tuple[Any, list[Any]]]:
        """Observers of static activations by name, with the nodes that each sees."""
        found: dict[str, tuple[Any, list[Any]]] = {}
        for node in self.graph.graph.nodes:
            if node.op == "call_module":
                observer = self.graph.get_submodule(node.target)
                if hasattr(observer, "min_val") and not _is_weight(node):
                    found.setdefault(str(node.target), (observer, []))[1].append(node.args[0])
        return found

    def calibrate(self, fed: Sequence[Feeds], how: Format) -> None:
        """Set the ranges by examples."""
        self._run(fed)
        if how.observer in (None, "minmax"):
            return
        spans = {name: Histogram(*_span(observer)) for name, (observer, _) in self.ranged.items()}
        hooks = [
            observer.register_forward_pre_hook(functools.partial(_counted, spans[name]))
            for name, (observer, _) in self.ranged.items()
            if np.isfinite(_span(observer)).all()
        ]
        self._run(fed)
        for hook in hooks:
            hook.remove()
        for name, (observer, _) in self.ranged.items():
            if spans[name].counts.any():
                _set(observer, *chosen(how.observer or "minmax", spans[name]))

    def learn(self, learned: Mapping[str, Range]) -> None:
        """Set the ranges that a training learnt."""
        for observer, seen in self.ranged.values():
            for node in seen:
                if node.name in learned:
                    _set(observer, learned[node.name].lowest, learned[node.name].highest)
                    break

    def products(self) -> Iterator[tuple[Any, bool]]:
        """Operators with weights, and whether they are integers."""
        for node in self.graph.graph.nodes:
            if kind(node) in PRODUCTS:
                yield node, any(_is_observer(each) for each in node.all_input_nodes[1:2])

    def _run(self, fed: Sequence[Feeds]) -> None:
        import torch

        with torch.no_grad():
            for feeds in fed:
                self.graph(inputs=tensors(feeds))

    def _of_products(self, left: Mapping[str, str]) -> dict[str, Any]:
        """Raises:
        RecipeFailed: none is integers.
        """
        floating: dict[str, list[str]] = {}
        integers = 0
        for node, integer in self.products():
            integers += integer
            if not integer:
                floating.setdefault(left.get(node.name, _UNREACHED), []).append(f"{kind(node)} {layer(node)}".strip())
        if not integers and not any(_is_observer(node) for node in self.graph.graph.nodes):
            told = "; ".join(f"{reason}: {told_of(names)}" for reason, names in floating.items())
            raise RecipeFailed(
                f"quantize changed nothing: no operator becomes integers ({told or 'it has no product'})"
            )
        return {"left in float": floating} if floating else {}


def kind(node: Any) -> str:
    """The operator that a node calls, as PyTorch names it: `conv2d`."""
    return str(getattr(node.target, "__name__", "")).partition(".")[0] if node.op == "call_function" else ""


def four_bits(source: Program, how: Format, notes: dict[str, Any]) -> Program:
    """A module whose linear layers have weights of 4 bits in groups.

    Raises:
        RecipeFailed: there is none that can have them.
    """
    import torch

    with quiet():
        from torchao.quantization import quantize_
        from torchao.quantization.granularity import PerGroup
        from torchao.quantization.quant_api import Int8DynamicActivationIntxWeightConfig

    group = how.weights.group or 0
    linear = {name: each for name, each in source.module.named_modules() if isinstance(each, torch.nn.Linear)}
    _refuse_unfit(how, list(linear))
    left = {name: _EXCLUDED for name in linear if any(fits(pattern, name) for pattern, _ in how.exceptions)}
    left |= {name: f"no multiple of {group} inputs" for name, each in linear.items() if each.in_features % group}
    if how.operators and "linear" not in how.operators:
        left = dict.fromkeys(linear, _UNNAMED)
    if not linear.keys() - left.keys():
        raise RecipeFailed(
            "quantize changed nothing: weights of 4 bits are of `torch.nn.Linear`, and the module has "
            + (", ".join(f"{name} ({reason})" for name, reason in list(left.items())[:8]) or "none")
        )
    module = copy.deepcopy(source.module)
    with quiet(), failing("quantization to 4 bits"):
        config = Int8DynamicActivationIntxWeightConfig(weight_dtype=torch.int4, weight_granularity=PerGroup(group))
        quantize_(module, config, lambda each, name: isinstance(each, torch.nn.Linear) and name not in left)
    for name, reason in left.items():
        notes.setdefault("left in float", {}).setdefault(reason, []).append(f"linear {name}")
    return replace(source, module=module)


def _quantizer(how: Format) -> Any:
    import torch
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer
    from torchao.quantization.pt2e import MinMaxObserver, PerChannelMinMaxObserver, PlaceholderObserver
    from torchao.quantization.pt2e.quantizer import QuantizationConfig, QuantizationSpec

    dynamic, by_channel = how.ranges == "dynamic", how.weights.scales == "channel"
    observer = PlaceholderObserver if dynamic else MinMaxObserver
    activations = QuantizationSpec(
        dtype=torch.int8,
        quant_min=-128,
        quant_max=127,
        qscheme=torch.per_tensor_affine,
        is_dynamic=dynamic,
        observer_or_fake_quant_ctr=observer.with_args(eps=_LEAST_STEP),
    )
    of_weights = PerChannelMinMaxObserver if by_channel else MinMaxObserver
    weights = QuantizationSpec(
        dtype=torch.int8,
        quant_min=-127,
        quant_max=127,
        qscheme=torch.per_channel_symmetric if by_channel else torch.per_tensor_symmetric,
        ch_axis=0,
        observer_or_fake_quant_ctr=of_weights.with_args(eps=_LEAST_STEP),
    )
    return XNNPACKQuantizer().set_global(
        QuantizationConfig(activations, None if dynamic else activations, weights, None, False)
    )


def _left_out(graph: Any, how: Format) -> dict[str, str]:
    """Nodes that stay in floating point as the recipe says, with the reason.

    Raises:
        RecipeFailed: it names something that the graph has not.
    """
    nodes = [node for node in graph.graph.nodes if node.op == "call_function"]
    kinds = {kind(node) for node in nodes}
    for name in how.operators:
        if name not in kinds:
            raise RecipeFailed(f"quantize: `operators` names `{name}`; the graph has {', '.join(sorted(kinds))}")
    _refuse_unfit(how, [layer(node) for node in nodes if kind(node) in PRODUCTS], [layer(node) for node in nodes])
    left = {}
    for node in nodes:
        if any(fits(pattern, layer(node)) for pattern, _ in how.exceptions):
            left[node.name] = _EXCLUDED
        elif how.ranges == "dynamic" and kind(node) not in _DYNAMIC:
            left[node.name] = _UNREACHED
        elif how.operators and kind(node) not in how.operators and kind(node) not in _FUSED:
            left[node.name] = _UNNAMED
    return left


def _refuse_unfit(how: Format, told: list[str], others: Sequence[str] = ()) -> None:
    for pattern, _ in how.exceptions:
        if not any(fits(pattern, name) for name in (*told, *others)):
            raise RecipeFailed(f"quantize: in `exclude`, {unfit(pattern, list(dict.fromkeys(told)))}")


def _is_observer(node: Any) -> bool:
    return node.op == "call_module" and "activation_post_process" in str(node.target)


def _is_weight(node: Any) -> bool:
    """Whether what an observer sees is stored, and not computed."""
    return bool(node.args[0].op == "get_attr")


def _span(observer: Any) -> tuple[float, float]:
    return float(observer.min_val), float(observer.max_val)


def _set(observer: Any, lowest: float, highest: float) -> None:
    observer.min_val.fill_(lowest)
    observer.max_val.fill_(highest)


def _counted(histogram: Histogram, _: Any, given: tuple[Any, ...]) -> None:
    histogram.add(given[0].detach().numpy())


def failing(what: str) -> AbstractContextManager[None]:
    """Have an error of torchao's be the recipe's."""
    return environment.translated(lambda error: RecipeFailed(f"{what} by torchao failed: {said(error)}"), RecipeFailed)
