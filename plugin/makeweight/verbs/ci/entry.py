"""From the command line to the phases."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from pathlib import Path

from makeweight.ci import state, workspace
from makeweight.github import event as events
from makeweight.github import relay
from makeweight.github.client import Client
from makeweight.verbs.ci import judging, phases
from makeweight.verbs.ci.run import Run, Settings
from makeweight_base import progress
from makeweight_base.errors import Exit, MakeweightError, UsageError


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> Exit:
    """The phase that is asked for, or all of them; what one fails with is kept for the one that tells."""
    event = events.load(environment)
    token = environment.get("MAKEWEIGHT_TOKEN")
    log = progress.on()
    client = Client(event.api, token, tell=log.say) if token and event.repository else None
    fields = {each.name for each in dataclasses.fields(Settings)}
    settings = Settings(**{name: value for name, value in vars(options).items() if name in fields})
    this = Run(options.project, event, environment, settings, client, log)
    if options.phase == "relay":
        return _relay(this, options.folder)
    chosen = {None: _everything, "open": phases.open_, "compress": phases.compress, "measure": phases.measure}
    try:
        return chosen.get(options.phase, judging.gate)(this)
    except MakeweightError as error:
        if options.phase in ("open", "compress", "measure"):
            state.write_failure(this.root, error)
        raise


def _relay(run: Run, folder: Path | None) -> Exit:
    """Post the comment that a fork's run left."""
    if folder is None or run.client is None:
        lacking = "the folder is not named" if folder is None else "there is no token in MAKEWEIGHT_TOKEN"
        raise UsageError(lacking, where="makeweight ci relay", do="See docs/github-action.md, about forks.")
    run.progress.say(f"comment {relay.post(run.client, run.event, folder)}")
    return Exit.PASS


def _everything(run: Run) -> Exit:
    """All phases in a row; on a terminal in a work tree apart."""
    if run.event.name != "local":
        phases.open_(run)
        phases.compress(run)
        phases.measure(run)
        return judging.gate(run)
    own = run.root
    git = run.git()
    with workspace.apart(own, git, run.dvc) as root:
        run.root = root
        run.progress.say("judging HEAD in a work tree of its own; what is not committed is no part of it")
        phases.open_(run)
        phases.compress(run)
        phases.measure(run)
        code = judging.gate(run)
    run.root = own
    run.progress.say(f"report: {run.reports.html}")
    return code
