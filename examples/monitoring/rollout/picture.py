"""A rollout as a picture: the shares that both canaries had, and, from close by, how the bad one lost its own. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from examples.monitoring.rollout.recorded import Moment, Recorded, moments, steps
from makeweight.report.plots import svg
from makeweight.report.plots.scale import Scale

WIDTH, HEIGHT = 900.0, 706.0
_LEFT, _RIGHT = 64.0, WIDTH - 64
_SHARES = (84.0, 214.0)
"""Top and bottom of the upper graph."""
_ROW = 19.0
_ROWS = 322.0
"""Where the names of the moments begin, one row each."""
_CLOSE = (458.0, 640.0)
_LEAST, _MOST = 1e-2, 1e12
"""The e-values that are drawn."""
_BEFORE, _AFTER = 1.0, 0.45
"""Seconds before the bad canary is let in, and the part of what follows that is left for the last names."""
_STYLE = f"""
text {{ font: 13px {svg.FACE}; fill: #1f2328 }}
.title {{ font-size: 17px; font-weight: 600 }} .quiet {{ fill: #59636e }} .end {{ text-anchor: end }}
.middle {{ text-anchor: middle }} .good {{ fill: #1a7f37 }} .bad {{ fill: #cf222e }} .strong {{ font-weight: 600 }}
.grid {{ stroke: #d1d9e0; fill: none }} .frame {{ stroke: #8c959f; fill: none }}
.up {{ stroke: #1a7f37; stroke-width: 2.5; fill: none }} .down {{ stroke: #cf222e; stroke-width: 2.5; fill: none }}
.evidence {{ stroke: #0550ae; stroke-width: 2.5; fill: none }} .blue {{ fill: #0550ae }}
.limit {{ stroke: #0550ae; stroke-dasharray: 5 4; fill: none }}
.moment {{ stroke: #59636e; stroke-dasharray: 2 3; fill: none }}
.right {{ fill: #c8d1da }} .wrong {{ fill: #ff8182 }}
"""


def draw(recorded: Recorded) -> str:
    """The picture as SVG.

    Raises:
        Untold: something did not happen that the picture is about.
    """
    up, down = steps(recorded), moments(recorded)
    return svg.alone(
        WIDTH,
        HEIGHT,
        f"{recorded.good} is promoted, {recorded.bad} is rolled back",
        svg.element("style", _STYLE),
        svg.element("rect", width=WIDTH, height=HEIGHT, fill="#ffffff"),
        *_shares(recorded, up, down),
        *_close(recorded, down),
    )


def _shares(recorded: Recorded, up: Sequence[Moment], down: Sequence[Moment]) -> Iterator[str]:
    top, bottom = _SHARES
    end = down[-1].time + 2
    across, high = Scale(0, end, _LEFT, _RIGHT), Scale(0, 1, bottom, top)
    yield svg.text("A good canary gets more of the traffic, a bad one loses it", _LEFT, 32, class_="title")
    yield svg.text("the canary's share of the traffic, by the weights of HAProxy", _LEFT, 58, class_="quiet")
    yield from _axis(across, bottom, "seconds since the traffic began")
    for share in (0.0, 0.25, 0.5, 1.0):
        yield svg.line("grid", [(_LEFT, high(share)), (_RIGHT, high(share))])
        yield svg.text(f"{share:.0%}", _LEFT - 8, high(share) + 4, class_="quiet end")
    for revision, kind in ((recorded.good, "up"), (recorded.bad, "down")):
        yield svg.line(kind, [(across(x), high(y)) for x, y in _stairs(recorded, revision, end)])
    promoted = across(up[-1].time)
    yield svg.text(f"{recorded.good}: promoted", promoted + 8, high(1.0) - 8, class_="good strong")
    gone = across(down[0].time)
    yield svg.text(f"{recorded.bad}: rolled back", gone, high(0.05) - 10, class_="bad strong")
    first = across(up[0].time)
    yield svg.text("copies only", (first + _LEFT) / 2, high(0.05) - 10, class_="quiet middle")


def _stairs(recorded: Recorded, revision: str, end: float) -> Iterator[tuple[float, float]]:
    """The share of one canary, from when it was on trial to when the next one was."""
    known = [one for one in recorded.shares if one.revision == revision]
    later = [one.time for one in recorded.shares if one.time > known[-1].time]
    last = 0.0
    for place, one in enumerate(known):
        if place:
            yield one.time, last
        yield one.time, one.share
        last = one.share
    yield min([*later, end]), last


def _close(recorded: Recorded, down: Sequence[Moment]) -> Iterator[str]:
    zero, bottom = down[0].time, _CLOSE[1]
    first, last = -_BEFORE, (down[-1].time - zero) * (1 + _AFTER)
    across = Scale(first, last, _LEFT, _RIGHT)
    yield svg.text(
        f"From close by: {recorded.bad} was quantized with images of another scale", _LEFT, _ROWS - 36, class_="title"
    )
    yield from _answers(recorded, zero, across)
    yield from _evidence(recorded, zero, across)
    yield from _axis(across, bottom, f"seconds since {recorded.bad} was let in; labels come {recorded.delay:g} s late")
    for row, one in enumerate(down):
        x, y = across(one.time - zero), _ROWS + _ROW * row
        yield svg.line("moment", [(x, y - 10), (x, bottom)])
        yield svg.text(f"{one.time - zero:.1f} s", x + 5, y, class_="strong")
        yield svg.text(_short(one), x + 5 + svg.text_width(f"{one.time - zero:.1f} s ", 14), y)


def _short(moment: Moment) -> str:
    """The sentences of the controller are too long for a picture."""
    return {
        "decision": "decision: rolls it back",
        "confirmed": "confirmed: it answers nothing",
        "last bad answer": f"last bad answer: {moment.words}",
    }.get(moment.name, f"{moment.name}: {moment.words}")


def _answers(recorded: Recorded, zero: float, across: Scale) -> Iterator[str]:
    """What the bad canary answered, second by second."""
    top, bottom = _CLOSE
    trial = [one for one in recorded.seconds if one.revision == recorded.bad and one.canary]
    high = Scale(0, 2.2 * max(one.canary for one in trial), bottom, top)
    for one in trial:
        left, right = across(one.time - zero), across(one.time + 1 - zero)
        for low, many, kind in ((0, one.canary_wrong, "wrong"), (one.canary_wrong, one.canary, "right")):
            y = high(many)
            yield svg.element(
                "rect", x=left + 1, y=y, width=max(right - left - 2, 1.0), height=high(low) - y, class_=kind
            )
    most = max(one.canary for one in trial)
    yield svg.line("frame", [(_LEFT, top), (_LEFT, bottom)])
    for many in (0, most):
        yield svg.text(str(many), _LEFT - 8, high(many) + 4, class_="quiet end")
    yield svg.text("its answers a second: wrong", _LEFT + 4, _CLOSE[1] + 52, class_="bad")
    yield svg.text(
        "and right", _LEFT + 4 + svg.text_width("its answers a second: wrong ", 13), _CLOSE[1] + 52, class_="quiet"
    )


def _evidence(recorded: Recorded, zero: float, across: Scale) -> Iterator[str]:
    """The e-value of its test, and the line that it has to cross."""
    top, bottom = _CLOSE
    high = Scale(_LEAST, _MOST, bottom, top, logarithmic=True)
    points = [(time - zero, value) for time, value in recorded.evalues if value > 0 and math.isfinite(value)]
    yield svg.line("evidence", [(across(time), high(value)) for time, value in points])
    yield svg.line("limit", [(_LEFT, high(recorded.line)), (_RIGHT, high(recorded.line))])
    yield svg.line("frame", [(_RIGHT, top), (_RIGHT, bottom)])
    for exponent in (0, 4, 8, 12):
        yield svg.text(f"1e{exponent}" if exponent else "1", _RIGHT + 8, high(10.0**exponent) + 4, class_="blue")
    said = f"evidence against it (e-value); a rollback at {recorded.line:,.0f}"
    yield svg.text(said, _RIGHT, _CLOSE[1] + 52, class_="blue end")


def _axis(across: Scale, bottom: float, name: str) -> Iterator[str]:
    yield svg.line("frame", [(_LEFT, bottom), (_RIGHT, bottom)])
    for tick in across.ticks(12):
        yield svg.line("frame", [(across(tick), bottom), (across(tick), bottom + 4)])
        yield svg.text(f"{tick:g}", across(tick), bottom + 18, class_="quiet middle")
    yield svg.text(name, (_LEFT + _RIGHT) / 2, bottom + 36, class_="quiet middle")
