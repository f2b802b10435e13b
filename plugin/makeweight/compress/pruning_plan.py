"""What of a module can be pruned, found by pruning a copy: which attention gives up heads, and which layers keep their
channels since Torch-Pruning loses track of them."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from makeweight.compress import attention
from makeweight.compress.attention import Attention
from makeweight.compress.deadend import left_out, refuse_broken
from makeweight.compress.examples import Tensors
from makeweight.compress.heads import ROUNDING, HeadRemoval, Narrowable, following, narrowable, runs
from makeweight.compress.narrowing import (
    TOLERANCE,
    ChannelRemoval,
    Removal,
    buffers_beside,
    departing,
    drift,
    parting,
    shaken,
)
from makeweight.compress.pruner import Pruning, TrackLost, pruner_of, tracked
from makeweight.runtimes.runtime import RecipeFailed
from makeweight.user.weights import counted


@dataclass(frozen=True)
class Plan:
    """Which attention gives up heads, and which layers keep their channels."""

    heads: tuple[Narrowable, ...]
    kept: tuple[str, ...]
    stuck: tuple[Attention, ...] = ()
    """The attention whose `forward` takes no fewer heads."""
    refused: tuple[str, ...] = ()
    """Of the layers that keep their channels, those that Torch-Pruning loses track of, or that forward() counts."""
    beside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By layer, the buffers that lose the channels that it does."""


def planned(module: Any, pruning: Pruning, left_alone: Sequence[str]) -> Plan:
    """What can be pruned, with these layers left alone.

    Raises:
        RecipeFailed: the module does not run once it is narrower, or would grow.
    """
    lost: list[str] = []
    while True:
        try:
            with tracked("follow this model", module):
                plan = _tried(_plan(module, pruning, [*left_alone, *lost]), module, pruning)
        except TrackLost as failure:
            if failure.layer is None or failure.layer in (*left_alone, *lost):
                raise
            lost.append(failure.layer)
        else:
            if lost:
                _say_refused(lost, pruning)
            return replace(plan, refused=(*lost, *plan.refused))


def _plan(module: Any, pruning: Pruning, left_alone: Sequence[str]) -> Plan:
    example = pruning.example
    wide = shaken(module)
    found = attention.find(wide, example)
    attention.sharpen(wide, found, example)
    of_heads = attention.tables_within(wide, found, example) if found else []
    reached = [each for each in found if not set(each.makers) & set(left_alone)]
    tried = list(zip(reached, narrowable(wide, reached, example), strict=True))
    plan = Plan(
        heads=tuple(able for _, able in tried if able is not None),
        kept=(*left_alone, *(maker for each in found for maker in each.makers), *of_heads),
        stuck=tuple(each for each, able in tried if able is None),
    )
    if not plan.stuck:
        return plan
    uncounted: Any = None
    removed: list[Removal] = []
    for heads in following(plan.stuck, module):
        whole = replace(plan, heads=(*plan.heads, *heads), stuck=())
        if uncounted is None:
            # the ways differ in what is counted by heads, and not in what is removed: the first changes no number
            uncounted, removed = carried_out(whole, module, pruning)
            if counted(uncounted) >= counted(module):
                break
        if not runs(uncounted, heads, removed, example):
            continue
        _, gone = carried_out(whole, module, pruning)
        if drift(wide, gone, example) <= ROUNDING:
            return whole
    pruning.given.progress.say(stuck(plan.stuck))
    return plan


def carried_out(plan: Plan, module: Any, pruning: Pruning) -> tuple[Any, list[Removal]]:
    """A copy of the module that was pruned as planned."""
    trial = copy.deepcopy(module)
    plain = replace(pruning, options=pruning.options.model_copy(update={"importance": "magnitude"}))
    with tracked("prune this model", trial):
        return trial, pruner_of(trial, plain, plan.heads, plan.kept, plan.beside).step(trial)


