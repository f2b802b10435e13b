"""`makeweight search`: find recipes that fit the budget, and write the best down as variants."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from makeweight import __version__, registry
from makeweight.artifact import artifact
from makeweight.artifact.artifact import Manifest
from makeweight.artifact.versions import versions
from makeweight.compress.checkpoints import origin
from makeweight.compress.derived import derive
from makeweight.compress.recipe import Variant
from makeweight.compress.space import OpenRecipe
from makeweight.decide import Terms
from makeweight.decide.verdict import EXIT_CODES
from makeweight.devices.entry import DeviceEntry
from makeweight.evidence.provenance import hash_of
from makeweight.ignored import ignored
from makeweight.layout import BASELINE, CONFIG, SEARCH
from makeweight.measure import outcomes, quality, storage
from makeweight.measure.answers import answer
from makeweight.measure.tasks.table import refuse_unfit
from makeweight.measurement import Measurement, key_of
from makeweight.project import reading
from makeweight.project.open_recipes import takes_list
from makeweight.project.project import Project
from makeweight.publish import terms
from makeweight.search.cluster import Cluster
from makeweight.search.executor import Executor
from makeweight.search.halving import yardstick
from makeweight.search.kept import drop_models, held
from makeweight.search.measuring import Measuring
from makeweight.search.processes import Processes
from makeweight.search.proposals import Proposals, Sampler, Settings
from makeweight.search.searching import Limits, Search
from makeweight.search.told import line, print_to
from makeweight.search.trained import pool
from makeweight.search.trial import Journal
from makeweight.search.work import SPLIT
from makeweight.user import data
from makeweight.user.ran import undeclared
from makeweight_base.errors import Exit, MissingExtra, UsageError
from makeweight_base.interruptible import interruptible
from makeweight_base.progress import Progress, Silent
from makeweight_base.yamlfile import parse
from makeweight_probe.alone import LOCK, place


def run(
    project: Project,
    progress: Progress,
    *,
    trials: int | None = None,
    hours: float | None = None,
    workers: int | None = None,
    ray: str | None = None,
    as_json: bool = False,
) -> Exit:
    """What is not given stands in makeweight.yaml.

    Args:
        ray: the address of a Ray cluster; None: processes of this machine.

    Raises:
        UsageError: there is no baseline yet, or one of another model; no validation split, or nothing to search.
        EnvironmentFailed: the machine, the cluster or a device failed.
    """
    registry.require_extra("`makeweight search`", "search")
    settings, started = project.search, time.monotonic()
    progress = Silent() if as_json else progress
    # trials are carried out by processes that may stand in another folder
    home = ignored(project.root.resolve()) / SEARCH
    with _alone(home), interruptible(), contextlib.ExitStack() as at_work:
        baseline = artifact.read(project.layout.artifact(BASELINE))
        _refuse_outdated(project, baseline)
        config = project.layout.config.read_text(encoding="utf-8")
        spaces = project.spaces or _derived(project)
        wanted = trials or settings.trials
        began = origin(project.declared, project.sources, baseline.sha256)
        of = _study(project, spaces, began)
        folder = home / of
        devices = _devices(project, progress)
        judged = replace(
            terms(project, [rule for rule in project.rules if rule.device is None or rule.device in devices]),
            devices={name: entry.options.seconds for name, entry in devices.items()},
        )
        _refuse_without_goal(judged)
        # what takes a second each is begun here, to be there once the first trial is
        executor = _executor(project, ray, workers)
        at_work.callback(executor.close)
        measuring = Measuring(project, devices, judged.rules, baseline)
        at_work.callback(measuring.close)
        reached = measuring.reach()
        with contextlib.redirect_stdout(sys.stderr):  # the user's code may print, and only the report is asked for
            figures = _answers(project, baseline, folder / "answers.npz", progress)
        # what no search needs any more goes once nothing refuses this one
        trained = pool(home, began)
        drop_models(home, folder)
        search = Search(
            judged,
            Proposals(spaces, takes_list, Sampler(settings.sampler, project.seed, wanted)),
            _checker(config, project.root),
            executor,
            measuring,
            Journal(folder),
            {
                "makeweight": __version__,
                "root": str(project.root.resolve()),
                "config": config,
                "baseline": baseline.sha256,
                "answers": str(folder / "answers.npz"),
                "pool": str(trained),
                "origin": began,
                "lock": os.environ[LOCK],
            },
            Limits(wanted, time.monotonic() + (hours or settings.hours or float("inf")) * 3600, settings.margin),
            _yardstick(project),
        )
        at_work.callback(search.leave)
        known = len(search.ended)
        if known:
            progress.say(f"{known} trial{'s' if known > 1 else ''} of this search are known already; going on")
        try:
            search.begin()
            # beside the first trial: what is needed at the end alone, and whether all devices are there
            from makeweight.search.found import Found, write

            reached.result()
            for trial in progress.over(search.run(), "trials"):
                progress.say(line(judged, trial, search.spent, wanted))
        except KeyboardInterrupt:
            print(
                f"interrupted: {len(search.ended)} trials are kept, and what was under way; run the same command again "
                "to go on",
                file=sys.stderr,
            )
            return Exit.INTERRUPTED
        at_work.close()
        spent = time.monotonic() - started
        found = Found(
            project,
            judged,
            search.trials,
            search.spent,
            search.why,
            figures,
            baseline,
            wanted,
            search.refused,
            search.objection,
            spent,
            bool(project.spaces),
            held(home),
        )
        report = write(found, Journal(folder), trained)
    if as_json:
        print(json.dumps(report))
    else:
        print_to(report, sys.stdout)
    return EXIT_CODES[report["verdict"]]


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One search at a time in a project, and one measurement at a time on this machine.

    Raises:
        UsageError: another is at work.
    """
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    locked = place()
    # workers have it too, and may be in other folders
    os.environ[LOCK] = "" if locked is None else str(locked.absolute())
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                "another search is at work in this project", where=str(folder), do="Wait for its end, or stop it."
            ) from error
        yield


