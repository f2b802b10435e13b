"""What one process has counted itself: for a breaker beside the model, which must not wait for Prometheus."""

from __future__ import annotations

from dataclasses import dataclass

from makeweight_monitors.observe.arm import Arm, Pair
from makeweight_monitors.observe.counters import Counters


@dataclass(frozen=True)
class Local:
    """Counts of one arm, of this process alone, since it began; all zero where nothing of the kind is counted."""

    answered: int
    """Requests with an answer that is one."""
    failed: int
    """Those whose answer failed: they are no part of `answered`."""
    right: int
    wrong: int
    """Of both, those whose label came."""
    harm: int
    """Labelled pairs: stable right and the canary wrong; `help`, the other way round; `pairs`, all of them."""
    help: int
    pairs: int


def read(counters: Counters, arm: Arm, pair: Pair | None) -> Local:
    """The counts of one moment."""
    with counters.lock:
        cells = counters.cells
        right, wrong = (cells[arm.labelled], cells[arm.labelled + 1]) if arm.labelled else (0, 0)
        table = list(cells[pair.paired : pair.paired + 4]) if pair is not None and pair.paired else [0] * 4
        return Local(
            answered=cells[arm.predictions],
            failed=sum(cells[at] for at in arm.failed.values()),
            right=right,
            wrong=wrong,
            harm=table[1],
            help=table[2],
            pairs=sum(table),
        )
