"""This machine: nothing has to be carried anywhere."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from makeweight.devices.device import DeviceFailed, DeviceOptions, Ended, GivenUp, ProbedOptions
from makeweight.devices.to_its_end import TooLong, to_its_end
from makeweight.devices.watched import code_of, watched

_HANGS = (
    "See whether the models ever answer there, or another measurement ran for so long; `patience:` of the device is "
    "how long it may take."
)


class LocalOptions(ProbedOptions):
    """Nothing more than any device that the probe runs on has."""


class Local:
    """The machine that makeweight itself runs on."""

    Options: ClassVar[type[DeviceOptions]] = LocalOptions
    carries_probe = True

    def __init__(self, name: str, options: DeviceOptions, hangs: str = _HANGS) -> None:
        """Args:
        hangs: what to do about a process that never ends. Of what is only tried out here no configuration has options.
        """
        self.name = name
        self.options = options
        self._hangs = hangs
        # -P: a file of the user's named like one of Python's own (queue.py) must not take its place
        self.python: Sequence[str] = (sys.executable, "-P")

    def put(self, *files: Path) -> str:
        return str(files[0])

    def run(self, command: Sequence[str]) -> Ended:
        where, patience = f"device `{self.name}`", self.options.longest
        try:
            came = to_its_end(["sh", "-c", watched(f"{shlex.join(command)} >/dev/null")], patience, attending=True)
        except TooLong as error:
            what = f"the measuring process has not ended for {patience:g} s, and was ended: not measured"
            raise GivenUp(what, where=where, do=self._hangs) from error
        except OSError as error:
            what, do = f"`sh` cannot be started here: {error.strerror}", "Measure on Linux or macOS."
            raise DeviceFailed(what, where=where, do=do) from error
        return Ended(code_of(came.code), came.said)

    def get(self, there: str, here: Path) -> None:
        if Path(there) != here:
            shutil.copyfile(there, here)
