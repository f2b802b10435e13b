"""A rollout as lines of text. Pure."""

from __future__ import annotations

from examples.monitoring.rollout.recorded import Recorded, moments, steps


def text(recorded: Recorded) -> str:
    """Both trials, each in seconds since it had traffic.

    Raises:
        Untold: something did not happen.
    """
    lines = [f"{recorded.good}, in seconds since it was let in:"]
    up = steps(recorded)
    lines += [f"  {one.time - up[0].time:5.1f} s  {one.words}" for one in up]
    lines += ["", f"{recorded.bad}, in seconds since it was let in:"]
    down = moments(recorded)
    lines += [f"  {one.time - down[0].time:5.1f} s  {one.name + ':':16} {one.words}" for one in down]
    at = {one.name: one.time for one in down}
    after = max(at["last bad answer"] - at["evidence"], 0.0)  # it has few requests: none may have come by then
    lines += [
        "",
        f"from the evidence to the last bad answer {after:.1f} s; "
        f"from the first bad answer to the last {at['last bad answer'] - at['fault']:.1f} s",
    ]
    return "\n".join(lines)
