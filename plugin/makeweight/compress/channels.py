"""Whole channels removed from a module, in rounds. Torch-Pruning finds what hangs together.

Fang et al., "DepGraph: Towards Any Structural Pruning", CVPR 2023, https://arxiv.org/abs/2301.12900
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from makeweight.compress import grouped, tables
from makeweight.compress.deadend import excluded, left_out, refuse_operators
from makeweight.compress.examples import Examples, tensors
from makeweight.compress.importances import silent_in
from makeweight.compress.losses import Loss, loss_of
from makeweight.compress.multihead import write_out
from makeweight.compress.narrowing import departing, follow_all, learnable, parts
from makeweight.compress.parametrized import in_place_of_parametrized
from makeweight.compress.pruner import Pruner, Pruning, pruner_of, tracked
from makeweight.compress.pruning_plan import Plan, carried_out, planned, refuse_growth, refuse_miscounted, stuck
from makeweight.compress.recurrent_inputs import recurrences
from makeweight.compress.scores import first_answers
from makeweight.compress.subject import Subject
from makeweight.compress.target import Latency, aimed
from makeweight.compress.technique import Given
from makeweight.compress.tuning import InRounds, read_as
from makeweight.runtimes.inputs import call
from makeweight.runtimes.outputs import judged
from makeweight.runtimes.runtime import RecipeFailed
from makeweight.user.weights import counted

if TYPE_CHECKING:
    from makeweight.compress.prune import PruneOptions

NAME = "prune"
# Examples whose gradients decide what matters, for the importances that ask for gradients.
_GRADIENT_EXAMPLES = 512
_TOGETHER = 64
_SINGLE = "convolutions that make one channel of several in each group keep these, and those that they read: {}"
_STATES = "recurrences keep their hidden units, which go into them again as their state: {}"


def remove(subject: Subject, options: PruneOptions, given: Given) -> Subject:
    """See `Prune` and `Transformation.apply`."""
    module = subject.source
    example = tensors(given.ports, given.splits["calibration"].first(2).inputs)
    scores = first_answers(module, example, given.output, NAME)
    parameters = counted(module)
    in_place_of_parametrized(subject, NAME, given)
    whole = write_out(module, example)
    before = _widths(module)
    if not before:
        refuse_operators(module, NAME)
        raise RecipeFailed("prune changed nothing: the module has no layer with channels")
    if whole:
        given.progress.say(_whole(whole))
    recurrent = list(recurrences(module))
    if recurrent:
        given.progress.say(f"prune: {_STATES.format(', '.join(recurrent))}")
    if single := grouped.single(module):
        given.progress.say(f"prune: {_SINGLE.format(', '.join(single))}")
    left_alone = [*excluded(options.exclude, [*before, *recurrent], NAME), *whole, *recurrent, *single]
    frozen = {name for name, parameter in module.named_parameters() if not parameter.requires_grad}
    latency = None if options.latency is None else Latency(options.latency, given)
    if latency is not None:
        given.notes[NAME] = {"latency": latency.note}
    pruning = _aimed(latency, subject, Pruning(options, given, example, scores), left_alone)
    plan = planned(module, pruning, left_alone)
    with tracked("follow this model", module):
        pruner = pruner_of(module, pruning, plan.heads, plan.kept, plan.beside)
        held = _held(pruner, module, plan.kept, pruning.multiple)
    rounds = _in_rounds(pruner, plan, subject, pruning, left_alone, frozen)
    after = _widths(module)
    changed = {name: [before[name], width] for name, width in after.items() if width != before[name]}
    held = {name: reason for name, reason in held.items() if name not in changed}
    untold = [name for name, part in parts(module).items() if part in silent_in(pruner.channels.importance)]
    if not changed:
        keep = set(pruner.channels.ignored_layers)
        losing_heads = {maker for each in plan.heads for maker in each.attention.makers}
        able = [name for name in before if name in losing_heads or module.get_submodule(name) not in keep]
        raise RecipeFailed(_unchanged(plan, untold, whole, recurrent, single, before, able, pruning.multiple, held))
    if held:
        given.progress.say(f"prune: {_as_wide(held)}")
    if untold:
        given.progress.say(_untold(untold))
    refuse_miscounted(module, pruning)
    left = counted(module)
    given.progress.say(f"prune: {len(changed)} of {len(before)} layers narrower, {parameters:,} -> {left:,} parameters")
    given.notes[NAME] = {"parameters": [parameters, left], "channels": changed, "rounds": rounds}
    if latency is not None:
        latency.look_again(subject)
        given.notes[NAME]["latency"] = latency.note
    if held:
        given.notes[NAME]["as wide as before"] = held
    if fewer := pruner.heads.fewer():
        given.notes[NAME]["heads"] = fewer
    if unwilling := [*whole, *recurrent, *single, *plan.refused, *untold, *(each.called for each in plan.stuck)]:
        given.notes[NAME]["refused"] = unwilling
    return subject


def _in_rounds(
    pruner: Pruner, plan: Plan, subject: Subject, pruning: Pruning, left_alone: Sequence[str], frozen: Collection[str]
) -> list[dict[str, Any]]:
    """All rounds, each followed by its training; what there is to tell of that.

    Args:
        frozen: the parameters that do not learn. They are followed and asked for gradients all the same.
    """
    module, options, given = subject.source, pruning.options, pruning.given
    learnt = _learnt(options, given) if options.importance == "taylor" else None
    trained = InRounds(NAME, options, options.rounds, given)
    for number in range(1, options.rounds + 1):
        follow_all(module)
        if learnt is not None:
            _gradients(module, *learnt, given.output)
        with tracked("prune this model", module):
            was = copy.deepcopy(module)
            removed = pruner.step(module)
        module.zero_grad(set_to_none=True)
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(name not in frozen)
        refuse_miscounted(module, pruning)
        refuse_growth(was, module, removed, pruning.example)
        with tracked("check the narrower model", module):
            wrong = departing(was, removed, pruning.example)
        if wrong:
            raise RecipeFailed(_lost(wrong) + left_out([*left_alone, *plan.refused, *wrong]))
        trained.after(number, module, subject.left.values())
    module.eval()
    return trained.told


def _aimed(latency: Latency | None, subject: Subject, pruning: Pruning, left_alone: Sequence[str]) -> Pruning:
    """With the ratio that leaves so much arithmetic or time; what stays whole is found out with half of the channels
    gone."""
    options = pruning.options
    if options.ratio is not None:
        return pruning

    def at(ratio: float, rounds: int = 1) -> Pruning:
        aim = {"ratio": ratio, "macs": None, "latency": None, "rounds": rounds}
        return replace(pruning, options=options.model_copy(update=aim))

    plan = planned(subject.source, at(0.5), left_alone)

    def pruned(ratio: float) -> Any:
        return carried_out(plan, subject.source, at(ratio))[0]

    return at(aimed(options, latency, pruned, subject, pruning.example, pruning.given), options.rounds)


def _unchanged(
    plan: Plan,
    untold: Sequence[str],
    whole: Mapping[str, str],
    recurrent: Sequence[str],
    single: Sequence[str],
    widths: Mapping[str, int],
    able: Sequence[str],
    multiple: int,
    held: Mapping[str, str],
) -> str:
    """Why no layer gave up channels.

    Args:
        able: the layers that neither make outputs nor are left alone.
        held: see `_held`.
    """
    if untold:
        return _untold(untold)
    if plan.refused:
        return _lost(plan.refused)
    if plan.stuck:
        return stuck(plan.stuck)
    if whole:
        return _whole(whole)
    told = "prune changed nothing: no layer could give up channels"
    if able:
        told += (
            f" and keep a multiple of {multiple} (layers have {min(widths.values())} to {max(widths.values())}, and "
            "output layers keep theirs); lower `round_to`, or raise `ratio`"
        )
    else:
        told += f": {', '.join(widths)} make outputs or are excluded, and there are no others"
    if recurrent:
        told += f"; {_STATES.format(', '.join(recurrent))}"
        told += "" if able else "; `factorize` makes what they multiply their inputs with smaller"
    if single:
        told += f"; {_SINGLE.format(', '.join(single))}"
    return f"{told}; {_as_wide(held)}" if held else told


def _as_wide(held: Mapping[str, str]) -> str:
    told = "; ".join(f"`{name}`: {reason}" for name, reason in held.items())
    return f"tables of vectors that keep their width, with all layers that are added to them: {told}"


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
        "else than with them at zero, or does not run (forward counts, shuffles, splits or normalizes channels by hand)"
    )


def _learnt(options: PruneOptions, given: Given) -> tuple[Examples, Loss]:
    """Examples of the train split whose gradients decide, and what they are gradients of: in all rounds the same."""
    data = Examples(given.splits["train"].draw(_GRADIENT_EXAMPLES, given.seed), given.task, given.ports)
    return data, loss_of(options.loss, read_as(options, data, given), given.task, given.root)


def _gradients(module: Any, data: Examples, loss: Loss, output: str | None) -> None:
    """The gradient of the mean loss over examples, left in the parameters."""
    import torch

    module.zero_grad()
    for batch in data.batches(_TOGETHER):
        scores = judged(call(module, batch.inputs), output)
        (loss(scores, batch) * len(batch.indices) / data.split.length()).backward()
    for parameter in learnable(module):
        if parameter.grad is None:  # the loss does not depend on it, and Torch-Pruning asks for one all the same
            parameter.grad = torch.zeros_like(parameter)


def _widths(module: Any) -> dict[str, int]:
    """Output channels by layer, of the layers that have any; of a table of vectors, how long these are."""
    widths = {name: tables.width_of(part) for name, part in module.named_modules()}
    return {name: width for name, width in widths.items() if isinstance(width, int)}


def _held(pruner: Pruner, module: Any, kept: Sequence[str], multiple: int) -> dict[str, str]:
    """Why tables of vectors keep their width, of those whose channels hang together with such as have to stay.

    Args:
        kept: the layers, and tables, that keep their channels.
    """
    names = {part: name for name, part in module.named_modules()}
    graph, outputs, held = pruner.channels.DG, set(pruner.outputs), dict[str, str]()
    for name, part in module.named_modules():
        if not isinstance(part, tables.kinds()) or name in kept or part not in graph.module2node:
            continue
        width = tables.width_of(part)
        group = graph.get_pruning_group(part, graph.get_pruner_of_module(part).prune_out_channels, list(range(width)))
        makers = [each.dep.target.module for each in group.items if graph.is_out_channel_pruning_fn(each.dep.handler)]
        stay = [names[each] for each in makers if names.get(each) in kept]
        if any(each in outputs for each in makers):
            held[name] = "the model's outputs are made of its channels"
        elif stay:
            held[name] = f"`{stay[0]}` is as wide, and keeps its channels"
        elif width <= multiple:
            held[name] = f"its {width} channels are no more than the multiple of {multiple} that is kept"
    return held
