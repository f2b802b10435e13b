"""Whole blocks of a module removed: what a residual block adds to its input is gone, and its input passes on.

Which blocks that can be is seen in one call: their input and output have one shape, and they add something to the input
itself. The next to go is always the one without which the answers to calibration examples change least, those before it
gone: Song et al., "SLEB: Streamlining LLMs through Redundancy Verification and Elimination of Transformer Blocks", ICML
2024, https://arxiv.org/abs/2402.09025, with the change of the scores in place of a loss, so that no labels are read.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from makeweight.compress.deadend import excluded, refuse_not_finite, refuse_operators
from makeweight.compress.examples import Examples, Tensors, tensors
from makeweight.compress.narrowing import TOLERANCE, answered, apart, layer_by_layer
from makeweight.compress.scores import answers, first_answers
from makeweight.compress.subject import Subject
from makeweight.compress.target import Latency, aimed
from makeweight.compress.technique import Given
from makeweight.compress.tuning import InRounds
from makeweight.runtimes.calls import Call, visited
from makeweight.runtimes.runtime import RecipeFailed
from makeweight.user.weights import counted

if TYPE_CHECKING:
    from makeweight.compress.prune import PruneOptions

NAME = "prune"
# Calibration examples whose answers are compared, of each model that lacks a block more.
_COMPARED = 64
_SUMS = ("add", "iadd", "radd")


def remove(subject: Subject, options: PruneOptions, given: Given) -> Subject:
    """See `Prune` and `Transformation.apply`."""
    module = subject.source
    refuse_operators(module, NAME)
    refuse_not_finite(module, NAME)
    example = tensors(given.ports, given.splits["calibration"].first(2).inputs)
    first_answers(module, example, given.output, NAME)
    parameters, found = counted(module), residual(module, example)
    if not found.able:
        raise RecipeFailed(_none(found))
    kept = excluded(options.exclude, [*found.able, *found.refused], NAME)
    able = [name for name in found.able if name not in kept]
    if not able:
        raise RecipeFailed("prune changed nothing: `exclude` names every block that could go")
    for name, reason in found.refused.items():
        given.progress.say(f"prune: `{name}` stays: {reason}")
    latency = None if options.latency is None else Latency(options.latency, given)
    if latency is not None:
        given.notes[NAME] = {"latency": latency.note}
    most = len(able) if options.ratio is None else _share(options.ratio, able)
    if not most:
        raise RecipeFailed(
            f"prune changed nothing: a ratio of {options.ratio:g} is less than one of the {len(able)} blocks that can "
            "go; raise `ratio`"
        )
    order = dict(by_change(module, able, most, given))
    ranked = list(order)

    def pruned(ratio: float) -> Any:
        return without(copy.deepcopy(module), ranked[: _share(ratio, able)])

    gone = ranked[: _share(aimed(options, latency, pruned, subject, example, given), able)]
    trained = InRounds(NAME, options, options.rounds, given)
    for number in range(1, options.rounds + 1):
        without(module, gone[len(gone) * (number - 1) // options.rounds : len(gone) * number // options.rounds])
        trained.after(number, module, subject.left.values())
    module.eval()
    left = counted(module)
    given.progress.say(f"prune: without {', '.join(gone)}, {parameters:,} -> {left:,} parameters")
    changes = {name: order[name] for name in gone}
    given.notes[NAME] = {"parameters": [parameters, left], "blocks": changes, "rounds": trained.told}
    if latency is not None:
        given.notes[NAME]["latency"] = latency.note
    if found.refused:
        given.notes[NAME]["refused"] = found.refused
    return subject


@dataclass(frozen=True)
class Residual:
    """The blocks of a module, by name."""

    able: list[str]
    """Those that can go."""
    refused: dict[str, str] = field(default_factory=dict)
    """Why others of the same kinds, or with a sum of their own, cannot."""


def residual(module: Any, example: Tensors) -> Residual:
    """Find the innermost modules that add something to what they are given, and answer in its shape."""
    given: dict[str, Any] = {}
    called, adding, summing = Counter[str](), set[str](), set[str]()

    def note(name: str) -> Any:
        def before(_: Any, arguments: Any) -> None:
            called[name] += 1
            given[name] = arguments[0] if arguments else None

        return before

    def visit(call: Call) -> Any:
        path, _, kind = call.name.rpartition("/")
        if kind.partition(":")[0] in _SUMS and path:
            summing.add(path)
            if any(part is given[path] for part in call.arguments):
                adding.add(path)
        return call.result()

    hooks = [part.register_forward_pre_hook(note(name)) for name, part in module.named_modules() if name]
    try:
        with visited(module, visit):
            passes = passing(module, example)
    finally:
        for hook in hooks:
            hook.remove()
    kinds = {name: type(part) for name, part in module.named_modules()}
    same = [name for name in passes if name in adding]
    inner = [name for name in same if not any(other.startswith(f"{name}.") for other in same)]
    refused: dict[str, str] = {}
    able = []
    for name in inner:
        if called[name] > 1:
            refused[name] = f"it is called {called[name]} times"
        elif _read_within(module, name, example):
            refused[name] = "without it, forward fails or computes something else: it reads what is in the block"
        else:
            able.append(name)
    alike = {kinds[name] for name in inner}
    for name, kind in kinds.items():
        if name in inner or name not in called or any(other.startswith(f"{name}.") for other in inner):
            continue
        if kind in alike or (name in summing and not inner):
            refused[name] = (
                "its output has not the shape of its input" if name not in passes else "it adds nothing to its input"
            )
    return Residual(able, refused)


def by_change(module: Any, able: Sequence[str], most: int, given: Given) -> Iterator[tuple[str, float]]:
    """Blocks in the order in which they go, so many of them. Each with the squared change of the scores without it and
    those before it, as a part of the scores' squares."""
    data = Examples(given.splits["calibration"].draw(_COMPARED, given.seed), given.task, given.ports, labels=False)
    wanted = [answers(module, batch.inputs, given.output).double() for batch in data.in_order()]
    power = max(sum(_squares(each.masked_fill(~each.isfinite(), 0)) for each in wanted), 1e-300)

    def change(names: Sequence[str]) -> float:
        with _lacking(module, names):
            found = [answers(module, batch.inputs, given.output).double() for batch in data.in_order()]
        # what both shut out by one infinity did not change
        gaps = ((one - other).masked_fill(one == other, 0) for one, other in zip(wanted, found, strict=True))
        return sum(map(_squares, gaps)) / power

    gone: list[str] = []
    for _ in given.progress.over(range(most), "blocks by what they change", most):
        changes = {name: change([*gone, name]) for name in able if name not in gone}
        least = min(changes, key=lambda name: changes[name])
        gone.append(least)
        yield least, changes[least]


