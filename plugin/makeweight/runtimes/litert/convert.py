"""Write a PyTorch module as a LiteRT file, and check that the file computes what the module does.

The converter is litert-torch, built on torch.export: https://github.com/google-ai-edge/litert-torch. Sizes are fixed in
a file, so the module is traced with a batch of one, which is what one inference has; those declared free are left so if
the file computes the same in another. Where that takes more than to say so, the module is converted in two sizes, and
what differs is made to follow from the inputs (`followed.py`).
"""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from makeweight.artifact.ports import Feeds, Shape
from makeweight.runtimes import composites, environment, traced
from makeweight.runtimes.inputs import from_dict_to_dict
from makeweight.runtimes.litert import followed, free, graph, names, refusal
from makeweight.runtimes.litert.names import Places
from makeweight_base.errors import UsageError
from makeweight_base.installed import installed
from makeweight_base.quiet import silent
from makeweight_probe.sessions.litert import open_session

# What the converter makes of numbers that it finds wide.
_NARROWER = {"int64": "int32", "float64": "float32"}
# Sizes for which a module may do something of its own, such as to pad, which no longer one shows.
_SHORT = (1, 2, 3)

Answers = Mapping[str, NDArray[Any]]


def convert(
    module: Any, inputs: Mapping[str, Shape], example: Feeds, path: Path, largest: Mapping[str, int] | None = None
) -> None:
    """Write `module` to `path`. Two conversions of one module give the same bytes.

    A batch that is declared free is one of 1 in the file where that computes something else in another, or where
    another size is made to follow.

    Args:
        module: a torch.nn.Module in eval mode, called with its inputs as `runtimes/inputs.py` says.
        inputs: shapes by input name; a letter is a size that stays free, one in first place the batch.
        example: real arrays by input name, on which the module is traced and the file checked.
        largest: what a free size besides the batch is at most, by its letter, where that is declared.

    Raises:
        UsageError: the module fails on the example, cannot be traced, holds an operator that LiteRT has not, or is
            larger than one file can be; or a size besides the batch is not free in it; or the file computes something
            else.
    """
    traced.refuse_large(module, "LiteRT", "Split the model.")
    batches = traced.batches(inputs)
    sizes = {**traced.sizes(inputs, example), **dict.fromkeys(batches, 1)}
    arrays = traced.resized(inputs, example, sizes)
    expected = traced.answers(module, traced.tensors(arrays))
    _write(module, arrays, list(expected), path)
    _check(path, arrays, expected, sizes)
    whole = path.read_bytes()
    others = [letter for letter in sizes if letter not in batches]
    for letter in sizes:
        if _left_free(letter, module, inputs, example, sizes, path) or letter in batches:
            continue
        most = (largest or {}).get(letter)
        if len(others) == 1 and _followed(letter, most, whole, module, inputs, example, sizes, path):
            return
        raise _cannot_be_free(letter, inputs, sizes[letter], bounded=most is not None or len(others) > 1)
    if sizes:
        _check(path, arrays, expected, sizes)


def _cannot_be_free(letter: str, inputs: Mapping[str, Shape], size: int, *, bounded: bool) -> UsageError:
    name = next(name for name, axes in traced.free(inputs).items() if letter in axes.values())
    number = "declare it as a number, and have the loader bring examples to it."
    return UsageError(
        f"`{letter}` of input `{name}` cannot be free: the LiteRT file works with {size} alone",
        where="makeweight.yaml: model.inputs",
        do=number.capitalize()
        if bounded
        else f"Say what it is at most by `model.largest: {{{letter}: …}}`, where tables of positions end, or {number}",
    )


def _write(module: Any, arrays: Feeds, outputs: list[str], path: Path) -> None:
    """The file in the sizes of these arrays, its ports and layers by their names."""
    path.write_bytes(_converted(module, arrays))
    model = graph.load(path)
    _name_ports(model, list(arrays), outputs)
    names.give(model)
    graph.write(model, path)


