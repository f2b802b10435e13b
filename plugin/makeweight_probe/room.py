"""Whether times are those of the processors that they are taken for: what is to be said of where a model ran. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

NAME_SOME = "Name some of one kind by `cpus:` of the device."


def remarks(conditions: Mapping[str, Any], threads: int) -> Iterator[str]:
    """In words, each what to know and what to do.

    Args:
        conditions: see `facts.conditions`. What they do not tell counts for nothing.
        threads: within one inference.
    """
    cpus = conditions.get("cpus")
    if cpus is not None and threads > len(cpus):
        yield (
            f"{threads} threads shared the {_processors(len(cpus))} that measuring may run on there, and waited for "
            "each other: give it more, or set `threads` to as many as there are"
        )
    if (several := of_kinds(conditions.get("kinds") or ())) is not None:
        yield f"{several}: the models ran on whichever was free. {NAME_SOME}"


def of_kinds(kinds: Sequence[Sequence[int]]) -> str | None:
    """That processors are of several kinds; None: they are not.

    Args:
        kinds: see `kinds.among`.
    """
    if len(kinds) < 2:
        return None
    each = "; ".join(_brief(kind) for kind in kinds)
    return f"its processors are of {len(kinds)} kinds, the fastest first: {each}"


def _processors(count: int) -> str:
    return f"{count} processor{'' if count == 1 else 's'}"


def _brief(cpus: Sequence[int]) -> str:
    """`0-3, 8`."""
    runs: list[list[int]] = []
    for cpu in cpus:
        if runs and cpu == runs[-1][-1] + 1:
            runs[-1].append(cpu)
        else:
            runs.append([cpu])
    return ", ".join(f"{run[0]}" if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
