"""The phases before the verdict: find the base, make what differs from it, measure what changed."""

from __future__ import annotations

from makeweight.ci import compress as compressing
from makeweight.ci import handover, runners
from makeweight.ci import measure as measuring
from makeweight.ci import state as states
from makeweight.ci.state import State
from makeweight.github import check, labels, step
from makeweight.project import reading
from makeweight.verbs import benchmark, device
from makeweight.verbs.ci import against
from makeweight.verbs.ci.judging import has_landed, superseded
from makeweight.verbs.ci.run import Run
from makeweight_base.errors import EnvironmentFailed, Exit


def open_(run: Run) -> Exit:
    """Find the base, say which devices may measure, and open the check."""
    git, event = run.git(), run.event
    states.clear(run.root, git)
    project = reading.load(run.root)
    # before a check is opened on top of the newer run's, and before anything is measured for nobody
    if (why := run.successor(project.name)) is not None:
        raise superseded(why)
    head, base = against.head(run, git), against.find(run, git)
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


def compress(run: Run) -> Exit:
    """Make what differs from the base."""
    state = states.read(run.root)
    project = reading.load(run.root)
    found, git = against.compare(run, project, state.base), run.git()
    with handover.unaltered(run.root, state.base, git, run.environment):
        state = compressing.run(project, found.base, found.change, found.now, state, git, run.dvc, run.progress)
    if found.change:
        handover.put_back(project, found.base, git)
        states.tidy(run.root)
    states.write(run.root, state)
    if run.settings.push and has_landed(run.event) and found.change and state.lacking is None:
        run.dvc(run.root).push()
    step.write_outputs(run.environment, {"changed": "true" if found.change else "false"})
    return Exit.PASS


def measure(run: Run) -> Exit:
    """Measure what changed on the devices that are named, or on those that can be reached from here."""
    state = states.read(run.root)
    project = reading.load(run.root)
    names = list(run.settings.devices) or runners.reachable(project)
    for name in names:
        project.device(name)
    found = against.compare(run, project, state.base)
    if not found.change or state.lacking:
        run.progress.say("nothing to be measured" + (f": {state.lacking}" if state.lacking else ""))
        return Exit.PASS
    for name in names:
        if name in state.refused:
            run.progress.say(f"{name}: not measured, {state.refused[name]}")
            continue
        state = measuring.run(
            project, found.base, state, name, device.run, benchmark.run, run.progress, anew=against.anew(run)
        )
    states.write(run.root, state)
    return Exit.PASS
