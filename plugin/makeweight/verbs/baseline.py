"""`makeweight baseline`: the reference model as a file, what it answers, and the samples for benchmarks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from makeweight import registry
from makeweight.artifact import artifact
from makeweight.artifact.artifact import Manifest
from makeweight.artifact.model import Model
from makeweight.artifact.ports import free_sizes
from makeweight.artifact.trial import Trial
from makeweight.bench import pipelines
from makeweight.compress.baseline import write_baseline
from makeweight.compress.trial import try_out
from makeweight.config.settings import PipelineSettings
from makeweight.layout import BASELINE, CONFIG
from makeweight.measure import quality, raw, samples, storage
from makeweight.measure.answers import answer
from makeweight.measure.tasks.table import TASKS
from makeweight.pipeline.in_step import in_step
from makeweight.project.project import Project
from makeweight.runtimes.runtime import RecipeFailed, Runtime
from makeweight.starter import repository
from makeweight.user import data, ran
from makeweight.user import raw as user_raw
from makeweight.user.split import Split
from makeweight.verbs.evaluate import keep
from makeweight_base import atomic
from makeweight_base.errors import ConfigError, Exit, Problem, UsageError
from makeweight_base.progress import Progress


def run(project: Project, progress: Progress) -> Exit:
    layout = project.layout
    _refuse_an_outdated_pipeline(project)
    runtime = registry.ready("runtime", project.model.runtime)()
    with atomic.replacing_folder(layout.artifact(BASELINE)) as folder:
        manifest = write_baseline(project.declared, folder, progress)
        made = manifest.made()
        progress.say(f"baseline: {manifest.size:,} bytes, {runtime.name} {runtime.version()}")
        split = data.load(project.declared, "test")
        _refuse_undeclared_weights(project, made)
        ran.refuse_undeclared(project.root, project.sources, progress)
        samples.write(folder / layout.inputs.name, made.inputs, split, project.seed, project.model.batch)
        if project.pipeline is not None:
            _begin_a_pipeline(project, project.pipeline, made, folder, progress)
        if free_sizes(made.inputs):  # what an example costs is known by those that are measured
            asked = samples.shapes(folder / layout.inputs.name)
            manifest = replace(manifest, **runtime.inspect(made, asked).figures())
        manifest = replace(manifest, trial=_tried(project, manifest, split, runtime, progress))
        artifact.write(folder, manifest)
        batch = manifest.batch(project.model.batch)
        own = answer(project.declared, runtime, made, split, "baseline on test", progress, batch=batch)
        bad = int((~own.finite).sum())
        if bad:
            raise UsageError(
                f"the baseline itself answers NaN or infinity for {bad} of {len(own)} test examples",
                where=_source(project),
                do="Mend the model first: nothing can be compared with it.",
            )
        TASKS[project.task.kind].check(project.task, own)
        figures = [*storage.measure(manifest, None), *quality.measure(project.task, BASELINE, own, None)]
        # once more: what measures may import others
        ran.refuse_undeclared(project.root, project.sources, progress)
    keep(project, BASELINE, own, own, figures)
    return Exit.PASS


def _tried(project: Project, manifest: Manifest, split: Split, runtime: Runtime, progress: Progress) -> Trial:
    try:
        return try_out(manifest.made(), None, split, project.declared, runtime, manifest.macs, progress)
    except RecipeFailed as failure:
        raise UsageError(f"the baseline itself cannot be used: {failure}", where=_source(project)) from failure


def _begin_a_pipeline(
    project: Project, pipeline: PipelineSettings, made: Model, folder: Path, progress: Progress
) -> None:
    """Keep the raw samples, and see that the user's code does what it should before anything is measured with it."""
    kept = folder / project.layout.raw.name
    raw.store(kept, *user_raw.load(project.declared, pipeline.samples))
    fed = folder / project.layout.inputs.name
    # the folder of the baseline, which says what of the sources is its weights, is not in its place yet
    code = replace(project.code, without=(*project.code.without, *project.weights_beside(made)))
    pipelines.try_out(pipeline, code, kept, made, fed, progress)


def _source(project: Project) -> str:
    return project.model.files[0]


def _refuse_undeclared_weights(project: Project, made: Model) -> None:
    """The file that makeweight.yaml names may name others, which nobody would see change: neither DVC nor a gate."""
    if lost := ran.undeclared(project.sources, project.weights_beside(made)):
        listed = "".join(f"\n  - {path}" for path in lost)
        raise UsageError(
            f"weights of the model lie in `{lost[0]}`, which no entry covers, so DVC would not see them change",
            where=f"{CONFIG}: sources",
            do=f"Add, and run `makeweight init`:{listed}",
        )


def _refuse_an_outdated_pipeline(project: Project) -> None:
    """A source that dvc.yaml does not know would change without anything being run again."""
    pipeline = project.layout.pipeline
    existing = repository.text(pipeline)
    if existing is not None and (outdated := in_step(existing, project)):
        found = [Problem(pipeline.name, None, line) for line in outdated]
        raise ConfigError(found, do="Run `makeweight init` to bring it up to date.")
