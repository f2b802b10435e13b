"""What a device is: a way to reach a machine. Files go there and come back, and programs run there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self, cast

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from makeweight.devices.matrix import MatrixOptions
from makeweight.programs.program import Told
from makeweight_base.errors import EnvironmentFailed
from makeweight_probe import meters, sessions
from makeweight_probe.job import Model, Setting


class DeviceFailed(EnvironmentFailed):
    """A device could not be reached, or was lost while it measured."""


class GivenUp(DeviceFailed):
    """A program there did not end in time, and was ended; or another's measurement did not."""


_METERS = {"cuda": "nvml"}
"""What reads what computes beside the processor, by execution provider."""
_HANGS = 1800.0
"""Seconds that are given beside those of measuring: models are loaded, or another measurement is waited for."""
_LONGEST = 4
"""Times `seconds`, that a process may take to measure: so do cold starts (`makeweight_probe/starts.py`)."""


class DeviceOptions(BaseModel):
    """What can be set on every device. These make up the protocol: how a benchmark on it is carried out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    threads: int = Field(1, ge=1, le=1024, description="Threads within one inference.")
    execution_provider: Literal["cpu", "cuda"] = Field(
        "cpu",
        description="What computes there: the processor, or by `cuda` NVIDIA's GPU, of which ONNX Runtime alone "
        "makes use (onnxruntime-gpu).",
    )
    processes: int = Field(3, ge=1, le=20, description="Fresh processes that must agree.")
    seconds: float = Field(10, gt=0, le=3600, description="Most time to spend on measuring one pair of models.")
    meter: str | dict[str, Any] | None = Field(
        None,
        description="What reads energy there: `rapl`, `hwmon`, `tegrastats`, `nvml`, `{kind: stream, path: …}`, or one "
        "of the group `makeweight.meters` (default: the first that reads the processor; by "
        "`execution_provider: cuda` `nvml`). It is read where a rule of the budget is about `energy`.",
    )
    matrix: MatrixOptions | None = Field(
        None,
        description="Throughput over batch sizes and threads, each cell of one with the other beside the baseline: "
        "`{batch: [1, 8, 32], threads: [1, 2, 4]}`. It takes at most `seconds` more for each number of threads "
        "(default: not measured).",
    )
    cpus: list[int] | None = Field(
        None,
        min_length=1,
        description="The processors there that measuring processes may run on, such as `[2, 3]` (default: all).",
    )
    governor: str | None = Field(
        None,
        min_length=1,
        description="The governor of the clock there while it is measured, such as `performance`; the one of before "
        "comes back afterwards. Mostly needs root (default: left as it is).",
    )
    runner: str | list[str] | None = Field(
        None,
        description="In continuous integration, the labels of the runner whose job measures this device, such as "
        "`[self-hosted, pi5]` (default: the job that compresses).",
    )

    @field_validator("meter")
    @classmethod
    def _that_can_be(cls, meter: meters.Asked | None) -> meters.Asked | None:
        wrong = None if meter is None else meters.objection(meter)
        if wrong is not None:
            raise ValueError(wrong)
        return meter

    @model_validator(mode="after")
    def _has_room(self) -> Self:
        if self.cpus is not None and (len(set(self.cpus)) != len(self.cpus) or min(self.cpus) < 0):
            raise ValueError("`cpus` are numbers of processors from 0 on, each once")
        if self.cpus is not None and self.threads > len(self.cpus):
            raise ValueError(f"`threads: {self.threads}` have no room on {len(self.cpus)} of `cpus`")
        return self

    @model_validator(mode="after")
    def _can_have_a_matrix(self) -> Self:
        if self.matrix is None:
            return self
        if not self.runs_probe:
            raise ValueError("`matrix` needs Python on the device: programs that time a model run one batch")
        most = max(self.matrix.threads or [1])
        if self.cpus is not None and most > len(self.cpus):
            raise ValueError(f"`matrix`: {most} threads have no room on {len(self.cpus)} of `cpus`")
        return self

    @property
    def runs_probe(self) -> bool:
        """Whether the probe opens models there, and no program of the device's own."""
        return True

    def unserved(self, runtime: str) -> str | None:
        """Why models of a runtime are not computed there, whatever is done; None: they are."""
        if sessions.computes_by(self.execution_provider, runtime):
            return None
        return f"`{runtime}` has no `execution_provider: {self.execution_provider}`"

    @property
    def energy_meter(self) -> meters.Asked | None:
        """What reads energy there; None: the first that reads the processor."""
        return self.meter or _METERS.get(self.execution_provider)

    @property
    def setting(self) -> Setting:
        """What is changed on the machine while it is measured."""
        return Setting(None if self.cpus is None else tuple(self.cpus), self.governor)

    @property
    def files(self) -> tuple[str, ...]:
        """What of these options may name a file of this computer that decides what is measured, such as a program: with
        another content, something else is. What names none does no harm."""
        return ()

    @property
    def runs_here(self) -> bool:
        """Whether programs that these options name run on this computer, where they could write anything."""
        return False

    @property
    def longest(self) -> float:
        """Seconds that a process of the probe may take there, until it is taken to hang."""
        return _HANGS + _LONGEST * self.seconds


