"""What came of a search: the best recipes as variants in makeweight.yaml, and the evidence beside them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import makeweight
from makeweight.artifact import artifact
from makeweight.artifact.artifact import Manifest
from makeweight.compress.checkpoints import Checkpoints, places
from makeweight.config.settings import RESERVED_VARIANTS
from makeweight.decide import Terms
from makeweight.decide.verdict import Outcome, Verdict
from makeweight.layout import BASELINE, CONFIG, OWN, SEARCH
from makeweight.measurement import Measurement
from makeweight.pipeline import yamledit
from makeweight.project import reading
from makeweight.project.project import Project
from makeweight.report.content import Content
from makeweight.search import judging, page
from makeweight.search.executor import GOES_ON
from makeweight.search.searching import Why
from makeweight.search.told import WHY
from makeweight.search.trial import ARTIFACT, Journal, Trial, name_of, plain
from makeweight.search.work import SPLIT
from makeweight_base import atomic
from makeweight_base.errors import ConfigError

_NAME = "found"
_JSON, _PAGE = "search.json", "search.html"


@dataclass(frozen=True)
class Found:
    """A search that has come to its end."""

    project: Project
    terms: Terms
    trials: Sequence[Trial]
    spent: float
    """How many trials these count as."""
    why: Why
    baseline_figures: Sequence[Measurement]
    baseline: Manifest
    wanted: int
    """Trials that were asked for; the last that is begun may go beyond by less than one."""
    refused: int
    """Recipes that were proposed and make no sense in this project."""
    objection: str
    """What is wrong with the first of these; empty: there are none."""
    seconds: float
    """Of this run, by the clock on the wall."""
    declared: bool
    """Whether the project gives the space itself."""
    kept: int
    """Bytes of all that searches of this project left on disk."""


def write(found: Found, journal: Journal, pool: Path) -> dict[str, Any]:
    """Put the best into makeweight.yaml, and the evidence into reports/search/. What it says is returned.

    Args:
        pool: the folder of what was trained, with which `compress` goes on.

    Raises:
        ConfigError: makeweight.yaml has a shape that cannot be edited safely, or is wrong by now.
        EnvironmentFailed: the disk is full or not writable.
    """
    verdict = judging.judged(found.terms, found.trials)
    best = judging.winners(found.terms, found.trials, found.project.search.margin, found.project.search.keep)
    try:
        named = _into_config(found, best, pool)
    except ConfigError as error:  # it may have been edited since the search began
        raise ConfigError(error.problems, do=f"{error.do or 'Mend it.'} {GOES_ON}") from error
    by_trial = {each["trial"]: each["variant"] for each in named}
    places_ = found.project.layout.search
    sentence = _sentence(found, verdict, named)
    reached: Outcome = "pass" if named else verdict.verdict if verdict.variants else "fail"
    report = {
        "makeweight": makeweight.__version__,
        "project": found.project.name,
        "verdict": reached,
        "sentence": sentence,
        "winners": named,
        "why": found.why,
        "tried": len(found.trials),
        "forms": sum(trial.ended == "form" for trial in found.trials),
        "spent": found.spent,
        "wanted": found.wanted,
        "refused": found.refused,
        "seconds": found.seconds,
        "split": SPLIT,
        "space": "search.recipes" if found.declared else "derived from the techniques that are installed",
        "sampler": found.project.search.sampler,
        "seed": found.project.seed,
        "margin": found.project.search.margin,
        "kept": {"bytes": found.kept, "folder": f"{OWN}/{SEARCH}"},
        "page": _relative(places_ / _PAGE, found.project.root),
        "trials": [_told(trial, verdict, by_trial.get(trial.number)) for trial in found.trials],
        "baseline": [asdict(figure) for figure in found.baseline_figures],
    }
    atomic.write_json(places_ / _JSON, report)
    shown = replace(
        verdict,
        measurements=[*(asdict(figure) for figure in found.baseline_figures), *verdict.measurements],
        ship=best[0].name if best else None,
        sentence=sentence,
        variants=[replace(each, ships=bool(best) and each.variant == best[0].name) for each in verdict.variants],
        verdict=reached,
    )
    manifests = {trial.name: made for trial in found.trials if (made := _manifest(journal, trial)) is not None}
    task = found.project.task
    better = task.better if task.kind == "custom" else None
    content = Content(shown, {BASELINE: found.baseline, **manifests}, better=better)
    atomic.write_text(places_ / _PAGE, page.render(content, report, WHY[found.why]))
    return report


def _into_config(found: Found, best: Sequence[Trial], pool: Path) -> list[dict[str, Any]]:
    """The best by the names that they have in makeweight.yaml, where those that are new are put."""
    project, path = found.project, found.project.layout.config
    text = path.read_bytes().decode("utf-8")
    before = text
    named = []
    for trial in best:
        settings = trial.proposal.settings
        document = reading.parsed(text, CONFIG)
        there = reading.understood(document, project.root).variants
        variant = reading.with_recipe(document, project.root, settings)
        same = variant.twin(there)
        name = same or next(each for each in _names() if each not in there and each not in RESERVED_VARIANTS)
        if same is None:
            above = (f"Found by `makeweight search`, trial {trial.number + 1}; see {_evidence(project)}.",)
            text = yamledit.put(text, ("variants", name), _written(settings, project), source=CONFIG, above=above)
            Checkpoints(project.layout.trainings(name)).take_over(pool, places(variant))
        named.append({"variant": name, "trial": trial.number, "already": same is not None, "settings": dict(settings)})
    if text != before:
        reading.understand(text, CONFIG, project.root)
        atomic.write_bytes(path, text.encode("utf-8"))
    return named


def _names() -> Any:
    return (f"{_NAME}-{number}" for number in itertools.count(1))


def _written(settings: Mapping[str, Any], project: Project) -> dict[str, Any]:
    """As it stands under `variants:`; the model's own runtime needs no saying."""
    own = {} if settings["runtime"] == project.model.runtime else {"runtime": settings["runtime"]}
    return {**own, "steps": settings["steps"]}


def _evidence(project: Project) -> str:
    return _relative(project.layout.search / _PAGE, project.root)


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _sentence(found: Found, verdict: Verdict, named: Sequence[Mapping[str, Any]]) -> str:
    if named:
        first = named[0]
        own = next(each for each in verdict.variants if each.variant == name_of(first["trial"]))
        return f"`{first['variant']}` (trial {first['trial'] + 1}) {own.sentence} on the {SPLIT} split."
    if verdict.variants:
        return verdict.sentence
    reason = next((trial.reason for trial in found.trials if trial.reason), None)
    if reason is not None:
        return f"no recipe was carried through; the first was given up: {reason}"
    if found.why == "space" and found.objection:
        return f"nothing was tried, for no recipe of the space makes sense on this model: {found.objection}"
    return f"nothing was tried: {WHY[found.why]}"


def _told(trial: Trial, verdict: Verdict, written_as: str | None) -> dict[str, Any]:
    own = next((each for each in verdict.variants if each.variant == trial.name), None)
    return {
        **plain(trial),
        "verdict": None if own is None else own.verdict,
        "sentence": trial.reason if own is None else own.sentence,
        "variant": written_as,
        "rules": [asdict(rule) for rule in verdict.of(trial.name)],
    }


def _manifest(journal: Journal, trial: Trial) -> Manifest | None:
    folder = journal.at(trial.number) / ARTIFACT
    return artifact.found(folder) if trial.ended == "whole" else None
