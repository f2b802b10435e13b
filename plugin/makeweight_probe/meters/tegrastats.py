"""NVIDIA's Jetson by its own `tegrastats`, where the sensors themselves may not be read.

https://docs.nvidia.com/jetson/archives/r36.4/DeveloperGuide/AT/JetsonLinuxDevelopmentTools/TegrastatsUtility.html
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence

from makeweight_probe import rails
from makeweight_probe.meters import NoMeter
from makeweight_probe.power import Clock, Followed, Reading

_COMMAND = ("tegrastats", "--interval", "50")
# `VDD_IN 4988mW/4870mW` on an Orin, `POM_5V_IN 1750/1628` on a Nano: what it takes now, and the mean so far
_RAIL = re.compile(r"\b((?:VDD|POM|VIN|SYS|GPU|CPU|SOC|CV|VDDRQ|SYS5V)\w*) (\d+)(?:mW)?/\d+(?:mW)?(?=\s|$)")
_MILLI = 1e-3


def open_meter(command: Sequence[str] = _COMMAND, clock: Clock = time.monotonic) -> Followed:
    """The rails that make up the board.

    Raises:
        NoMeter: there is no such program, or it tells no power.
    """
    try:
        program = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace"
        )
    except OSError as error:
        raise NoMeter(f"there is no `{command[0]}` here") from error

    def close() -> None:
        program.kill()
        program.wait()

    return Followed("tegrastats", _readings(program.stdout or ()), close, clock)


def powers(line: str) -> dict[str, float]:
    """Watts of each rail that a line tells."""
    return {name: int(now) * _MILLI for name, now in _RAIL.findall(line)}


def _readings(lines: Iterable[str]) -> Iterator[Reading]:
    counting: list[str] = []
    for line in lines:
        found = powers(line)
        counting = counting or rails.counting(found)
        if not counting or not found.keys() >= set(counting):
            raise NoMeter(f"tegrastats tells no power: {line.strip()[:200]}")
        yield None, sum(found[name] for name in counting)
