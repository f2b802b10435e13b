"""What would pass, where nothing does: another variant, a measurement, compressing more or less, and how much."""

from __future__ import annotations

from makeweight.budget.metric import METRICS, Metric
from makeweight.budget.quantity import FRACTION, POINTS, RATIO, show_beside
from makeweight.decide.verdict import RuleVerdict, distance
from makeweight.layout import BASELINE
from makeweight.report.comparison import LATENCY
from makeweight.report.content import Content
from makeweight.report.figures import Figures
from makeweight.report.prose import code, gains, listed
from makeweight.report.standing import blocking, passing, subject, waived

# The variants besides the one that is told of, the nearest first, whose distance is told too.
_OTHERS = 3
_MORE = "compress it more (`makeweight advise` says by what)"
_EXACT = (
    " Where a processor adds up products of 8 bits in 16, as x86 without VNNI does for ONNX Runtime, "
    "`quantize: {bits: 7}` makes them fit; `makeweight evaluate` on such a machine tells what it answers."
)
_LESS = "compress it less or train it longer (a lower `ratio`, more `epochs`, a `teacher`, layers in `exclude`)"


def remedy(content: Content, figures: Figures, variant: str) -> str:
    """What would pass, when the verdict does not."""
    verdict = content.verdict
    if verdict.review.ships is not None:
        return f"{code(variant)} passes every rule: it ships as soon as what was altered is reviewed."
    able = [name for name in passing(verdict) if name != variant]
    if able:
        others = f"{'; '.join(_able(content, figures, name) for name in able)}."
        return f"{others} To ship it, name it under `ship:`." if verdict.policy == variant else others
    held_up = blocking(verdict, variant)
    if held_up and all(rule.verdict == "inconclusive" and rule.value is None and not rule.settle for rule in held_up):
        away = list(dict.fromkeys(code(rule.device) for rule in held_up if rule.device and rule.cause == "unreachable"))
        only_that = all(rule.cause == "unreachable" for rule in held_up)
        again = f" Run it again when {listed(away)} can be reached." if away and only_that else ""
        exact = _EXACT if any(rule.cause == "elsewhere" for rule in held_up) else ""
        return f"That is not known: what is open could not be measured here.{again}{exact}"
    if any(rule.settle for rule in held_up):
        return "Nothing is known to yet: settle what is open first."
    return " ".join([_mend(variant, held_up), *_dynamic(content, figures), *_others(content, variant)])


def _able(content: Content, figures: Figures, variant: str) -> str:
    let_through = len(waived(content.verdict, variant))
    passes = f"passes every rule{f' with {let_through} waived' if let_through else ''}"
    gained = ", ".join(gains(figures, variant))
    return f"{code(variant)} {passes}" + (f" ({gained})" if gained else "")


def _mend(variant: str, held_up: list[RuleVerdict]) -> str:
    """In which direction the nearest variant is to be changed, and how far it has to go."""
    limits = [(rule, metric) for rule in held_up if (metric := METRICS.get(rule.metric)) and rule.limit is not None]
    broken = [(rule, metric) for rule, metric in limits if rule.verdict == "fail"]
    if not broken:
        return f"Nothing measured here: mend the recipe of {code(variant)} first."
    costs = [rule for rule, metric in broken if metric.origin != "evaluate"]
    quality = [rule for rule, metric in broken if metric.origin == "evaluate"]
    broken.sort(key=lambda each: -each[0].excess)
    far = listed(list({subject(rule): _far(rule, metric) for rule, metric in reversed(broken)}.values())[::-1])
    if costs and quality:
        way = (
            "compressing it more loses more, and less makes it larger or slower: train it longer, try another order of "
            "steps or another `runtime`"
        )
    else:
        way = _MORE if costs else _LESS
    return f"Nothing measured here. {code(variant)} is nearest: {far}. So {way}, or change the budget."


def _dynamic(content: Content, figures: Figures) -> list[str]:
    """That ranges could be found at run time, where fixed ones are slower than floating point and no convolution, which
    needs them, is on integers."""
    integer = {name: each for name, each in content.manifests.items() if each.status == "ready" and each.quantized}
    if not all(each.calibrated for each in integer.values()):
        return []
    slower = [
        code(name)
        for name, each in integer.items()
        if not any("Conv" in kind for kind in each.operators)
        and any((figures.value(LATENCY.compared("ratio"), name, device) or 0) > 1 for device in figures.devices)
    ]
    if not slower:
        return []
    return [
        f"{listed(slower)} {'is' if len(slower) == 1 else 'are'} slower than the baseline, with ranges that are fixed: "
        "`quantize: {method: dynamic}` finds them at run time, and makes integers of what has weights too."
    ]


def _others(content: Content, variant: str) -> list[str]:
    """How far the other variants are, the nearest first."""
    verdict = content.verdict
    names = [each.variant for each in verdict.variants if each.variant not in (variant, BASELINE)]
    if verdict.policy == variant and names:
        return ["No other variant here passes every rule either."]
    names.sort(key=lambda name: distance(verdict.of(name)))
    told = []
    for name in names[:_OTHERS]:
        broken = [rule for rule in blocking(verdict, name) if rule.verdict == "fail" and rule.limit is not None]
        if broken:
            worst = max(broken, key=lambda rule: rule.excess)
            further = len({subject(rule) for rule in broken}) - 1
            more = f" (+{further} more)" if further else ""
            told.append(f"{code(name)}, {_far(worst, METRICS[worst.metric])}{more}")
    return [f"Farther away: {'; '.join(told)}."] if told else []


def _far(rule: RuleVerdict, metric: Metric) -> str:
    """`size is 1.20x its limit`, `accuracy drops too far, by 0.4 pt`."""
    name, value, limit = subject(rule), rule.value, rule.limit
    if value is None or limit is None or rule.limits is None:
        return f"{name} is broken"
    of = rule.limits.limit_dimension(metric)
    if rule.limits.comparison in ("drop", "regression"):
        does = "drops too far" if rule.limits.comparison == "drop" else "grew too much"
        return f"{name} {does}, by {show_beside(value - limit, 0.0, of)}"
    if metric.origin == "evaluate" or not limit:
        of = POINTS if of == FRACTION else of
        side = "over" if rule.limits.upper else "under"
        return f"{name} is {show_beside(abs(value - limit), 0.0, of)} {side} its limit"
    return f"{name} is {show_beside(value / limit, 1.0, RATIO)} its limit"
