"""How much of the time for which a virtual machine's processors were to be at work its host gave to others: stolen time
(proc_stat(5), https://man7.org/linux/man-pages/man5/proc_stat.5.html).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from makeweight_probe import sysfs

_STAT = Path("/proc/stat")
_AT_WORK, _STOLEN = (0, 1, 2, 5, 6), 7
"""Of a line's numbers: user, nice, system, irq, softirq; steal."""
_LEAST = 0.05
"""Less than this share is not told."""


def state(used: Collection[int] | None, told: Path = _STAT) -> dict[str, int] | None:
    """Ticks since the machine started: `at_work` and `stolen`. None: this system does not tell.

    Args:
        used: the processors that measuring may run on, by number; None: all.
    """
    lines = (line.split() for line in (sysfs.value(told) or "").splitlines())
    rows = {name[3:]: counts for name, *counts in filter(None, lines) if name[:3] == "cpu" and name[3:].isdecimal()}
    own = [row for number, row in rows.items() if used is None or int(number) in used]
    if not own or not all(len(row) > _STOLEN and all(map(str.isdecimal, row)) for row in own):
        return None
    worked = sum(int(row[place]) for row in own for place in _AT_WORK)
    return {"at_work": worked, "stolen": sum(int(row[_STOLEN]) for row in own)}


def remark(states: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> str | None:
    """In words, what to know and what to do; None: nothing. Pure.

    Args:
        states: conditions (`facts.conditions`) before and after each of the processes. What they do not tell counts for
            nothing.
    """
    worked = taken = 0
    for before, after in states:
        was, now = before.get("ticks"), after.get("ticks")
        if was and now:
            worked += now["at_work"] - was["at_work"]
            taken += now["stolen"] - was["stolen"]
    share = taken / (worked + taken) if taken > 0 else 0.0
    if share < _LEAST:
        return None
    return (
        f"its host took {share:.0%} of its processors' time meanwhile (stolen time): times are longer by that, and a "
        "ratio holds, since both models have their turns. Give the virtual machine processors of its own"
    )
