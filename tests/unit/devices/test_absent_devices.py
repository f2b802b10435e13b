"""Devices that cannot be asked: one costs the others nothing, and its absence is data."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from makeweight.devices import record
from makeweight.devices.device import DeviceFailed
from makeweight.verbs import device, devices
from makeweight_base.errors import EnvironmentFailed, Exit, MissingExtra
from makeweight_base.progress import Silent

NO_ADB = EnvironmentFailed("there is no `adb` here", where="device `pixel`", do="Install it.")
NO_EXTRA = MissingExtra("devices of kind adb", "adb")
LOST = DeviceFailed("it does not answer", do="Switch it on.")


def project(error: Exception, folder: Path) -> Any:
    def connect() -> object:
        raise error

    class Connected:
        python = ("python3",)

        def __getattr__(self, _: str) -> object:
            raise error

    entry = SimpleNamespace(kind="adb", options=SimpleNamespace(execution_provider="cpu"), connect=connect)
    if not isinstance(error, MissingExtra):
        entry.connect = Connected
    return SimpleNamespace(device=lambda _: entry, layout=SimpleNamespace(device=lambda name: folder / f"{name}.json"))


@pytest.mark.parametrize("error", [NO_ADB, LOST], ids=["no-adb-here", "lost"])
def test_a_device_that_cannot_be_reached_from_here_is_absent(error: EnvironmentFailed, tmp_path: Path) -> None:
    """Also where it is this computer that lacks something: the stage failed, and with it those of all other devices."""
    assert device.run(project(error, tmp_path), "pixel", Silent()) == Exit.PASS
    told = record.read(tmp_path / "pixel.json")
    assert (told.status, told.reason) == ("unreachable", error.what)


@pytest.mark.parametrize("error", [NO_EXTRA], ids=["no-extra"])
def test_a_device_of_a_kind_that_is_not_installed_is_listed_beside_the_others(
    error: MissingExtra, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was listed at all."""
    told = devices._asked(project(error, tmp_path), "pixel")
    assert told == {"kind": "adb", "reason": error.what, "do": error.do}