def _followed(
    letter: str,
    most: int | None,
    whole: bytes,
    module: Any,
    inputs: Mapping[str, Shape],
    example: Feeds,
    sizes: Mapping[str, int],
    path: Path,
) -> bool:
    """Whether the file, with what differs between two sizes made to follow from the inputs, computes what the module
    does in both and in one between. Its batch is one.

    Args:
        most: the largest size, where it is known.
        whole: the file in the sizes that were traced.
    """
    own, large = sizes[letter], most or 2 * sizes[letter]
    small = own if own < large else max(large // 2, 1)
    port, axis = next(
        (name, axis) for name, axes in traced.free(inputs).items() for axis, each in axes.items() if each == letter
    )
    try:
        asked = {
            size: traced.resized(inputs, example, {**sizes, letter: size}) for size in (large, small, large // 2 + 1)
        }
        wanted = {size: traced.answers(module, traced.tensors(arrays)) for size, arrays in asked.items()}
        files = {own: whole}
        for size in {large, small} - {own}:
            _write(module, asked[size], list(wanted[size]), path)
            files[size] = path.read_bytes()
        model, other = (graph.of_bytes(files[size]) for size in (large, small))
        followed.follow(model, other, port, axis, bounded=most is not None)
        free.mark(model, letter, inputs, wanted[small])
        graph.write(model, path)
        for size, arrays in asked.items():
            _check(path, arrays, wanted[size], {letter: size})
        for size in _SHORT:
            arrays = traced.resized(inputs, example, {**sizes, letter: size})
            try:
                answers = traced.answers(module, traced.tensors(arrays))
            except UsageError:
                continue  # the module takes longer ones only
            _check(path, arrays, answers, {letter: size})
    except (UsageError, followed.Fixed):
        return False  # it takes other sizes alone, or has one of them where nothing can follow
    return True


def _left_free(
    letter: str, module: Any, inputs: Mapping[str, Shape], example: Feeds, sizes: Mapping[str, int], path: Path
) -> bool:
    """Whether the file, marked so, computes what the module does with another size too; if not, it stays as it was."""
    found = _elsewhere(letter, module, inputs, example, sizes)
    if found is None:
        return False
    others, wanted = found
    before, model = path.read_bytes(), graph.load(path)
    free.mark(model, letter, inputs, wanted)
    for reshaped in (False, True):
        if reshaped:
            free.reshape(model)
        graph.write(model, path)
        try:
            _check(path, others, wanted, {})
        except UsageError:
            continue
        return True
    path.write_bytes(before)
    return False


def _elsewhere(
    letter: str, module: Any, inputs: Mapping[str, Shape], example: Feeds, sizes: Mapping[str, int]
) -> tuple[Feeds, Answers] | None:
    """Arrays in which a free size is another, and the module's answers; None where it takes no other."""
    size = sizes[letter]
    fixed = {each for shape in inputs.values() for each in shape}
    batch = next(each for each in itertools.count(3) if each not in fixed)
    for other in (batch,) if letter in traced.batches(inputs) else (2 * size, max(size // 2, 1)):
        arrays = traced.resized(inputs, example, {**sizes, letter: other})
        try:
            return arrays, traced.answers(module, traced.tensors(arrays))
        except UsageError:
            continue  # it may have a smallest or a largest size, or take multiples alone
    return None


def _converted(module: Any, arrays: Feeds) -> bytes:
    """What litert-torch makes of it, its inputs and outputs by their places."""
    whole: Any = from_dict_to_dict(module)
    keys = list(arrays)

    def forward(*given: Any) -> tuple[Any, ...]:
        return tuple(whole.forward(dict(zip(keys, given, strict=True))).values())

    placed = copy.copy(module)
    placed.forward = forward
    with silent(), composites.known_once():
        converter = _converter()
        with names.by_module() as places, environment.translated(lambda error: _cannot(error, places)):
            made: Any = converter.convert(placed, tuple(traced.tensors(arrays).values()))
            return bytes(made.model_content())


def _converter() -> Any:
    """Raises:
    UsageError: it does not load beside the runtime that is installed.
    """
    with environment.translated(_unfit):
        import litert_torch

        return litert_torch


def _unfit(error: Exception) -> UsageError:
    own = " and ".join(f"{name} {installed(name)}" for name in ("litert-torch", "ai-edge-litert", "torch"))
    return UsageError(
        f"{own} do not fit each other: {traced.said(error)}",
        do="`pip install 'makeweight[litert]'` brings versions that do.",
    )


def _name_ports(model: Any, inputs: list[str], outputs: list[str]) -> None:
    """Give the file's signature the names of inputs and outputs in place of their numbers."""
    signature = model.signatureDefs[0]
    for ports, own in ((signature.inputs, inputs), (signature.outputs, outputs)):
        for port in ports:
            port.name = own[int(graph.text(port.name).rpartition("_")[2])].encode()


def _check(path: Path, feeds: Feeds, expected: Answers, sizes: Mapping[str, int]) -> None:
    narrow = {name: values.astype(_NARROWER.get(values.dtype.name, values.dtype)) for name, values in feeds.items()}
    with refusal.translated(path):
        session = open_session(str(path), 1)
    traced.check(session, narrow, expected, sizes, refusal.reason)


def _cannot(error: Exception, places: Places) -> UsageError:
    """The converter's error in one sentence: the operator that LiteRT has not and its layer, or the line that cannot be
    traced."""
    text = str(error)
    quoted = re.findall(r'File "([^"]+)", line (\d+)', text)
    where = next((f"{file}:{line}" for file, line in reversed(quoted) if traced.is_users(file)), None)
    where = where or traced.users_line(error)
    if match := re.search(r"Lowering not found: (\S+)", text):
        layer = f" of layer `{places.last}`" if places.last else ""
        return UsageError(
            f"LiteRT's converter has no counterpart of the operator `{match[1]}`{layer}",
            where=where,
            do="Write it in forward() with operators that it has, or leave it out of the module.",
        )
    if "data-dependent" in text:
        return UsageError(
            "the module cannot be traced: what it does depends on the values of its input",
            where=where,
            do="Replace `if` and loops over tensor values by torch.where or a fixed number of steps.",
        )
    at = f" (it came as far as layer `{places.last}`)" if places.last else ""
    return UsageError(
        f"the module cannot be converted to LiteRT: {traced.said(error)}{at}",
        where=where,
        do="torch.export must be able to trace it: https://docs.pytorch.org/docs/stable/export.html",
    )
