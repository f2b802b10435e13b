"""What a device is: it tells its facts and runs a probe's job on itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, Field

from makeweight_probe.job import Job, Result


class DeviceOptions(BaseModel):
    """What can be set on every device. These make up the protocol: how a benchmark on it is carried out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    threads: int = Field(1, ge=1, le=1024, description="Threads within one inference.")
    processes: int = Field(3, ge=1, le=20, description="Fresh processes that must agree.")
    seconds: float = Field(10, gt=0, le=3600, description="Most time to spend on measuring one pair of models.")
    runner: str | list[str] | None = Field(
        None,
        description="In continuous integration, the labels of the runner whose job measures this device, such as "
        "`[self-hosted, pi5]` (default: the job that compresses).",
    )


@dataclass(frozen=True)
class Facts:
    """What a device says of itself.

    `identity` (model, CPU, ISA, runtime versions, emulated or not) is part of every key; `conditions` (load,
    governor, temperature) are recorded and never part of one.
    """

    identity: dict[str, Any]
    conditions: dict[str, Any]


class Device(Protocol):
    """One way to reach a machine that measures."""

    Options: ClassVar[type[DeviceOptions]]

    def __init__(self, name: str, options: Any) -> None: ...

    def facts(self) -> Facts:
        """Raises:
        DeviceFailed: the device cannot be reached.
        """

    def run(self, job: Job, tell: Callable[[str], None]) -> Result:
        """Run one job of the probe in a fresh process on the device.

        Raises:
            DeviceFailed: the device was lost, or the process died.
        """
