"""Facts of any shape (provenance, a device's identity, a recipe) as flat text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def flat(facts: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested facts as pairs of name and text, in their order. What is None is left out."""
    pairs: list[tuple[str, str]] = []
    for key, value in facts.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            pairs += flat(value, f"{name} ")
        elif value is not None and value != []:
            pairs.append((name, worded(value)))
    return pairs


# What a reader may want to hold against their own copy; all the other hashes are in verdict.json.
_INPUTS = {
    "commit": "commit",
    "base": "base",
    "measured_at": "commit that it was measured at",
    "config": "sha256 of makeweight.yaml",
    "test_examples": "sha256 of the test examples",
    "benchmark_inputs": "sha256 of the benchmark's samples",
}


def inputs(provenance: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the whole verdict stands on, by name: not the artifacts' and raw samples' hashes, which are many."""
    return [(name, str(provenance[key])) for key, name in _INPUTS.items() if provenance.get(key)]


def worded(value: Any) -> str:
    """A value as people write it: `yes`, `avx2, fma`, `0.5`, `epochs 2, loss 0.067`."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        known = {key: each for key, each in value.items() if each is not None}
        nested = any(isinstance(each, list | tuple | Mapping) for each in known.values())
        return ("; " if nested else ", ").join(f"{key} {worded(each)}" for key, each in known.items())
    if isinstance(value, list | tuple):
        nested = any(isinstance(each, list | tuple | Mapping) for each in value)
        return ("; " if nested else ", ").join(worded(each) for each in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def counted(counts: Mapping[str, int]) -> str:
    """`6 Conv, 2 Gemm`."""
    return ", ".join(f"{count} {kind}" for kind, count in counts.items())


def step_words(step: Mapping[str, Any] | str) -> tuple[str, str]:
    """A recipe's step: the technique, and its options as `ratio 0.5, rounds 3`."""
    if not isinstance(step, Mapping):
        return str(step), ""
    name, options = next(iter(step.items()), ("", {}))
    pairs = flat(options) if isinstance(options, Mapping) else [("", worded(options))]
    return str(name), ", ".join(f"{key} {value}".strip() for key, value in pairs)
