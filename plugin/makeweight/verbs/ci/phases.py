"""The phases before the verdict: find the base, make what differs from it, measure what changed."""

from __future__ import annotations

from makeweight.ci import base as bases
from makeweight.ci import build, ground, landed, runners
from makeweight.ci import measure as measuring
from makeweight.ci.ground import Ground
from makeweight.github import check, labels, outputs
from makeweight.project import reading
from makeweight.project.project import Project
from makeweight.verbs import benchmark, device
from makeweight.verbs.ci.judging import has_landed
from makeweight.verbs.ci.run import Run
from makeweight_base.errors import EnvironmentFailed, Exit, UsageError
from makeweight_base.progress import Progress


def begin(run: Run) -> Exit:
    """Find the base, say which devices may measure, and open the check."""
    git, event = run.git(), run.event
    ground.clear(run.root, git)
    said = reading.load(run.root)
    head = event.head or git.resolve("HEAD")
    if head is None:
        raise UsageError("there is no commit yet", where=str(run.root), do="Commit what is to be judged.")
    found = git.resolve(run.settings.base) if run.settings.base else bases.find(event, git)
    if run.settings.base and found is None:
        raise UsageError(f"no revision `{run.settings.base}`", where="--base")
    if run.settings.base and found is not None:
        found = git.merge_base(git.resolve("HEAD") or head, found)
    allowed, refused = runners.allowed(said, event, run.labels((labels.DEVICES,)))
    here = run.environment.get("RUNNER_ENVIRONMENT") == "self-hosted"
    if event.fork and here and not runners.approved(event, run.labels((labels.DEVICES,))):
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
    said = reading.load(run.root)
    known = run.base(noted)
    noted = build.run(said, known, noted, run.git(), run.dvc, run.progress)
    ground.note(run.root, noted)
    if run.settings.push and has_landed(run.event) and not noted.unchanged and noted.lacking is None:
        landed.store(run.dvc(run.root))
    outputs.write(run.environment, {"changed": "false" if noted.unchanged else "true"})
    return Exit.PASS


def measure(run: Run) -> Exit:
    """Measure what changed on the devices that are named, or on those that can be reached from here."""
    noted = ground.noted(run.root)
    said = reading.load(run.root)
    names = list(run.settings.devices) or runners.reachable(said)
    for name in names:
        said.device(name)
    if noted.unchanged or noted.lacking:
        run.progress.say("nothing to be measured" + (f": {noted.lacking}" if noted.lacking else ""))
        return Exit.PASS
    known = run.base(noted)
    for name in names:
        if name in noted.refused:
            run.progress.say(f"{name}: not measured, {noted.refused[name]}")
            continue
        noted = measuring.run(said, known, noted, name, device.run, _benchmark, run.progress)
    ground.note(run.root, noted)
    return Exit.PASS


def _benchmark(said: Project, variant: str, name: str, progress: Progress) -> None:
    benchmark.run(said, variant, name, None, progress)
