"""Whether removing channels does that and nothing else: a narrowed module answers what the module of before answers
with the removed weights set to zero, whatever the weights are.

Torch-Pruning follows channels through a network by what autograd records. Where it loses them (a channel shuffle, a
concatenation that is taken apart again), it removes weights of other channels than it removed the makers of, and the
network still runs.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from makeweight.compress import flattened, frozen, grouped, normalization, recurrent_inputs, tables
from makeweight.compress.examples import Tensors
from makeweight.compress.exchange import exchange
from makeweight.compress.wrapping import followable_call
from makeweight.runtimes import environment
from makeweight.runtimes.inputs import call
from makeweight.runtimes.outputs import named
from makeweight.user.weights import shared, tied

# The largest difference that still counts as rounding, as a part of the largest answer.
TOLERANCE = 1e-3


class Removal(Protocol):
    """Something that was removed, and can be from a copy too."""

    @property
    def layer(self) -> str:
        """Its name, as `exclude` knows it."""
        ...

    def carry_out(self, module: Any, graph: Any, /) -> None:
        """Remove it, as Torch-Pruning's graph of the module knows what hangs together."""
        ...


@dataclass(frozen=True)
class ChannelRemoval:
    """Channels of a layer that were removed, and with them whatever hangs together with those."""

    layer: str
    remove: Callable[..., Any]
    """Torch-Pruning's function for that kind of layer."""
    channels: tuple[int, ...]
    buffers: tuple[str, ...] = ()
    """What lies beside those along its last axis and loses them too, such as the code of a position that is added."""

    def carry_out(self, module: Any, graph: Any, /) -> None:
        group = graph.get_pruning_group(parts(module)[self.layer], self.remove, list(self.channels))
        self.prune(module, group)

    def prune(self, module: Any, group: Any) -> None:
        """Remove them from a module.

        Args:
            group: of Torch-Pruning, what hangs together with them there.
        """
        with ties_kept(module):
            group.prune()
        grouped.cut_anew(group)
        gone = set(self.channels)
        for name in self.buffers:
            owner, _, own = name.rpartition(".")
            part = module.get_submodule(owner)
            values = getattr(part, own)
            setattr(part, own, values[..., [place for place in range(values.shape[-1]) if place not in gone]])


def narrow(pruner: Any, module: Any, beside: Mapping[str, tuple[str, ...]]) -> list[Removal]:
    """One step of a pruner of Torch-Pruning on its module; what it removed.

    Args:
        beside: by layer, the buffers that lose the channels that it does.
    """
    names = {part: name for name, part in parts(module).items()}
    removed: list[Removal] = []
    with grouped.turned_over(module):
        for group in pruner.step(interactive=True):
            dependency, channels = group[0]
            name = names[dependency.target.module]
            removal = ChannelRemoval(name, dependency.handler, tuple(map(int, channels)), beside.get(name, ()))
            removal.prune(module, group)
            removed.append(removal)
    return removed


@contextmanager
def ties_kept(module: Any) -> Iterator[None]:
    """A weight that several layers share stays shared where the same of it is removed from all of them meanwhile."""
    import torch

    groups = tied(module)
    yield
    for first, *others in groups:
        whole = module.get_parameter(first)
        for name in others:
            own = module.get_parameter(name)
            if own is not whole and own.shape == whole.shape and torch.equal(own, whole):
                owner, _, last = name.rpartition(".")
                setattr(module.get_submodule(owner), last, whole)


def buffers_beside(module: Any, layer: str) -> list[str]:
    """The buffers in floating point whose last axis is as long as a layer has channels. Those of PyTorch's own layers
    become narrower with these."""
    width = tables.width_of(parts(module)[layer])
    return [
        f"{name}.{own}".lstrip(".")
        for name, holder in module.named_modules()
        if not type(holder).__module__.startswith("torch.")
        for own, values in holder.named_buffers(recurse=False)
        if values.is_floating_point() and values.ndim and values.shape[-1] == width
    ]


def parts(module: Any) -> dict[str, Any]:
    """Layers and parameters by name."""
    return dict((*module.named_modules(), *module.named_parameters()))


def departing(before: Any, removed: Sequence[Removal], example: Tensors) -> list[str]:
    """The layers whose removal changes more than the channels removed; none where all is well.

    Args:
        before: the module as it was.
    """
    wide = shaken(before)
    if not removed or drift(wide, removed, example) <= TOLERANCE:
        return []
    alone = [removal.layer for removal in removed if drift(wide, [removal], example) > TOLERANCE]
    # where each is sound by itself, it is their being removed together that is not
    return alone or [removal.layer for removal in removed]


def parting(before: Any, removed: Sequence[Removal], example: Tensors) -> list[str]:
    """The layers whose removal parts a weight that several layers share.

    Args:
        before: the module as it was.
    """

    def is_parting(removal: Removal) -> bool:
        narrowed = copy.deepcopy(before)
        _repeat(narrowed, [removal], example)
        return shared(narrowed) != shared(before)

    return [removal.layer for removal in removed if is_parting(removal)]


def learnable(module: Any) -> list[Any]:
    """The parameters that could learn: no whole numbers, such as places that a module looks up."""
    return [each for each in module.parameters() if each.is_floating_point() or each.is_complex()]


def follow_all(module: Any) -> None:
    """Have all parameters be seen by autograd, which channels are traced by."""
    for parameter in learnable(module):
        parameter.requires_grad_(True)


