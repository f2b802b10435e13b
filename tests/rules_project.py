"""The reference project as the monitors see it: its own makeweight.yaml, with a made-up reference beside it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from makeweight.project import reading
from makeweight_monitors import reference
from makeweight_monitors.reference import Reference
from makeweight_monitors.rules import declared, generate
from makeweight_monitors.rules.rule import Group, Recording
from makeweight_monitors.rules.terms import Terms

REPOSITORY = Path(__file__).resolve().parent.parent
CANARY = "\ncanary: {traffic: 20 %, false_rollback_rate: 0.001}\n"


def content(variant: str = "int8", shift: int = 0) -> dict[str, Any]:
    """What a reference.json holds: 500 examples in ten bins of confidence; `shift` moves some to the lowest."""
    count = [50 + 9 * shift, *[50 - shift] * 9]
    right = [n - 2 for n in count]
    return {
        "format": 1,
        "model": "digits",
        "variant": variant,
        "task": "classification",
        "examples": sum(count),
        "sha256": "0" * 64,
        "runtime": "onnxruntime",
        "version": "1.20.0",
        "classes": [{"name": str(i), "examples": 50, "predicted": 50, "right": 48} for i in range(10)],
        "confidence": {
            "scores": "softmax",
            "edges": [i / 10 for i in range(11)],
            "count": count,
            "right": right,
            "accuracy": [r / n for r, n in zip(right, count, strict=True)],
            "not_finite": 0,
        },
    }


def digits(more: str = CANARY, replaced: tuple[str, str] = ("", ""), **options: Any) -> tuple[Terms, list[str]]:
    """Terms and notes of the repository's makeweight.yaml, with one text in it replaced and some added."""
    text = (REPOSITORY / "makeweight.yaml").read_text()
    assert replaced[0] in text
    return read(text.replace(*replaced) + more, **options)


def read(text: str, **options: Any) -> tuple[Terms, list[str]]:
    declared_in = reading.understand(text, "makeweight.yaml", REPOSITORY)
    return declared.terms(declared_in, known(), known("baseline", shift=5), **options)


def narrowed(groups: tuple[Group, ...], about: Collection[str]) -> tuple[Group, ...]:
    """The alerts of these names, and what is recorded for them."""
    read = generate.read_by(about, groups)
    kept = (
        tuple(
            rule for rule in group.rules if (rule.record in read if isinstance(rule, Recording) else rule.name in about)
        )
        for group in groups
    )
    return tuple(replace(group, rules=rules) for group, rules in zip(groups, kept, strict=True) if rules)


def known(variant: str = "int8", shift: int = 0) -> Reference:
    return reference.understand(content(variant, shift))


def measured(folder: Path, ships: str | None = "int8") -> Path:
    """The reference project in a folder, as it is once int8 was measured; without a verdict where nothing `ships`."""
    shutil.copy(REPOSITORY / "makeweight.yaml", folder)
    for variant in ("baseline", "int8"):
        path = folder / "reports" / variant / "reference.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(content(variant)))
    if ships is not None:
        (folder / "reports" / "verdict.json").write_text(json.dumps({"ship": ships}))
    return folder
