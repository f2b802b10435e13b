"""The first phase: find the base, say which devices may measure, open the check."""

from __future__ import annotations

from makeweight.ci import runners
from makeweight.ci import state as states
from makeweight.ci.state import State
from makeweight.github import check, labels, step
from makeweight.project import reading
from makeweight.verbs.ci.run import Run
from makeweight_base.errors import EnvironmentFailed, Exit


def opened(run: Run) -> Exit:
    """Find the base, say which devices may measure, and open the check."""
    git, event = run.git(), run.event
    states.clear(run.root, git)
    project = reading.load(run.root)
    # before a check is opened on top of the newer run's, and before anything is measured for nobody
    if (why := run.successor(project.name)) is not None:
        raise run.superseded(why)
    head, base = run.head(), run.base()
    given = run.labels((labels.DEVICES,))
    allowed, refused = runners.allowed(project, event, given)
    here = run.environment.get("RUNNER_ENVIRONMENT") == "self-hosted"
    if event.fork and here and not labels.approves_devices(given, event.head):
        raise EnvironmentFailed(
            "a fork's code is not run on a machine of your own",
            where="this runner is self-hosted",
            do=f"Have a maintainer look at it and set the label `{labels.DEVICES}{event.head}`, then run again.",
        )
    states.write(run.root, State(base, refused=refused))
    run.progress.say(f"{event.name}: {head[:7]}" + (f" against {base[:7]}" if base else ", with nothing before it"))
    step.write_outputs(run.environment, {"devices": runners.matrix(allowed)})
    if run.settings.check and run.client is not None:
        with run.telling("the check was not opened"):
            check.begin(run.client, event, run.check_name, run.identity(project.name))
    return Exit.PASS
