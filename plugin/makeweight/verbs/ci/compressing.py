"""The phase that makes what differs from the base."""

from __future__ import annotations

from contextlib import nullcontext

from makeweight.ci import compress as compressing
from makeweight.ci import handover
from makeweight.ci import state as states
from makeweight.github import step
from makeweight.project import reading
from makeweight.verbs.ci import against
from makeweight.verbs.ci.run import Run
from makeweight_base.errors import Exit


def compressed(run: Run) -> Exit:
    """Make what differs from the base."""
    state = states.read(run.root)
    project = reading.load(run.root)
    found, git = against.compare(run, project, state.base), run.git()
    # where nothing is to be made, nothing of the project's runs
    watched = handover.unaltered(run.root, state.base, git, run.environment) if found.change else nullcontext()
    with watched:
        state = compressing.run(project, found.base, found.change, found.now, state, git, run.dvc, run.progress)
    if found.change:
        handover.put_back(project, found.base, found.change, git)
        states.tidy(run.root)
    states.write(run.root, state)
    if run.settings.push and run.event.has_landed and found.change and state.lacking is None:
        run.dvc(run.root).push()
    step.write_outputs(run.environment, {"changed": "true" if found.change else "false"})
    return Exit.PASS
