"""Facts and advice in plain words: what the terminal and the documentation say. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from makeweight.advise.expected import Expected
from makeweight.advise.facts import DeviceFacts, Facts, Goal, ModelFacts, loses_shares
from makeweight.advise.ranking import Advice, Chance, Ranking
from makeweight.advise.rule import Effect, Rule
from makeweight.budget.quantity import BYTES, COUNT, SECONDS, show
from makeweight.report.prose import listed
from makeweight_probe.job import CPU

KINDS = {
    "convolution": "convolutions",
    "product": "products",
    "table": "tables of vectors",
    "recurrence": "recurrences",
    "other": "normalization and other",
}
# From this part of the time on, one operator decides how fast a model can be.
_MOST = 0.4
_FIGURES = {
    "size": "size",
    "size_compressed": "size, compressed",
    "parameters": "parameters",
    "macs": "MACs",
    "latency": "latency",
    "peak_memory": "peak memory",
    "drop": "lost quality",
}


def headline(ranking: Ranking, facts: Facts) -> str:
    """What there is to be said first."""
    first = ranking.advice[0] if ranking.advice else None
    if facts.passing is not None:
        return f"`{facts.passing}` meets the whole budget already, as measured: nothing has to be compressed further."
    if ranking.standing == "baseline":
        goal = next(goal for goal in facts.open if goal.figure == "drop" and goal.blocking)
        return (
            f"The baseline itself misses the budget ({goal.text}): train it better first, no technique here makes a "
            "model more accurate."
        )
    if ranking.standing == "met":
        told = "The baseline meets every limit on size and time as it is: nothing has to be compressed."
        return told if first is None else f"{told} If it is to be smaller or faster still, try `{first.name}` first."
    if first is None and "inputs" in facts.absent:
        return f"Nothing can be tried here yet ({facts.absent['inputs']}): mend that, and ask again."
    if first is None:
        return _nothing(facts.model) + _beside(facts.open, facts)
    if ranking.standing == "nearest":
        goal = first.misses[0]
        lacking = any(each.module for each in ranking.aside)
        declare = "declare the module that the file was made from, " if lacking else ""
        return (
            f"No technique here is expected to reach the budget ({goal.text} takes {_needed(goal)}); `{first.name}` "
            f"comes nearest. Ease that limit, {declare}or begin with a smaller model.{_beside(first.misses, facts)}"
        )
    doubts = [goal for goal, chance in first.chances if goal.blocking and _doubtful(goal, chance, facts)]
    sure = f"; whether it holds {listed([goal.text for goal in doubts])} is to be measured" if doubts else ""
    return f"Try `{first.name}` first: {first.rule.does}{sure}."


def _beside(missed: Sequence[Goal], facts: Facts) -> str:
    """Where the time goes that a limit is about, if that is mostly one operator which no technique reaches."""
    slow = {goal.device for goal in missed if goal.figure == "latency"}
    for device in facts.devices:
        if device.name in slow and device.beside is not None and device.beside[1] >= _MOST:
            name, share = device.beside
            return (
                f" On `{device.name}`, {share:.0%} of the time is in `{name}`, which belongs to no layer of weights: a "
                "change of the model itself may spare it, no technique here does."
            )
    return ""


def _doubtful(goal: Goal, chance: Chance, facts: Facts) -> bool:
    """Whether only measuring tells. Where rules promise what is lost, that of other figures goes with it."""
    if chance == "unknown":
        return goal.pressing or not loses_shares(facts.task)
    return chance == "possible"


def _nothing(model: ModelFacts) -> str:
    """Why no technique is advised."""
    if model.integers:
        return (
            "The model computes on integers already, and no technique here makes such a one smaller or faster: begin "
            "with the float32 model that it was made from."
        )
    if model.finished:
        return (
            f"A file of {model.runtime} is finished: no technique changes it. Declare the module that it was exported "
            "from (`model.build`, `model.weights`), which all of them begin with."
        )
    return "No technique pays on this model: none is expected to change what the budget limits by 5 % or more."


def why(advice: Advice, facts: Facts) -> str:
    """What speaks for it on this model."""
    rule, model = advice.rule, facts.model
    parts = [rule.because]
    share, work = model.share(*rule.reaches), model.work(*rule.reaches)
    if share is not None:
        done = "" if work is None else f" and {work:.0%} of the multiply-accumulates"
        parts.append(f"it reaches {share:.0%} of the bytes{done}")
    parts += [each for device in facts.devices if (each := _instructions(rule, device))]
    return _sentence(parts)


def _instructions(rule: Rule, device: DeviceFacts) -> str:
    """What the device's instructions have to do with it."""
    wanted = next((effect.where for effect in rule.effects if effect.where is not None), None)
    if device.isa is None or wanted is None or device.by != CPU:
        return ""
    able = sorted(wanted.instructions & set(device.isa))
    if able:
        return f"`{device.name}` {wanted.able} with {listed(able)}"
    return f"`{device.name}` {wanted.unable}, so do not count on speed there"


