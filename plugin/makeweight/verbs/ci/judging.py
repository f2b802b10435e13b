"""The phase that decides: the verdict on what was measured, its evidence, and what has to be kept of it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from makeweight import __version__, measurement, publish
from makeweight.artifact.files import sha256_of
from makeweight.ci import (
    base_artifacts,
    claimed,
    collected,
    handover,
    landed,
    measure,
    runners,
    waiver_sources,
    weakening,
)
from makeweight.ci import gate as gates
from makeweight.ci import state as states
from makeweight.ci.base import Base
from makeweight.decide import verdict as verdicts
from makeweight.decide.verdict import NOT_ASKED, Review, Verdict
from makeweight.evidence import disk
from makeweight.evidence.evidence import NOTHING
from makeweight.github import labels
from makeweight.github.labels import REVIEWED
from makeweight.layout import LOCK
from makeweight.project import reading
from makeweight.project.project import Project
from makeweight.proof import signing
from makeweight.report import brief
from makeweight.report.content import Content
from makeweight.report.history import Entry
from makeweight.user import ran
from makeweight.verbs import history, report
from makeweight.verbs.ci import against, telling
from makeweight.verbs.ci.against import Compared
from makeweight.verbs.ci.run import Run
from makeweight_base.errors import Exit, MakeweightError, UsageError


def gate(run: Run) -> Exit:
    """Decide, write the evidence, tell. The check is completed whatever happens."""
    if run.settings.cancelled:
        telling.cancelled(run)
        return Exit.INTERRUPTED
    try:
        content, found = _judged(run)
        _alone(run)
        _draw(run, content.verdict)
    except MakeweightError as error:
        _newest(run)
        telling.failure(run, error)
        raise
    _newest(run)
    trouble = None
    if run.event.has_landed:
        try:
            _keep(run, found, content.verdict)
        except MakeweightError as error:
            trouble = error
    if run.event.name == "schedule":
        telling.issue(run, content)
    telling.everywhere(run, content, trouble)
    if trouble is not None:
        raise trouble
    return verdicts.EXIT_CODES[content.verdict.verdict]


def _newest(run: Run) -> None:
    """Raises:
    EnvironmentFailed: another run has taken this one's place; its check and its comment are not touched.
    """
    why = run.successor(telling.project_name(run))
    if why is not None:
        telling.superseded(run, why)
        raise run.superseded(why)


def _alone(run: Run) -> None:
    """Raises:
    UsageError: the commit is proposed to another branch too, so that one's check would open the other.
    """
    others = run.shared()
    if others:
        listed = ", ".join(f"#{each.number} into `{each.base_ref}`" for each in others)
        raise UsageError(
            f"this very commit is also proposed in {listed}",
            where="pull request",
            do="A check is the commit's, so one verdict would count for both. Close one of them, or give it a commit "
            "of its own (`git commit --allow-empty`), then run this again.",
        )


def _judged(run: Run) -> tuple[Content, Compared]:
    """The decision, written to `.makeweight/reports/`, and what it was held against."""
    git, event, given = run.git(), run.event, run.settings.collected
    # a failure is told, no matter which phase noted it: it never passes
    failure = states.read_failure(run.root if given is None else given / collected.COMPRESSED)
    if failure is not None:
        raise failure
    if given is not None:
        collected.lay(run.root, given, run.settings.handed or "")
    elif run.settings.handed is not None:
        handover.check(run.root, run.settings.handed, "measure")
    state, project = states.read(run.root), reading.load(run.root)
    found = against.compare(run, project, run.base())
    base, notices = found.base, list(state.notices)
    absent = runners.allowed(project, event, run.labels((labels.DEVICES,)) if event.fork else ())[1]
    if given is not None:
        handover.put_back(project, base, found.change, git)
        silent, left_aside = collected.lay_devices(project, given)
        absent = {**dict.fromkeys(silent, "the device did not answer in this run"), **absent}
        notices += left_aside
    ruled = _ruling(run, project, base)
    gathered = NOTHING
    if not found.change and base is not None:
        figures, failed = gates.of_base(project, base)
        facts: Mapping[str, Any] = base.provenance
    elif state.lacking is not None:
        figures, failed = gates.of_nothing(project, ruled.rules, state.lacking), {}
        facts = {"makeweight": __version__}
        notices.append(gates.plea(event.fork))
    else:
        gathered = disk.collect(project)
        grown = [figure for name in project.devices for figure in _grown(run.root, name)]
        beside, remade = base_artifacts.beside(project), found.change.models
        figures = gates.of_evidence(project, base, gathered, grown, absent, beside, remade)
        failed = dict(gathered.failed)
        facts = {**gathered.provenance, **_raw_regressions(run.root)}
    executed, read = (ran.undeclared(project.sources, facts.get(part) or ()) for part in ("code", "read"))
    notices += gates.undeclared(executed, read)

    mine = publish.terms(project, ruled.rules, ruled.waivers)
    top = "../" * git.prefix.count("/")
    altered = (
        [] if base is None else weakening.alterations(project, base, ruled.budget, figures, facts, found.same, top)
    )
    decided = gates.decided(mine, publish.terms(project, project.rules, ruled.waivers), ruled, figures, failed, altered)
    about_the_base = base.notices if base is not None else ()
    head = run.head()
    decided = replace(decided, provenance=gates.provenance(facts, head, base, measured=bool(found.change)))
    if gathered is not NOTHING and base is not None and not event.on_default_branch:
        notices += claimed.brought(git, base.sha, decided)
    decided = replace(decided, notices=[*decided.notices, *about_the_base, *notices])
    content = publish.written(
        project,
        gathered,
        decided,
        remarks=gates.remarks(head, base, state.skipped),
        links={"run": event.run} if event.run else {},
        at=run.reports,
    )
    if key := run.environment.get("MAKEWEIGHT_SIGNING_KEY"):
        signing.vouch(run.reports.verdict, key.encode(), where="MAKEWEIGHT_SIGNING_KEY")
    telling.in_the_log(content)
    return content, found


def _draw(run: Run, verdict: Verdict) -> None:
    """The badge; and of the default branch, where it has new figures, the chart over commits, which are fetched."""
    entries = []
    if run.event.on_default_branch and "measured_at" not in verdict.provenance:
        git = run.git()
        git.deepen(history.LAST)
        head, today = git.resolve("HEAD") or "", datetime.now(UTC).date().isoformat()
        entries = [each for each in history.of_commits(git, history.LAST) if each.commit != head]
        entries.append(Entry(head, today, brief.of(verdict)))
    history.write(verdict, entries, run.reports)


def _ruling(run: Run, project: Project, base: Base | None) -> gates.Ruling:
    event = run.event
    found = run.labels((waiver_sources.PREFIX, REVIEWED))
    given, objections = waiver_sources.of_labels(found)
    branch = (base.branch if base is not None else event.base_ref) or "the base"
    if event.on_default_branch:
        given += waiver_sources.of_file(project, branch)
    elif base is not None and base.project is not None:
        given += waiver_sources.of_file(base.project, branch)
    today = datetime.now(UTC).date()
    review = NOT_ASKED
    if not event.on_default_branch and base is not None and base.asks_for_review:
        commit = run.proposed()
        by, not_counting = waiver_sources.review(found, commit)
        label = "" if commit is None else f"{REVIEWED}{commit}"
        review, objections = Review(required=True, label=label, by=by), [*objections, *not_counting]
    ruled = gates.ruling(project, base, given, landed=event.on_default_branch, today=today, review=review)
    return replace(ruled, notices=(*ruled.notices, *objections))


def _grown(root: Path, name: str) -> list[measurement.Measurement]:
    path = measure.regressions_file(root, name)
    return measurement.loads(path.read_text(encoding="utf-8"), str(path)) if path.exists() else []


def _raw_regressions(root: Path) -> dict[str, object]:
    folder = measure.regressions_file(root, "x").parent
    samples = {str(path.relative_to(root)): sha256_of(path) for path in sorted(folder.glob("*.npz"))}
    return {"raw_regressions": samples} if samples else {}


def _keep(run: Run, found: Compared, verdict: Verdict) -> None:
    """After a push to the default branch: store what was measured, and see that the lock tells of this commit.

    Raises:
        UsageError: it does not, and nobody asked for it to be brought up to date.
        EnvironmentFailed: DVC or its remote refuses.
    """
    git, project = run.git(), reading.load(run.root)
    if states.read(run.root).lacking is not None:
        return
    since = None if found.change or found.base is None else found.base.sha
    differing = landed.differing(run.root, since, git, verdict)
    dvc = run.dvc(run.root)
    if found.change:
        report.run(project, run.progress)  # as the pipeline itself writes it, without this run's own circumstances
        if run.settings.commit_lock:
            shutil.copytree(run.reports.history, project.layout.history, dirs_exist_ok=True)
        why = landed.take_over(project, verdict.verdict == "pass", dvc)
        if why is not None:
            run.progress.say(f"what shipped before stays: {why}")
        if run.settings.push:
            dvc.push()
    branch = run.event.base_ref or run.event.default_branch or "main"
    tip = git.tip(branch)
    if tip is not None and tip != git.resolve("HEAD"):
        run.progress.say(f"{branch} has moved on to {tip[:7]}: the run of that commit looks after dvc.lock")
        if landed.only_seen_now(differing):
            raise _stale(differing, landed.remedy(since))
        return
    if run.settings.commit_lock:
        refused = landed.commit(git, branch, run.head())
        if refused is not None:
            run.progress.say(f"the refreshed dvc.lock was not pushed to {branch}: {refused}")
            if differing:
                do = f"Once it may be pushed, run this job again. Pushing the refreshed one failed: {refused}"
                raise _stale(differing, do)
    elif differing:
        raise _stale(differing, landed.remedy(since))


def _stale(differing: Mapping[str, str], do: str) -> UsageError:
    listed = "\n    ".join(f"`{stage}` {how}" for stage, how in differing.items())
    return UsageError(
        f"what this branch holds of the lock and the figures does not belong to this commit:\n    {listed}",
        where=LOCK,
        do=do,
    )
