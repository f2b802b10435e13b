"""A matrix as it is declared: what is refused and where, and what DVC runs again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from makeweight.pipeline.stages import stages
from makeweight.project.project import Project
from makeweight.project.reading import understand
from makeweight_base.errors import ConfigError

WRITTEN = """\
name: digits
model: {build: "digits.model:build", weights: base.pt, inputs: {image: [N, 1, 8, 8]}}
sources: [digits/]
data: {load: "digits.data:load"}
variants: {half: {steps: [float16]}}
devices:
  local: {kind: local, matrix: {batch: [1, 8, 32], threads: [1, 2, 4]}}
budget: {size: {max: 1 MB}}
"""


def project(*changes: tuple[str, str]) -> Project:
    text = WRITTEN
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return understand(text, "makeweight.yaml", Path())


def test_it_is_an_option_of_a_device() -> None:
    matrix = project().devices["local"].options.matrix
    assert matrix is not None
    assert (matrix.batch, matrix.threads) == ([1, 8, 32], [1, 2, 4])
    assert project((", matrix: {batch: [1, 8, 32], threads: [1, 2, 4]}", "")).devices["local"].options.matrix is None


BATCH, THREADS, KIND = "batch: [1, 8, 32]", "threads: [1, 2, 4]", "kind: local"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ((f"{{{BATCH}, {THREADS}}}", "{}"), "has `batch`, `threads` or both"),
        ((BATCH, "batch: []"), "at least one entry is wanted here"),
        ((BATCH, "batch: [1, 0]"), "greater than or equal to 1"),
        ((BATCH, "batch: [5000]"), "less than or equal to 4096"),
        ((BATCH, "batch: [1, many]"), "a whole number is wanted here"),
        ((BATCH, "batch: [8, 8]"), "`batch` has a number twice"),
        ((BATCH, "batch: 8"), "a list is wanted here"),
        ((BATCH, f"batch: {[*range(1, 10)]}"), "at most 8"),
        ((BATCH, "bach: [1]"), "did you mean `batch`?"),
        ((THREADS, "threads: [-1]"), "greater than or equal to 1"),
        ((KIND, "kind: local, cpus: [2, 3]"), "4 threads have no room on 2 of `cpus`"),
        ((KIND, "kind: command, run: 'time {model}'"), "`matrix` needs Python on the device"),
        ((KIND, "kind: adb, benchmark: {litert: b}"), "`matrix` needs Python on the device"),
        (("[N, 1, 8, 8]", "[1, 1, 8, 8]"), "by `model.inputs` the model is asked for 1 at once"),
        (("weights: base.pt,", "weights: base.pt, batch: 4,"), "by `model.batch` the model is asked for 4 at once"),
    ],
)
def test_what_cannot_be_is_refused_at_its_line(change: tuple[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        project(change)
    assert said in str(refused.value)
    assert re.search(r"makeweight\.yaml:7\b", str(refused.value))


@pytest.mark.parametrize(
    "changes",
    [
        [(KIND, "kind: adb, python: python3")],
        [(KIND, "kind: ssh, host: pi5")],
        [(BATCH + ", ", "")],
        [(", " + THREADS, "")],
        [("[N, 1, 8, 8]", "[1, 1, 8, 8]"), (BATCH + ", ", "")],
        [("weights: base.pt,", "weights: base.pt, batch: 4,"), (BATCH, "batch: [4]")],
    ],
)
def test_what_can_be_is_taken(changes: list[tuple[str, str]]) -> None:
    assert project(*changes).devices["local"].options.matrix is not None


def test_dvc_measures_again_where_it_changes_and_makes_nothing_anew() -> None:
    """As any option of a device: it is a parameter of what asks the device, and of the benchmarks on it."""
    with_matrix, without = stages(project()), stages(project((", matrix: {batch: [1, 8, 32], threads: [1, 2, 4]}", "")))
    assert with_matrix == without
    reads = {name for name, body in with_matrix.items() if "devices." in str(body.get("do", body).get("params", ""))}
    assert reads == {"device", "benchmark"}
