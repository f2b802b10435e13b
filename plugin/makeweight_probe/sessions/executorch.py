"""Open and run an ExecuTorch program. Travels to devices with the probe: numpy, and executorch's runtime, which stands
on torch's tensors. Of executorch its bindings alone are loaded, as its exporter would take many times as long.

https://docs.pytorch.org/executorch/stable/runtime-python-api-reference.html
"""

from __future__ import annotations

import contextlib
import functools
import re
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from makeweight_probe import flatbuffer
from makeweight_probe.diverted import diverted
from makeweight_probe.flatbuffer import Table
from makeweight_probe.session import Feeds, Ran, Span

if TYPE_CHECKING:
    from numpy.typing import NDArray

PACKAGES = ("executorch", "torch")
"""What pip installs for it."""

MODULE = "executorch.extension.pybindings"
"""Of `executorch` alone an empty folder would do: it is a namespace."""

METHOD = "forward"
# What a program's tensors hold, by the numbers that its format has for it.
DTYPES = {
    0: "uint8", 1: "int8", 2: "int16", 3: "int32", 4: "int64", 5: "float16", 6: "float32", 7: "float64", 11: "bool",
    27: "uint16", 28: "uint32", 29: "uint64",
}  # fmt: skip


class ExecutorchSession:
    """A loaded program. It takes inputs by their place, so feeds are in the order in which the model has them."""

    allocation = "planned when it was exported"

    def __init__(self, path: str, threads: int, *, traced: bool = False) -> None:
        """Args:
            traced: whether it writes down what each operator takes.

        Raises:
            RuntimeError: executorch refuses the program, or cannot give so many threads, or a program is open here that
                runs on another number of them.
        """
        import numpy as np
        import torch

        bindings = runtime_module()
        self._load = functools.partial(bindings._load_for_executorch, path, enable_etdump=traced)
        self._path = path
        with _said() as said:
            try:
                _one_pool(bindings, threads)
                self._module = self._load()
            except RuntimeError as error:
                raise RuntimeError(f"{error}{said()}") from error
        self._wanted = self._module.method_meta(METHOD)
        self._count: int = self._wanted.num_inputs()
        self._tensor = torch.from_numpy
        self._require = np.require
        _open.add(self)

    def run(self, feeds: Feeds) -> list[NDArray[Any]]:
        # strides are not looked at, and what lacks is taken for what was there before; what may not be written to,
        # PyTorch warns of
        given = [self._require(values, requirements=("C", "W")) for values in feeds.values()]
        if len(given) != self._count:
            raise ValueError(f"the program takes {self._count} inputs, and is fed with {len(given)}")
        try:
            answers = self._module.run_method(METHOD, [self._tensor(values) for values in given])
        except (RuntimeError, TypeError) as error:
            raise RuntimeError(f"{error}{self._misfit(given)}") from error
        return [_array(answer) for answer in answers]

    def answer(self, feeds: Feeds) -> list[NDArray[Any]]:
        """The same as if nothing had been asked before: a program that writes to its buffers is loaded anew."""
        if self._keeps_state:
            with _said():
                self._module = self._load()
            self._wanted = self._module.method_meta(METHOD)
        return self.run(feeds)

    @functools.cached_property
    def _keeps_state(self) -> bool:
        return writes_to_buffers(Path(self._path).read_bytes())

    def _misfit(self, given: Sequence[NDArray[Any]]) -> str:
        """What of the inputs is not as the program has it: of a free size it tells the largest."""
        for place, values in enumerate(given):
            wanted = self._wanted.input_tensor_meta(place)
            kind, sizes = DTYPES.get(wanted.dtype(), "?"), tuple(wanted.sizes())
            fits = len(sizes) == values.ndim and all(
                size <= most for size, most in zip(values.shape, sizes, strict=True)
            )
            if values.dtype.name != kind or not fits:
                return (
                    f"; input {place} takes {kind} {list(sizes)}, a free size up to that, and is fed with "
                    f"{values.dtype.name} {list(values.shape)}"
                )
        return ""


class ProfiledExecutorchSession(ExecutorchSession):
    """One that writes an ETDump: https://docs.pytorch.org/executorch/stable/etdump.html"""

    resolution = 1000.0

    def __init__(self, path: str, threads: int) -> None:
        super().__init__(path, threads, traced=True)
        if not self._module.has_etdump():
            raise RuntimeError("this executorch was built without its event tracer")

    def spans(self) -> list[list[Span]]:
        with tempfile.TemporaryDirectory(prefix="makeweight-profile-") as folder:
            written = Path(folder, "trace.etdp")
            self._module.write_etdump_result_to_file(str(written))
            return of_etdump(written.read_bytes())


# In the schema of an ETDump, by the places of fields: its runs; a run's name and events; what an event tells.
_RUNS, _NAME, _EVENTS, _PROFILE = 1, 0, 3, 0
_EVENT_NAME, _DELEGATED, _START, _END = 0, 4, 6, 7
_SIZE = 4
"""Bytes before the table: how long it is."""
_OWN = "native_call_"
_DELEGATE = "DELEGATE_CALL"