def _tried(plan: Plan, module: Any, pruning: Pruning) -> Plan:
    """What is left of a plan after it was carried out on a copy: layers keep their channels where Torch-Pruning loses
    track of them or the module does not run without some, and so does what reads of attention that takes no fewer
    heads, where it needs inputs of one width. Buffers lose channels where that helps."""
    trial, removed = carried_out(plan, module, pruning)
    readers = tuple(each.reader for each in plan.stuck)
    try:
        refuse_miscounted(trial, pruning)
    except RecipeFailed:
        if (helped := _helped(plan, module, removed, pruning)) is not None:
            return _tried(helped, module, pruning)
        if set(readers) <= set(plan.kept):
            raise
        return _tried(replace(plan, kept=(*plan.kept, *readers)), module, pruning)
    refuse_growth(module, trial, removed, pruning.example)
    refused = departing(module, removed, pruning.example)
    if refused:
        _say_refused(refused, pruning)
    heads = tuple(each for each in plan.heads if not set(each.attention.makers) & set(refused))
    return replace(plan, heads=heads, kept=(*plan.kept, *refused), refused=(*plan.refused, *refused))


def _say_refused(layers: Sequence[str], pruning: Pruning) -> None:
    pruning.given.progress.say(f"prune: channels kept where Torch-Pruning loses track of them: {', '.join(layers)}")


def _helped(plan: Plan, module: Any, removed: Sequence[Removal], pruning: Pruning) -> Plan | None:
    """A plan for a module that does not run once it is narrower: with buffers that lose channels too, or with layers
    that keep theirs; None: neither helps."""
    wide, example = shaken(module), pruning.example
    beside: dict[str, tuple[str, ...]] = {}
    kept: list[str] = []
    heads = [each for each in removed if isinstance(each, HeadRemoval)]
    for removal in removed:
        if not isinstance(removal, ChannelRemoval) or removal.buffers or drift(wide, [removal], example) < math.inf:
            continue
        # with the others gone too: attention may need fewer heads for fewer inputs
        others = [each for each in removed if each is not removal]
        for buffers in _some_of(buffers_beside(module, removal.layer)):
            with_them = replace(removal, buffers=buffers)
            if any(drift(wide, [*more, with_them], example) <= TOLERANCE for more in ([], others)):
                beside[removal.layer] = buffers
                break
        else:
            if not heads or drift(wide, [*heads, removal], example) == math.inf:
                kept.append(removal.layer)
    if beside:
        # what is kept may run beside these
        return replace(plan, beside={**plan.beside, **beside})
    if not kept:
        return None
    pruning.given.progress.say(
        f"prune: layers that keep their channels, since forward() does not run without some of them: {', '.join(kept)}"
    )
    return replace(plan, kept=(*plan.kept, *kept), refused=(*plan.refused, *kept))


def _some_of(buffers: Sequence[str]) -> list[tuple[str, ...]]:
    """All of them, then each alone."""
    alone: list[tuple[str, ...]] = [(buffer,) for buffer in buffers]
    return [tuple(buffers), *alone] if len(alone) > 1 else alone


def stuck(attentions: Sequence[Attention]) -> str:
    layers = [each.called for each in attentions]
    named = ", ".join(f"`{name}`" for name in layers)
    return (
        f"prune: all heads are kept in {named}: without one of them, forward() fails or computes something else, "
        "whatever numbers it keeps; have it count heads by an attribute and find their width by `-1`"
        f"{left_out(layers)}"
    )


def refuse_growth(before: Any, after: Any, removed: list[Removal], example: Tensors) -> None:
    had, has = counted(before), counted(after)
    if has > had:
        layers = parting(before, removed, example)
        raise RecipeFailed(
            f"prune: the network would have more parameters than before ({had:,} -> {has:,}): a weight that several "
            f"layers share is parted when one of them is pruned{left_out(layers)}"
        )


def refuse_miscounted(module: Any, pruning: Pruning) -> None:
    """Raises:
    RecipeFailed: a narrower module no longer answers as before, mostly since its `forward` counts channels.
    """
    refuse_broken(
        module,
        pruning.example,
        pruning.scores,
        pruning.given.output,
        "prune: the narrower network",
        "forward() probably holds channel counts as numbers: take them from the tensor, or name in `exclude` the layer "
        "whose channels it counts",
    )