class ProbedOptions(DeviceOptions):
    """Those of a device on which the probe itself runs."""

    patience: float | None = Field(
        None,
        gt=0,
        le=86_400,
        description="Seconds after which a process that hangs there is given up (default: 1800 more than the longest "
        "that it may measure, which is four times `seconds`).",
    )

    @property
    def longest(self) -> float:
        return super().longest if self.patience is None else self.patience


@dataclass(frozen=True)
class Ended:
    """How a program on the device ended."""

    code: int
    """Its exit code; negative: the signal that ended it."""
    said: str
    """What it wrote to its standard error."""


class Device(Protocol):
    """One way to reach a machine that measures. Each method raises `DeviceFailed` when it cannot be reached.

    What runs there is the probe; `makeweight.bench.probe` brings it there and asks it. A device without Python is a
    `Programmed` one.
    """

    Options: ClassVar[type[DeviceOptions]]
    name: str
    carries_probe: bool
    """Whether that Python has the probe already; if not, it is sent there."""

    def __init__(self, name: str, options: Any) -> None: ...

    @property
    def python(self) -> Sequence[str]:
        """The words that start Python there; none: it has no Python."""

    def put(self, *files: Path) -> str:
        """Bring files there, each by its path from the folder of the first; where the first of them lies then.

        What is there already, by the hash of its content, need not be sent again.
        """

    def run(self, command: Sequence[str]) -> Ended:
        """Run a program there to its end."""

    def get(self, there: str, here: Path) -> None:
        """Bring a file back."""


class Timer(Protocol):
    """A model, and the program that times it on a device."""

    program: str
    """What the program is called."""
    feeds: str
    """What it feeds the model with, in words."""
    memory: str
    """How it has the memory that it tells, or why it tells none, in words."""

    def run(self, runs: int) -> Told:
        """Start the program once, for so many inferences where it can be told how many.

        Raises:
            DeviceFailed: it failed, hung, or printed what makes no sense.
        """


class Programmed(Device, Protocol):
    """A device without Python, where programs of its own time models; `makeweight.bench.turns` has them take turns."""

    def identity(self) -> dict[str, Any]:
        """What it is, as far as its speed depends on that: see `makeweight.bench.probe.Facts`."""

    def conditions(self) -> dict[str, Any]:
        """The state that it is in."""

    def timer(self, model: Model, sizes: Mapping[str, tuple[int, ...]]) -> Timer:
        """Bring a model there, with what times it.

        Args:
            sizes: those of each input.

        Raises:
            UsageError: no program is declared for its runtime, or that cannot be told these sizes.
        """

    def alone(self, tell: Callable[[str], None]) -> AbstractContextManager[None]:
        """Wait until no other measurement runs there, and keep others waiting meanwhile."""

    def meter(self, asked: meters.Asked | None) -> meters.Meter:
        """Raises:
        NoMeter: energy cannot be read there, and why.
        """


class Private(Protocol):
    """What a device has besides where a private folder can be made on it, with a Python of its own: see
    `bench/bootstrap.py`. `python` is that one where it is there."""

    bare_python: Sequence[str]
    """The words that start the Python there that it is made with."""
    furnished: str
    """That folder, from where programs run there."""


def private(device: Device) -> Private | None:
    """None: it is not such a device."""
    return cast(Private, device) if hasattr(type(device), "furnished") else None
