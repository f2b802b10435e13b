"""A model card for one variant: what is known of it, and what its owner has yet to say.

The sections are those of Mitchell et al., Model Cards for Model Reporting (FAT* 2019), table 1.
"""

from __future__ import annotations

from dataclasses import replace

from makeweight.budget.measurand import Measurand
from makeweight.budget.metric import METRICS
from makeweight.budget.quantity import BYTES, FRACTION, show
from makeweight.layout import BASELINE
from makeweight.report import larger, prose, remarks
from makeweight.report.comparison import Cell, cell, heading
from makeweight.report.content import Content
from makeweight.report.facts import inputs, step_words
from makeweight.report.figures import Figures
from makeweight.report.measuring import how, machine_line
from makeweight.report.standing import WORDS, named, warnings
from makeweight.report.text import markdown, markdown_code, markdown_prose
from makeweight.report.tried import closeness
from makeweight.report.written import title
from makeweight_base.errors import UsageError

_EVALUATION, _COMPRESSION, _BENCHMARK = (
    tuple(Measurand(metric.name) for metric in METRICS.values() if metric.origin == origin)
    for origin in ("evaluate", "compress", "benchmark")
)


def render(content: Content, variant: str) -> str:
    """The card as Markdown.

    Raises:
        UsageError: there is no such variant, or no manifest of it.
    """
    if variant not in content.manifests:
        raise UsageError(f"no manifest of variant `{variant}` to write a model card from", do="Run `dvc repro`.")
    figures = Figures(content)
    sections = [
        _head(content, variant),
        _details(content, variant),
        _section(
            "Intended use", "the primary uses and users that this model is meant for, and uses that are out of scope."
        ),
        _factors(content, figures, variant),
        _metrics(content, figures, variant),
        _evaluation_data(content, figures, variant),
        _training_data(content, variant),
        _analyses(content, figures, variant),
        _section(
            "Ethical considerations",
            "sensitive data, risks and harms that were considered, and what was done about them.",
        ),
        _caveats(content, figures, variant),
    ]
    return "\n\n".join(sections) + "\n"


def nothing(content: Content) -> str:
    """The card where no variant ships."""
    reason = markdown_prose(prose.sentence(content.verdict.sentence))
    return f"# Model card: {markdown(content.verdict.project)}\n\nNo variant ships, so there is no card. {reason}\n"


def _section(name: str, owner_adds: str, *facts: str) -> str:
    """What is known, a paragraph each, and what the owner has yet to say."""
    return "\n\n".join([f"## {name}", *facts, f"> **To be filled in by the owner:** {owner_adds}"])


def _head(content: Content, variant: str) -> str:
    own = next((each for each in content.verdict.variants if each.variant == variant), None)
    verdict = f" Its verdict: {WORDS[own.verdict]}." if own is not None else ""
    standing = "ships" if content.verdict.ship == variant else "does not ship"
    return (
        f"# Model card: {markdown(content.verdict.project)}, {markdown(variant)}\n\n"
        f"A compressed variant of {markdown(content.verdict.project)}; it {standing}.{verdict} "
        "Figures are set against the uncompressed baseline of the same commit."
    )


def _details(content: Content, variant: str) -> str:
    manifest = content.manifests[variant]
    steps = [" ".join(part for part in step_words(step) if part) for step in manifest.recipe]
    facts = [
        ("Recipe", "; then ".join(steps)),
        ("Runtime", manifest.runtime),
        ("File", ", ".join(f.name for f in manifest.model.files) if manifest.model else f"none: {manifest.reason}"),
        ("Size", show(manifest.size, BYTES) if manifest.size is not None else ""),
        ("sha256", manifest.sha256 or ""),
        ("Made from sha256", manifest.parent or ""),
        ("Answers", closeness(manifest.trial)),
        ("Seed", str(manifest.seed)),
        ("Made with", ", ".join(f"{name} {version}" for name, version in manifest.versions.items())),
        *((name[0].upper() + name[1:], value) for name, value in inputs(content.verdict.provenance)),
    ]
    asked = "who made the model and is responsible for it, its architecture, licence, citation and contact."
    known = "\n".join(f"- {markdown(name)}: {markdown(value)}" for name, value in facts if value)
    return _section("Model details", asked, known)


def _factors(content: Content, figures: Figures, variant: str) -> str:
    slices = dict.fromkeys(str(of.slice) for of in _sliced(figures, variant))
    facts = []
    if slices:
        facts.append(f"Groups that results are broken down by: {', '.join(map(markdown_code, slices))}.")
    if content.classes.get(variant):
        facts.append("Results are broken down by class below.")
    devices = [f"{markdown_code(each.name)} ({markdown(machine_line(each))})" for each in figures.machines.values()]
    if devices:
        facts.append(f"Devices that it was measured on: {', '.join(devices)}.")
    return _section("Factors", "groups, instruments and environments that the model's quality may depend on.", *facts)


def _sliced(figures: Figures, variant: str) -> list[Measurand]:
    groups = {replace(each.measurand, comparison=None) for each in figures if each.variant == variant and each.slice}
    return sorted(groups, key=lambda of: of.name)


