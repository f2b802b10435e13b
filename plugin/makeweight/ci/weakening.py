"""What is judged, side by side with what the base judges: every difference as data, the weakening ones marked.

A difference weakens where it may let through what the base would not. What only adds or tightens does not, nor does a
recipe: what it makes is judged by the budget as a whole.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from makeweight.budget import change
from makeweight.budget.measurand import Measurand
from makeweight.budget.metric import METRICS
from makeweight.ci.base import Base
from makeweight.ci.renaming import renamed
from makeweight.config.settings import CanarySettings, WaiverSettings
from makeweight.decide.verdict import Alteration
from makeweight.devices.entry import DeviceEntry
from makeweight.layout import BASELINE
from makeweight.measurement import Measurement
from makeweight.project.project import Project
from makeweight.report.facts import step_words, worded
from makeweight.report.written import title, written

_NONE = "none"
# Of what is a number, the side on which it asks for less.
_LOOSER_LOWER = frozenset({"processes", "seconds", "false_rollback_rate", "step_for", "cooldown"})
_LOOSER_HIGHER = frozenset({"traffic", "max_accuracy_drop", "silence_for"})
_DECIDES_NOTHING = frozenset({"matrix"})

Alterations = Iterator[Alteration]


def of_budget(changes: Iterable[change.Change], accepted: Callable[[str], bool]) -> list[Alteration]:
    """What a change does to the rules.

    Args:
        accepted: whether a waiver is word enough on the looser rule of an id.
    """
    return [
        Alteration(change.code(each.rule), each.was, each.now, looser, looser and accepted(each.rule))
        for each in changes
        for looser in (each.kind in ("loosened", "removed"),)
    ]


def unknown_budget(why: str, *, accepted: bool) -> Alteration:
    """A base that has a budget which nobody can read: whatever counts instead may be looser.

    Args:
        why: it cannot be read.
        accepted: whether a waiver lets the change's own count.
    """
    return Alteration("the budget", f"not known: {why}", "this change's own", weakens=True, accepted=accepted)


def alterations(
    project: Project,
    base: Base,
    budget: Iterable[Alteration],
    figures: Sequence[Measurement],
    facts: Mapping[str, Any],
    same: Callable[[str], bool],
    top: str = "",
) -> list[Alteration]:
    """Everything that is judged in another way than at the base. What is taken away stands first.

    Args:
        budget: what becomes of the rules; see `of_budget` and `unknown_budget`.
        figures: of this change.
        facts: the provenance of those figures.
        same: whether a file is at the base as it is here.
        top: from the project's folder up to the top of the work tree, from where devices may name files as well.
    """
    before = base.project
    if before is None:
        return [*budget]
    told = facts.get("artifacts")
    made: Mapping[str, str | None] = told if isinstance(told, dict) else {}
    names = renamed(project, base, made)
    return [
        *_taken_away(before, project, names),
        *_setting("review", before.review, project.review, weakens=project.review is None),
        *budget,
        *_examples(base, figures, facts),
        *_task(before, project, same),
        *_fields("data", before.data, project.data, harmless={"calibration"}),
        *_pipeline(before, project),
        *_model(before, project),
        *_yardstick(base, project, figures, made),
        *_variants(before, project, names),
        *_devices(before, project, same, top),
        *_setting("seed", before.seed, project.seed),
        *_sources(before.sources, project.sources),
        *_setting("ship", before.ship, project.ship),
        *_setting("prefer", before.prefer, project.prefer),
        *_waivers(before.waivers, project.waivers),
        *_canary(before.canary, project.canary),
    ]


def _taken_away(before: Project, project: Project, names: Mapping[str, str]) -> Alterations:
    """Variants and devices that are gone, those first that the base names elsewhere: by `ship`, a rule or a waiver."""
    named = {before.ship, *(each.variant for each in before.waivers), *(rule.device for rule in before.rules)}
    gone = [name for name in before.variants if name not in project.variants and name not in names.values()]
    lost = [(name, f"variant `{name}`", _recipe(before.variants[name].recipe)) for name in gone]
    lost += [(n, f"device `{n}`", _kind(entry)) for n, entry in before.devices.items() if n not in project.devices]
    for _, what, was in sorted(lost, key=lambda each: each[0] not in named):
        yield Alteration(what, was, "taken away")


def _setting(name: str, was: Any, now: Any, *, weakens: bool = True) -> Alterations:
    if was != now:
        yield Alteration(f"`{name}`", _worded(was), _worded(now), weakens)


def _worded(value: Any) -> str:
    return _NONE if value in (None, (), [], {}) else worded(value)


def _fields(section: str, was: Any, now: Any, *, harmless: Iterable[str] = ()) -> Alterations:
    """The fields of a section, a row each."""
    old, new = (each.model_dump(mode="json") for each in (was, now))
    for name in {**new, **old}:  # a model file has a key of its own for each kind
        yield from _setting(f"{section}.{name}", old.get(name), new.get(name), weakens=name not in harmless)


def _examples(base: Base, figures: Sequence[Measurement], facts: Mapping[str, Any]) -> Alterations:
    """The test examples, by their number and by a hash of all of them.

    Which of the base's are among them is not known, and not said.
    """
    was, now = (str(each.get("test_examples") or "") for each in (base.provenance, facts))
    if not was or not now or was == now:
        return
    before, after = _count(base.measurements), _count(figures)
    if before is not None and after is not None and before != after:
        moved = f"{abs(after - before):,} {'fewer' if after < before else 'more'}"
        yield Alteration("test examples", f"{before:,}", f"{after:,}, {moved}")
    else:
        number = f"{before:,}, " if before is not None else ""
        yield Alteration("test examples", f"{number}sha256 {was[:12]}", f"{number}other ones, sha256 {now[:12]}")
    old, new = _by_slice(base.measurements), _by_slice(figures)
    for name, count in old.items():
        if new.get(name, 0) < count:
            yield Alteration(f"test examples of slice `{_bare(name)}`", f"{count:,}", f"{new.get(name, 0):,}")


def _count(figures: Iterable[Measurement]) -> int | None:
    """How many examples the baseline was tested on."""
    asked = (m.samples for m in figures if m.variant == BASELINE and m.measurand == Measurand("nonfinite_outputs"))
    return next(asked, None)


def _by_slice(figures: Iterable[Measurement]) -> dict[str, int]:
    return {
        m.slice: m.samples or 0
        for m in figures
        if m.variant == BASELINE and m.slice is not None and m.comparison is None and not m.control
    }


def _task(before: Project, project: Project, same: Callable[[str], bool]) -> Alterations:
    old, new = before.task, project.task
    harmless = {"classes", *(["absent_classes"] if new.absent_classes == "refuse" else [])}
    yield from _fields("task", old, new, harmless=harmless)
    for name in ("metric", "outputs"):  # what judges, or makes of the outputs what is judged
        dotted = getattr(new, name)
        if not isinstance(dotted, str) or dotted != getattr(old, name):
            continue
        module = dotted.partition(":")[0].replace(".", "/")
        for path in (f"{module}.py", f"{module}/__init__.py"):
            if not same(path):
                yield Alteration(f"the code of `task.{name}`", f"`{path}`", "the file was edited")


def _pipeline(before: Project, project: Project) -> Alterations:
    """What is timed from end to end: with other samples or other code around, another thing is."""
    if before.pipeline is None or project.pipeline is None:
        if before.pipeline != project.pipeline:
            was, now = ("declared" if each.pipeline is not None else _NONE for each in (before, project))
            yield Alteration("`pipeline`", was, now, weakens=project.pipeline is None)
        return
    yield from _fields("pipeline", before.pipeline, project.pipeline)


def _model(before: Project, project: Project) -> Alterations:
    """What is asked of the model. Another module or file is no weakening by itself: see `_yardstick`."""
    files = (*(before.model.model_extra or ()), *(project.model.model_extra or ()))
    harmless = {"build", "weights", "weights_key", "pt2", *files}
    yield from _fields("model", before.model, project.model, harmless=harmless)


def _yardstick(
    base: Base, project: Project, figures: Sequence[Measurement], made: Mapping[str, str | None]
) -> Alterations:
    """The baseline, which ratios and drops are counted from: the worse it is, the more they let through.

    Its times are another machine's, so that of speed only the count of its operations is told.
    """
    was, now = base.artifacts.get(BASELINE), made.get(BASELINE)
    if was is None or now is None or was == now:
        return
    yield Alteration("the baseline model", f"sha256 {was[:12]}", f"sha256 {now[:12]}", weakens=False)
    compared = dict.fromkeys(
        Measurand("macs" if rule.metric.per_device else rule.metric.name, slice=rule.slice)
        for rule in base.rules
        if rule.operator.against == "baseline"
    )
    for of in compared:
        old, new = (_of_baseline(each, of) for each in (base.measurements, figures))
        if old is None or new is None or old.value is None or new.value is None:
            continue
        better = METRICS[of.metric].better
        lower = (project.task.better if better == "declared" else better) == "lower"
        # a larger yardstick lets more bytes through, and one that is right less often more mistakes
        if new.value != old.value and (new.value > old.value) == lower:
            yield Alteration(f"the baseline's {title(of)}", written(old), written(new))


def _of_baseline(figures: Iterable[Measurement], of: Measurand) -> Measurement | None:
    return next((m for m in figures if m.variant == BASELINE and m.device is None and m.measurand == of), None)


def _variants(before: Project, project: Project, names: Mapping[str, str]) -> Alterations:
    for name, was in names.items():
        yield Alteration("the name of a variant", f"`{was}`", f"`{name}`, held against what `{was}` was")
    for name, variant in project.variants.items():
        old, now = before.variants.get(names.get(name, name)), _recipe(variant.recipe)
        if old is None:
            yield Alteration(f"variant `{name}`", _NONE, now, weakens=False)
            continue
        if (was := _recipe(old.recipe)) != now:
            yield Alteration(f"the recipe of `{name}`", was, now, weakens=False)
        if old.runtime != variant.runtime:
            yield Alteration(f"the runtime of `{name}`", old.runtime, variant.runtime, weakens=False)


def _recipe(steps: Iterable[Mapping[str, Any]]) -> str:
    return "; then ".join(" ".join(part for part in step_words(step) if part) for step in steps)


def _devices(before: Project, project: Project, same: Callable[[str], bool], top: str) -> Alterations:
    for name, entry in project.devices.items():
        old = before.devices.get(name)
        if old is None:
            yield Alteration(f"device `{name}`", _NONE, _kind(entry), weakens=False)
            continue
        if old.kind != entry.kind:
            yield Alteration(f"`kind` of device `{name}`", old.kind, entry.kind)
        yield from _options(f" of device `{name}`", old.options, entry.options)
        named = {posixpath.normpath(path) for path in {*old.options.files} & {*entry.options.files}}
        for path in sorted(path for path in named if not path.startswith(("/", ".."))):
            if not all(same(f"{place}{path}{dvc}") for place in {"", top} for dvc in ("", ".dvc")):
                yield Alteration(f"a file of device `{name}`", f"`{_bare(path)}`", "the file was edited")


def _kind(entry: DeviceEntry) -> str:
    return f"kind {entry.kind}"


def _options(of: str, was: Any, now: Any) -> Alterations:
    """Options of two parts, which may be of different kinds; each weakens unless its number moves to the safe side, or
    no rule can be about it."""
    old, new = (each.model_dump(mode="json") for each in (was, now))
    for name in dict.fromkeys([*old, *new]):
        then, here = old.get(name), new.get(name)
        if then == here:
            continue
        safe = name in _DECIDES_NOTHING
        if isinstance(then, int | float) and isinstance(here, int | float):
            safe = (name in _LOOSER_LOWER and here > then) or (name in _LOOSER_HIGHER and here < then)
        yield Alteration(f"`{name}`{of}", _worded(then), _worded(here), not safe)


def _sources(was: Sequence[str], now: Sequence[str]) -> Alterations:
    lost = [path for path in was if path not in now]
    yield from _setting("sources", sorted(was), sorted(now), weakens=bool(lost))


def _waivers(was: Sequence[WaiverSettings], now: Sequence[WaiverSettings]) -> Alterations:
    """They count once they are merged."""
    old, new = ({(each.rule, each.variant): each for each in listed} for listed in (was, now))
    for key in dict.fromkeys([*old, *new]):
        then, here = old.get(key), new.get(key)
        if then == here:
            continue
        longer = here is not None and (then is None or here.until > then.until)
        of = f"waiver of `{_bare(key[0])}`" + (f" on `{_bare(key[1])}`" if key[1] else "")
        yield Alteration(of, _waiver(then), _waiver(here), longer)


def _waiver(given: WaiverSettings | None) -> str:
    return _NONE if given is None else f"until {given.until.isoformat()}: {given.reason}"


def _canary(was: CanarySettings | None, now: CanarySettings | None) -> Alterations:
    if was is None or now is None:
        if was != now:
            then, here = ("declared" if each else _NONE for each in (was, now))
            yield Alteration("`canary`", then, here, weakens=now is None)
        return
    yield from _options(" of `canary`", was, now)


def _bare(name: str) -> str:
    """What stands in backticks has none of its own."""
    return name.replace("`", "'")
