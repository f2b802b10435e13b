"""docs/techniques.md is what its benchmark writes of what was measured, and of the example as it stands."""

from __future__ import annotations

import json

from techniques import KEPT, PAGE, measured_on, page


def test_the_page_is_what_was_measured() -> None:
    written = page(json.loads(KEPT.read_text(encoding="utf-8")))
    assert PAGE.read_text(encoding="utf-8") == written, "run `python benchmarks/compression/techniques.py --page`"


def test_it_says_what_its_figures_are_of() -> None:
    old, new = {"size": 1}, {"size": 1, "cpu": "a CPU"}
    assert measured_on({"int8": new, "slim": new}) == ["", "Measured on: a CPU."]
    assert measured_on({"int8": old})[1].startswith("All figures are of a processor that was not noted")
    _, noted, _, told = measured_on({"int8": old, "slim": new, "ours, `x`": old})
    assert noted == "Measured on: a CPU."
    assert told.startswith("The figures of `int8`, `ours, x` are of")
