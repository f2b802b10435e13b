"""A canary in the shadow: what stable answered and what the canary would have, logged under one id, is a pair."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from makeweight_monitors.exporter.events import Event

SHADOW = "shadow"
"""In the place of a variant: a canary whose answers do not go out."""
_OF_ARM = ("scores", "prediction", "failure", "latency")


@dataclass(slots=True)
class _Half:
    event: Event
    until: float


class Shadows:
    """Holds what one of the two answered until the other's comes; to be used by one thread.

    Args:
        most: how many wait; beyond, the oldest counts alone.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: OrderedDict[tuple[Any, ...], _Half] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def paired(self, predictions: list[Event], until: float) -> list[Event]:
        """Those that are of a pair now, and what is of none; the rest waits."""
        ready = []
        for event in predictions:
            if event["variant"] not in (SHADOW, "stable"):
                ready.append(event)
                continue
            key = (event["model"], event["environment"], event["id"])
            other = self._waiting.get(key)
            if other is not None and other.event["variant"] != event["variant"]:
                del self._waiting[key]
                ready.append(_pair(other.event, event) if event["variant"] == SHADOW else _pair(event, other.event))
            elif other is None:
                self._waiting[key] = _Half(event, until)
                if len(self._waiting) > self._most:
                    ready.append(_alone(self._waiting.popitem(last=False)[1].event))
        return ready

    def alone(self, now: float) -> list[Event]:
        """Those whose other half did not come in time: not every request has to be copied to the shadow."""
        ready = []
        while self._waiting and next(iter(self._waiting.values())).until <= now:
            ready.append(_alone(self._waiting.popitem(last=False)[1].event))
        return ready


def _alone(event: Event) -> Event:
    return {**event, "variant": "canary"} if event["variant"] == SHADOW else event


def _pair(stable: Event, shadow: Event) -> Event:
    rest = {name: value for name, value in {**shadow, **stable}.items() if name not in (*_OF_ARM, "variant")}
    arms = {"stable": stable, "canary": shadow}
    told = {arm: {name: event[name] for name in _OF_ARM if name in event} for arm, event in arms.items()}
    return {"type": "pair", **rest, **told}
