"""The phase that measures what changed."""

from __future__ import annotations

from makeweight.ci import handover, runners
from makeweight.ci import state as states
from makeweight.project import reading
from makeweight.verbs.ci import against
from makeweight.verbs.ci.run import Run
from makeweight_base.errors import Exit


def measured(run: Run) -> Exit:
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
    from makeweight.ci import measure as measuring
    from makeweight.verbs import benchmark, device

    with handover.unaltered(run.root, state.base, run.git(), run.environment):
        for name in names:
            if name in state.refused:
                run.progress.say(f"{name}: not measured, {state.refused[name]}")
                continue
            state = measuring.run(
                project,
                found.base,
                state,
                name,
                device.run,
                benchmark.run,
                run.progress,
                anew=against.anew(run),
                remade=found.change.models,
            )
    states.write(run.root, state)
    return Exit.PASS
