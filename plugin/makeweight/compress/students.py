"""Who learns: a module of the user's, or the model with fewer channels or fewer blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from makeweight.compress import channels, misfits
from makeweight.compress.blocks import passing, without
from makeweight.compress.examples import Tensors, tensors
from makeweight.compress.prune import PruneOptions
from makeweight.compress.scores import answers, first_answers
from makeweight.compress.subject import Subject
from makeweight.compress.technique import Given
from makeweight.compress.tuning import tune
from makeweight.runtimes import environment
from makeweight.runtimes.runtime import RecipeFailed
from makeweight.runtimes.traced import said
from makeweight.user import anew
from makeweight.user.module import built
from makeweight.user.weights import counted

if TYPE_CHECKING:
    from makeweight.compress.distill import DistillOptions

NAME = "distill"


def taught(subject: Subject, options: DistillOptions, given: Given) -> Subject:
    """See `Distill` and `Transformation.apply`."""
    example = tensors(given.ports, given.splits["calibration"].first(2).inputs)
    before, notes = counted(subject.source), dict[str, Any]()
    if options.student is not None:
        subject = Subject(_users(options.student, subject.source, example, given))
    if options.depth is not None:
        notes["blocks"] = shallower(subject.source, options.depth, example)
    if options.width is not None:
        narrower = PruneOptions(ratio=1 - options.width, round_to=options.round_to, epochs=0)
        subject = channels.remove(subject, narrower, given)
    left = counted(subject.source)
    given.progress.say(f"distill: the student has {left:,} of {before:,} parameters")
    trained = tune(subject.source, options, given, NAME, subject.left.values())
    about = {"parameters": [before, left], "teacher": options.teacher, "labels": options.labels}
    given.notes[NAME] = {**about, **notes, **asdict(trained)}
    return subject


def shallower(module: Any, part: float, example: Tensors) -> list[str]:
    """Take blocks out of a module in place: of modules of one kind in a row (the layers of an encoder, the residual
    blocks of a stage), those whose inputs and outputs have one shape. Of each row this part is kept, evenly spread and
    the first of all.

    Returns:
        the names of those that were taken out.

    Raises:
        RecipeFailed: there is nothing to take out, or the module does not run without.
    """
    shape = first_answers(module, example, None, NAME).shape
    able_to = set(passing(module, example))
    gone = []
    for row in _rows(module):
        able = [name for name in row if name in able_to]
        count = max(round(part * len(row)), 1) - (len(row) - len(able))
        kept = {able[number * len(able) // count] for number in range(max(count, 0))}
        gone += [name for name in able if name not in kept]
    if not gone:
        raise RecipeFailed(
            "distill: no block can be taken out: `depth` is of modules of one kind in a row, in a Sequential or a "
            "ModuleList, whose inputs and outputs have one shape; lower `depth`, or build a `student`"
        )

    without(module, gone)
    taken = f"distill: without {', '.join(gone)} the model"
    with environment.translated(
        lambda error: RecipeFailed(f"{taken} no longer runs ({said(error)}); build a `student`")
    ):
        answer = answers(module, example, None)
    if answer.shape != shape:
        raise RecipeFailed(f"{taken} answers another shape; build a `student`")
    return gone


def _rows(module: Any) -> Iterator[list[str]]:
    """Names of modules of one kind, made of others, that follow each other."""
    from torch import nn

    for name, part in module.named_modules():
        if isinstance(part, nn.Sequential | nn.ModuleList):
            kinds: dict[Any, list[str]] = {}
            for last, block in part.named_children():
                if any(True for _ in block.children()):
                    kinds.setdefault(type(block), []).append(f"{name}.{last}".lstrip("."))
            yield from (row for row in kinds.values() if len(row) > 1)


def _users(dotted: str, model: Any, example: Tensors, given: Given) -> Any:
    """The user's own student.

    Raises:
        UsageError: it is no module, does not take the model's inputs, or answers another shape.
    """
    where = "makeweight.yaml: student"
    student = built(dotted, given.root, where=where, progress=given.progress).eval()
    anew.have_its_own(student, dotted, where)
    wanted = first_answers(model, example, given.output, NAME)
    with environment.translated(lambda error: misfits.of_inputs("student", dotted, example, error)):
        answer = answers(student, example, given.output)
    if answer.shape != wanted.shape:
        raise misfits.of_scores("student", dotted, answer, wanted, "Build it with the classes of the model.")
    return student
