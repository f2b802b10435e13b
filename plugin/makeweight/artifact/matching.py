"""Which port of one model is which of another, and how its axes lie there: what two runtimes call differently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from makeweight.artifact.ports import Feeds, Port, Shape, shown

Axes = tuple[int, ...]
"""As numpy.transpose takes them."""


@dataclass(frozen=True)
class Match:
    """A port and its counterpart in the other model."""

    port: Port
    other: Port
    index: int
    """Which of the other model's ports it is."""
    axes: Axes | None
    """What transposes the other's array to this one's layout; None: they lie alike."""

    def moved(self, shape: Shape) -> Shape:
        """A shape of the other's in this one's layout."""
        return shape if self.axes is None else tuple(shape[axis] for axis in self.axes)

    @property
    def fits(self) -> bool:
        """Whether one array could be of both."""
        if not (self.port.ranked and self.other.ranked):
            return True
        return _agreement(self.port.shape, self.moved(self.other.shape)) is not None

    @property
    def told(self) -> list[str]:
        """What is not plain about it, for people."""
        names = f"`{self.port.name}` is `{self.other.name}` by its place"
        layouts = f"`{self.port.name}` {shown(self.port.shape)} lies as {shown(self.other.shape)} there"
        found = [] if self.port.name == self.other.name else [names]
        return found if self.axes is None else [*found, layouts]


def matched(ports: Sequence[Port], others: Sequence[Port]) -> list[Match | None]:
    """The counterpart of each port: by name where one name at least is shared, else by order where there are as many;
    None where there is none.

    Layouts differ by where the channels stand, next to the batch or last. One that fits as it is is taken so, unless
    sizes that are numbers in both say that it is transposed.
    """
    names = {port.name: index for index, port in enumerate(others)}
    if any(port.name in names for port in ports):
        places = [names.get(port.name) for port in ports]
    else:
        places = list(range(len(ports))) if len(ports) == len(others) else [None] * len(ports)
    pairs = zip(ports, places, strict=True)
    return [None if place is None else _match(port, others[place], place) for port, place in pairs]


def counterparts(ports: Sequence[Port], others: Sequence[Port]) -> tuple[tuple[int, Axes | None] | None, ...]:
    """The same as the probe is told of it."""
    return tuple(None if match is None else (match.index, match.axes) for match in matched(ports, others))


def named_as(ports: Sequence[Port], others: Sequence[Port]) -> tuple[Port, ...]:
    """Ports by the names of those that they stand for, where they have none of them: the runtime gave them its own."""
    if len(ports) != len(others) or {port.name for port in ports} & {port.name for port in others}:
        return tuple(ports)
    return tuple(replace(port, name=other.name) for port, other in zip(ports, others, strict=True))


def fed(feeds: Feeds, matches: Sequence[Match]) -> Feeds:
    """What a model is fed with, by the names and in the layout of the other."""
    import numpy as np

    found = {}
    for match in matches:
        values = feeds[match.port.name]
        back = None if match.axes is None else np.argsort(match.axes)
        found[match.other.name] = values if back is None else np.ascontiguousarray(np.transpose(values, back))
    return found


def _match(port: Port, other: Port, index: int) -> Match:
    rank = len(port.shape)
    layouts: list[Axes | None] = [None]
    if rank == len(other.shape) and rank >= 3:
        layouts += [(0, rank - 1, *range(1, rank - 1)), (0, *range(2, rank), 1)]
    matches = [Match(port, other, index, axes) for axes in layouts]
    agreed = [_agreement(port.shape, match.moved(other.shape)) for match in matches]
    fitting = [index for index, numbers in enumerate(agreed) if numbers is not None]
    # of equals the first: as it is
    return matches[max(fitting, key=lambda place: (agreed[place] or 0, -place))] if fitting else matches[0]


def _agreement(shape: Shape, other: Shape) -> int | None:
    """How many sizes are the same number in both; None: they cannot be of one array."""
    if len(shape) != len(other):
        return None
    numbers = [(a, b) for a, b in zip(shape, other, strict=True) if isinstance(a, int) and isinstance(b, int)]
    return None if any(a != b for a, b in numbers) else len(numbers)
