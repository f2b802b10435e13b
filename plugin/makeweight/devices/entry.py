"""A device as it is declared, and the way from there to the device itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from makeweight import registry
from makeweight.devices.device import Device, DeviceOptions
from makeweight_base.errors import UsageError


@dataclass(frozen=True)
class DeviceEntry:
    """A declared device: its kind and options."""

    name: str
    kind: str
    options: DeviceOptions

    def connect(self) -> Device:
        """Raises:
        UsageError, MissingExtra: nobody offers that kind, or its extra is not installed.
        """
        device: Device = registry.ready("device", self.kind)(self.name, self.options)
        return device


def chosen(devices: Mapping[str, DeviceEntry], name: str | None) -> DeviceEntry:
    """The device of that name; None: the only one.

    Raises:
        UsageError: there is none of that name, or there are several to choose from.
    """
    if name is None and len(devices) == 1:
        return next(iter(devices.values()))
    if name is not None and name in devices:
        return devices[name]
    there = ", ".join(devices) or "none"
    what = "which of the devices it is about is not said" if name is None else f"no device `{name}`"
    raise UsageError(f"{what}; declared: {there}", do="Name one by `device:`.")
