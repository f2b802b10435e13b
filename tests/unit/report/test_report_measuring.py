"""A device in one line, by its own words or those of a tool chain."""

from typing import Any

import pytest

from makeweight.report.content import Machine
from makeweight.report.measuring import machine_line


@pytest.mark.parametrize(
    ("identity", "told"),
    [
        (
            {"cpu": "Cortex-A76", "isa": ["neon", "avx2"], "runtimes": {"onnxruntime": "1.20"}},
            "avx2 · onnxruntime 1.20",
        ),
        ({"cpu": "Cortex-A76", "isa": 5, "runtimes": ["onnxruntime"], "gpu": "L4"}, "Cortex-A76"),
        ({"cpu": ["Cortex-A76"], "isa": {"avx2": {}}, "gpu": {"name": "L4", "driver": 550}}, "L4 (driver 550)"),
    ],
    ids=["as makeweight writes it", "of other kinds", "of parts that have parts"],
)
def test_what_a_base_says_of_a_device_ends_no_report(identity: dict[str, Any], told: str) -> None:
    """It is read from a commit, in which anybody may have written it."""
    assert told in machine_line(Machine("pi5", identity=identity))
