"""`makeweight ci`: a change compressed, measured, judged against its base, and told; on GitHub and on a terminal.

Four phases, each of which the Action runs in a process of its own, so that no token is in the environment of a
process that runs the model's own code: `open`, `compress`, `measure`, `gate`.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from makeweight import artifact, atomic, evidence, measurement, progress, project, publish
from makeweight import verdict as verdicts
from makeweight.ci import base as bases
from makeweight.ci import build, collected, gate, ground, landed, lines, measure, runners, telling, waivers, workspace
from makeweight.ci.base import Base
from makeweight.ci.git import Git, authenticated
from makeweight.ci.ground import Ground
from makeweight.ci.pipeline import Pipeline
from makeweight.errors import EnvironmentFailed, Exit, MakeweightError, UsageError
from makeweight.github import check, commands, comment, issue, labels, outputs, relay, summary
from makeweight.github import event as events
from makeweight.github.annotation import Annotation
from makeweight.github.check import Conclusion
from makeweight.github.client import Client, GitHubFailed
from makeweight.github.event import Event
from makeweight.github.marker import marker
from makeweight.layout import CONFIG, Layout
from makeweight.progress import Progress
from makeweight.project import Project
from makeweight.report import markdown, terminal
from makeweight.report.content import Content
from makeweight.verbs import benchmark, device, report
from makeweight.verbs.ci_arguments import CHECK_NAME
from makeweight.verdict import Verdict

if TYPE_CHECKING:
    from makeweight.github.labels import Label


@dataclass(frozen=True)
class Settings:
    """What a run is told to do; the Action's inputs, as flags."""

    base: str | None = None
    """A revision to compare with, on a terminal."""
    devices: Sequence[str] = ()
    collected: Path | None = None
    check: bool = True
    check_name: str = CHECK_NAME
    comment: bool = True
    commit_lock: bool = False
    push: bool = False
    anew: bool = False


@dataclass
class Run:
    """All I/O of a run, handed in."""

    root: Path
    event: Event
    environment: Mapping[str, str]
    settings: Settings
    client: Client | None
    progress: Progress
    said: list[str] = field(default_factory=list)
    """What could not be told to GitHub, for the log and the summary."""

    def git(self) -> Git:
        token = self.environment.get("MAKEWEIGHT_TOKEN")
        return Git(self.root, authenticated(self.environment, self.event.server, token))

    def pipeline(self, root: Path) -> Pipeline:
        return Pipeline(root, self.environment, self.progress)

    @contextmanager
    def telling(self, what: str) -> Iterator[None]:
        """What GitHub refuses is said, and changes no verdict."""
        try:
            yield
        except GitHubFailed as error:
            self.said.append(f"{what}: {error}")
            self.progress.say(f"{what}: {error}")


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> Exit:
    """The phase that is asked for, or all of them; what one fails with is kept for the one that tells."""
    event = events.load(environment)
    token = environment.get("MAKEWEIGHT_TOKEN")
    said = progress.on()
    client = Client(event.api, token, tell=said.say) if token and event.repository else None
    fields = {each.name for each in dataclasses.fields(Settings)}
    settings = Settings(**{name: value for name, value in vars(options).items() if name in fields})
    mine = Run(options.project, event, environment, settings, client, said)
    if options.phase == "relay":
        return _relay(mine, options.folder)
    phases = {None: everything, "open": open_, "compress": compress, "measure": measure_, "gate": gate_}
    try:
        return phases[options.phase](mine)
    except MakeweightError as error:
        if options.phase in ("open", "compress", "measure"):
            ground.note_failure(mine.root, error)
        raise


def _relay(run: Run, folder: Path | None) -> Exit:
    """Post the comment that a fork's run left."""
    if folder is None or run.client is None:
        lacking = "the folder is not named" if folder is None else "there is no token in MAKEWEIGHT_TOKEN"
        raise UsageError(lacking, where="makeweight ci relay", do="See docs/github-action.md, about forks.")
    run.progress.say(f"comment {relay.post(run.client, run.event, folder)}")
    return Exit.PASS


def everything(run: Run) -> Exit:
    """All phases in a row; on a terminal in a work tree apart."""
    if run.event.name != "local":
        open_(run)
        compress(run)
        measure_(run)
        return gate_(run)
    own = run.root
    git = run.git()
    with workspace.apart(own, git, run.pipeline) as root:
        run.root = root
        run.progress.say("judging HEAD in a work tree of its own; what is not committed is no part of it")
        open_(run)
        compress(run)
        measure_(run)
        code = gate_(run)
    run.progress.say(f"report: {_report(own).html}")
    return code


