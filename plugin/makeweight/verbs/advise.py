"""`makeweight advise`: which technique to try first on this project, and why."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from makeweight.advise import measuring, sentences, telling, writing
from makeweight.advise.facts import Facts
from makeweight.advise.ranking import Advice, Ranking, rank
from makeweight.advise.rules import RULES
from makeweight.compress.recipe import Variant
from makeweight.config.problems import near
from makeweight.layout import CONFIG
from makeweight.pipeline.in_step import in_step
from makeweight.project import reading
from makeweight.project.place import from_here
from makeweight.starter import repository
from makeweight_base.errors import Exit, UsageError
from makeweight_base.progress import Progress
from makeweight_base.yamlfile import parse


def run(root: Path, seconds: float, progress: Progress, *, write: str | None, only: str | None, as_json: bool) -> Exit:
    """Exit 0 whatever the advice is: it decides nothing.

    Args:
        seconds: see `measuring.facts`.
        write: the name of the variant that the first recipe is put into makeweight.yaml as.
        only: the rule of advice whose recipe that is, in place of the first.

    Raises:
        UsageError: the project, its model or its data cannot be used; or there is nothing to write, or not by that
            name.
    """
    project = reading.load(root, beginning=True)
    if write is not None:
        writing.refuse(write, project.variants)
    if only is not None and only not in (names := [rule.name for rule in RULES]):
        raise UsageError(f"there is no rule of advice `{only}`; {near(only, names)}")
    text = project.layout.config.read_text(encoding="utf-8")
    document, read, taken = parse(text, CONFIG), writing.reader(text, root), tuple(project.variants)
    of_module = None if project.model.file is None else writing.reader(text, root, of_module=True)

    def worth_trying(known: Facts) -> dict[str, Variant]:
        """Recipes that take seconds; on another runtime they take an export too."""
        advised = rank(known, RULES, read, taken).advice
        quick = [each for each in advised if each.rule.effort == "seconds" and "runtime" not in each.recipe]
        return {each.rule.name: reading.with_recipe(document, root, each.recipe) for each in quick}

    with contextlib.redirect_stdout(sys.stderr):  # the user's code may print, and only the advice is asked for
        known = measuring.facts(project, progress, seconds, worth_trying)
    ranking = rank(known, RULES, read, taken, of_module)
    if as_json:
        print(json.dumps(_plain(ranking, known)))
    else:
        telling.print_to(ranking, known, project.name, sys.stdout)
    if write is not None:
        _write(root, write, _chosen(ranking, only), progress)
    return Exit.PASS


def _chosen(ranking: Ranking, only: str | None) -> Advice:
    advised = {each.rule.name: each for each in ranking.advice}
    if only is None and ranking.advice:
        return ranking.advice[0]
    if only in advised:
        return advised[only]
    aside = next((each.reason for each in ranking.aside if each.rule.name == only), None)
    raise UsageError(f"there is no advice to write: {aside or ranking.standing}")


def _write(root: Path, name: str, advice: Advice, progress: Progress) -> None:
    writing.write(root, name, advice, _above(advice))
    progress.say(f"{CONFIG}: added the variant `{name}`")
    project = reading.load(root)
    existing = repository.text(project.layout.pipeline)
    outdated = existing is None or in_step(existing, project)
    progress.say(f"next{from_here(root)}: {'makeweight init; ' if outdated else ''}dvc repro")


def _above(advice: Advice) -> list[str]:
    """What stands above the variant in the file."""
    promised = "; ".join(f"{sentences.figure_told(each)} {sentences.range_told(each)}" for each in advice.expected)
    return [f"{advice.rule.does}", f"makeweight advise expects: {promised}"]


def _plain(ranking: Ranking, facts: Facts) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "standing": ranking.standing,
        "headline": sentences.headline(ranking, facts),
        "advice": [
            {
                "rule": each.rule.name,
                "name": each.name,
                "declared": each.declared,
                "does": each.rule.does,
                "why": sentences.why(each, facts),
                "recipe": each.recipe,
                "effort": each.rule.effort,
                "expected": [asdict(one) for one in each.expected],
                "rules": [
                    {"rule": goal.rule, "device": goal.device, "chance": chance} for goal, chance in each.chances
                ],
                "against": each.rule.against,
                "assumes": list(sentences.assumed(each, facts)),
                "sources": [asdict(source) for source in each.rule.sources],
            }
            for each in ranking.advice
        ],
        "aside": [
            {"rule": each.rule.name, "reason": each.reason, "takes_module": each.module, "besides": each.besides}
            for each in ranking.aside
        ],
        "facts": asdict(facts),
    }
