"""Open and run a LiteRT model. Travels to devices with the probe: numpy and ai-edge-litert only."""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from makeweight_probe.diverted import diverted
from makeweight_probe.session import Feeds

if TYPE_CHECKING:
    from numpy.typing import NDArray

PACKAGES = ("ai-edge-litert",)
"""What pip installs for it."""

MODULE = "ai_edge_litert"

NO_PROFILE = "LiteRT's interpreter has no profiler that Python reaches; its own benchmark_model has one"


class LitertSession:
    """A loaded model; `outputs` are the names of what it answers.

    Memory is planned for the sizes that stand in the file. Feeds of other sizes, where it leaves them free, run in a
    second copy, which is planned anew when they change: one inference at a time, as latency is measured, never is.

    Raises (on opening): whatever LiteRT raises; callers at home translate it, see `refusal.py`.
    """

    allocation = "one arena, planned"

    def __init__(self, path: str, threads: int) -> None:
        self._path, self._threads = path, threads
        self._written = self._opened()
        self._resized: Any = None
        taken, self.outputs = names(self._written)
        inputs = self._written.get_input_details()
        self._inputs = [(each["index"], name) for each, name in zip(inputs, taken, strict=True)]
        self._shapes = {each["index"]: tuple(map(int, each["shape"])) for each in inputs}
        self._sizes = dict(self._shapes)
        answered = self._written.get_output_details()
        self._outputs = [each["index"] for each in answered]
        self._scales = [scale_of(each) for each in answered]

    def run(self, feeds: Feeds) -> list[NDArray[Any]]:
        return self._invoked(self._fed(feeds))

    def answer(self, feeds: Feeds) -> list[NDArray[Any]]:
        """The same as if nothing had been asked before: what a model keeps from one inference to the next is forgotten,
        which takes time that is not the model's. Of integers of a quantized output the real numbers that they stand
        for. https://ai.google.dev/edge/litert/conversion/tensorflow/rnn"""
        if self._keeps_resources:
            self._written, self._resized = self._opened(), None
        model = self._fed(feeds)
        model.reset_all_variables()
        return [
            values if scale is None else ((values.astype("float64") - scale[1]) * scale[0]).astype("float32")
            for values, scale in zip(self._invoked(model), self._scales, strict=True)
        ]

    @functools.cached_property
    def _keeps_resources(self) -> bool:
        """Whether it has variables that only a new interpreter forgets; those of recurrent layers can be reset."""
        return any(each["op_name"] == "VAR_HANDLE" for each in self._written._get_ops_details())

    def _fed(self, feeds: Feeds) -> Any:
        given = [(index, feeds[name]) for index, name in self._inputs]
        model = self._of_sizes({index: values.shape for index, values in given})
        for index, values in given:
            model.set_tensor(index, values)
        return model

    def _invoked(self, model: Any) -> list[NDArray[Any]]:
        model.invoke()
        return [model.get_tensor(index) for index in self._outputs]

    def _of_sizes(self, sizes: dict[int, tuple[int, ...]]) -> Any:
        if sizes == self._shapes:
            return self._written
        if self._resized is None or sizes != self._sizes:
            # a model that could not be planned is of no use any more
            model, self._resized = self._resized or self._opened(), None
            for index, shape in sizes.items():
                model.resize_tensor_input(index, shape, strict=True)
            model.allocate_tensors()
            self._resized, self._sizes = model, sizes
        return self._resized

    def _opened(self) -> Any:
        # an interpreter tells the terminal which delegate it has made
        with Path(os.devnull).open("wb") as nowhere, diverted(nowhere):
            model = runtime_module().Interpreter(model_path=self._path, num_threads=self._threads)
            model.allocate_tensors()
        return model


def runtime_module() -> Any:
    from ai_edge_litert import interpreter

    return interpreter


def scale_of(told: Mapping[str, Any]) -> tuple[float, int] | None:
    """By which scale and zero point the integers of an input or output stand for real numbers, `scale * (integer - zero
    point)`; None: they stand for themselves, or it has none. https://ai.google.dev/edge/litert/models/quantization_spec

    Args:
        told: what an interpreter tells of it.
    """
    import numpy as np

    scale, zero = told["quantization"]
    # floating point may have a scale too, which it was rounded by while the model was trained, say
    return (float(scale), int(zero)) if scale and np.dtype(told["dtype"]).kind in "iu" else None


def names(model: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those of inputs and of outputs, in their order, as the file's signature has them, or else its tensors, which need
    no names of their own: one that has none, or another's, is told apart by its place."""
    given, answered = model.get_input_details(), model.get_output_details()
    for key in model.get_signature_list():
        runner = model.get_signature_runner(key)
        return _of(given, runner.get_input_details()), _of(answered, runner.get_output_details())
    return _of(given, {}), _of(answered, {})


def _of(tensors: Sequence[Any], signature: Mapping[str, Any]) -> tuple[str, ...]:
    """One tensor may be two outputs, and has two names then."""
    left = dict(signature)
    found = []
    for tensor in tensors:
        name = next((name for name, told in left.items() if told["index"] == tensor["index"]), tensor["name"])
        left.pop(name, None)
        found.append(name)
    often = Counter(found)
    return tuple(
        name if name and often[name] == 1 else "_".join(filter(None, (name, str(place))))
        for place, name in enumerate(found)
    )


def open_session(path: str, threads: int) -> LitertSession:
    return LitertSession(path, threads)


def warm_import() -> None:
    """Load the runtime's code without a model, so that its memory is not charged to one."""
    runtime_module()


def version() -> str:
    """Of the installed ai-edge-litert.

    Raises:
        ImportError: there is none.
    """
    import importlib.metadata

    return importlib.metadata.version("ai-edge-litert")