def _squares(values: Any) -> float:
    return float((values**2).sum())


def passing(module: Any, example: Tensors) -> list[str]:
    """The modules whose answer has the shape of their first input, whenever they are called."""
    import torch

    agreeing: dict[str, bool] = {}

    def note(name: str, given: Any, answer: Any) -> None:
        both = (*given[:1], answer)
        same = (
            len(both) == 2 and all(isinstance(each, torch.Tensor) for each in both) and both[0].shape == both[1].shape
        )
        agreeing[name] = agreeing.get(name, True) and same

    def listen(name: str) -> Any:
        return lambda _, given, answer: note(name, given, answer)

    hooks = [part.register_forward_hook(listen(name)) for name, part in module.named_modules() if name]
    try:
        with layer_by_layer():
            answers(module, example, None)
    finally:
        for hook in hooks:
            hook.remove()
    return [name for name, _ in module.named_modules() if agreeing.get(name)]


def without(module: Any, names: Iterable[str]) -> Any:
    """The module, changed in place: what these blocks are given passes on. All others keep their names."""
    import torch

    class Without(torch.nn.Module):  # type: ignore[misc]
        """Passes on what a block would have changed."""

        def forward(self, values: Any, *_: Any, **__: Any) -> Any:
            return values

    for name in names:
        module.set_submodule(name, Without())
    return module


@contextmanager
def _lacking(module: Any, names: Sequence[str]) -> Iterator[None]:
    """As long as it lasts, the module is without these blocks."""
    blocks = {name: module.get_submodule(name) for name in names}
    without(module, names)
    try:
        yield
    finally:
        for name, block in blocks.items():
            module.set_submodule(name, block)


def _read_within(module: Any, name: str, example: Tensors) -> bool:
    """Whether something else reads what is in a block: then the module does not answer without it as it does where the
    block is still there, and passed by."""
    hook = module.get_submodule(name).register_forward_hook(lambda _, given, __: given[0])
    try:
        passed_by = answered(module, example)
    finally:
        hook.remove()
    with _lacking(module, [name]):
        return apart(passed_by, answered(module, example)) > TOLERANCE


def _share(ratio: float, able: Sequence[str]) -> int:
    return int(ratio * len(able) + 0.5)


def _none(found: Residual) -> str:
    told = "; ".join(f"`{name}`: {reason}" for name, reason in found.refused.items())
    return (
        "prune: no block can go whole: that takes one that adds something to its input and answers in the same shape"
        f"{f' ({told})' if told else ''}; take `structure: channel`"
    )
