"""Attention that is written in layers: which of them make its queries, keys and values, which one reads what it gives,
and which of their channels belong to one head.

How `forward` cuts channels into heads (view, unflatten, chunk, einsum) is not read but asked of autograd: a channel
that the reader is handed depends on the queries of its own head and of no other.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from makeweight.compress.examples import Tensors
from makeweight.compress.tables import kinds
from makeweight.runtimes.inputs import call
from makeweight.runtimes.outputs import named

Heads = tuple[tuple[int, ...], ...]
"""Channels by head. Heads that share keys and values count as one: they can only go together."""

# What autograd calls the operations that weigh values by a softmax over scores.
_WEIGHING = ("Softmax", "ScaledDotProduct")

# The standard deviation of queries and keys that gives scores a spread of about four.
_SPREAD = 2.0


@dataclass(frozen=True)
class Attention:
    """Layers that make up an attention, by their names in the module."""

    makers: Mapping[str, Heads]
    """The layers of queries, keys and values, with their output channels."""
    reader: str
    read: Heads
    """The layer that what the heads give goes into, with its input channels."""

    @property
    def count(self) -> int:
        return len(self.read)

    @property
    def width(self) -> int:
        """Channels of the reader in one head."""
        return len(self.read[0])

    @property
    def name(self) -> str:
        """The part of the module that holds all its layers; "" for the whole."""
        paths = [name.split(".")[:-1] for name in (*self.makers, self.reader)]
        common: list[str] = []
        for parts in zip(*paths, strict=False):
            if len(set(parts)) > 1:
                break
            common.append(parts[0])
        return ".".join(common)

    @property
    def called(self) -> str:
        """What people are told of it: its part of the module, or, where that is the whole, its reader."""
        return self.name or self.reader

    def without(self, heads: Iterable[int]) -> Attention:
        """The attention that is left, its channels counted anew."""
        gone = set(heads)
        makers = {name: _left(channels, gone) for name, channels in self.makers.items()}
        return Attention(makers, self.reader, _left(self.read, gone))


def find(module: Any, example: Tensors) -> list[Attention]:
    """Every attention between layers of the module whose channels fall into two heads or more.

    Args:
        module: in eval mode, with weights of which none is zero by chance; its gradients are left as they were.
    """
    import torch

    calls = _calls(module, example)
    with torch.enable_grad():
        return [found for reader in calls if (found := _attention(reader, calls))]


def tables_within(module: Any, found: Sequence[Attention], example: Tensors) -> list[str]:
    """The tables of vectors that what heads give depends on through no layer, such as what is added to scores by the
    distance of two places: their channels are heads, or channels of one, and stay."""
    names: dict[Any, str] = {}

    def noting(name: str) -> Callable[..., None]:
        def note(_: Any, __: Any, answer: Any) -> None:
            names[answer.grad_fn] = name

        return note

    parts = [(name, part) for name, part in module.named_modules() if isinstance(part, kinds())]
    hooks = [part.register_forward_hook(noting(name)) for name, part in parts]
    try:
        calls = _calls(module, example)
    finally:
        for hook in hooks:
            hook.remove()
    made = {call.answer.grad_fn for each in calls.values() for call in each}
    steps = (step for each in found for step in _before(calls[each.reader][0].given, made))
    return list(dict.fromkeys(names[step] for step in steps if step in names))


def sharpen(module: Any, found: Sequence[Attention], example: Tensors) -> None:
    """Scale what makes queries and keys, so that scores differ and each head weighs in its own way."""
    import torch

    calls = _calls(module, example)
    with torch.no_grad():
        for name in dict.fromkeys(maker for each in found for maker in each.makers):
            factor = _SPREAD / float(calls[name][0].answer.std())
            for weight in module.get_submodule(name).parameters():
                weight *= factor


def remove(module: Any, attention: Attention, heads: Sequence[int]) -> None:
    """Cut heads out of the layers; what `forward` counts is not touched."""
    import torch_pruning

    for name, channels in attention.makers.items():
        layer = module.get_submodule(name)
        _pruner_of(torch_pruning, layer).prune_out_channels(layer, sorted(_of(channels, heads)))
    reader = module.get_submodule(attention.reader)
    _pruner_of(torch_pruning, reader).prune_in_channels(reader, sorted(_of(attention.read, heads)))


def mask(module: Any, attention: Attention, heads: Sequence[int]) -> None:
    """Set to zero what the reader takes of some heads: as if they were not there."""
    import torch

    with torch.no_grad():
        reader = module.get_submodule(attention.reader)
        reader.weight[:, sorted(_of(attention.read, heads))] = 0


def importances(module: Any, attention: Attention, importance: Callable[[Any], Any]) -> list[float]:
    """What each head matters, by an importance of Torch-Pruning: the sum over its layers of its channels' mean."""
    import torch_pruning

    total = [0.0] * attention.count
    layers = [(name, channels, "prune_out_channels") for name, channels in attention.makers.items()]
    for name, channels, way in (*layers, (attention.reader, attention.read, "prune_in_channels")):
        layer = module.get_submodule(name)
        scores = importance(_alone(torch_pruning, layer, way, sum(map(len, channels))))
        for head, own in enumerate(channels):
            total[head] += float(scores[list(own)].mean())
    return total


@dataclass(frozen=True)
class _Call:
    """What went into a layer and came out of it, where that is one tensor each."""

    given: Any
    answer: Any
    axis: int
    """Of the channels."""


