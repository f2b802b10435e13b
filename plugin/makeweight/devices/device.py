"""What a device is: a way to reach a machine. Files go there and come back, and programs run there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, Field, field_validator

from makeweight_base.errors import EnvironmentFailed
from makeweight_probe import meters


class DeviceFailed(EnvironmentFailed):
    """A device could not be reached, or was lost while it measured."""


class DeviceOptions(BaseModel):
    """What can be set on every device. These make up the protocol: how a benchmark on it is carried out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    threads: int = Field(1, ge=1, le=1024, description="Threads within one inference.")
    processes: int = Field(3, ge=1, le=20, description="Fresh processes that must agree.")
    seconds: float = Field(10, gt=0, le=3600, description="Most time to spend on measuring one pair of models.")
    meter: str | dict[str, Any] | None = Field(
        None,
        description="What reads energy there: `rapl`, `hwmon`, `tegrastats`, `nvml`, `{kind: stream, path: …}`, or one "
        "of the group `makeweight.meters` (default: the first that reads the processor). It is read where a rule of "
        "the budget is about `energy`.",
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


@dataclass(frozen=True)
class Ended:
    """How a program on the device ended."""

    code: int
    """Its exit code; negative: the signal that ended it."""
    said: str
    """What it wrote to its standard error."""


class Device(Protocol):
    """One way to reach a machine that measures. Each method raises `DeviceFailed` when it cannot be reached.

    What runs there is the probe; `makeweight.bench.probe` brings it there and asks it.
    """

    Options: ClassVar[type[DeviceOptions]]
    name: str
    python: Sequence[str]
    """The words that start Python there."""
    carries_probe: bool
    """Whether that Python has the probe already; if not, it is sent there."""

    def __init__(self, name: str, options: Any) -> None: ...

    def put(self, *files: Path) -> str:
        """Bring files there, side by side in one folder and by their names; where the first of them lies then.

        What is there already, by the hash of its content, need not be sent again.
        """

    def run(self, command: Sequence[str]) -> Ended:
        """Run a program there to its end."""

    def get(self, there: str, here: Path) -> None:
        """Bring a file back."""
