"""The energy counters of Intel's and AMD's processors: Running Average Power Limit, by Linux's powercap.

https://www.kernel.org/doc/html/latest/power/powercap/powercap.html
"""

from __future__ import annotations

from pathlib import Path

from makeweight_probe import sysfs
from makeweight_probe.meters import NoMeter

_ROOT = Path("/sys/class/powercap")
_MICRO = 1e-6


def open_meter(root: Path = _ROOT) -> Rapl:
    """All packages, and the memory beside them.

    Raises:
        NoMeter: no counter, or only root may read it.
    """
    counters = []
    for zone in sorted(root.glob("intel-rapl:*")):
        name = sysfs.value(zone / "name")
        # what lies within a package is counted there, but for the memory; `psys` counts all of it once more
        if name is not None and name.startswith(("package", "dram")):
            counters.append(_Counter(zone, name))
    if not counters:
        raise NoMeter(f"no energy counter of a processor under {root}")
    return Rapl(counters)


class Rapl:
    """Several counters as one."""

    def __init__(self, counters: list[_Counter]) -> None:
        self._counters = counters
        self.source = f"RAPL {', '.join(counter.name for counter in counters)}"

    def joules(self) -> float:
        return sum(counter.microjoules() for counter in self._counters) * _MICRO

    def close(self) -> None:
        pass


class _Counter:
    """It begins anew at its range, within minutes on a busy machine, so it is to be read more often than that."""

    def __init__(self, zone: Path, name: str) -> None:
        self.name = name
        self._path = zone / "energy_uj"
        self._range = max(sysfs.number(zone / "max_energy_range_uj") or 0, 0)
        self._before = self._read()
        self._begun_anew = 0

    def microjoules(self) -> int:
        now = self._read()
        if now < self._before and not self._range:
            raise NoMeter(f"{self._path} began anew, and how far it counts is not told")
        if now < self._before:
            self._begun_anew += 1
        self._before = now
        return now + self._begun_anew * self._range

    def _read(self) -> int:
        try:
            return int(self._path.read_text())
        except PermissionError as error:
            # https://nvd.nist.gov/vuln/detail/CVE-2020-8694: what it tells, an attacker could use
            raise NoMeter(f"only root may read {self._path}: `sudo chmod a+r {self._path}` lets others") from error
        except (OSError, ValueError) as error:
            raise NoMeter(f"{self._path} cannot be read: {error}") from error