def open_(run: Run) -> Exit:
    """Find the base, say which devices may measure, and open the check."""
    git, event = run.git(), run.event
    ground.clear(run.root, git)
    said = project.load(run.root)
    head = event.head or git.resolve("HEAD")
    if head is None:
        raise UsageError("there is no commit yet", where=str(run.root), do="Commit what is to be judged.")
    found = git.resolve(run.settings.base) if run.settings.base else bases.find(event, git)
    if run.settings.base and found is None:
        raise UsageError(f"no revision `{run.settings.base}`", where="--base")
    if run.settings.base and found is not None:
        found = git.merge_base(git.resolve("HEAD") or head, found)
    allowed, refused = runners.allowed(said, event, _labels(run, (labels.DEVICES,)))
    here = run.environment.get("RUNNER_ENVIRONMENT") == "self-hosted"
    if event.fork and here and not runners.approved(event, _labels(run, (labels.DEVICES,))):
        raise EnvironmentFailed(
            "a fork's code is not run on a machine of your own",
            where="this runner is self-hosted",
            do=f"Have a maintainer look at it and set the label `{labels.DEVICES}{event.head}`, then run again.",
        )
    anew = run.settings.anew or event.name == "schedule"
    ground.note(run.root, Ground(head, found, event.base_ref, anew=anew, refused=refused))
    run.progress.say(f"{event.name}: {head[:7]}" + (f" against {found[:7]}" if found else ", with nothing before it"))
    outputs.write(run.environment, {"devices": runners.matrix(allowed)})
    if run.settings.check and run.client is not None:
        with run.telling("the check was not opened"):
            check.begin(run.client, event, run.settings.check_name)
    return Exit.PASS


def compress(run: Run) -> Exit:
    """Make what differs from the base."""
    noted = ground.noted(run.root)
    said = project.load(run.root)
    known = _base(run, noted)
    noted = build.run(said, known, noted, run.git(), run.pipeline, run.progress)
    ground.note(run.root, noted)
    if run.settings.push and _has_landed(run.event) and not noted.unchanged and noted.lacking is None:
        landed.store(run.pipeline(run.root))
    outputs.write(run.environment, {"changed": "false" if noted.unchanged else "true"})
    return Exit.PASS


def measure_(run: Run) -> Exit:
    """Measure what changed on the devices that are named, or on those that can be reached from here."""
    noted = ground.noted(run.root)
    said = project.load(run.root)
    names = list(run.settings.devices) or runners.reachable(said)
    for name in names:
        said.device(name)
    if noted.unchanged or noted.lacking:
        run.progress.say("nothing to be measured" + (f": {noted.lacking}" if noted.lacking else ""))
        return Exit.PASS
    known = _base(run, noted)
    for name in names:
        if name in noted.refused:
            run.progress.say(f"{name}: not measured, {noted.refused[name]}")
            continue
        noted = measure.run(said, known, noted, name, device.run, _benchmark, run.progress)
    ground.note(run.root, noted)
    return Exit.PASS


def _benchmark(said: Project, variant: str, name: str, progress: Progress) -> None:
    benchmark.run(said, variant, name, None, progress)


def gate_(run: Run) -> Exit:
    """Decide, write the evidence, tell. The check is completed whatever happens."""
    try:
        content = _judged(run)
        code = verdicts.EXIT_CODES[content.verdict.verdict]
        if _has_landed(run.event):
            code = _landed(run, content.verdict, code)
    except MakeweightError as error:
        _tell_failure(run, error)
        raise
    if run.event.name == "schedule":
        _tell_issue(run, content)
    _tell(run, content)
    return code


def _judged(run: Run) -> Content:
    """The decision, written to `.makeweight/reports/`."""
    git, event, given = run.git(), run.event, run.settings.collected
    if given is not None:
        collected.lay(run.root, given)
    failure = ground.noted_failure(run.root)
    if failure is not None:
        raise _EarlierFailure(*failure)
    noted = ground.noted(run.root)
    if given is not None:  # what another job noted of the commits is not taken on trust
        head = event.head or git.resolve("HEAD") or noted.head
        noted = replace(noted, head=head, base=bases.find(event, git), branch=event.base_ref)
    said = project.load(run.root)
    known = _base(run, noted)
    silent: tuple[str, ...] = ()
    if given is not None:
        silent, notices = collected.lay_devices(said, given)
        noted = replace(noted, notices=[*noted.notices, *notices])
    ruled = _ruling(run, said, known, noted)
    found = evidence.NOTHING
    if noted.unchanged and known is not None:
        figures, failed = gate.of_base(said, known)
        facts: Mapping[str, object] = known.provenance
    elif noted.lacking is not None:
        figures, failed, facts = gate.of_nothing(said, ruled.rules, noted.lacking), {}, {}
        noted = replace(noted, notices=[*noted.notices, gate.plea(event.fork)])
    else:
        found = evidence.collect(said)
        grown = [figure for name in said.devices for figure in _grown(run.root, name)]
        figures, failed = (
            gate.of_evidence(said, known, found, grown, {**_silence(silent), **noted.refused}),
            dict(found.failed),
        )
        facts = {**found.provenance, **_raw_regressions(run.root)}
    mine = publish.terms(said, ruled.rules, ruled.waivers)
    decided = gate.decided(mine, publish.terms(said, said.rules, ruled.waivers), ruled, figures, failed)
    decided = replace(
        decided,
        notices=[*decided.notices, *gate.altered(said, known), *(known.notices if known else ()), *noted.notices],
        provenance=gate.provenance(facts, noted, known),
    )
    content = publish.written(
        said, found, decided, remarks=gate.remarks(noted, known), links=_links(event), at=_report(run.root)
    )
    _sign(run)
    _print(content)
    return content


