"""From the command line to the phases."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from makeweight.ci import handover, state
from makeweight.github import relay, step
from makeweight.github.log import Failed, Inert
from makeweight.layout import OWN, UNFINISHED
from makeweight.verbs.ci import forge as forges
from makeweight.verbs.ci.run import Run, Settings
from makeweight_base import progress
from makeweight_base.errors import Exit, MakeweightError, UsageError
from makeweight_base.progress import Progress

_BEFORE: Mapping[str, str | None] = {"open": None, "compress": "open", "measure": "compress"}
"""The phases before the verdict, each with the one that it goes on from."""


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> Exit:
    """The phase that is asked for, or all of them; what one fails with is kept for the one that tells."""
    if not environment.get("GITHUB_ACTIONS"):
        return _run(options, environment, progress.on())
    try:
        return _run(options, environment, Inert(progress.on()))
    except MakeweightError as error:
        raise Failed(error) from error


def _run(options: argparse.Namespace, environment: Mapping[str, str], log: Progress) -> Exit:
    forge = forges.of(environment, options.project / OWN / "comment", log)
    fields = {each.name for each in dataclasses.fields(Settings)}
    settings = Settings(**{name: value for name, value in vars(options).items() if name in fields})
    this = Run(options.project, forge, environment, settings, log)
    if options.phase == "relay":
        return _relay(this, options.folder)
    if options.phase in _BEFORE:
        return _alone(this, options.phase)
    return _judge(this) if options.phase == "gate" else _everything(this)


def _carry_out(run: Run, name: str) -> Exit:
    """A phase before the verdict. Each imports no more than it needs: a run without changes is that and little else."""
    if name == "open":
        from makeweight.verbs.ci import opening

        return opening.opened(run)
    if name == "compress":
        from makeweight.verbs.ci import compressing

        return compressing.compressed(run)
    from makeweight.verbs.ci import measuring

    return measuring.measured(run)


def _judge(run: Run) -> Exit:
    from makeweight.verbs.ci import judging

    return judging.gate(run)


def _alone(run: Run, name: str) -> Exit:
    """One phase before the verdict, from what the one before it handed over to what it hands over itself."""
    before = _BEFORE[name]
    try:
        if before is not None and run.settings.handed is not None:
            handover.check(run.root, run.settings.handed, before)
        code = _carry_out(run, name)
        step.write_outputs(run.environment, {"handed": handover.close(run.root, name)})
    except MakeweightError as error:
        state.write_failure(run.root, error)
        raise
    return code


def _relay(run: Run, folder: Path | None) -> Exit:
    """Post the comment that a fork's run left."""
    if folder is None or run.client is None:
        lacking = "the folder is not named" if folder is None else "there is no token in MAKEWEIGHT_TOKEN"
        raise UsageError(lacking, where="makeweight ci relay", do="See docs/github-action.md, about forks.")
    run.progress.say(f"comment {relay.post(run.client, run.event, folder)}")
    return Exit.PASS


def _everything(run: Run) -> Exit:
    """All phases in a row; on a terminal in a work tree apart, so that nothing of the user's own is touched."""
    with _apart(run) if run.event.name == "local" else contextlib.nullcontext():
        try:
            for name in _BEFORE:
                _carry_out(run, name)
        except MakeweightError as error:
            from makeweight.verbs.ci import telling

            telling.failure(run, error)
            raise
        code = _judge(run)
    if run.event.name == "local":
        run.progress.say(f"report: {run.reports.html}")
    return code


@contextlib.contextmanager
def _apart(run: Run) -> Iterator[None]:
    """The run in a second work tree of HEAD, sharing DVC's cache; its reports are brought back."""
    own, git = run.root, run.git()
    with git.second(run.head()) as run.root:
        run.dvc(run.root).share(run.dvc(own))
        run.progress.say("judging HEAD in a work tree of its own; what is not committed is no part of it")
        yield
        made, kept = run.root / OWN, own / OWN
        state.forget(kept)
        if made.is_dir():
            for name in UNFINISHED:
                state.remove(made / name)
            shutil.copytree(made, kept, dirs_exist_ok=True)
    run.root = own
