"""What a worker does for a trial: makes it, and finds out how good it is on the validation split."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from makeweight import __version__, registry
from makeweight.artifact import artifact
from makeweight.artifact.artifact import Manifest
from makeweight.bench.probe import JobFailed
from makeweight.compress.checkpoints import Checkpoints, places
from makeweight.compress.make import make
from makeweight.compress.recipe import Variant
from makeweight.devices.device import DeviceFailed
from makeweight.evidence import keys
from makeweight.layout import BASELINE, CONFIG, TRAININGS
from makeweight.measure import outcomes, quality, storage
from makeweight.measure.answers import answer
from makeweight.measure.patient import ModelGivenUp
from makeweight.measurement import Measurement, keyed
from makeweight.project import reading
from makeweight.project.project import Project
from makeweight.search.executor import Job
from makeweight.search.halving import goes_on, rungs_of
from makeweight.search.measuring import unmeasurable
from makeweight.search.trial import ARTIFACT, FORM
from makeweight.search.untrained import form_of
from makeweight.user import data
from makeweight_base import atomic, given_up
from makeweight_base.errors import EnvironmentFailed, MakeweightError, OutOfMemory, ProcessLost, UsageError, first_line
from makeweight_base.progress import Plain, Progress
from makeweight_base.yamlfile import Document
from makeweight_probe.alone import LOCK

SPLIT = "validation"
"""What trials are compared on. The test split is the gate's alone."""
_LOG = "log.txt"


class _GivenUp(Exception):
    """The training is not worth going on with."""


class _Mistake(UsageError):
    """What is the user's own cannot be searched as it is, whatever the recipe."""


@dataclass
class _Race:
    """A training held against those of other trials, epoch by epoch."""

    epochs: int
    """Of all trainings of the recipe together."""
    others: Mapping[int, Sequence[float]]
    """By rung, what others had there."""
    had: dict[int, float] = field(default_factory=dict)
    _reached: dict[str, int] = field(default_factory=dict)

    def watch(self, training: str, figures: Sequence[Mapping[str, float]]) -> None:
        """Args:
            figures: of all epochs of that training, also those of an earlier run: at a rung counts what it had there,
                however far it is by now.

        Raises:
            _GivenUp: at a rung it is not among the best.
        """
        before = sum(epochs for name, epochs in self._reached.items() if name != training)
        self._reached[training] = len(figures)
        for rung, epochs in sorted(rungs_of(self.epochs).items(), reverse=True):
            if rung in self.had or not before < epochs <= before + len(figures):
                continue
            there = figures[epochs - before - 1]
            told = next(((name, each) for name, each in there.items() if name.startswith("validation_")), None)
            if told is None:
                continue
            own = -told[1] if told[0].endswith("loss") else told[1]
            self.had[rung] = own
            if not goes_on(own, self.others.get(rung, ())):
                what = told[0].replace("_", " ")
                raise _GivenUp(f"given up after epoch {epochs} of {self.epochs}: others had a better {what} by then")


def carry_out(job: Job, *, quiet: bool = True) -> dict[str, Any]:
    """One job.

    Args:
        job: `makeweight`, the version that the search is of; `root`, the project's folder; `config`, the text of its
            makeweight.yaml as the search began with it; `baseline`, the sha256 of the model that all are held against;
            `name` of the trial, and its `folder`; `settings`, the recipe; `form`: whether its untrained form is wanted,
            and where it has one nothing else; `rungs`: see `_Race`; `answers`, the file of the baseline's; `pool`: the
            folder of what other trials have trained; `origin` of trainings; `lock`: the file that is locked while
            something is measured on this machine.
        quiet: whether what is said and printed goes into the trial's folder alone.

    Returns:
        `manifest`, the folder of what was made; `figures`; `trains`: whether more is to be made of the recipe; where
        it was not carried through, `ended` (as a trial's) and `reason`, and where that may be otherwise another time
        (the user's code or data failed, something is not installed) `again`; `rungs`; `seconds`. Or, in words, `lost`:
        how a process that had a part in it came to its end, as the worker's own may. Or what makes every trial fail:
        `failure` of the machine; or `mistake` in what is the user's, and what to do about it. And `stuck`: whether
        this process is still at what it gave up, so that nothing else should be asked of it.
    """
    began = time.monotonic()
    os.environ[LOCK] = job["lock"]
    try:
        apart = _apart(job)
        told = _noted(job, Path(job["folder"]), quiet=quiet) if apart is None else {"failure": apart}
    except OSError as error:  # where it would be noted, the disk is full
        told = {"failure": str(error)}
    stuck = given_up.at_work()
    return {"figures": [], "rungs": {}, "trains": False, **told, "stuck": stuck, "seconds": time.monotonic() - began}


def _apart(job: Job) -> str | None:
    """Why nothing of that search can be carried out where this is; None: it can."""
    here, theirs, root = f"`{platform.node()}`", job["makeweight"], job["root"]
    if theirs != __version__:
        return f"{here} has makeweight {__version__}, and the search was begun with {theirs}"
    if not Path(job["answers"]).is_file():
        return (
            f"{here} has not the {root} that the search was begun in: the project's folder has to lie under the "
            "same path wherever trials are carried out"
        )
    return None


