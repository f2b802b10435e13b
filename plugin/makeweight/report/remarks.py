"""What is said of several runtimes: which of them runs a recipe fastest, and what each left to its own kernels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from makeweight.layout import BASELINE
from makeweight.report import prose, runtimes
from makeweight.report.comparison import LATENCY
from makeweight.report.content import Content
from makeweight.report.facts import counted
from makeweight.report.figures import Figures
from makeweight.report.standing import leading


def remarks(content: Content, figures: Figures) -> list[str]:
    """What is to be said of runtimes, a sentence each: the fastest, then what fell back from a delegate."""
    told = runtimes.of(content)
    if not told:
        return []
    fastest = _fastest_runtime(content, figures, told)
    return [*([fastest] if fastest else []), *_fallen(content)]


def _fallen(content: Content) -> Iterator[str]:
    for name, manifest in content.manifests.items():
        left = runtimes.fallen_back(manifest.operators, manifest.delegate)
        if left:
            yield (
                f"{prose.code(name)} leaves {sum(left.values())} of {sum(manifest.operators.values())} operators to "
                f"{manifest.runtime}'s own kernels: {counted(left)}."
            )


def _fastest_runtime(content: Content, figures: Figures, told: Mapping[str, tuple[str, str]]) -> str:
    """Which runtime runs a recipe fastest, on each device: that of the variant that is looked at, else the first that
    is on several."""
    lead = leading(content.verdict)
    names = [name for name in (*([lead] if lead else []), *figures.models) if name in told]
    for first in dict.fromkeys(told[name][0] for name in names):
        rivals = [name for name in figures.models if name in told and told[name][0] == first]
        parts = [part for device in figures.devices if (part := _fastest(content, figures, told, rivals, device))]
        if parts:
            recipe = "the model as it is" if first == runtimes.UNCHANGED else runtimes.shown(first)
            return f"Of {recipe}, {'; '.join(parts)}."
    return ""


def _fastest(
    content: Content, figures: Figures, told: Mapping[str, tuple[str, str]], rivals: list[str], device: str
) -> str:
    """Of models of one recipe on a device; empty where fewer than two runtimes were timed there."""
    times = {name: time for name in rivals if (time := figures.place(LATENCY, name, device))}
    best: dict[str, str] = {}
    for name in sorted(times, key=lambda name: times[name]):
        best.setdefault(told[name][1], name)
    if len(best) < 2:
        return ""
    (runtime, first), (behind, second) = list(best.items())[:2]
    if not _apart(figures, first, second, device):
        return f"{runtime} and {behind} are not told apart on `{device}`"
    passes = {each.variant: each.verdict for each in content.verdict.variants}
    but = {"fail": ", which breaks the budget", "inconclusive": ", which the budget leaves open"}
    return (
        f"{runtime} is {times[second] / times[first]:.2f}x as fast as {behind} on `{device}`: "
        f"{prose.code(first)}{but.get(passes.get(first, ''), '')}"
    )


def _apart(figures: Figures, first: str, second: str, device: str) -> bool:
    """Whether what each is beside the baseline has intervals with more between them than identical models differ by."""

    def interval(name: str) -> tuple[float, float]:
        ratio = None if name == BASELINE else figures.get(LATENCY.compared("ratio"), name, device)
        if ratio is None or ratio.value is None:
            return (1.0, 1.0)
        return ratio.interval or (ratio.value, ratio.value)

    floor = 1 + (figures.noise_floor(device) or 0.0)
    return interval(first)[1] * floor < interval(second)[0]
