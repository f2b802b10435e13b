"""A device: another machine on this one, a folder for its disk and a Python of its own. Group `makeweight.devices`."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from makeweight.devices.device import DeviceFailed, DeviceOptions, Ended


class DrawerOptions(DeviceOptions):
    """What the other machine is."""

    folder: Path = Field(description="Its disk.")
    interpreter: Path = Field(description="Its Python, with numpy and the runtimes that it is to measure.")


class Drawer:
    """Files really go there and come back; the probe is sent."""

    Options: ClassVar[type[DeviceOptions]] = DrawerOptions
    carries_probe = False

    def __init__(self, name: str, options: DrawerOptions) -> None:
        self.name = name
        self._folder = options.folder
        self.python: Sequence[str] = (str(options.interpreter), "-P")

    def put(self, *files: Path) -> str:
        if not self._folder.is_dir():
            raise DeviceFailed(
                "the drawer is shut: there is no such folder", where=str(self._folder), do="Open it, then run again."
            )
        place = Path(tempfile.mkdtemp(dir=self._folder))
        for file in files:
            shutil.copyfile(file, place / file.name)
        return str(place / files[0].name)

    def run(self, command: Sequence[str]) -> Ended:
        # nothing of this machine's Python may be seen there
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        done = subprocess.run(command, cwd=self._folder, env=environment, capture_output=True, text=True, check=False)
        return Ended(done.returncode, done.stderr)

    def get(self, there: str, here: Path) -> None:
        shutil.copyfile(there, here)
