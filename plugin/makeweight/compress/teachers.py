"""Who teaches: the uncompressed module, another of the user's, or an ONNX file; each of them as a torch.nn.Module."""

from __future__ import annotations

import copy
from typing import Any

from makeweight import registry
from makeweight.compress import misfits
from makeweight.compress.accelerator import CPU
from makeweight.compress.examples import Batch
from makeweight.compress.scores import answers
from makeweight.compress.technique import Given
from makeweight.compress.training_options import TrainingOptions
from makeweight.runtimes import environment
from makeweight.runtimes.runtime import Runtime
from makeweight.user import anew, weights
from makeweight.user.module import built
from makeweight_base.errors import UsageError, at

_WHERE = "makeweight.yaml: teacher"


def teacher_of(options: TrainingOptions, given: Given, device: str = CPU) -> Any:
    """A torch.nn.Module in eval mode, called with the model's inputs and not to be changed; None: nobody teaches.

    Args:
        device: where it lies and is asked; of an ONNX file, where its answers go.

    Raises:
        UsageError: it cannot be built, has layers of what it is to teach, its weights do not fit, or the file cannot be
            opened.
    """
    if options.teacher == "none":
        return None
    if options.teacher == "baseline":
        return given.baseline if device == CPU else copy.deepcopy(given.baseline).to(device)
    if options.teacher.endswith(".onnx"):
        return _of_file(options.teacher, given, device)
    module = built(options.teacher, given.root, where=_WHERE, progress=given.progress)
    anew.teach_of_its_own(module, options.teacher, _WHERE)
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
    return module.eval().requires_grad_(False).to(device)


def refuse_unfit(name: str, theirs: Any, ours: Any) -> None:
    """Refuse a teacher of other classes than the model's, before anything is learnt of it.

    Args:
        theirs: the teacher's scores for some examples, as they are read.
        ours: the model's for the same.

    Raises:
        UsageError: naming the teacher.
    """
    if theirs.shape != ours.shape:
        do = "A teacher has the classes of the model, in the same order."
        raise misfits.of_scores("teacher", name, theirs, ours, do)
    if not bool(theirs.isfinite().all()):
        raise UsageError(f"the teacher `{name}` answers NaN or infinity", where=_WHERE, do="Train it again.")


def answered(teacher: Any, name: str, batch: Batch, output: str | None) -> Any:
    """A teacher's scores for some examples.

    Raises:
        UsageError: it does not take the model's inputs, or has not the output that holds the scores.
    """
    with environment.translated(lambda error: misfits.of_inputs("teacher", name, batch.inputs, error)):
        return answers(teacher, batch.inputs, output)


def _of_file(path: str, given: Given, device: str) -> Any:
    import torch
    from torch import nn

    runtime: Runtime = registry.ready("runtime", "onnxruntime")()
    model = runtime.read(given.root / path)
    session, outputs = runtime.open(model), [port.name for port in model.outputs]

    class OfFile(nn.Module):  # type: ignore[misc]
        def forward(self, inputs: dict[str, Any]) -> dict[str, Any]:
            answer = session.run({name: values.cpu().numpy() for name, values in inputs.items()})
            return {name: torch.from_numpy(values).to(device) for name, values in zip(outputs, answer, strict=True)}

    return OfFile().eval()
