"""Where a model's time goes, operator by operator, in sentences: why a variant is not faster."""

from __future__ import annotations

from collections.abc import Mapping

from makeweight.measure.operators import Profile
from makeweight.report import prose
from makeweight.report.comparison import LATENCY
from makeweight.report.content import Content, OperatorTimes
from makeweight.report.figures import Figures
from makeweight.report.standing import leading
from makeweight.report.text import elided

_MOST_NAMED = 3
_NAME = 60
_WORTH_TELLING = 0.05
"""Of the time of all operators: what takes less does not make a model slow."""
SENTENCES = 2
"""As many a reader of a terminal wants."""


def remarks(content: Content, figures: Figures) -> list[str]:
    """For a brief look: the variants that are not faster, then the one that is looked at, a sentence each."""
    lead = leading(content.verdict)
    own = [each for each in content.operators if each.variant == lead and _faster(figures, each)]
    return [*slowed(content, figures), *_sentences(figures, own)][:SENTENCES]


def slowed(content: Content, figures: Figures) -> list[str]:
    """A sentence for each variant that is not faster than the baseline."""
    return _sentences(figures, [each for each in content.operators if not _faster(figures, each)])


def _sentences(figures: Figures, listed: list[OperatorTimes]) -> list[str]:
    return [said for each in listed if (said := sentence(figures, each)) is not None]


def sentence(figures: Figures, times: OperatorTimes) -> str | None:
    """Where the variant's time goes; None where its runtime did not tell."""
    own = times.variant_profile
    if own.reason is not None or not own.seconds:
        return None
    slow = "" if _faster(figures, times) else " is not faster and"
    beginning, whole = f"{prose.code(times.variant)}{slow} spends", f"of its operators' time on `{times.device}`"
    if parts := _parts(own):
        shares = [f"{_percent(share)} {whole if not place else ''}".rstrip() for place, (share, _) in enumerate(parts)]
        return f"{beginning} {prose.listed([f'{s} {said}' for s, (_, said) in zip(shares, parts, strict=True)])}."
    kind, seconds = next(iter(own.kinds().items()))
    before = times.baseline_profile
    # each runtime has names of its own for what may be the same operator
    of_kind = before.kinds().get(kind) if before.reason is None and before.seconds else None
    beside = "" if of_kind is None else f", the baseline {_percent(of_kind / before.seconds)}"
    return f"{beginning} {_percent(seconds / own.seconds)} {whole} in {_kind(kind)}{beside}."


def _parts(own: Profile) -> list[tuple[float, str]]:
    """What a compressed model was to be rid of: shares, and of what."""
    converting, left = own.ran("conversion"), own.ran("fallback")
    in_float = own.ran("float") if own.ran("integer") else {}
    told = (
        (converting, "converting numbers ({})"),
        (in_float, "in what stayed in float ({})"),
        (left, "in what the delegate left to the runtime's own kernels ({})"),
    )
    return [
        (sum(shares.values()), words.format(_named(shares)))
        for shares, words in told
        if sum(shares.values()) >= _WORTH_TELLING
    ]


def _named(shares: Mapping[str, float]) -> str:
    """The types that take the most; each with its share where there are several."""
    shown = [
        f"{_kind(kind)}{f' {_percent(share)}' if len(shares) > 1 else ''}"
        for kind, share in list(shares.items())[:_MOST_NAMED]
    ]
    more = len(shares) - len(shown)
    return ", ".join([*shown, *([f"{more} more"] if more else [])])


def _kind(kind: str) -> str:
    return prose.code(elided(kind, _NAME))


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def _faster(figures: Figures, times: OperatorTimes) -> bool:
    """Whether it is for sure; also where that was not measured, so that nothing is claimed."""
    ratio = figures.get(LATENCY.compared("ratio"), times.variant, times.device)
    if ratio is None or ratio.value is None:
        return True
    _, high = ratio.interval or (ratio.value, ratio.value)
    return max(high, ratio.value * (1 + (ratio.noise_floor or 0.0))) < 1.0