def _print(content: Content) -> None:
    """The report in the log, none of whose lines a runner may take for a command."""
    if sys.stdout.isatty():
        terminal.print_to(content, sys.stdout)
        return
    told = io.StringIO()
    terminal.print_to(content, told)
    print(commands.inert(told.getvalue()), end="")


class _EarlierFailure(MakeweightError):
    """A phase before this one failed; what it said is told again where it is read."""

    def __init__(self, said: str, code: int) -> None:
        super().__init__(said)
        self.exit_code = Exit(code)


def _ruling(run: Run, said: Project, known: Base | None, noted: Ground) -> gate.Ruling:
    event = run.event
    given, objections = waivers.of_labels(_labels(run, (waivers.PREFIX,)))
    branch = noted.branch or "the base"
    if event.on_default_branch:
        given += waivers.of_file(said, branch)
    elif known is not None and known.project is not None:
        given += waivers.of_file(known.project, branch)
    today = datetime.now(UTC).date()
    ruled = gate.ruling(said, known, given, landed=event.on_default_branch, today=today)
    return replace(ruled, notices=(*ruled.notices, *objections))


def _silence(devices: Sequence[str]) -> dict[str, str]:
    return dict.fromkeys(devices, "the device did not answer in this run")


def _grown(root: Path, name: str) -> list[measurement.Measurement]:
    path = measure.regressions_file(root, name)
    return measurement.loads(path.read_text(encoding="utf-8"), str(path)) if path.exists() else []


def _raw_regressions(root: Path) -> dict[str, object]:
    folder = measure.regressions_file(root, "x").parent
    found = {str(path.relative_to(root)): artifact.sha256_of(path) for path in sorted(folder.glob("*.npz"))}
    return {"raw_regressions": found} if found else {}


def _sign(run: Run) -> None:
    """Sign verdict.json, where a key is given."""
    key = run.environment.get("MAKEWEIGHT_SIGNING_KEY")
    if not key:
        return
    from makeweight import signing

    path = _report(run.root).verdict
    signature = signing.sign(path.read_bytes(), key.encode(), where="MAKEWEIGHT_SIGNING_KEY")
    atomic.write_text(signing.beside(path), signing.dumps(signature))


def _landed(run: Run, verdict: Verdict, code: Exit) -> Exit:
    """After a push to the default branch: store what was measured, and see that the lock tells of this commit."""
    git, noted, said = run.git(), ground.noted(run.root), project.load(run.root)
    if noted.lacking is not None:
        return code
    differing = landed.differing(run.root, git)
    pipeline = run.pipeline(run.root)
    if not noted.unchanged:
        report.run(said, run.progress)  # as the pipeline itself writes it, without this run's own circumstances
        landed.take_over(said, verdict.verdict == "pass", pipeline)
        if run.settings.push:
            landed.store(pipeline)
    branch = run.event.base_ref or run.event.default_branch or "main"
    tip = git.tip(branch)
    if tip is not None and tip != git.resolve("HEAD"):
        run.progress.say(f"{branch} has moved on to {tip[:7]}: the run of that commit looks after dvc.lock")
        return code
    if run.settings.commit_lock:
        refused = landed.commit(git, branch, noted.head)
        if refused is not None:
            run.progress.say(f"the refreshed dvc.lock was not pushed to {branch}: {refused}")
            if differing:
                raise _stale(differing, f"Pushing the refreshed one failed: {refused}")
    elif differing:
        raise _stale(
            differing,
            "Run `dvc repro && dvc push && git add dvc.lock reports && git commit` on this branch, or set "
            "`commit-lock: true`, which does so after each push.",
        )
    return code