def _metrics(content: Content, figures: Figures, variant: str) -> str:
    shown = [of for of in (*_EVALUATION, *_COMPRESSION, *_BENCHMARK) if _measured(figures, of, variant)]
    lines = [f"- {markdown(title(of))}: {markdown(METRICS[of.metric].meaning)}" for of in shown]
    rules = list(dict.fromkeys(named(rule) for rule in content.verdict.of(variant) if rule.limit is not None))
    if rules:
        lines += ["", f"Limits that it is held to: {'; '.join(markdown(rule) for rule in rules)}."]
    return "\n".join(["## Metrics\n", *lines])


def _measured(figures: Figures, of: Measurand, variant: str) -> bool:
    return any(figures.value(of, variant, device) is not None for device in (None, *figures.devices))


def _evaluation_data(content: Content, figures: Figures, variant: str) -> str:
    figure = figures.get(figures.quality, variant)
    facts = []
    if figure is not None and figure.samples:
        facts.append(f"The declared test split: {figure.samples:,} examples, the same for baseline and variant.")
    counts = [f"{markdown(each.name)} {each.examples:,}" for each in content.classes.get(variant, ())]
    if counts:
        facts.append(f"Examples by class: {', '.join(counts)}.")
    asked = "where the test data come from, why they were chosen, and how they were prepared."
    return _section("Evaluation data", asked, *facts)


def _training_data(content: Content, variant: str) -> str:
    """What compressing used; what the baseline was trained on only its owner knows."""
    manifest = content.manifests[variant]
    facts = []
    if manifest.trained:
        facts.append("Compressing trained on the project's declared `train` split.")
    if manifest.calibrated:
        facts.append("Quantizing took its ranges from the project's declared calibration examples.")
    return _section("Training data", "what the baseline was trained on, and how it was chosen.", *facts)


def _analyses(content: Content, figures: Figures, variant: str) -> str:
    parts = ["## Quantitative analyses", _table(figures, variant, [(of, None) for of in (*_EVALUATION, *_COMPRESSION)])]
    held = cell(figures, replace(figures.quality, control=True), variant)
    if held.value:
        reached = f"{heading(figures)} {markdown(held.value)}"
        parts.append(f"The baseline, trained equally and not compressed, reaches {reached}.")
    for device in figures.devices:
        lines = _table(figures, variant, [(of, device) for of in _BENCHMARK])
        line = how(content, figures, device)
        parts += [f"### On {markdown(device)}", lines, *([f"{line[:1].upper()}{line[1:]}."] if line else [])]
    sliced = _sliced(figures, variant)
    if sliced:
        parts += ["### By group", _table(figures, variant, [(of, None) for of in sliced])]
    classes = content.classes.get(variant, ())
    if classes:
        rows = ["| class | examples | baseline | variant |", "|---|--:|--:|--:|"]
        for each in classes:
            before, after = show(each.baseline, FRACTION), show(each.variant, FRACTION)
            rows.append(f"| {markdown(each.name)} | {each.examples:,} | {before} | {after} |")
        parts += ["### By class", "\n".join(rows)]
    return "\n\n".join(part for part in parts if part)


def _table(figures: Figures, variant: str, wanted: list[tuple[Measurand, str | None]]) -> str:
    rows = []
    for of, device in wanted:
        own = cell(figures, of, variant, device)
        base = cell(figures, of, BASELINE, device, beside=variant)
        if figures.get(of, variant, device) is None:
            continue
        value = _with_interval(own) if own.value else f"not measured: {markdown(own.reason)}"
        change = markdown(own.change.words) if own.change is not None else "–"
        change += f" ({markdown(own.change_detail)} fell most)" if own.change is not None and own.change_detail else ""
        rows.append(f"| {markdown(title(of))} | {_with_interval(base) or '–'} | {value} | {change} |")
    if not rows:
        return "Nothing was measured."
    return "\n".join(["| metric | baseline | variant | change |", "|---|--:|--:|---|", *rows])


def _with_interval(shown: Cell) -> str:
    detail = f"({shown.detail})" if shown.detail else ""
    return markdown(" ".join(part for part in (shown.value, shown.interval, detail) if part and shown.value))


def _caveats(content: Content, figures: Figures, variant: str) -> str:
    said = [*prose.waivers(content, variant), *(rule.sentence for rule in warnings(content.verdict, variant))]
    manifest = content.manifests[variant]
    if manifest.batch(None) is not None:
        said.append("Its answers depend on the examples that it is asked for at the same time.")
    said += [
        each for each in (*remarks.remarks(content, figures), *larger.sentences(content)) if prose.code(variant) in each
    ]
    lines = [f"- {markdown_prose(each)}" for each in said]
    missing = [
        f"- {markdown(title(each.measurand))}{f' on {markdown(each.device)}' if each.device else ''} "
        f"was not measured: {markdown(each.reason or '')}"
        for each in figures
        if each.variant == variant
        and each.status == "unavailable"
        and each.comparison is None
        and each.metric in METRICS
        and not each.measurand.is_cell
    ]
    flips = content.flips.get(variant)
    if flips is not None and flips.total:
        examples, are = ("example", "is") if flips.total == 1 else ("examples", "are")
        lines.append(
            f"- {flips.total:,} test {examples} that the baseline has right {are} wrong here; report.html shows them."
        )
    lines += missing
    known = ["\n".join(lines)] if lines else []
    return _section("Caveats and recommendations", "what else a user should know before relying on this model.", *known)
