"""Where variants run on several runtimes: which recipe is on which, and what fell back there."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import combinations

from makeweight.artifact.artifact import Manifest
from makeweight.report.content import Content
from makeweight.report.facts import step_words
from makeweight.report.text import elided

UNCHANGED = "as it is"
_MOST_SHOWN = 100
# What a delegate computes stands under its name, `XNNPACK:CONV_2D`; `aten::argmax` is nobody's.
_DELEGATED = re.compile(r"\w+:[^:]")


def of(content: Content) -> Mapping[str, tuple[str, str]]:
    """By model its recipe in words, whole, so that others have others, and its runtime; none where all are on one
    runtime, which needs no word."""
    manifests = content.manifests
    if len({manifest.runtime for manifest in manifests.values()}) < 2:
        return {}
    return {name: (_recipe(manifest, manifests), manifest.runtime) for name, manifest in manifests.items()}


def shown(recipe: str) -> str:
    """As much of a recipe's words as tables and sentences have room for."""
    return elided(recipe, _MOST_SHOWN)


def grouped(told: Mapping[str, tuple[str, str]], models: list[str]) -> list[str]:
    """Models with those of one recipe beside each other, as the first of them stands.

    Args:
        told: what `of` tells of them; one that it does not know is by itself.
    """
    recipes = {name: told[name][0] if name in told else name for name in models}
    order = [*recipes.values()]
    return sorted(models, key=lambda name: order.index(recipes[name]))


def fallen_back(operators: Mapping[str, int], delegate: str | None) -> dict[str, int]:
    """Those that were left to the runtime's own kernels, by a delegate that took others or none at all; none where
    there is no delegate.

    Args:
        delegate: see `Manifest`.
    """
    delegated = {name for name in operators if _DELEGATED.match(name)}
    there = delegate is not None or delegated  # a manifest of before names none
    return {name: count for name, count in operators.items() if name not in delegated} if there else {}


def _recipe(manifest: Manifest, manifests: Mapping[str, Manifest]) -> str:
    """Its steps' names, with those options in which recipes of the same names differ."""
    if not manifest.recipe:
        return UNCHANGED
    alike = [each.recipe for each in manifests.values() if _names(each) == _names(manifest)]
    words = []
    for place, (name, step) in enumerate(zip(_names(manifest), manifest.recipe, strict=True)):
        options = step.get(name) or {}
        others = [each[place].get(name) or {} for each in alike]
        differing = {
            key: value
            for key, value in options.items()
            if any(_plain(one.get(key)) != _plain(two.get(key)) for one, two in combinations(others, 2))
        }
        said = step_words({name: differing})[1]
        words.append(f"{name} ({said})" if said else name)
    return " + ".join(words)


def _names(manifest: Manifest) -> list[str]:
    return [step_words(step)[0] for step in manifest.recipe]


def _plain(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)
