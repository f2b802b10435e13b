"""Whole channels removed from a module, in rounds. Torch-Pruning finds what hangs together.

Fang et al., "DepGraph: Towards Any Structural Pruning", CVPR 2023, https://arxiv.org/abs/2301.12900
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from makeweight.compress import attention, normalization
from makeweight.compress.attention import Attention
from makeweight.compress.deadend import answer_of, excluded, layer_of, left_out, refuse_operators
from makeweight.compress.examples import Examples, Tensors, tensors
from makeweight.compress.heads import ROUNDING, HeadPruner, Narrowable, following, narrowable, runs
from makeweight.compress.importances import importance_of, of_heads, silent_in
from makeweight.compress.losses import Loss, loss_of
from makeweight.compress.multihead import write_out
from makeweight.compress.narrowing import (
    Removal,
    departing,
    differentiable,
    drift,
    graph_of,
    narrow,
    parting,
    parts,
    shaken,
)
from makeweight.compress.rounding import removed
from makeweight.compress.scores import answers
from makeweight.compress.subject import Subject
from makeweight.compress.target import Latency, aimed
from makeweight.compress.technique import Given
from makeweight.compress.tuning import InRounds, read_as
from makeweight.runtimes import environment
from makeweight.runtimes.inputs import call
from makeweight.runtimes.outputs import judged
from makeweight.runtimes.runtime import RecipeFailed
from makeweight.user.weights import counted
from makeweight_base.errors import MakeweightError, first_line
from makeweight_base.quiet import quiet

if TYPE_CHECKING:
    from makeweight.compress.prune import PruneOptions

NAME = "prune"
# Examples whose gradients decide what matters, for the importances that ask for gradients.
_GRADIENT_EXAMPLES = 512
_TOGETHER = 64
_STATES = "recurrences keep their hidden units, which go into them again as their state: {}"


def remove(subject: Subject, options: PruneOptions, given: Given) -> Subject:
    """See `Prune` and `Transformation.apply`."""
    module = subject.source
    example = tensors(given.ports, given.splits["calibration"].first(2).inputs)
    shape = answers(module, example, given.output).shape
    parameters = counted(module)
    whole = write_out(module, example)
    before = _widths(module)
    if not before:
        refuse_operators(module, NAME)
        raise RecipeFailed("prune changed nothing: the module has no layer with channels")
    if whole:
        given.progress.say(_whole(whole))
    recurrences = _recurrences(module)
    if recurrences:
        given.progress.say(f"prune: {_STATES.format(', '.join(recurrences))}")
    left_alone = [*excluded(options.exclude, [*before, *recurrences], NAME), *whole, *recurrences]
    latency = None if options.latency is None else Latency(options.latency, given)
    if latency is not None:
        given.notes[NAME] = {"latency": latency.note}
    options = _aimed(latency, subject, example, shape, options, given, left_alone)
    with _following("follow this model", module):
        plan = _plan(module, example, options, given, left_alone)
        plan = _tried(plan, module, example, shape, options, given)
        pruner = _pruner(module, example, options, given, plan)
    learnt = _learnt(options, given) if options.importance == "taylor" else None
    trained = InRounds(NAME, options, options.rounds, given)
    for number in range(1, options.rounds + 1):
        if learnt is not None:
            _gradients(module, *learnt, given.output)
        with _following("prune this model", module):
            was = copy.deepcopy(module)
            removed = pruner.step(module)
        module.zero_grad(set_to_none=True)
        _still_runs(module, example, shape, given)
        _refuse_growth(was, module, removed, example)
        with _following("check the narrower model", module):
            wrong = departing(was, removed, example)
        if wrong:
            raise RecipeFailed(_lost(wrong) + left_out([*left_alone, *plan.refused, *wrong]))
        trained.after(number, module, subject.left.values())
    module.eval()
    after = _widths(module)
    changed = {name: [before[name], width] for name, width in after.items() if width != before[name]}
    untold = [name for name, part in parts(module).items() if part in silent_in(pruner.channels.importance)]
    if untold and not changed:
        raise RecipeFailed(_untold(untold))
    if untold:
        given.progress.say(_untold(untold))
    if not changed and plan.refused:
        raise RecipeFailed(_lost(plan.refused))
    if not changed and plan.stuck:
        raise RecipeFailed(_stuck(plan.stuck))
    if not changed and whole:
        raise RecipeFailed(_whole(whole))
    if not changed:
        raise RecipeFailed(
            "prune changed nothing: no layer could give up channels and keep a multiple of "
            f"{_multiple(options, given)} (layers have {min(before.values())} to {max(before.values())}, and "
            "output layers keep theirs); lower `round_to`, or raise `ratio`"
            + (f"; {_STATES.format(', '.join(recurrences))}" if recurrences else "")
        )
    _still_runs(module, example, shape, given)
    left = counted(module)
    given.progress.say(f"prune: {len(changed)} of {len(before)} layers narrower, {parameters:,} -> {left:,} parameters")
    given.notes[NAME] = {"parameters": [parameters, left], "channels": changed, "rounds": trained.told}
    if latency is not None:
        latency.look_again(subject)
        given.notes[NAME]["latency"] = latency.note
    if fewer := pruner.heads.fewer():
        given.notes[NAME]["heads"] = fewer
    if unwilling := [*whole, *recurrences, *plan.refused, *untold, *(each.called for each in plan.stuck)]:
        given.notes[NAME]["refused"] = unwilling
    return subject


def _aimed(
    latency: Latency | None,
    subject: Subject,
    example: Tensors,
    shape: Any,
    options: PruneOptions,
    given: Given,
    left_alone: list[str],
) -> PruneOptions:
    """With the ratio that leaves so much arithmetic or time; what stays whole is found out with half of the channels
    gone."""
    if options.ratio is not None:
        return options
    module = subject.source

    def at(ratio: float) -> PruneOptions:
        return options.model_copy(update={"ratio": ratio, "macs": None, "latency": None, "rounds": 1})

    half = at(0.5)
    with _following("follow this model", module):
        plan = _tried(_plan(module, example, half, given, left_alone), module, example, shape, half, given)

    def pruned(ratio: float) -> Any:
        return _carried_out(plan, module, example, at(ratio), given)[0]

    ratio = aimed(options, latency, pruned, subject, example, given)
    return at(ratio).model_copy(update={"rounds": options.rounds})


def _multiple(options: PruneOptions, given: Given) -> int:
    return options.round_to or given.channel_multiple


@dataclass(frozen=True)
class _Plan:
    """Which attention gives up heads, and which layers keep their channels."""

    heads: tuple[Narrowable, ...]
    kept: tuple[str, ...]
    stuck: tuple[Attention, ...] = ()
    """The attention whose `forward` takes no fewer heads."""
    refused: tuple[str, ...] = ()
    """Of the layers that keep their channels, those that Torch-Pruning loses track of."""


@dataclass(frozen=True)
class _Pruner:
    """One step removes channels, and heads of attention whose channels Torch-Pruning leaves alone."""

    channels: Any
    heads: HeadPruner

    def step(self, module: Any) -> list[Removal]:
        return [*narrow(self.channels, module), *self.heads.step(module)]


def _plan(module: Any, example: Tensors, options: PruneOptions, given: Given, left_alone: list[str]) -> _Plan:
    wide = shaken(module)
    found = attention.find(wide, example)
    attention.sharpen(wide, found, example)
    wanted = [each for each in found if not set(each.makers) & set(left_alone)]
    tried = list(zip(wanted, narrowable(wide, wanted, example), strict=True))
    plan = _Plan(
        heads=tuple(able for _, able in tried if able is not None),
        kept=(*left_alone, *(maker for each in found for maker in each.makers)),
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
            uncounted, removed = _carried_out(whole, module, example, options, given)
            if counted(uncounted) >= counted(module):
                break
        if not runs(uncounted, heads, removed, example):
            continue
        _, carried_out = _carried_out(whole, module, example, options, given)
        if drift(wide, carried_out, example) <= ROUNDING:
            return whole
    given.progress.say(_stuck(plan.stuck))
    return plan


def _carried_out(
    plan: _Plan, module: Any, example: Tensors, options: PruneOptions, given: Given
) -> tuple[Any, list[Removal]]:
    """A copy of the module that was pruned as planned."""
    trial, plain = copy.deepcopy(module), options.model_copy(update={"importance": "magnitude"})
    with _following("prune this model", trial):
        return trial, _pruner(trial, example, plain, given, plan).step(trial)


def _tried(plan: _Plan, module: Any, example: Tensors, shape: Any, options: PruneOptions, given: Given) -> _Plan:
    """What is left of a plan after it was carried out on a copy: layers keep their channels where Torch-Pruning loses
    track of them, and so does what reads of attention that takes no fewer heads, where it needs inputs of one width."""
    trial, removed = _carried_out(plan, module, example, options, given)
    readers = tuple(each.reader for each in plan.stuck)
    try:
        _still_runs(trial, example, shape, given)
    except RecipeFailed:
        if set(readers) <= set(plan.kept):
            raise
        return _tried(replace(plan, kept=(*plan.kept, *readers)), module, example, shape, options, given)
    _refuse_growth(module, trial, removed, example)
    refused = departing(module, removed, example)
    if refused:
        given.progress.say(f"prune: channels kept where Torch-Pruning loses track of them: {', '.join(refused)}")
    heads = tuple(each for each in plan.heads if not set(each.attention.makers) & set(refused))
    return replace(plan, heads=heads, kept=(*plan.kept, *refused), refused=tuple(refused))


def _stuck(attentions: Sequence[Attention]) -> str:
    layers = [each.called for each in attentions]
    named = ", ".join(f"`{name}`" for name in layers)
    return (
        f"prune: all heads are kept in {named}: without one of them, forward() fails or computes something else, "
        "whatever numbers it keeps; have it count heads by an attribute and find their width by `-1`"
        f"{left_out(layers)}"
    )


def _whole(reasons: Mapping[str, str]) -> str:
    told = "; ".join(f"`{name}`: {reason}" for name, reason in reasons.items())
    return f"prune: nn.MultiheadAttention that is left whole, with what its width hangs together with: {told}"


def _untold(layers: Sequence[str]) -> str:
    named = ", ".join(f"`{name}`" for name in layers)
    return (
        f"prune: all channels are kept of {named}: no batch normalization tells them apart (none follows, or its "
        "scales are all alike, as before any training); take another `importance`"
    )


def _lost(layers: Sequence[str]) -> str:
    named = ", ".join(f"`{name}`" for name in layers)
    return (
        f"prune: Torch-Pruning loses track of the channels of {named}: without them the network computes something "
        "else than with them at zero (forward shuffles, splits or normalizes channels by hand)"
    )


def _refuse_growth(before: Any, after: Any, removed: list[Removal], example: Tensors) -> None:
    had, has = counted(before), counted(after)
    if has > had:
        layers = parting(before, removed, example)
        raise RecipeFailed(
            f"prune: the network would have more parameters than before ({had:,} -> {has:,}): a weight that several "
            f"layers share is parted when one of them is pruned{left_out(layers)}"
        )


def _pruner(module: Any, example: Tensors, options: PruneOptions, given: Given, plan: _Plan) -> _Pruner:
    import torch_pruning

    layers = parts(module)
    kept = [layers[name] for name in plan.kept]
    # the width of inputs that heads are counted by has to hold whole heads
    ratio = cast(float, options.ratio)  # where `macs` is set, it was found before
    multiple = math.lcm(_multiple(options, given), *(each.attention.width for each in plan.heads if each.follows))
    for parameter in module.parameters():
        parameter.requires_grad_(True)  # the dependencies are traced by autograd
    importance = importance_of(options.importance)

    class Pruner(torch_pruning.pruner.BasePruner):  # type: ignore[misc]
        groups = 1

        # The library's own rounds down, so that with 32 channels, multiples of 16 and a ratio of 0.1, half would go.
        # Where channels fall into groups, of which each loses as many, it takes those of one for those of all.
        def _round_to(self, n_pruned: int, current_channels: int, round_to: int) -> int:
            groups: int = self.groups
            return removed(n_pruned * groups, current_channels, math.lcm(round_to, groups)) // groups

        # Asked of each group just before its channels are rounded.
        def _is_atten_group(self, group: Any) -> Any:
            self.groups = self._get_channel_groups(group)
            return super()._is_atten_group(group)

    channels = Pruner(
        module,
        example_inputs=example,
        forward_fn=call,
        importance=importance,
        global_pruning=options.scope == "global",
        pruning_ratio=ratio,
        iterative_steps=options.rounds,
        ignored_layers=[*kept, *_output_layers(module, example, kept)],
        round_to=multiple,
        output_transform=differentiable,
        customized_pruners=normalization.pruners(),
        # the library's defaults for these are dictionaries that it fills in place, for every later pruner too
        in_channel_groups={},
        out_channel_groups={},
        num_heads={},
        channel_groups={},
    )
    together = options.scope == "global"
    return _Pruner(
        channels, HeadPruner(list(plan.heads), of_heads(importance), ratio, options.rounds, together, multiple)
    )


def _recurrences(module: Any) -> list[str]:
    """Their names. What a recurrence answers goes into it again, where Torch-Pruning does not follow it."""
    from torch import nn

    return [name for name, part in module.named_modules() if isinstance(part, nn.RNNBase | nn.RNNCellBase)]


def _output_layers(module: Any, example: Tensors, kept: Sequence[Any]) -> list[Any]:
    """The layers whose channels are the model's outputs, directly or through operations that pass channels on; those
    that keep their channels besides are not asked for (in attention, Torch-Pruning would follow them without end)."""
    ends: set[Any] = set()

    def note(outputs: Any) -> Any:
        leaves = differentiable(outputs)
        ends.update(leaf.grad_fn for leaf in leaves)
        if not leaves or None in ends:
            raise RecipeFailed(
                "Torch-Pruning cannot follow this model: an output does not depend on the weights as far as autograd "
                "sees (torch.no_grad, detach or numpy in forward)"
            )
        return leaves

    graph = graph_of(module, example, note)
    layers = []
    for group in graph.get_all_groups(ignored_layers=list(kept)):
        root = group[0].dep.target.module
        passing = (item.dep.target for item in group.items if graph.is_out_channel_pruning_fn(item.dep.handler))
        if any(node.grad_fn in ends for node in passing):
            layers.append(root)
    return layers


def _learnt(options: PruneOptions, given: Given) -> tuple[Examples, Loss]:
    """Examples of the train split whose gradients decide, and what they are gradients of: in all rounds the same."""
    data = Examples(given.splits["train"].draw(_GRADIENT_EXAMPLES, given.seed), given.task, given.ports)
    return data, loss_of(options.loss, read_as(options, data, given), given.task, given.root)


def _gradients(module: Any, data: Examples, loss: Loss, output: str | None) -> None:
    """The gradient of the mean loss over examples, left in the parameters."""
    module.zero_grad()
    for batch in data.batches(_TOGETHER):
        scores = judged(call(module, batch.inputs), output)
        (loss(scores, batch) * len(batch.indices) / data.split.length()).backward()


@contextmanager
def _following(what: str, module: Any) -> Iterator[None]:
    """Torch-Pruning raises anything at all where it loses track of a model."""
    try:
        with quiet():
            yield
    except (MakeweightError, RecipeFailed):
        raise
    except Exception as error:
        environment.reraise(error)
        message = first_line(error) or "it said nothing"
        layer = layer_of(error, module)
        at = f" at `{layer}`" if layer else ""
        way_out = left_out([layer] if layer else [])
        raise RecipeFailed(f"Torch-Pruning cannot {what}{at}: {type(error).__name__}: {message}{way_out}") from error


def _still_runs(module: Any, example: Tensors, shape: Any, given: Given) -> None:
    import torch

    answer = answer_of(
        module,
        example,
        given.output,
        "prune: the narrower network",
        "forward() probably holds channel counts as numbers: take them from the tensor, or name in `exclude` the layer "
        "whose channels it counts",
    )
    if answer.shape != shape:
        raise RecipeFailed(
            f"prune: the output's shape became {list(answer.shape)}, it was {list(shape)}: forward() probably "
            "counts channels itself; name the layer that it counts in `exclude`"
        )
    if not bool(torch.isfinite(answer).all()):
        raise RecipeFailed("prune: the narrower network answers NaN or infinity")


def _widths(module: Any) -> dict[str, int]:
    """Output channels by layer, of the layers that have any."""
    parts = dict(module.named_modules())
    widths = {name: getattr(part, "out_channels", getattr(part, "out_features", None)) for name, part in parts.items()}
    return {name: width for name, width in widths.items() if isinstance(width, int)}