def _has_landed(event: Event) -> bool:
    return event.name == "push" and event.on_default_branch


def _stale(differing: Mapping[str, str], do: str) -> UsageError:
    told = "\n    ".join(f"`{stage}` {how}" for stage, how in differing.items())
    return UsageError(f"the lock on this branch does not tell of this commit:\n    {told}", where=bases.LOCK, do=do)


# --- telling ---


def _tell(run: Run, content: Content) -> None:
    """Everywhere where somebody may look."""
    verdict = content.verdict
    found = telling.marks(verdict, _lines(run))
    written = _tell_comment(run, content)
    told = _tell_check(
        run,
        telling.CONCLUSIONS[verdict.verdict],
        telling.title(verdict),
        markdown.render(content, markdown.CHECK),
        found,
    )
    if not told and run.environment.get("GITHUB_ACTIONS"):
        for each in found:
            print(commands.annotation(each))
    text = markdown.render(content, markdown.SUMMARY)
    text += "".join(f"\n> {line}\n" for line in run.said)
    summary.write(run.environment, text)
    own = _report(run.root)
    outputs.write(run.environment, telling.outputs(content, str(own.html), str(own.verdict), written))


def _tell_check(run: Run, conclusion: Conclusion, title: str, text: str, found: Sequence[Annotation]) -> bool:
    if not run.settings.check or run.client is None:
        return False
    with run.telling("the check was not completed"):
        name = run.settings.check_name
        number = check.find(run.client, run.event, name)
        check.complete(run.client, run.event, name, number, conclusion, title, text, found, run.event.run)
        return True
    return False


def _tell_comment(run: Run, content: Content) -> str:
    """`true`, `false`, or `relayed` when another workflow has to post it."""
    if run.event.name != "pull_request" or not run.settings.comment:
        return "false"
    project_id = _project_id(run, content.verdict.project)
    body = f"{marker(project_id)}\n{markdown.render(content, markdown.COMMENT)}"
    if run.client is not None and not run.event.fork:
        with run.telling("the comment was not written"):
            comment.put(run.client, run.event, project_id, body)
            return "true"
    relay.write(run.root / ground.FOLDER / "comment", run.event, project_id, body)
    return "relayed"


def _tell_failure(run: Run, error: MakeweightError) -> None:
    """No verdict could be reached: say so where it would have stood."""
    found = telling.problems(str(error), run.git().prefix())
    fence = "`" * (3 + max(map(len, re.findall("`+", str(error))), default=0))
    text = f"### makeweight: not judged\n\n{fence}text\n{error}\n{fence}\n"
    with run.telling("the check was not completed"):
        _tell_check(run, "failure", "not judged: " + str(error).splitlines()[0][:200], text, found)
    if run.environment.get("GITHUB_ACTIONS"):
        for each in found:
            print(commands.annotation(each))
    summary.write(run.environment, text)
    outputs.write(run.environment, {"verdict": "error", "comment-written": "false"})


def _tell_issue(run: Run, content: Content) -> None:
    """A budget that broke without a commit: one issue, opened, updated, and closed when it holds again."""
    if run.client is None:
        return
    project_id = _project_id(run, content.verdict.project)
    with run.telling("the issue was not written"):
        if content.verdict.verdict == "fail":
            name = content.verdict.project
            body = f"{marker(project_id)}\n{markdown.render(content, markdown.COMMENT)}"
            issue.put(run.client, run.event, project_id, f"makeweight: {name} broke its budget without a commit", body)
        elif content.verdict.verdict == "pass":
            issue.close(run.client, run.event, project_id, "The budget holds again: " + content.verdict.sentence)


# --- small parts of the edge ---


def _base(run: Run, noted: Ground) -> Base | None:
    return None if noted.base is None else bases.read(noted.base, noted.branch, run.git(), run.root)


def _labels(run: Run, prefixes: Sequence[str]) -> list[Label]:
    if run.client is None or run.event.number is None:
        return []
    with run.telling("labels were not read, so none counts"):
        return labels.on(run.client, run.event, prefixes)
    return []


def _lines(run: Run) -> telling.Lines:
    text = (run.root / CONFIG).read_text(encoding="utf-8")
    return telling.Lines(lines.of_rules(text), lines.of_variants(text), run.git().prefix() + CONFIG)


def _project_id(run: Run, name: str) -> str:
    """Projects of one repository may share a name, but never a folder."""
    prefix = run.git().prefix().strip("/")
    return f"{name} in {prefix}" if prefix else name


def _links(event: Event) -> dict[str, str]:
    return {"run": event.run} if event.run else {}


def _report(root: Path) -> Layout:
    return Layout(root / ground.FOLDER)
