"""How each model was made, and the file that came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from makeweight.artifact.artifact import Manifest
from makeweight.budget.quantity import BYTES, show
from makeweight.report.comparison import cell, heading
from makeweight.report.content import Content
from makeweight.report.facts import step_words, worded
from makeweight.report.figures import Figures


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
        ("operators", ", ".join(f"{count} {kind}" for kind, count in manifest.operators.items())),
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