def of_etdump(data: bytes) -> list[list[Span]]:
    """The operators of each inference: what a delegate tells of its own, and what was left to other kernels.

    Raises:
        Damaged: it is no ETDump.
    """
    runs = [run for run in flatbuffer.root(data, _SIZE).tables(_RUNS) if run.text(_NAME) == "Execute"]
    return [list(_spans(run.tables(_EVENTS))) for run in runs]


def _spans(events: Sequence[Table]) -> Iterator[Span]:
    told = [each for event in events if (each := event.table(_PROFILE)) is not None]
    # each part of a program that a delegate runs begins its own count of names, and comes before the call that it is in
    several, part = sum(each.text(_EVENT_NAME) == _DELEGATE for each in told) > 1, 1
    for event in told:
        name, inner, start = event.text(_EVENT_NAME), event.text(_DELEGATED).strip(), event.number(_START, "Q")
        ns = event.number(_END, "Q") - start
        place = f", part {part}" if several else ""
        if inner:
            yield Span(f"{inner}{place}", re.split(r" \(| #", inner)[0], _ran(inner), start, ns)
        elif name.startswith(_OWN):
            kind = name.removeprefix(_OWN)
            yield Span(kind, kind, None if bookkeeping(kind) else "fallback", start, ns)
        elif name == _DELEGATE:
            # what a delegate takes beside its operators; all of it, where it does not tell of them
            yield Span(f"{name}{place}", name, None, start, ns)
            part += 1


def _array(answer: Any) -> NDArray[Any]:
    """A tensor as numpy has it; of numbers that numpy has not (bfloat16), in single precision."""
    array: NDArray[Any]
    try:
        array = answer.numpy()
    except TypeError:
        array = answer.float().numpy()
    return array


# In the schema of a program, by the places of fields: its plans; of a plan its name and operators; an operator's name.
_PLANS, _PLAN, _OPERATORS, _OPERATOR = 1, 0, 6, 0


def writes_to_buffers(data: bytes) -> bool:
    """Whether a program keeps something from one inference to the next. All else that it computes goes into memory of
    its own: an operator that works in place is there to write back what a module has in a buffer.
    https://docs.pytorch.org/executorch/stable/compiler-memory-planning.html

    Raises:
        Damaged: it is no program.
    """
    plans = [plan for plan in flatbuffer.root(data).tables(_PLANS) if plan.text(_PLAN) == METHOD]
    names = (each.text(_OPERATOR) for plan in plans for each in plan.tables(_OPERATORS))
    return any(name.partition("::")[2].endswith("_") for name in names)


def bookkeeping(kernel: str) -> bool:
    """Whether a kernel only hands sizes and views on: those of ExecuTorch's own domain, but for one that copies, and
    what PyTorch asks for a size by. No delegate could have taken it over."""
    own = kernel.startswith("executorch_prim::") and "copy" not in kernel
    return own or kernel.startswith("aten::sym_")


def _ran(name: str) -> Ran | None:
    """XNNPACK's name of an operator tells its types: `Fully Connected (NC, QD8, F32, QC8W) GEMM`."""
    types = re.findall(r"\b(?:F|QS|QU|QC|QD|QP|QB)\d+", name)
    if name.startswith("Convert"):
        return "conversion"
    if any(each.startswith("Q") for each in types):
        return "integer"
    return "float" if types else None


@contextlib.contextmanager
def _said() -> Iterator[Callable[[], str]]:
    """What is written to the standard error, by the runtime's own code too, which tells of the machine as it loads. It
    is kept, and its last line given to those who ask."""
    with tempfile.TemporaryFile() as file, diverted(file):

        def last() -> str:
            file.seek(0)
            lines = file.read().decode(errors="replace").strip().splitlines()
            return f": {lines[-1].partition('] ')[2] or lines[-1]}" if lines else ""

        yield last


_open: weakref.WeakSet[ExecutorchSession] = weakref.WeakSet()
"""Those that hold on to the pool of threads, of which a process has one."""


def _one_pool(bindings: Any, threads: int) -> None:
    """Have the pool of this process be of so many threads."""
    there = bindings._threadpool_get_thread_count()
    if there == threads:
        return
    if len(_open):
        raise RuntimeError(
            f"a process has one pool of threads: {threads} are asked for, and a program is open here on {there}"
        )
    bindings._unsafe_reset_threadpool(threads)
    if (made := bindings._threadpool_get_thread_count()) != threads:
        raise RuntimeError(f"executorch runs on {made} threads here, and {threads} are asked for")


def runtime_module() -> Any:
    """The bindings, which find torch's libraries only where those are loaded already."""
    import torch  # noqa: F401
    from executorch.extension.pybindings import _C

    return _C


def open_session(path: str, threads: int) -> ExecutorchSession:
    return ExecutorchSession(path, threads)


def open_profiled(path: str, threads: int) -> ProfiledExecutorchSession:
    return ProfiledExecutorchSession(path, threads)


def warm_import() -> None:
    """Load the runtime's code without a model, so that its memory is not charged to one."""
    runtime_module()


def version() -> str:
    """Of the installed executorch.

    Raises:
        ImportError: there is none.
    """
    import importlib.metadata

    return importlib.metadata.version("executorch")
