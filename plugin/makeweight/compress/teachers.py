"""Who teaches: the uncompressed module, another of the user's, or an ONNX file; each of them as a torch.nn.Module."""

from __future__ import annotations

from typing import Any

from makeweight import registry
from makeweight.compress.examples import Batch
from makeweight.compress.scores import Reading, answers
from makeweight.compress.technique import Given
from makeweight.compress.training_options import TrainingOptions
from makeweight.runtimes.runtime import Runtime
from makeweight.user import weights
from makeweight.user.module import built
from makeweight_base.errors import MakeweightError, UsageError, at, first_line

_WHERE = "makeweight.yaml: teacher"


def teacher_of(options: TrainingOptions, given: Given) -> Any:
    """A torch.nn.Module in eval mode, called with the model's inputs and not to be changed; None: nobody teaches.

    Raises:
        UsageError: it cannot be built, its weights do not fit, or the file cannot be opened.
    """
    if options.teacher == "none":
        return None
    if options.teacher == "baseline":
        return given.baseline
    if options.teacher.endswith(".onnx"):
        return _of_file(options.teacher, given)
    module = built(options.teacher, given.root, where=_WHERE)
    if options.teacher_weights is not None:
        file = given.root / options.teacher_weights
        if not file.is_file():
            raise UsageError(
                f"there are no weights `{options.teacher_weights}` for the teacher `{options.teacher}`",
                where=_WHERE,
                do="Train the teacher first, or mend `teacher_weights`.",
            )
        with at(options.teacher_weights):
            weights.load(module, file, None)
    return module.eval().requires_grad_(False)


def refuse_unfit(teacher: Any, taught: Reading, name: str, batch: Batch, read: Reading, given: Given) -> None:
    """Refuse a teacher of other inputs or classes than the model's, before anything is learnt of it.

    Args:
        taught: how the teacher's scores are read.
        read: how the model's are.

    Raises:
        UsageError: naming the teacher.
    """
    theirs = taught(answered(teacher, name, batch, given.output))
    ours = read(answers(given.baseline, batch.inputs, given.output))
    if theirs.shape != ours.shape:
        raise UsageError(
            f"the teacher `{name}` answers {list(theirs.shape[1:])} for an example, and the model "
            f"{list(ours.shape[1:])}",
            where=_WHERE,
            do="A teacher has the classes of the model, in the same order.",
        )
    if not bool(theirs.isfinite().all()):
        raise UsageError(f"the teacher `{name}` answers NaN or infinity", where=_WHERE, do="Train it again.")


def answered(teacher: Any, name: str, batch: Batch, output: str | None) -> Any:
    """A teacher's scores for some examples.

    Raises:
        UsageError: it does not take the model's inputs, or has not the output that holds the scores.
    """
    try:
        return answers(teacher, batch.inputs, output)
    except (OSError, MemoryError):
        raise
    except Exception as error:
        told = error.what if isinstance(error, MakeweightError) else f"{type(error).__name__}: {first_line(error)}"
        raise UsageError(
            f"the teacher `{name}` does not take the model's inputs ({', '.join(batch.inputs)}): {told}",
            where=_WHERE,
            do="A teacher takes the inputs of the model and answers with its outputs, by the same names.",
        ) from error


def _of_file(path: str, given: Given) -> Any:
    import torch
    from torch import nn

    runtime: Runtime = registry.ready("runtime", "onnxruntime")()
    model = runtime.read(given.root / path)
    session, outputs = runtime.open(model), [port.name for port in model.outputs]

    class OfFile(nn.Module):  # type: ignore[misc]
        def forward(self, inputs: dict[str, Any]) -> dict[str, Any]:
            answer = session.run({name: values.numpy() for name, values in inputs.items()})
            return {name: torch.from_numpy(values) for name, values in zip(outputs, answer, strict=True)}

    return OfFile().eval()
