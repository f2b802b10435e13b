"""The decision about a change: whose budget, which measurements, what is waived; and what has to be said with it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from makeweight.budget import change
from makeweight.budget.measurand import Measurand
from makeweight.budget.rule import Rule
from makeweight.ci import regression, weakening
from makeweight.ci.base import Base
from makeweight.ci.renaming import earlier
from makeweight.ci.waiver_sources import BUDGET, REVIEW, without_effect
from makeweight.decide import decide, reviewed
from makeweight.decide.terms import Terms
from makeweight.decide.verdict import NOT_ASKED, Alteration, Review, Verdict
from makeweight.decide.waivers import Waiver, in_force, unmatched
from makeweight.evidence import keys
from makeweight.evidence.evidence import Evidence
from makeweight.measurement import Measurement, unavailable
from makeweight.project.project import Project
from makeweight.report.standing import HEADLINES

_MOST_NAMED = 5
_NOT_COMPARED = "it was not compared with the merge base in this run"
_NOT_DECLARED = "the device is not declared any more"


@dataclass(frozen=True)
class Ruling:
    """By what a change is judged."""

    rules: tuple[Rule, ...]
    budget: tuple[Alteration, ...]
    """What becomes of the base's rules."""
    waivers: tuple[Waiver, ...]
    notices: tuple[str, ...]
    review: Review = NOT_ASKED
    """Whether the base asks for a reviewer's word, and whose there is."""

    @property
    def loosened(self) -> bool:
        return any(each.weakens for each in self.budget)


def ruling(
    project: Project,
    base: Base | None,
    waivers: Sequence[Waiver],
    *,
    landed: bool,
    today: date,
    review: Review = NOT_ASKED,
) -> Ruling:
    """The rules that count: of the base's and the head's the stricter, unless a waiver accepts the change.

    Args:
        landed: the change is on its branch already, so that its own budget is the branch's.
        review: what is asked and known of a reviewer's word; a waiver of the base's file stands for one.
    """
    active, lapsed = in_force(waivers, today)
    before = base.rules if base is not None and base.project is not None else None
    changes = () if before is None else tuple(change.changes(before, project.rules))
    # a waiver of one variant, or of whatever comes until its day, lets that through; it is no word on the rule itself
    general = {BUDGET, REVIEW}
    told = [each for each in active if each.variant is None and (not each.standing or each.rule in general)]
    accepted = {each.rule: each for each in told}

    def word(rule: str) -> Waiver | None:
        return accepted.get(rule) or accepted.get(BUDGET)

    def accepts(rule: str) -> bool:
        return landed or word(rule) is not None

    def settled(rule: str) -> bool:
        """Such a label is no review: it names no commit, and more may have been pushed after it was set."""
        found = [accepted[each] for each in (rule, BUDGET) if each in accepted]
        return bool(found) and (not review.required or any(each.standing for each in found))

    rules = project.rules if before is None else change.effective(before, project.rules, accepts)
    words = {(BUDGET, None), (REVIEW, None)}
    idle = unmatched([each for each in active if (each.rule, each.variant) not in words], rules, project.variants)
    notices = without_effect(lapsed, idle)
    loosened = [each.rule for each in changes if each.kind in ("loosened", "removed")]
    agreed = dict.fromkeys(map(word, loosened))
    notices += [f"The looser budget counts: `{each.rule}` is {each.sentence}" for each in agreed if each and not landed]
    budget = () if landed else tuple(weakening.of_budget(changes, settled))
    if base is not None and base.unusable is not None and not landed:
        budget = (weakening.unknown_budget(base.unusable, accepted=BUDGET in accepted),)
    if review.by is None and REVIEW in accepted:
        review = replace(review, by=accepted[REVIEW].sentence)
    return Ruling(rules, budget, tuple(active), tuple(notices), review)


def decided(
    terms: Terms,
    own: Terms,
    ruled: Ruling,
    measurements: Sequence[Measurement],
    failed: Mapping[str, str],
    altered: Sequence[Alteration],
) -> Verdict:
    """The verdict, with what has to be said about the budget first.

    Args:
        own: the same terms with the head's budget alone, which is judged beside the base's where that was loosened.
        altered: everything that is judged in another way than at the base.
    """
    reached = decide(terms, measurements, failed)
    notices = list(ruled.notices)
    if ruled.loosened and terms.rules != own.rules:
        beside = decide(own, measurements, failed)
        other = (
            "The base's budget decides. By the budget of this pull request it would be "
            f"{HEADLINES[beside.verdict]}: {beside.sentence}"
        )
        if beside.verdict != "fail":  # else the label would change nothing
            other += f" A label `waive:{BUDGET}`, or one for the rule, accepts that budget."
        notices.insert(0, other)
    review = replace(ruled.review, alterations=tuple(altered))
    return reviewed(replace(reached, notices=notices), review)


def of_base(project: Project, base: Base) -> tuple[list[Measurement], dict[str, str]]:
    """What the base knows of a project whose artifacts are the base's: all its figures, and no growth."""
    figures = [
        m
        for m in base.measurements
        if (m.variant in project.variants or m.variant == "baseline")
        and (m.device is None or m.device in project.devices)
        and m.comparison != "regression"
    ]
    failed = {name: reason for name, reason in base.failed.items() if name in project.variants}
    rules = (*project.rules, *base.rules)
    for variant in project.variants:
        if base.had(variant):
            for device in (None, *project.devices):
                figures += regression.same_artifact(regression.wanted(rules, device), variant, device)
    return figures, failed