def _refuse_outdated(project: Project, baseline: Manifest) -> None:
    """Refuse a baseline that was made of other weights or by other code than there are now: DVC, which would make it
    anew, is not asked here, and half of what is tried would begin with the one and half with the other."""
    made_by = {**(baseline.code or {}), **(baseline.made_of or {})}
    there = ((path, hash_of(project.root / path), sha256) for path, sha256 in made_by.items())
    changed = next((path for path, now, then in there if now not in (None, then)), None)
    if changed is not None:
        do = "Run `dvc repro baseline`, then search."
        if undeclared((*project.sources, *project.model.files), [changed]):
            do = (
                "`sources` does not name it, so DVC does not see it change: run `dvc repro --force --single-item "
                "baseline`, then search."
            )
        raise UsageError(
            f"the baseline was made with another `{changed}` than there is now",
            where=str(project.layout.artifact(BASELINE)),
            do=do,
        )


def _devices(project: Project, progress: Progress) -> dict[str, DeviceEntry]:
    """Those that the budget asks something of and that are reached from here."""
    timed = [rule for rule in project.rules if rule.metric.per_device]
    asked = {
        name: entry for name, entry in project.devices.items() if any(rule.device in (None, name) for rule in timed)
    }
    for name, entry in asked.items():
        if entry.options.runner is not None:
            progress.say(f"`{name}` is measured by a `runner` of its own, so its rules are left to the gate")
    return {name: entry for name, entry in asked.items() if entry.options.runner is None}


def _refuse_without_goal(judged: Terms) -> None:
    """Refuse a budget by which the first recipe that can be carried out would pass."""
    binding = (rule for rule in judged.rules if rule.level == "error" and rule.operator.comparison != "regression")
    if not any(judged.devices or not rule.metric.per_device for rule in binding):
        raise UsageError(
            "no rule of the budget tells recipes apart here: each only warns, is about growth since the merge base, or "
            "of a device with a `runner` of its own",
            where=f"{CONFIG}: budget",
            do="Give one limit at least that blocks, such as `size: {max_ratio: 0.5}`.",
        )