def _calls(module: Any, example: Tensors) -> dict[str, list[_Call]]:
    """By the name of each convolution and linear layer, in order."""
    import torch
    from torch import nn

    calls: dict[str, list[_Call]] = {}

    def noting(name: str, axis: int) -> Callable[..., None]:
        def note(_: Any, given: Any, answer: Any) -> None:
            if len(given) == 1 and answer.grad_fn is not None:
                calls.setdefault(name, []).append(_Call(given[0], answer, axis))

        return note

    hooks = []
    for name, part in module.named_modules():
        if type(part) is nn.Linear:
            hooks.append(part.register_forward_hook(noting(name, -1)))
        elif isinstance(part, nn.Conv1d | nn.Conv2d) and part.groups == 1:
            hooks.append(part.register_forward_hook(noting(name, 1)))
    try:
        with torch.enable_grad():
            named(call(module, example))
    finally:
        for hook in hooks:
            hook.remove()
    return calls


def _attention(reader: str, calls: Mapping[str, list[_Call]]) -> Attention | None:
    given = calls[reader][0]
    makers = _makers(given.given, calls)
    if not makers:
        return None
    read = _heads(given, list(makers.values()))
    if read is None:
        return None
    touched = [_touched(given, list(makers.values()), own) for own in read]
    by_maker = {name: tuple(tuple(sorted(each[index])) for each in touched) for index, name in enumerate(makers)}
    whole = all(_parted(heads, makers[name]) for name, heads in by_maker.items())
    return Attention(by_maker, reader, read) if whole else None


def _makers(given: Any, calls: Mapping[str, list[_Call]]) -> dict[str, _Call]:
    """The layers whose answers reach a tensor through no other layer; none where no weighing is on the way, or a layer
    is called twice on it."""
    made = {call.answer.grad_fn: (name, call) for name, each in calls.items() for call in each}
    found: dict[str, _Call] = {}
    weighed = False
    for step in _before(given, made):
        if step in made:
            name, call = made[step]
            if name in found:
                return {}
            found[name] = call
            continue
        weighed |= any(name in step.name() for name in _WEIGHING)
    return {name: found[name] for name in calls if name in found} if weighed else {}


def _before(given: Any, made: Container[Any]) -> Iterator[Any]:
    """The operations that a tensor comes from, as autograd has them, back to those that made what layers answered."""
    seen, waiting = set[Any](), [given.grad_fn]
    while waiting:
        step = waiting.pop()
        if step is None or step in seen:
            continue
        seen.add(step)
        yield step
        if step not in made:
            waiting.extend(before for before, _ in step.next_functions)


def _heads(reader: _Call, makers: Sequence[_Call]) -> Heads | None:
    """The channels of the reader's input by head, where heads lie one behind the other or in turns."""
    width = reader.given.shape[reader.axis]
    sizes = [size for size in range(1, width) if width % size == 0]

    def touched(channel: int) -> list[set[int]]:
        return _touched(reader, makers, [channel])

    first = touched(0)
    apart = next((size for size in sizes if not _meet(first, touched(size))), None)
    if apart is None:
        return None
    if apart > 1:
        return tuple(tuple(range(start, start + apart)) for start in range(0, width, apart))
    turns = next((size for size in sizes[1:] if _meet(first, touched(size))), None)
    return None if turns is None else tuple(tuple(range(start, width, turns)) for start in range(turns))


def _touched(reader: _Call, makers: Sequence[_Call], channels: Sequence[int]) -> list[set[int]]:
    """By maker, the output channels that channels of the reader's input depend on."""
    import torch

    taken = reader.given.index_select(reader.axis, torch.tensor(list(channels)))
    weights = torch.rand(taken.shape, generator=torch.Generator().manual_seed(0)) + 0.5
    found = torch.autograd.grad(taken, [each.answer for each in makers], weights, retain_graph=True, allow_unused=True)
    return [set() if each is None else _nonzero(each, call.axis) for each, call in zip(found, makers, strict=True)]


def _nonzero(gradient: Any, axis: int) -> set[int]:
    rows = gradient.movedim(axis, 0).flatten(1)
    return set((rows != 0).any(1).nonzero().flatten().tolist())


def _meet(one: Sequence[set[int]], other: Sequence[set[int]]) -> bool:
    return any(first & second for first, second in zip(one, other, strict=True))


def _parted(heads: Heads, maker: _Call) -> bool:
    """Whether every channel of a maker belongs to one head, and all heads are equally wide."""
    channels = sorted(channel for own in heads for channel in own)
    return len({len(own) for own in heads}) == 1 and channels == list(range(maker.answer.shape[maker.axis]))


def _left(channels: Heads, gone: set[int]) -> Heads:
    kept = [own for head, own in enumerate(channels) if head not in gone]
    places = {channel: place for place, channel in enumerate(sorted(channel for own in kept for channel in own))}
    return tuple(tuple(places[channel] for channel in own) for own in kept)


def _of(channels: Heads, heads: Iterable[int]) -> Iterator[int]:
    return (channel for head in heads for channel in channels[head])


def _pruner_of(torch_pruning: Any, layer: Any) -> Any:
    return torch_pruning.pruner.function.PrunerBox[torch_pruning.ops.module2type(layer)]


def _alone(torch_pruning: Any, layer: Any, way: str, channels: int) -> Any:
    """All channels of one layer, as a group that an importance of Torch-Pruning takes."""
    node = torch_pruning.dependency.Node(layer, None)
    handler = getattr(_pruner_of(torch_pruning, layer), way)
    group = torch_pruning.dependency.Group()
    group.add_dep(torch_pruning.dependency.Dependency(handler, handler, node, node), list(range(channels)))
    group[0].root_idxs = list(range(channels))
    return group