def of_evidence(
    project: Project,
    base: Base | None,
    gathered: Evidence,
    grown: Iterable[Measurement],
    absent: Mapping[str, str],
    beside: Mapping[str, str],
    remade: Collection[str],
) -> list[Measurement]:
    """What was measured here, with growth against the base.

    Args:
        absent: why a device did not measure, by device.
        beside: sha256 of the base's models that lie beside those made here, by the variants that they were.
        remade: the variants whose models are made from something else than the base's.
    """
    made = {name: manifest.sha256 for name, manifest in gathered.manifests.items()}
    # the file of growth tells of nothing else: it must not speak over the evidence
    only_grown = [each for each in grown if each.comparison == "regression" and each.device is not None]
    only_grown = [each for each in only_grown if _belongs(each, made.get(each.variant), beside.get(each.variant))]
    figures = [_explained(figure, absent) for figure in (*gathered.measurements, *only_grown)]
    figures += _never_measured(project, gathered, absent)
    if base is None:
        return figures
    rules = (*project.rules, *base.rules)
    devices = dict.fromkeys([*project.devices, *(rule.device for rule in rules if rule.device is not None)])
    known = {(m.variant, m.device, m.measurand) for m in only_grown}
    for variant, was in earlier(project, base, made).items():
        if variant in gathered.failed:
            continue
        exact = regression.wanted(rules, None)
        figures += regression.of_figures(exact, variant, was, gathered.measurements, base.measurements)
        own = made.get(variant)
        for device in devices:
            asked = regression.wanted(rules, device)
            if device not in absent:
                asked = [rule for rule in asked if (variant, device, rule.measurand) not in known]
            if regression.is_same(own, base.artifacts.get(was), beside.get(variant), remade=variant in remade):
                figures += regression.same_artifact(asked, variant, device)
            else:
                # what is not there at all would read as if there were no merge base
                reason = absent.get(device, _NOT_COMPARED if device in project.devices else _NOT_DECLARED)
                figures += regression.not_possible(asked, variant, device, reason, "unreachable")
    return figures


def _belongs(figure: Measurement, own: str | None, before: str | None) -> bool:
    """Whether growth was measured of the very models at hand: what a job on a device handed over outlives that attempt
    at a run, and the next attempt may have made others. That equal bytes have not grown is seen here."""
    if figure.value is None:
        return True
    return None not in (own, before) and figure.key == keys.growth(before=str(before), own=str(own))


def _explained(figure: Measurement, absent: Mapping[str, str]) -> Measurement:
    """A stale figure of a device that did not measure: why there is no fresh one."""
    reason = absent.get(figure.device or "")
    return figure if reason is None or figure.cause != "stale" else figure.absent(reason, "unreachable")


def _never_measured(project: Project, gathered: Evidence, absent: Mapping[str, str]) -> list[Measurement]:
    """What a rule asks of a device that did not measure, where not even a stale figure is there."""
    measured = {(m.variant, m.device, m.measurand) for m in gathered.measurements}
    return [
        unavailable(rule.measurand, variant, "", reason, device=device, cause="unreachable")
        for device, reason in absent.items()
        for rule in project.rules
        if rule.metric.per_device and rule.device in (None, device) and rule.operator.against != regression.AGAINST
        for variant in project.variants
        if variant not in gathered.failed and (variant, device, rule.measurand) not in measured
    ]


def of_nothing(project: Project, rules: Iterable[Rule], reason: str) -> list[Measurement]:
    """Every figure that a rule asks for, absent for one reason."""
    listed = list(rules)
    absent = {
        (rule.measurand, variant, device)
        for rule in listed
        for variant in project.variants
        for device in ((rule.device,) if rule.device else tuple(project.devices) if rule.metric.per_device else (None,))
    }
    sound = {(Measurand("nonfinite_outputs"), variant, None) for variant in project.variants}
    return [
        unavailable(of, variant, "", reason, device=device) for of, variant, device in sorted(absent | sound, key=str)
    ]


def plea(fork: bool) -> str:
    """Whom to ask, and for what, when the artifacts could not be had."""
    if fork:
        return (
            "This run is of a fork and has no credentials for the DVC remote. A maintainer can settle it: push the "
            "branch to this repository, where the run has them, or let the data be read by everybody."
        )
    return "A maintainer can settle it: give this job read access to the DVC remote, then run it again."


def remarks(head: str, base: Base | None, skipped: int) -> list[str]:
    """The small print: what was compared with what, and how many benchmarks that saved."""
    lines = [f"commit {head[:7]}"]
    if base is not None:
        lines[0] += f" against {base.name} {base.sha[:7]}" if base.branch else f" against {base.sha[:7]}"
    if skipped:
        lines.append(f"{skipped} benchmark{'s' if skipped != 1 else ''} skipped: the artifacts are the base's")
    return lines


def provenance(facts: Mapping[str, Any], head: str, base: Base | None, *, measured: bool) -> dict[str, Any]:
    """The hashes of all that went in, and which commits they belong to.

    Args:
        measured: here, and not at the base.
    """
    whole = {**facts, "commit": head}
    if base is not None:
        whole["base"] = base.sha
        if not measured:
            whole["measured_at"] = base.sha
    return whole


def undeclared(ran: Sequence[str], read: Sequence[str]) -> list[str]:
    """What to say of code that ran, and of files that were read, and that `sources` does not name."""
    told = (("Code of this repository ran", ran), ("Files of this repository were read", read))
    return [
        f"{what} that `sources` does not name: {_few(paths)}. A change there is found here, but not by `dvc repro`: "
        "add it to `sources`."
        for what, paths in told
        if paths
    ]


def _few(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _MOST_NAMED} more" if len(paths) > _MOST_NAMED else ""
    return ", ".join(f"`{path}`" for path in paths[:_MOST_NAMED]) + more
