"""Whether a machine was slowed down while it was measured, by what it told before and after. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What a Raspberry Pi's `get_throttled` tells is so now; the same bits, moved up, what was so since it started:
# https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
_NOW = {0: "under-voltage", 1: "a capped clock", 2: "throttling", 3: "the soft limit of temperature"}
_SINCE = 16
_LEAST_SHARE = 0.6
"""Of the clock that it may have, what the fastest processor has under the governor `performance`, turbo or not."""
_PERFORMANCE = "performance"
_LEAST_STOOD = 0.01
"""Of the time that a group computed under a limit, what it may stand still for that: the kernel hands its quota out in
small pieces, so that one that just has enough is held back for moments, too."""


def objection(before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    """Why figures that were measured between two conditions (`facts.conditions`) are not those of this machine at its
    usual speed, in words; None where nothing speaks against them. What only one of them tells counts for nothing."""
    was, now = before.get("throttling") or {}, after.get("throttling") or {}
    if (events := _grown(was, now, "events")) > 0:
        return f"the processor was throttled {events} time{'' if events == 1 else 's'}"
    if (held := _held_back(was.get("quota") or {}, now.get("quota") or {})) is not None:
        return held
    for told in (now, was):
        if told.get("cooling"):
            return f"it was slowed down to cool it ({', '.join(told['cooling'])})"
    if (bits := _bits(was.get("firmware"), now.get("firmware"))) is not None:
        return f"its firmware reports {bits}"
    for told in (now, was):
        if told.get("hot"):
            return f"it was too hot ({', '.join(told['hot'])})"
    most, earlier = now.get("most_khz"), was.get("most_khz")
    if most is not None and earlier is not None and most < earlier:
        return f"the highest clock that it may have fell from {_mhz(earlier)} to {_mhz(most)}"
    clock = now.get("clock_khz")
    if after.get("governor") == _PERFORMANCE and clock is not None and most and clock < _LEAST_SHARE * most:
        return f"it ran at {_mhz(clock)} where its governor, {_PERFORMANCE}, asks for {_mhz(most)}"
    then, mode = before.get("power_mode"), after.get("power_mode")
    if None not in (then, mode) and then != mode:
        return f"its mode of power changed from {then} to {mode}"
    return None


def _grown(was: Mapping[str, Any], now: Mapping[str, Any], name: str) -> int:
    first, last = was.get(name), now.get(name)
    return 0 if first is None or last is None else int(last) - int(first)


def _held_back(was: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """By the limit of a control group, see `quota.state`."""
    if (times := _grown(was, now, "throttled")) <= 0:
        return None
    stood, limited = _grown(was, now, "throttled_us"), _grown(was, now, "limited_us")
    known = None not in (was.get("throttled_us"), now.get("throttled_us")) and limited > 0
    if known and stood < _LEAST_STOOD * limited:
        return None
    often = f"{times} time{'' if times == 1 else 's'}" + (f", for {stood / 1e6:.2g} s" if known else "")
    most = float(now["processors"])
    return f"the limit of its control group, {most:.3g} processor{'' if most == 1 else 's'}, held it back {often}"


def _bits(was: int | None, now: int | None) -> str | None:
    """What is so, before or after, or was so in between."""
    if was is None or now is None:
        return None
    between = (now & ~was) >> _SINCE
    names = [name for bit, name in _NOW.items() if (was | now | between) >> bit & 1]
    return ", ".join(names) or None


def _mhz(khz: int) -> str:
    return f"{khz / 1000:,.0f} MHz"
