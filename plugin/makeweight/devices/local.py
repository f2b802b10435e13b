"""This machine: nothing has to be carried anywhere."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from makeweight.devices.device import DeviceOptions, Ended


class LocalOptions(DeviceOptions):
    """Nothing more than any device has."""


class Local:
    """The machine that makeweight itself runs on."""

    Options: ClassVar[type[DeviceOptions]] = LocalOptions
    carries_probe = True

    def __init__(self, name: str, options: DeviceOptions) -> None:
        self.name = name
        self.options = options
        # -P: a file of the user's named like one of Python's own (queue.py) must not take its place
        self.python: Sequence[str] = (sys.executable, "-P")

    def put(self, *files: Path) -> str:
        return str(files[0])

    def run(self, command: Sequence[str]) -> Ended:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
        )
        return Ended(done.returncode, done.stderr)

    def get(self, there: str, here: Path) -> None:
        if Path(there) != here:
            shutil.copyfile(there, here)