def _executor(project: Project, ray: str | None, workers: int | None) -> Executor:
    settings = project.search
    if ray is None:
        return Processes(workers or settings.workers)
    return Cluster(ray, settings.cpus, settings.memory, workers)


def _checker(config: str, root: Path) -> Callable[[Settings], Variant]:
    """Of recipes, as this project's file would have them."""
    document = parse(config, CONFIG)
    return lambda settings: reading.with_recipe(document, root, settings)


def _yardstick(project: Project) -> Callable[[Variant], Hashable | None]:
    classifies = project.task.kind == "classification"
    return lambda variant: yardstick((options for _, options in variant.plan.trainings), classifies=classifies)


def _study(project: Project, spaces: Mapping[str, OpenRecipe], began: str) -> str:
    """By which trials are known to belong to this search: whatever they were proposed, made and judged by."""
    devices = {name: entry.options.model_dump(mode="json") for name, entry in project.devices.items()}
    rules = [[rule.id, rule.limit, rule.level] for rule in project.rules]
    settings = project.search
    return key_of(
        origin=began,
        spaces={name: repr(space) for name, space in spaces.items()},
        sampler=settings.sampler,
        rules=rules,
        devices=devices,
        calibration=project.data.calibration.model_dump(mode="json"),
        pipeline=None if project.pipeline is None else project.pipeline.model_dump(mode="json"),
        versions=versions(sorted(_packages(spaces.values(), project.model.runtime))),
    )[:16]


def _packages(spaces: Iterable[OpenRecipe], of_baseline: str) -> set[str]:
    """What makes the recipes of these spaces, and opens what was made."""
    runtimes, techniques = {of_baseline}, set[str]()
    for space in spaces:
        runtimes.update(space.runtimes)
        techniques.update(each[0] for step in space.steps for each in step.alternatives if each is not None)
    loaded = [registry.load("runtime", name) for name in runtimes]
    own = [package for runtime in loaded for package in (*runtime.packages, *runtime.exporters)]
    return {*own, *(package for name in techniques for package in registry.load("technique", name).packages)}


def _derived(project: Project) -> dict[str, OpenRecipe]:
    """The space of everything that is installed.

    Raises:
        UsageError: nothing is.
    """
    module = bool(project.model.build or project.model.pt2)
    techniques = {name: registry.load("technique", name)() for name in _installed("technique")}
    runtimes = _installed("runtime") if module else [project.model.runtime]
    # the model's own first: what stands first is looked at first
    runtimes = sorted(runtimes, key=lambda name: name != project.model.runtime)
    found = derive(techniques, "module" if module else "graph", runtimes, takes_list)
    if not found.steps:
        raise UsageError(
            "there is nothing to search: no technique that is installed works on this model",
            do="Install an extra (`makeweight doctor` names them), or declare `search.recipes` in makeweight.yaml.",
        )
    return {found.name: found}


def _installed(kind: registry.Kind) -> list[str]:
    found = []
    for name in registry.names(kind):
        with contextlib.suppress(MissingExtra):
            registry.require(kind, name)
            found.append(name)
    return found


def _answers(project: Project, baseline: Manifest, path: Path, progress: Progress) -> list[Measurement]:
    """The baseline's answers to the validation split, kept for all trials; and its figures.

    Raises:
        UsageError: there is no such split, or it has no targets, or none that fit the model.
    """
    if not path.exists():
        try:
            split = data.load(project.declared, SPLIT)
        except UsageError as error:
            raise UsageError(
                f"a search compares recipes on the {SPLIT} split, and there is none: {error.what}",
                where=error.where,
                do=f"Have the data give a `{SPLIT}` split. The test split is the gate's alone: what is chosen by it "
                "would look better there than it is.",
            ) from error
        runtime = registry.ready("runtime", baseline.runtime)()
        batch = baseline.batch(project.model.batch)
        own = answer(project.declared, runtime, baseline.made(), split, f"baseline on {SPLIT}", progress, batch=batch)
        refuse_unfit(project.task, own, SPLIT)
        outcomes.write(path, own)
    own = outcomes.read(path)
    return [*storage.measure(baseline, None), *quality.measure(project.task, BASELINE, own, None)]
