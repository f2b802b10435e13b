"""docs/noise.md is what its benchmark writes of what was measured, and tells a broken promise."""

from __future__ import annotations

import json
from typing import Any

from decisions import KEPT, PAGE, joined, page

SIZE = {"times": 2, "takes": 0.00046}


def cell(layers: int, over: int, seconds: float = 0.2) -> dict[str, Any]:
    return {
        "where": "local", "load": "idle", "layers": layers, "limit": 1.05,
        "verdicts": {"over": over, "within": 300 - over}, "seconds": [0.1, seconds], "with_start": 1.2,
        "ratio": [0.99, 1.0, 1.01], "stored": {"at_limit": 33, "at_10": 3},
    }  # fmt: skip


def page_of(*cells: dict[str, Any]) -> str:
    machine = {"cpu": "a CPU", "cores": 2, "machine": "x86_64", "runtimes": {"onnxruntime": "1.0"}}
    return page({"trials": 300, "apart": False, "machine": machine, **SIZE, "cells": list(cells)})


def written(*cells: dict[str, Any]) -> list[str]:
    _, by_itself = page_of(*cells).split("Each place and load by itself:")
    return [line for line in by_itself.splitlines() if line.startswith("| local")]


def test_the_page_is_what_was_measured() -> None:
    measured = page(json.loads(KEPT.read_text(encoding="utf-8")))
    assert PAGE.read_text(encoding="utf-8") == measured, "run `python benchmarks/noise/decisions.py --page`"


def test_a_row_tells_shares_and_what_is_broken() -> None:
    kept, alarms, missed, slow = written(cell(20, 3), cell(20, 4), cell(22, 284), cell(24, 300, seconds=2.2))
    assert kept == (
        "| local | idle | identical, limit 5.0% | 1.0% | at most 1% | 99.0% | 0.0% | 11.0% | 1.0% "
        "| 0.10 s, at most 0.20 s | 1.20 s |"
    )
    assert "| 1.3% **broken** | at most 1% |" in alarms
    assert "10% more work, limit 5.0% | 94.7% **broken** | at least 95% |" in missed
    assert "20% more work, limit 5.0% | 100.0% **broken** | at least 99% |" in slow, "it takes longer than is promised"


def test_false_alarms_of_all_rows_are_counted_together() -> None:
    text = page_of(cell(20, 0), cell(20, 3), cell(22, 290))
    # 1.46 %: the upper end of Wilson's interval for 3 of 600, computed apart
    assert "**Of 600 decisions about identical models 3 found the second slower**" in text
    assert "below 1.46%" in text
    assert "Not measured: local one-core, local bursty, ssh idle, ssh one-core, ssh bursty." in text


def test_of_the_finest_limit_nothing_is_promised_beside_bursts() -> None:
    beside_one, beside_all = ({**cell(21, 200), "limit": 1.025, "load": load} for load in ("one-core", "bursty"))
    (broken, told) = written(beside_one, beside_all)
    assert "| 66.7% **broken** | at least 80% |" in broken
    assert "| 66.7% | nothing |" in told


def test_what_is_promised_of_a_place_is_told_over_its_loads_together() -> None:
    text = page_of(cell(24, 300), {**cell(24, 294), "load": "one-core"}, {**cell(24, 200), "load": "bursty"})
    # Wilson's intervals for 594 of 600 and 794 of 900, computed apart
    assert "| local | 20% more work, limit 5.0% | 900 | 88.2% **broken** [86.0%, 90.2%] | at least 99% |" in text
    text = page_of(cell(24, 300), {**cell(24, 294), "load": "one-core"})
    assert "| local | 20% more work, limit 5.0% | 600 | 99.0% [97.8%, 99.5%] | at least 99% |" in text
    assert "| local | one-core | 20% more work, limit 5.0% | 98.0% **broken** |" in text, "it is broken by itself"


def test_parts_of_a_run_are_joined_where_they_were_measured_alike() -> None:
    def run(trials: int, *cells: dict[str, Any]) -> dict[str, Any]:
        return {"trials": trials, "apart": False, "machine": {}, **SIZE, "cells": list(cells)}

    bursty, old, new = {**cell(20, 0), "load": "bursty"}, cell(20, 1), cell(20, 2)
    assert joined(run(300, bursty, old), run(300, new))["cells"] == [new, bursty]
    assert joined(run(30, bursty), run(300, new))["cells"] == [new]