def shaken(before: Any) -> Any:
    """A copy whose weights are none of them zero: what is removed by mistake must not go unseen because it was dead."""
    import torch

    copied, drawn = copy.deepcopy(before).eval(), torch.Generator().manual_seed(0)
    follow_all(copied)
    with torch.no_grad():
        for weight in learnable(copied):
            spread = float(weight.std()) if weight.numel() > 1 else 0.0
            weight.add_(torch.randn(weight.shape, generator=drawn) * max(spread, 0.05) / 2)
    return copied


def drift(before: Any, removed: Sequence[Removal], example: Tensors) -> float:
    """How far the removal of all changes more than what was removed; see `apart`.

    Args:
        before: the module as it was, with weights of which none is zero.
    """
    narrowed = copy.deepcopy(before)
    _repeat(narrowed, removed, example)
    return apart(answered(_masked(before, removed, narrowed, example), example), answered(narrowed, example))


def answered(module: Any, example: Tensors) -> list[Any] | None:
    """What a module answers; None where it does not run."""
    import torch

    try:
        with torch.no_grad(), layer_by_layer():
            return differentiable(call(module.eval(), example))
    except Exception as error:  # noqa: BLE001 - a forward that counts channels may raise anything
        environment.reraise(error)
        return None


def apart(one: list[Any] | None, other: list[Any] | None) -> float:
    """The largest difference between the answers of two modules, as a part of the largest answer; without end where
    one does not run."""
    import torch

    if one is None or other is None:
        return math.inf
    found = 0.0
    for first, second in zip(one, other, strict=True):
        if first.shape != second.shape:
            return math.inf
        if not first.numel():
            continue
        # what both shut out, by one infinity, is no difference
        gap = (first - second).masked_fill(first == second, 0).abs()
        sizes = torch.cat([first.flatten(), second.flatten()]).abs()
        largest = max(float(sizes.masked_fill(~sizes.isfinite(), 0).max()), 1e-12)
        difference = float(gap.max()) / largest
        found = max(found, difference if math.isfinite(difference) else math.inf)
    return found


@contextmanager
def layer_by_layer() -> Iterator[None]:
    """PyTorch's encoders in inference would take the weights of their layers and call none of these."""
    from torch.backends import mha

    was = mha.get_fastpath_enabled()
    mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        mha.set_fastpath_enabled(was)


def _masked(before: Any, removed: Sequence[Removal], narrowed: Any, example: Tensors) -> Any:
    """A copy of a module with zero for every weight that is gone in the narrowed one."""
    import torch

    shadow = copy.deepcopy(before)
    # weights that are their own places tell, once narrowed, which ones are left
    _repeat(shadow, removed, example, lambda weight: torch.arange(weight.numel()).double().reshape(weight.shape))
    kept = {name: weight.detach().long().flatten() for name, weight in shadow.named_parameters(remove_duplicate=False)}
    masked = copy.deepcopy(before)
    able = set(learnable(masked))
    with torch.no_grad():
        for name, weight in masked.named_parameters(remove_duplicate=False):
            if weight not in able:
                continue
            mask = torch.zeros(weight.numel(), dtype=weight.dtype)
            mask[kept[name]] = 1
            weight.mul_(mask.reshape(weight.shape))
    for name, part in list(before.named_modules()):
        own = next((each for each, _ in part.named_parameters(name, recurse=False)), None)
        if own is None or len(kept[own]) == masked.get_parameter(own).numel():
            continue
        if (axis := normalization.axis(part, narrowed.get_submodule(name), kept[own])) is not None:
            whole = masked.get_submodule(name)
            exchange(masked, {whole: normalization.over_kept(narrowed.get_submodule(name), kept[own], axis)})
    return masked


def _repeat(module: Any, removed: Sequence[Removal], example: Tensors, fill: Any = None) -> None:
    """Remove the same channels from a copy of the module.

    Args:
        fill: what to put in place of each weight before that.
    """
    follow_all(module)
    graph = graph_of(module, example)
    if fill is not None:
        for parameter in learnable(module):
            parameter.data = fill(parameter)
    with grouped.turned_over(module):
        for removal in removed:
            removal.carry_out(module, graph)


def differentiable(outputs: Any) -> list[Any]:
    """The outputs that channels are traced from; class indices and the like are not."""
    return [tensor for tensor in named(outputs).values() if tensor.is_floating_point()]


def graph_of(module: Any, example: Tensors, outputs: Callable[[Any], list[Any]] = differentiable) -> Any:
    """Torch-Pruning's graph of what hangs together in a module.

    Args:
        outputs: takes of the module's answer the tensors that channels are traced from.
    """
    import torch_pruning

    with recurrent_inputs.followed(module):
        graph = torch_pruning.DependencyGraph().build_dependency(
            module,
            example_inputs=example,
            forward_fn=followable_call,
            output_transform=outputs,
            customized_pruners=pruners(module),
        )
    see_channels(graph)
    return graph


def see_channels(graph: Any) -> None:
    """Have Torch-Pruning's graph of a module tell channels from what else it takes for them, in place."""
    grouped.only_channels_cut(graph)
    flattened.follow(graph)
    frozen.follow(graph)


def pruners(module: Any) -> Mapping[Any, Any]:
    """What Torch-Pruning is told of parts of a module that it does not know, by their kind."""
    told = {**normalization.pruners(), **recurrent_inputs.pruners(), **tables.pruners()}
    known = {each: pruner for kind, pruner in told.items() for each in _descendants(kind)}
    return {**frozen.pruners(module), **known}


def _descendants(of: Any) -> list[Any]:
    """A class and all that descend from it: Torch-Pruning knows what it is told of by the class itself."""
    return [of, *(each for child in of.__subclasses__() for each in _descendants(child))]
