"""Everywhere where somebody may look: the check, the comment, the summary, the log, an issue, the outputs."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Sequence

from makeweight.ci import commenting, lines
from makeweight.ci import telling as texts
from makeweight.forge.annotation import Annotation
from makeweight.forge.conclusion import Conclusion
from makeweight.github import check as checks
from makeweight.github import commands, step
from makeweight.github import issue as issues
from makeweight.gitlab import quality
from makeweight.layout import CONFIG
from makeweight.project import reading
from makeweight.report import junit, markdown, terminal
from makeweight.report.content import Content
from makeweight.report.text import markdown_link, plain
from makeweight.verbs.ci.run import Run
from makeweight_base import atomic
from makeweight_base.errors import MakeweightError, first_line
from makeweight_base.forge.marker import marker

_LONGEST, _TITLE = 20_000, 200
"""Characters of an error that are told, and of its first line as a title."""


def everywhere(run: Run, content: Content, trouble: MakeweightError | None = None) -> None:
    """The verdict, everywhere where somebody may look.

    Args:
        trouble: what went wrong after it was reached; the check fails for that, whatever the verdict.
    """
    verdict = content.verdict
    config = (run.root / CONFIG).read_text(encoding="utf-8")
    marks = texts.marks(verdict, lines.of(config, run.git().prefix + CONFIG))
    conclusion, title, above = texts.CONCLUSIONS[verdict.verdict], texts.title(verdict), ""
    if trouble is not None:
        conclusion, title, above = "failure", plain(first_line(trouble))[:_TITLE], f"{_quoted(trouble)}\n"
        marks = [*texts.problems(trouble.problems, run.git().prefix), *marks]
    opens = commenting.opens(run.settings.comment, verdict)
    written = _comment(run, verdict.project, markdown.render(content, markdown.COMMENT), opens=opens)
    _check(run, verdict.project, conclusion, title, above + markdown.render(content, markdown.CHECK), marks)
    _summarize(run, above + markdown.render(content, markdown.SUMMARY))
    _files(run, junit.render(verdict) if trouble is None else junit.render_error(verdict.project, str(trouble)), marks)
    own = run.reports
    step.write_outputs(run.environment, texts.outputs(content, str(own.html), str(own.verdict), written))


def failure(run: Run, error: MakeweightError) -> None:
    """No verdict could be reached: say so where it would have stood: an older one would be taken for it."""
    marks = texts.problems(error.problems, run.git().prefix)
    text = f"### makeweight: not judged\n\n{_quoted(error)}"
    if run.event.run is not None:
        text += f"\n<sub>{markdown_link('run', run.event.run)}</sub>\n"
    name = project_name(run)
    written = _comment(run, name, text, opens=commenting.opens(run.settings.comment, None))
    _check(run, name, "failure", f"not judged: {plain(first_line(error))[:_TITLE]}", text, marks)
    _unjudged(run, name, text, str(error), written, marks)


def superseded(run: Run, why: str) -> None:
    """Another run has taken this one's place: the comment and the check of that one stay as they are."""
    said = f"This run has no say any more: {why}. What it found is in its log."
    _withdraw(run, "superseded", said)


def cancelled(run: Run) -> None:
    """The job was cancelled, so nothing is known, and nothing is to be read into that."""
    said = "This run was cancelled: by hand, by a newer run, or by its time limit. Run it again for a verdict."
    _withdraw(run, "cancelled before it was judged", said)


def _withdraw(run: Run, title: str, said: str) -> None:
    """Close the check that this very run opened, if it did, and leave everything else alone."""
    project, text = project_name(run), f"### makeweight: {title}\n\n{said}\n"
    if run.settings.check and run.client is not None:
        with run.telling("the check was not closed"):
            name, of = run.check_name, run.identity(project)
            number = checks.find(run.client, run.event, name, of)
            if number is not None:
                checks.complete(run.client, run.event, name, of, number, "cancelled", title, text)
    _unjudged(run, project, text, said, "false")


