"""`python -m makeweight.starter.looking ASKED.json ANSWER.json`: what inputs a PyTorch module is given by the project's
examples. It runs the user's code, hence in a process of its own."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from makeweight.config.settings import KINDS, DataSettings, ImageSettings, ModelSettings, TaskSettings
from makeweight.runtimes import inputs as reaching
from makeweight.starter import inputs
from makeweight.starter.draft import Shape
from makeweight.user import callables, data, npz, pictures, undeclared
from makeweight.user.declared import Declared
from makeweight.user.form import Form
from makeweight.user.module import built
from makeweight.user.split import Split
from makeweight_base.errors import UsageError, at

_SPLIT = "test"
# How many examples are compared, from all over the split where it can be read by number.
_COMPARED = 32


@dataclass(frozen=True)
class Asked:
    """All as makeweight.yaml has it; `root` is the project's folder."""

    root: str
    build: str
    data: Mapping[str, Any]
    constants: Mapping[str, int | float]
    task: str


def main(arguments: list[str]) -> int:
    asked, answer = map(Path, arguments)
    said: dict[str, Any]
    try:
        said = {"inputs": look(Asked(**json.loads(asked.read_text())))}
    except UsageError as error:
        said = {"refused": [error.what, error.where, error.do]}
    answer.write_text(json.dumps(said))
    return 0


def dumps(asked: Asked) -> str:
    return json.dumps(asdict(asked))


def look(asked: Asked) -> dict[str, Shape]:
    """The inputs with their shapes, as makeweight.yaml declares them.

    Raises:
        UsageError: the user's code fails, or its examples do not tell.
    """
    root = Path(asked.root)
    module = built(asked.build, root, where="--build")
    parameters = {name: must for name, must in reaching.parameters(module).items() if name not in asked.constants}
    if "images" in asked.data:
        return _of_pictures(asked.data["images"], root, module, undeclared.only("image", parameters))
    settings = DataSettings(**asked.data)
    task = TaskSettings(kind=asked.task) if asked.task in KINDS else TaskSettings(kind="custom", metric=asked.task)
    names = _names(settings, task, root, parameters)
    if not names:
        raise UsageError("the examples have targets and no inputs", where=f"the {_SPLIT} split")
    # sizes are what is looked for: no example is held against the declared ones when it is read
    model = ModelSettings(build=asked.build, weights=".", inputs={name: ["N"] for name in names})
    split = data.load(Declared(root, model, settings, task, 0), _SPLIT)
    shapes = _shapes(split)
    reaching.bound(module, {**shapes, **asked.constants})
    return inputs.of_examples(shapes, f"the {_SPLIT} split")


def _names(settings: DataSettings, task: TaskSettings, root: Path, parameters: Mapping[str, bool]) -> tuple[str, ...]:
    if settings.load is None:
        file = settings.places[_SPLIT]
        with at(file):
            arrays = tuple(name for name in npz.mapped(root / file) if name != "target")
        return (undeclared.only(arrays[0], parameters),) if len(arrays) == 1 else arrays
    loader = callables.find(settings.load, root, where="--data")
    called = f"{settings.load}({_SPLIT!r})"
    form = Form((), task.kind, f"data.load({_SPLIT!r})", called, root)
    with at(form.where):
        return undeclared.names(form.call(loader, _SPLIT), parameters, form)


def _shapes(split: Split) -> dict[str, list[tuple[int, ...]]]:
    """By input, of each example that is looked at, without the batch."""
    few = split
    if split.count is not None:
        few = split.take(np.unique(np.linspace(0, split.count - 1, _COMPARED).astype(np.int64)))
    shapes: dict[str, list[tuple[int, ...]]] = {}
    for batch in itertools.islice(few.batches(1), _COMPARED):
        for name, values in batch.inputs.items():
            shapes.setdefault(name, []).append(values.shape[1:])
    return shapes


def _of_pictures(places: Mapping[str, Any], root: Path, module: Any, name: str) -> dict[str, Shape]:
    """Of pictures that are all of one size, if the module takes that: what it is cut to otherwise, no file tells."""
    settings = ImageSettings(**{**places, "size": 1})  # what the size is is asked here
    files = pictures.pictures(settings, _SPLIT, root, None).files
    sizes: set[tuple[int, int]] = set()
    for file in files[:: -(-len(files) // _COMPARED)]:
        with pictures.opened(file, root) as picture:
            sizes.add((picture.height, picture.width))
            grey = picture.mode in ("1", "L", "I", "I;16", "F")
    where = settings.test
    if len(sizes) > 1:
        one, other = sorted(sizes)[:2]
        raise UsageError(
            f"the pictures are of several sizes ({one[0]}x{one[1]}, {other[0]}x{other[1]}), and which they are cut to "
            "is the model's",
            where=where,
        )
    ((height, width),) = sizes
    for channels in (1, 3) if grey else (3, 1):
        if _takes(module, name, (1, channels, height, width)):
            return {name: ["N", channels, height, width]}
    raise UsageError(f"the pictures are {height}x{width}, and forward() does not take that", where=where)


def _takes(module: Any, name: str, shape: tuple[int, ...]) -> bool:
    import torch

    try:
        with torch.no_grad():
            reaching.call(module.eval(), {name: torch.zeros(shape)})
    except UsageError:
        raise
    except Exception:  # noqa: BLE001 - the user's code may raise anything
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
