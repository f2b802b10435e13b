"""The phases before the verdict: find the base, make what differs from it, measure what changed."""

from __future__ import annotations

from makeweight.ci import compress as compressing
from makeweight.ci import handover, merge_base, runners
from makeweight.ci import measure as measuring
from makeweight.ci import state as states
from makeweight.ci.state import State
from makeweight.github import check, labels, step
from makeweight.project import reading
from makeweight.verbs import benchmark, device
from makeweight.verbs.ci.judging import has_landed, superseded
from makeweight.verbs.ci.run import Run
from makeweight_base.errors import EnvironmentFailed, Exit, UsageError


def open_(run: Run) -> Exit:
    """Find the base, say which devices may measure, and open the check."""
    git, event = run.git(), run.event
    states.clear(run.root, git)
    project = reading.load(run.root)
    # before a check is opened on top of the newer run's, and before anything is measured for nobody
    if (why := run.successor(project.name)) is not None:
        raise superseded(why)
    head = event.head or git.resolve("HEAD")
    if head is None:
        raise UsageError("there is no commit yet", where=str(run.root), do="Commit what is to be judged.")
    base = merge_base.find(event, git, run.settings.base)
    allowed, refused = runners.allowed(project, event, run.labels((labels.DEVICES,)))
    here = run.environment.get("RUNNER_ENVIRONMENT") == "self-hosted"
    if event.fork and here and not labels.approves_devices(run.labels((labels.DEVICES,)), event.head):
        raise EnvironmentFailed(
            "a fork's code is not run on a machine of your own",
            where="this runner is self-hosted",
            do=f"Have a maintainer look at it and set the label `{labels.DEVICES}{event.head}`, then run again.",
        )
    anew = run.settings.anew or event.name == "schedule"
    states.write(run.root, State(head, base, merge_base.branch(event, run.settings.base), anew=anew, refused=refused))
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
    base, git = run.base(state), run.git()
    with handover.unaltered(run.root, state.base, git, run.environment):
        state = compressing.run(project, base, state, git, run.dvc, run.progress)
    if not state.unchanged:
        handover.put_back(project, base, git)
        states.tidy(run.root)
    states.write(run.root, state)
    if run.settings.push and has_landed(run.event) and not state.unchanged and state.lacking is None:
        run.dvc(run.root).push()
    step.write_outputs(run.environment, {"changed": "false" if state.unchanged else "true"})
    return Exit.PASS


def measure(run: Run) -> Exit:
    """Measure what changed on the devices that are named, or on those that can be reached from here."""
    state = states.read(run.root)
    project = reading.load(run.root)
    names = list(run.settings.devices) or runners.reachable(project)
    for name in names:
        project.device(name)
    if state.unchanged or state.lacking:
        run.progress.say("nothing to be measured" + (f": {state.lacking}" if state.lacking else ""))
        return Exit.PASS
    base = run.base(state)
    for name in names:
        if name in state.refused:
            run.progress.say(f"{name}: not measured, {state.refused[name]}")
            continue
        state = measuring.run(project, base, state, name, device.run, benchmark.run, run.progress)
    states.write(run.root, state)
    return Exit.PASS