def bytes_told(model: ModelFacts) -> list[tuple[str, int, float, float | None]]:
    """By kind of layer: its name, bytes, part of the file, part of the work; what lies in no layer last."""
    told = []
    for kind, name in KINDS.items():
        size, work = model.bytes_of(kind), model.work(kind)  # type: ignore[arg-type]
        if size or work:
            told.append((name, size, size / model.size, work))
    told.sort(key=lambda each: -each[1])
    left = model.size - sum(size for _, size, _, _ in told)
    if told and left > 0:
        told.append(("the graph itself", left, left / model.size, None))
    return told


def range_told(expected: Expected) -> str:
    """`0.25x to 0.31x`; of a drop `-0.1 pt to 1.0 pt`."""
    if expected.figure == "drop":
        return _span(f"{expected.low * 100:+.1f}", f"{expected.high * 100:+.1f}", " pt")
    return _span(f"{expected.low:.2f}", f"{expected.high:.2f}", "x")


def effect_told(effect: Effect) -> str:
    """A range of a rule's, for the documentation."""
    ends = Expected(effect.figure, effect.low, effect.high)
    where = f", {effect.where.words}" if effect.where is not None else ""
    others = [f"{KINDS[kind]} {range_told(Expected(effect.figure, *span))}" for kind, span in effect.beside.items()]
    beside = f" ({listed(others)})" if others else ""
    return f"{_FIGURES[effect.figure]} {range_told(ends)}{beside}{where}"


def figure_told(expected: Expected) -> str:
    return _FIGURES[expected.figure] + (f" on {expected.device}" if expected.device is not None else "")


def in_units(expected: Expected, facts: Facts) -> str:
    """The same in bytes or seconds, where the baseline's own figure is known; else nothing."""
    device = next((each for each in facts.devices if each.name == expected.device), None)
    if expected.figure == "latency" and device is not None and device.latency is not None:
        return _amounts(expected, device.latency, SECONDS)
    if expected.figure == "size":
        return _amounts(expected, facts.model.size, BYTES)
    return ""


def _amounts(expected: Expected, whole: float, dimension: object) -> str:
    low, high = (show(whole * end, dimension) for end in (expected.low, expected.high))  # type: ignore[arg-type]
    return low if low == high else f"{low} to {high}"


def goal_told(goal: Goal) -> str:
    """What the baseline has to become for it."""
    if goal.figure is None or goal.needed is None:
        return f"not told beforehand: {goal.reason}"
    if goal.figure == "drop":
        return f"{goal.needed * 100:.1f} pt may be lost" if goal.needed >= 0 else "the baseline misses it"
    if goal.met:
        return f"met by the baseline ({goal.needed:.2f}x would be)"
    return f"takes {_needed(goal)}"


def _needed(goal: Goal) -> str:
    if goal.figure == "drop":
        return f"a loss of at most {(goal.needed or 0) * 100:.1f} pt"
    return f"{goal.needed:.2f}x of the baseline's"


def model_told(facts: Facts) -> str:
    """One line on what the model is."""
    model = facts.model
    parts = [f"{show(model.size, BYTES)} on {model.runtime}"]
    if model.parameters is not None:
        parts.append(f"{show(model.parameters, COUNT)} parameters")
    if model.macs is not None:
        parts.append(f"{show(model.macs, COUNT)} MACs")
    parts.append("a PyTorch module" if model.source == "module" else "a file without its module")
    if model.attends:
        parts.append("with attention")
    if model.free:
        parts.append(f"free sizes: {listed(list(model.free))}")
    if model.integers:
        parts.append("on integers already")
    return ", ".join(parts)


def sensitivity_told(facts: Facts) -> list[str]:
    """What 8 bits after training did here, and which layers suffer most."""
    seen = facts.sensitivity
    if seen is None:
        return []
    noise = "nothing usable" if seen.decibels is None else f"{seen.decibels:.0f} dB of every output"
    told = [f"8 bits after training ({seen.method}) keep {noise} on {seen.split}"]
    heaviest = sorted(seen.alone.items(), key=lambda each: -each[1])[:3]
    worst = [(name, won) for name, won in heaviest if won >= 1]
    if worst:
        told.append("left in float alone, " + ", ".join(f"`{name}` wins {won:.1f} dB" for name, won in worst))
    elif seen.alone and seen.untried is None:
        told.append("no layer by itself is what 8 bits lose by")
    return told


def assumed(advice: Advice, facts: Facts) -> Iterator[str]:
    """What the expectations take for granted, a part of a sentence each."""
    yield from dict.fromkeys(each.assumes for each in advice.expected if each.assumes)
    drops = [each for each in advice.expected if each.figure == "drop"]
    if drops and not any(each.tried for each in drops):
        yield "of what is lost, what such networks lost elsewhere: it was not measured on this one"
    for name, reason in facts.absent.items():
        if name.startswith("latency on"):
            yield f"of the {name}, what other processors gain: {reason}"


def ways_told(rule: Rule) -> str:
    """When a rule applies, for the documentation."""
    return "; ".join(condition.words for condition in rule.when)


def _span(low: str, high: str, unit: str) -> str:
    return f"{low}{unit}" if low == high else f"{low} to {high}{unit}"


def _sentence(parts: Sequence[str]) -> str:
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."
