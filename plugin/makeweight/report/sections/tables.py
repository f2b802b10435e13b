"""The tables of report.html: the budget rule by rule, every figure, how each model was made, and the devices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from makeweight.artifact.artifact import Manifest
from makeweight.budget.measurand import Measurand
from makeweight.budget.metric import METRICS
from makeweight.budget.quantity import BYTES, show
from makeweight.layout import BASELINE
from makeweight.report import prose
from makeweight.report.comparison import Cell, cell, heading
from makeweight.report.content import Content
from makeweight.report.facts import counted, flat, step_words, worded
from makeweight.report.figures import Figures
from makeweight.report.measuring import how, machine_line
from makeweight.report.runtimes import fallen_back
from makeweight.report.standing import SIGNS, WORDS, blocking, named, subject, waived
from makeweight.report.tried import closeness
from makeweight.report.written import title


def judgement(content: Content, variant: str) -> tuple[str, list[dict[str, Any]]]:
    own = next(each for each in content.verdict.variants if each.variant == variant)
    judged = [
        {
            "rule": rule,
            "name": subject(rule),
            "limit": "" if rule.limit is None else rule.limit_text,
            "symbol": SIGNS[rule.verdict],
            "word": WORDS[rule.verdict],
            "sentence": prose.sentence(rule.sentence),
            "waiver": prose.sentence(rule.waiver) if rule.waiver is not None else "",
        }
        for rule in content.verdict.of(variant)
    ]
    held_up = blocking(content.verdict, variant)
    shown = f"{WORDS[own.verdict]}{': ' + ', '.join(named(rule) for rule in held_up) if held_up else ''}"
    let_through = waived(content.verdict, variant)
    shown += f"; waived: {', '.join(named(rule) for rule in let_through)}" if let_through else ""
    return shown, judged


def everything(figures: Figures) -> list[tuple[str, list[Cell]]]:
    """Every metric that any model was measured on, a row each."""
    figures_of = [(each.measurand, each.device) for each in figures if not each.measurand.is_cell]
    seen = {(of, device) for of, device in figures_of if of.comparison is None or of.control}
    catalogue = list(METRICS)

    def rank(row: tuple[Measurand, str | None]) -> tuple[str, int, str]:
        of, device = row
        known = of.metric in catalogue and not of.control
        return device or "", catalogue.index(of.metric) if known else len(catalogue), of.name

    rows = []
    for of, device in sorted(seen, key=rank):
        rows.append((title(of, device), [_whole_cell(figures, of, model, device) for model in figures.models]))
    return rows


def _whole_cell(figures: Figures, of: Measurand, name: str, device: str | None) -> Cell:
    whole = cell(figures, of, name, device)
    # what only a comparison has, such as flips, has no figure for the baseline and misses none; nor is there a
    # control of what was not trained
    if (name == BASELINE or of.control) and whole.reason and figures.get(of, name, device) is None:
        return Cell(of, device, "–", "", None, "")
    return whole


def recipe(content: Content, figures: Figures, name: str) -> dict[str, Any]:
    manifest = content.manifests[name]
    control = cell(figures, replace(figures.quality, control=True), name)
    against = cell(figures, replace(figures.quality.compared("drop"), control=True), name)
    lower = f", the variant {against.value} {against.interval}".rstrip() + " below it" if against.value else ""
    return {
        "name": name,
        "failed": manifest.status == "failed",
        "reason": manifest.reason or "",
        "steps": [step_words(step) for step in manifest.recipe],
        "facts": _manifest_facts(manifest, f"{heading(figures)} {control.value}{lower}" if control.value else ""),
    }


def _manifest_facts(manifest: Manifest, control: str) -> list[tuple[str, str]]:
    """What the manifest says, in words; what it does not know is left out."""
    sizes = [
        show(manifest.size, BYTES) if manifest.size is not None else "",
        f"{show(manifest.size_compressed, BYTES)} after zlib" if manifest.size_compressed is not None else "",
    ]
    computing = ""
    if manifest.quantized is not None and manifest.floating is not None:
        computing = f"{manifest.quantized} on integers, {manifest.floating} on floating point"
    facts = [
        ("file", ", ".join(file.name for file in manifest.model.files) if manifest.model else ""),
        ("size", ", ".join(part for part in sizes if part)),
        ("parameters", "" if manifest.parameters is None else f"{manifest.parameters:,}"),
        ("MACs", "" if manifest.macs is None else f"{manifest.macs:,} an example"),
        ("compute nodes", computing),
        ("operators", counted(manifest.operators)),
        ("fell back from the delegate", counted(fallen_back(manifest.operators, manifest.delegate))),
        ("answers", closeness(manifest.trial)),
        ("control, trained equally and not compressed", control),
        ("runtime", manifest.runtime),
        ("versions", ", ".join(f"{name} {version}" for name, version in manifest.versions.items())),
        ("seed", str(manifest.seed)),
        ("sha256", manifest.sha256 or ""),
        ("made from sha256", manifest.parent or ""),
        *_notes(manifest),
    ]
    return [(name, value) for name, value in facts if value]


def _notes(manifest: Manifest) -> list[tuple[str, str]]:
    """What each technique noted, a row a fact."""
    rows = []
    for technique, noted in manifest.notes.items():
        if isinstance(noted, Mapping):
            rows += [(f"{technique}: {name}", worded(value)) for name, value in noted.items() if value is not None]
        else:
            rows.append((technique, worded(noted)))
    return rows


def machines(content: Content, figures: Figures) -> list[dict[str, Any]]:
    return [
        {
            "name": machine.name,
            "line": machine_line(machine),
            "how": how(content, figures, machine.name),
            "facts": flat({"kind": machine.kind, "threads": machine.threads})
            + flat(machine.identity)
            + flat(machine.conditions),
        }
        for machine in figures.machines.values()
    ]