def _noted(job: Job, folder: Path, *, quiet: bool) -> dict[str, Any]:
    """What came of it; what was said and printed lies in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as open_files:
        log = open_files.enter_context((folder / _LOG).open("a", encoding="utf-8"))
        if quiet:
            open_files.enter_context(_printed_into(log.fileno()))
        try:
            told = _carried_out(job, folder, Plain(log))
        except _Mistake as mistake:
            told = {"mistake": [mistake.what, mistake.do]}
        except OutOfMemory as error:
            told = {"ended": "failed", "reason": error.what}
        except MemoryError:
            told = {"ended": "failed", "reason": "it takes more memory than there is"}
        except ProcessLost as error:
            told = {"lost": error.what}
        except ModelGivenUp as failure:
            told = {"ended": "failed", "reason": failure.head}
        except DeviceFailed as failure:  # a step timed what it made, or tried it out
            told = {"failure": str(failure)}
            if isinstance(failure, JobFailed) and failure.killed:
                told = {"lost": failure.head}
            elif (why := unmeasurable(failure)) is not None:
                told = {"ended": "failed", "reason": why[0], "again": why[1]}
        except (EnvironmentFailed, OSError) as error:
            told = {"failure": str(error)}
        except MakeweightError as error:  # a recipe that this model does not allow is none, but a manifest that says so
            told = {"ended": "failed", "reason": error.what, "again": True}
        # one recipe that nothing foresaw is no reason to lose all others
        except (Exception, SystemExit) as error:  # noqa: BLE001
            traceback.print_exc(file=log)
            told = {"ended": "failed", "reason": f"{type(error).__name__}: {first_line(error)}"}
    return told


def _carried_out(job: Job, folder: Path, progress: Progress) -> dict[str, Any]:
    project, variant, base = _at_hand(job)
    whole_form = form_of(variant) if job["form"] else None
    if whole_form is not None:
        with atomic.replacing_folder(folder / FORM) as place:
            make(whole_form, project.declared, base, place, progress, with_control=False, untrained=True)
        manifest = artifact.read(folder / FORM)
        if manifest.status == "failed":
            return {"ended": "failed", "reason": manifest.reason}
        return {"manifest": str(folder / FORM), "figures": _plain(storage.measure(manifest, base)), "trains": True}
    race = _Race(sum(each.epochs for _, each in variant.plan.trainings), _by_rung(job["rungs"]))
    kept = Checkpoints(folder / TRAININGS, job["origin"], watch=race.watch)
    if variant.plan.trainings:
        kept.take_over(Path(job["pool"]), places(variant))
    try:
        with atomic.replacing_folder(folder / ARTIFACT) as place:
            devices = project.devices
            make(variant, project.declared, base, place, progress, kept, devices=devices, with_control=False)
    except _GivenUp as stopped:
        kept.hand_on({Path(job["pool"]): places(variant)})
        return {"ended": "stopped", "reason": str(stopped), "rungs": race.had}
    kept.hand_on({Path(job["pool"]): places(variant)})
    manifest = artifact.read(folder / ARTIFACT)
    if manifest.status == "failed":
        return {"ended": "failed", "reason": manifest.reason, "rungs": race.had}
    figures = [*storage.measure(manifest, base), *_quality(project, manifest, Path(job["answers"]), progress)]
    return {"manifest": str(folder / ARTIFACT), "figures": _plain(figures), "rungs": race.had}


def _at_hand(job: Job) -> tuple[Project, Variant, Manifest]:
    """The project, the recipe and the baseline. makeweight.yaml is not read again: an edit of it while a search is
    at work means the next one.

    Raises:
        EnvironmentFailed: what was right where the search began is not so here.
        _Mistake: the baseline is another by now.
    """
    root = Path(job["root"])
    try:
        document, project = _read(job["config"], root)
        found = reading.with_recipe(document, root, job["settings"])
        base = artifact.read(project.layout.artifact(BASELINE))
    except UsageError as error:
        raise EnvironmentFailed(
            f"no trial can be carried out: {error.head}",
            do="The project's folder has to lie under the same path wherever trials are carried out, with the same "
            "packages installed.",
        ) from error
    if base.sha256 != job["baseline"]:
        raise _Mistake(
            "the baseline was made anew while the search was at work, and all trials are held against the one before",
            do="Run the same command again: it begins a search with the new one.",
        )
    return project, replace(found, name=job["name"]), base


@functools.lru_cache(maxsize=1)
def _read(config: str, root: Path) -> tuple[Document, Project]:
    """A makeweight.yaml, read once for all that a worker is asked for of one search."""
    document = reading.parsed(config, CONFIG)
    return document, reading.understood(document, root)


def _quality(project: Project, manifest: Manifest, answers: Path, progress: Progress) -> list[Measurement]:
    runtime, before = registry.ready("runtime", manifest.runtime)(), outcomes.read(answers)
    split, batch = data.load(project.declared, SPLIT), manifest.batch(project.model.batch)
    name = manifest.variant
    own = answer(project.declared, runtime, manifest.made(), split, f"{name} on {SPLIT}", progress, before, batch)
    if own.digest != before.digest:
        raise _Mistake(
            f"the loader gave other {SPLIT} examples than it gave the baseline",
            do="Make it give the same examples each time (fix its seed), then run the same command again. Where the "
            f"data are others by now, delete {answers.parent} first: what was tried was held against those before.",
        )
    key = keys.answered(before, own, project.task, project.model.output)
    return keyed(quality.measure(project.task, name, own, before), key)


def _plain(figures: Any) -> list[dict[str, Any]]:
    return [asdict(each) for each in figures]


def _by_rung(told: Mapping[Any, Sequence[float]]) -> dict[int, Sequence[float]]:
    return {int(rung): figures for rung, figures in told.items()}


@contextlib.contextmanager
def _printed_into(file: int) -> Iterator[None]:
    """What runtimes and exporters print by themselves goes there too."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    kept = {number: os.dup(number) for number in (1, 2)}
    try:
        for number in kept:
            os.dup2(file, number)
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        for number, copy in kept.items():
            os.dup2(copy, number)
            os.close(copy)
