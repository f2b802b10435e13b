"""What people are told of a search on a terminal: a line a trial, and what came of it all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TextIO

from makeweight.budget.metric import METRICS
from makeweight.budget.quantity import BYTES, show
from makeweight.decide import Terms
from makeweight.report import console
from makeweight.report.facts import step_words
from makeweight.report.standing import WORDS
from makeweight.report.written import written
from makeweight.search import judging
from makeweight.search.trial import Trial

WHY = {
    "met": "a recipe keeps clear of every limit",
    "trials": "as many as were asked for are tried",
    "hours": "the time is over",
    "space": "the space holds nothing more",
}


def recipe_words(settings: Mapping[str, Any]) -> str:
    """`prune ratio 0.5, epochs 1 → quantize method static (litert)`."""
    words = [" ".join(filter(None, step_words(step))) for step in settings["steps"]]
    return f"{' → '.join(words) or 'as it is'} ({settings['runtime']})"


def figures_words(terms: Terms, trial: Trial) -> str:
    """`size 0.28x, accuracy 98.33 %, latency p50 0.61x`."""
    told = []
    by_measurand = {
        (figure.device, figure.measurand): figure for figure in trial.figures if figure.variant == trial.name
    }
    for role, of in judging.objectives(terms):
        for device in list(terms.devices) if role == "latency" else [None]:
            ratio = by_measurand.get((device, of.compared("ratio")))
            own = by_measurand.get((device, of))
            shown = f"{ratio.value:.2f}x" if ratio and ratio.value is not None else written(own) if own else ""
            where = f" on {device}" if device and len(terms.devices) > 1 else ""
            if shown:
                told.append(f"{METRICS[of.metric].title}{where} {shown}")
    return ", ".join(told)


def line(terms: Terms, trial: Trial, spent: float, wanted: int) -> str:
    """One trial, and how much of what may be spent is spent with it."""
    head = f"trial {trial.number + 1} ({spent:g} of {wanted} spent): {recipe_words(trial.proposal.settings)}: "
    figures = figures_words(terms, trial)
    if trial.ended == "whole":
        (own,) = judging.judged(terms, [trial]).variants
        told = f"{WORDS[own.verdict]}, {own.sentence}" if own.verdict != "pass" else own.sentence
    else:
        told = f"{trial.reason}"
    return f"{head}{told}{f'; {figures}' if figures else ''} ({trial.seconds:.0f} s)"


def spent_words(report: Mapping[str, Any]) -> str:
    """`11.4 of 12 trials, 12 recipes of which count as a fifth each: they were given up for their untrained form`."""
    # of a search with fewer trials than an earlier one had, as many as there are
    wanted, forms = max(report["wanted"], int(report["spent"])), report["forms"]
    spent = f"{report['spent']:g} of {wanted} trials"
    if not forms:
        return spent
    if forms == 1:
        return f"{spent}, one recipe of which counts as a fifth: it was given up for its untrained form"
    return f"{spent}, {forms} recipes of which count as a fifth each: they were given up for their untrained form"


def summary(report: Mapping[str, Any]) -> str:
    """What came of it, and what to do next."""
    lines = [report["sentence"]]
    lines.append(f"{spent_words(report)}; it ended because {WHY[report['why']]}.")
    for each in report["winners"]:
        already = "stood in makeweight.yaml already" if each["already"] else "is written into makeweight.yaml"
        lines.append(f"  {each['variant']}: {recipe_words(each['settings'])}, which {already}")
    if report["winners"]:
        lines.append("Run `dvc repro`: it makes and measures them as any variant, and judges them on the test split.")
    lines.append(f"report: {report['page']}")
    kept = report["kept"]
    lines.append(
        f"{kept['folder']} holds {show(kept['bytes'], BYTES)}, which this search goes on from and others take over; it "
        "may be deleted"
    )
    return "\n".join(lines)


def print_to(report: Mapping[str, Any], stream: TextIO) -> None:
    """Print the summary, on a terminal no wider than that is; in a log each line stays one."""
    lines = summary(report).split("\n")
    if not stream.isatty():
        console.write("\n".join([*lines, ""]), stream)
        return
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    inset = [(line.lstrip(), len(line) - len(line.lstrip())) for line in lines]
    console.show(Group(*(Padding(Text(text), (0, 0, 0, indent)) for text, indent in inset)), stream)
