"""From what the call says and what lies in the folder to a Draft, or to a sentence that says what is missing."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from makeweight import registry
from makeweight.artifact.model import Model
from makeweight.artifact.ports import Port
from makeweight.config.settings import KINDS, RUNTIME
from makeweight.pipeline import dvcyaml
from makeweight.starter import code, examples, inputs, shown, survey
from makeweight.starter.arguments import Given
from makeweight.starter.draft import Draft, Shape
from makeweight.user import exported
from makeweight_base.errors import UsageError, at
from makeweight_base.progress import Progress

_WHERE = "makeweight init"
_MODULE_CALL = "makeweight init --build package.module:callable --weights {weights} --data package.module:callable"
_FILE_CALL = "makeweight init --onnx model.onnx --npz-test test.npz --npz-calibration calibration.npz"
# Where .npz files are proposed to lie when none is given.
_GUESS = {"test": "data/test.npz", "calibration": "data/calibration.npz"}


def gather(root: Path, given: Given, pipeline: str | None, progress: Progress) -> Draft:
    """All that a first makeweight.yaml needs; `pipeline` is the text of the user's dvc.yaml.

    Raises:
        UsageError: what is given does not suffice, contradicts itself, or does not fit what is there.
    """
    _refuse_contradictions(given)
    if given.build or given.weights:
        return _from_module(root, given, pipeline, progress)
    return _from_file(root, given, given.onnx or given.pt2 or _found_model(root, progress), pipeline, progress)


def is_there(root: Path, path: str, pipeline: str | None) -> bool:
    """Whether a file is there, or DVC can bring it: it or a folder above is tracked, or a stage's output."""
    places = [
        str(place) for place in (PurePosixPath(path), *PurePosixPath(path).parents) if str(place) not in (".", "/")
    ]
    return (
        (root / path).exists()
        or any((root / f"{place}.dvc").exists() for place in places)
        or (pipeline is not None and any(dvcyaml.writes(pipeline, place) for place in places))
    )


def _refuse_contradictions(given: Given) -> None:
    def refuse(what: str, do: str) -> None:
        raise UsageError(what, where=_WHERE, do=do)

    if sum(map(bool, (given.onnx, given.pt2, given.build or given.weights))) > 1:
        refuse("several models are given", "Give `--build` and `--weights`, or `--onnx`, or `--pt2`.")
    if sum(map(bool, (given.data, given.npz_test or given.npz_calibration, given.images))) > 1:
        refuse("examples are given twice", "Give `--data`, `.npz` files or `--images`.")
    if given.npz_calibration and not given.npz_test:
        refuse("`--npz-calibration` alone leaves nothing to measure accuracy on", "Give `--npz-test` as well.")
    if given.task and ":" not in given.task and given.task not in KINDS:
        refuse(
            f"`--task {given.task}` is no task",
            f"Give {', '.join(KINDS)}, or a metric of your own as module:callable.",
        )


def _from_module(root: Path, given: Given, pipeline: str | None, progress: Progress) -> Draft:
    lying = _lying_there(root, given, pipeline, progress)
    needed = {"--build": given.build, "--weights": given.weights, "--data": given.data or lying}
    missing = [option for option, value in needed.items() if not value]
    if missing or given.build is None or given.weights is None:
        raise _incomplete(missing, given)
    weights = _relative(root, given.weights)
    _must_be_there(root, weights, "--weights", pipeline)
    constants, sources = inputs.constants(given.constants), _sources(root, given)
    task = given.task or "classification"
    declared = inputs.given(given.inputs) or shown.inputs(
        root, given.build, {"load": given.data} if given.data else lying, constants, task, progress
    )
    fitting = _fitted(lying, declared, given, progress)
    if not given.data and not fitting:
        raise _incomplete(["--data"], given)
    return Draft(
        name=given.name or root.resolve().name or "model",
        inputs=declared,
        constants=constants,
        build=given.build,
        weights=weights,
        load=given.data,
        **fitting,
        task=task,
        sources=sources,
    )


def _incomplete(missing: Sequence[str], given: Given) -> UsageError:
    return UsageError(
        f"a PyTorch model needs {' and '.join(missing)} as well",
        where=_WHERE,
        do=f"For example: {_MODULE_CALL.format(weights=shlex.quote(given.weights or 'model.pt'))}",
    )


def _from_file(root: Path, given: Given, model: str, pipeline: str | None, progress: Progress) -> Draft:
    suffix = PurePosixPath(model).suffix
    path = _relative(root, model)
    runtime = registry.runtime_of(suffix) or RUNTIME
    if suffix == ".pt2":
        takes, gives, beside = _of_program(root, path), tuple[Port, ...](), []
    else:
        with at(path):
            found: Model = registry.ready("runtime", runtime)().read(root / path)
        takes, gives = found.inputs, found.outputs
        beside = [(PurePosixPath(path).parent / file.name).as_posix() for file in found.files[1:]]
    constants = inputs.constants(given.constants)
    states = [name for name in inputs.states(takes, gives) if name not in constants]
    asked = [port for port in takes if port.name not in states and port.name not in constants]
    declared = inputs.given(given.inputs)
    if declared:
        inputs.must_fit(declared, asked, path)
    else:
        declared = inputs.of_model(asked, path)
    lying = _fitted(_lying_there(root, given, pipeline, progress), declared, given, progress)
    task = given.task or "classification"
    return Draft(
        name=given.name or root.resolve().name or "model",
        inputs=declared,
        constants=constants,
        states=states,
        output=inputs.scores(gives) if task == "classification" else None,
        file=path,
        runtime=runtime,
        load=given.data,
        **(lying if lying or given.data else {"npz": _GUESS, "npz_is_guessed": True}),
        task=task,
        sources=_sources(root, given, *beside),
    )