def _unjudged(run: Run, project: str, text: str, why: str, written: str, marks: Sequence[Annotation] = ()) -> None:
    _summarize(run, text)
    _files(run, junit.render_error(project, why), marks)
    step.write_outputs(run.environment, {"verdict": "error", "comment-written": written})


def _quoted(error: MakeweightError) -> str:
    """An error's own words, which may hold anything, as they are."""
    words = str(error)[:_LONGEST]
    fence = "`" * (3 + max(map(len, re.findall("`+", words)), default=0))
    return f"{fence}text\n{words}\n{fence}\n"


def _files(run: Run, as_junit: str, marks: Sequence[Annotation]) -> None:
    """The forms that were asked for by their files."""
    if run.settings.junit is not None:
        atomic.write_text(run.settings.junit, as_junit)
    if run.settings.code_quality is not None:
        atomic.write_text(run.settings.code_quality, quality.render(marks))


def _summarize(run: Run, text: str) -> None:
    step.write_summary(run.environment, text + "".join(f"\n> {line}\n" for line in run.untold))


def project_name(run: Run) -> str:
    """The project's name, also where its makeweight.yaml cannot be used."""
    try:
        return reading.load(run.root).name
    except MakeweightError:
        text = (run.root / CONFIG).read_text(errors="replace") if (run.root / CONFIG).is_file() else ""
        line = re.search(r"^name:\s*[\"']?([^\"'#\n]+?)[\"']?\s*(#.*)?$", text, re.MULTILINE)
        return line[1] if line else run.root.resolve().name


def issue(run: Run, content: Content) -> None:
    """A budget that broke without a commit: one issue, opened, updated, and closed when it holds again."""
    if run.client is None:
        return
    project_id = run.identity(content.verdict.project)
    with run.telling("the issue was not written"):
        if content.verdict.verdict == "fail":
            name = content.verdict.project
            body = f"{marker(project_id)}\n{markdown.render(content, markdown.COMMENT)}"
            issues.put(run.client, run.event, project_id, f"makeweight: {name} broke its budget without a commit", body)
        elif content.verdict.verdict == "pass":
            issues.close(run.client, run.event, project_id, "The budget holds again: " + content.verdict.sentence)


def in_the_log(content: Content) -> None:
    """The report in the log, none of whose lines a runner may take for a command."""
    if sys.stdout.isatty():
        terminal.print_to(content, sys.stdout)
        return
    report = io.StringIO()
    terminal.print_to(content, report)
    print(commands.inert(report.getvalue()), end="")


def _check(run: Run, project: str, conclusion: Conclusion, title: str, text: str, marks: Sequence[Annotation]) -> None:
    """The check; in the log, the annotations that it could not carry: in both, a reader would see them twice."""
    if run.settings.check and run.client is not None:
        with run.telling("the check was not completed"):
            name, of = run.check_name, run.identity(project)
            number = checks.find(run.client, run.event, name, of)
            checks.complete(run.client, run.event, name, of, number, conclusion, title, text, marks)
            return
    if run.environment.get("GITHUB_ACTIONS"):
        for each in marks:
            print(commands.annotation(each))


def _comment(run: Run, name: str, text: str, *, opens: bool) -> str:
    """`true`, `false`, or `relayed` when another workflow has to post it.

    Args:
        opens: whether one is begun where there is none.
    """
    if run.event.name != "pull_request" or run.settings.comment == "never":
        return "false"
    project_id = run.identity(name)
    body = f"{marker(project_id)}\n{text}"
    if run.forge.keeps is not None:
        left = ", and is left to the workflow that posts it" if run.forge.leaves is not None else ""
        with run.telling(f"the comment was not written{left}"):
            done = run.forge.keeps(project_id, body, opens=opens)
            return "false" if done == "absent" else "true"
    if run.forge.leaves is None:
        return "false"
    run.forge.leaves(project_id, body, opens=opens)
    return "relayed"
