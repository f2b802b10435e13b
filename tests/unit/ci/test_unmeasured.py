"""Of which variants figures of a device are missing, so that they are measured anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from makeweight.ci.unmeasured import unmeasured
from makeweight.measurement import Measurement, unavailable
from makeweight.project.reading import understand

WRITTEN = """\
name: digits
model: {{onnx: net.onnx}}
data: {{load: "digits.data:load"}}
variants: {{half: {{steps: [float16]}}}}
devices: {{local: {{kind: local, threads: 2, {matrix}}}}}
budget: {{size: {{max: 1 MB}}}}
"""
LATENCY = Measurement("latency_p50", "half", "s", 1e-3, device="local")


def cell(batch: int, threads: int) -> Measurement:
    return Measurement("throughput", "half", "1/s", 1e3, device="local", batch=batch, threads=threads)


ABSENT = unavailable(cell(8, 2).measurand, "half", "1/s", "`half` takes batches of 1 alone", device="local")
STALE = cell(8, 2).stale("the model changed")


@pytest.mark.parametrize(
    ("matrix", "known", "due"),
    [
        ("", [], True),
        ("", [LATENCY], False),
        ("matrix: {batch: [1, 8]}", [LATENCY], True),
        ("matrix: {batch: [1, 8]}", [LATENCY, cell(1, 2)], True),
        ("matrix: {batch: [1, 8]}", [LATENCY, cell(1, 2), cell(8, 1)], True),
        ("matrix: {batch: [1, 8]}", [LATENCY, cell(1, 2), cell(8, 2)], False),
        ("matrix: {batch: [1, 8]}", [LATENCY, cell(1, 2), ABSENT], False),
        ("matrix: {batch: [1, 8]}", [LATENCY, cell(1, 2), STALE], True),
        ("matrix: {batch: [1]}", [LATENCY, cell(1, 2), cell(8, 2)], False),
        ("matrix: {threads: [1, 2]}", [LATENCY, cell(4, 1)], True),
        ("matrix: {threads: [1, 2]}", [LATENCY, cell(4, 1), cell(4, 2)], False),
    ],
)
def test_a_cell_of_the_matrix_is_missing_like_any_figure(matrix: str, known: list[Measurement], due: bool) -> None:
    project = understand(WRITTEN.format(matrix=matrix), "makeweight.yaml", Path())
    assert unmeasured(project, "local", known, {}) == (["half"] if due else [])
    assert unmeasured(project, "local", known, {"half": "it could not be made"}) == []