def _of_program(root: Path, path: str) -> tuple[Port, ...]:
    """The inputs of a torch.export program."""
    registry.require_extra("a torch.export program", "torch")
    with at(path):
        return tuple(exported.ports(exported.read(root / path)))


def _sources(root: Path, given: Given, *own: str) -> tuple[str, ...]:
    """What is the model's own, the user's code that is called, and the lock of the toolchain."""
    called = (("--build", given.build), ("--data", given.data), ("--task", given.task))
    dotted = [(option, each) for option, each in called if each and (option != "--task" or ":" in each)]
    written = [source for option, each in dotted for source in code.sources_of(root, each, option)]
    locks = [] if (lock := survey.lock(root)) is None else [lock]
    return tuple(dict.fromkeys([*own, *written, *locks]))


def _found_model(root: Path, progress: Progress) -> str:
    """The one model file in the folder.

    Raises:
        UsageError: there is none, or several.
    """
    models = survey.files(root, *registry.suffixes(), ".pt2")
    if len(models) == 1:
        progress.say(f"found {models[0]}")
        return models[0]
    if models:
        option = "pt2" if models[0].endswith(".pt2") else "onnx"
        listed = ", ".join(models[:8]) + (", …" if len(models) > 8 else "")
        raise UsageError(
            f"there are {len(models)} models here: {listed}",
            where=str(root.resolve()),
            do=f"Say which: makeweight init --{option} {shlex.quote(models[0])}",
        )
    weights = survey.files(root, ".pt", ".pth", ".ckpt", ".safetensors")
    call = _MODULE_CALL.format(weights=shlex.quote(weights[0]) if weights else "model.pt")
    hint = f"; {weights[0]} may be weights, and needs `--build` to say what module they are of" if weights else ""
    raise UsageError(
        f"there is no model to start from{hint}",
        where=str(root.resolve()),
        do=f"Give one, in either way:\n    {call}\n    {_FILE_CALL}",
    )


def _lying_there(root: Path, given: Given, pipeline: str | None, progress: Progress) -> dict[str, Any]:
    """Examples that need no code, by split: those given, else those that are found, else none. As fields of a draft,
    but for the size of pictures."""
    if npz := _npz(root, given, pipeline):
        return {"npz": npz}
    if given.data:
        return {}
    if not given.images and (found := examples.arrays(root)):
        progress.say(f"found {', '.join(found.values())}")
        return {"npz": found}
    pictures = examples.pictures(root, _relative(root, given.images) if given.images else None)
    return {"images": pictures} if pictures else {}


def _fitted(lying: dict[str, Any], declared: Mapping[str, Shape], given: Given, progress: Progress) -> dict[str, Any]:
    """Pictures with the size that the model takes; none where it takes none and they were only found."""
    if "images" not in lying:
        return lying
    form = examples.form_of_pictures(declared)
    if form is None and given.images:
        taken = ", ".join(f"`{name}` [{', '.join(map(str, shape))}]" for name, shape in declared.items())
        raise UsageError(
            f"pictures are one input [N, 1 or 3, height, width] of a known size, and the model takes {taken}",
            where="--images",
            do=f"Say a size that is free, such as `--inputs {next(iter(declared))}=N,3,224,224`; what is laid out in "
            "another way is loaded with `--data`.",
        )
    if form is None:
        return {}
    if not given.images:
        progress.say(f"found pictures: {', '.join(lying['images'].values())}")
    return {"images": {**lying["images"], **form}}


def _npz(root: Path, given: Given, pipeline: str | None) -> dict[str, str]:
    npz = {}
    for split, option, file in (
        ("test", "--npz-test", given.npz_test),
        ("calibration", "--npz-calibration", given.npz_calibration),
    ):
        if file:
            npz[split] = _relative(root, file)
            _must_be_there(root, npz[split], option, pipeline)
    return npz


def _must_be_there(root: Path, path: str, option: str, pipeline: str | None) -> None:
    if not is_there(root, path, pipeline):
        raise UsageError(
            "no such file, and no stage or .dvc file makes it",
            where=f"{option} {path}",
            do="Mend the path, or first add the stage that makes it to dvc.yaml.",
        )


def _relative(root: Path, path: str) -> str:
    """As makeweight.yaml holds it: relative to the project where it lies within."""
    if Path(path).is_absolute() and Path(path).resolve().is_relative_to(root.resolve()):
        return Path(path).resolve().relative_to(root.resolve()).as_posix()
    return Path(path).as_posix()
