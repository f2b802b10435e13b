"""Throughput over batch sizes and threads of a real model, from the device's entry to what the report says of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_models

from makeweight.bench import sitting
from makeweight.cli import main
from makeweight.measure import timings
from makeweight.measurement import Measurement, keyed, loads

CONFIG = """\
name: dense
model: {onnx: model.onnx}
data: {npz: {test: test.npz}}
task: {kind: classification, absent_classes: allow}
variants:
  half: {steps: [float16]}
devices: {here: {kind: local, processes: 1, seconds: 1, matrix: {batch: [16, 1], threads: [1, 2]}}}
budget: {size: {max: 1 MB}}
"""


@pytest.fixture(scope="module")
def project(short_tails: None, probed_here: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder after a benchmark of a float16 variant of a small perceptron, and the report."""
    folder = tmp_path_factory.mktemp("matrix")
    tiny_models.dense(folder / "model.onnx", width=64)
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((24, tiny_models.FEATURES)).astype(np.float32)
    np.savez(folder / "test.npz", x=rows, target=np.arange(24) % tiny_models.CLASSES)
    (folder / "makeweight.yaml").write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for words in ("baseline", "compress half", "device here", "benchmark half --device here", "report"):
            assert main(words.split()) == 0, words
    return folder


def figures(project: Path) -> list[Measurement]:
    return loads((project / "reports/half/here.json").read_text(), "here.json")


def test_every_cell_is_measured_and_is_what_the_raw_times_say(project: Path) -> None:
    taken = timings.read(project / "samples/half/here.npz")
    raw = {int(each.facts["threads"]): each for each in taken.matrix}
    cells = {
        (m.batch or 0, m.threads or 0, m.variant): m
        for m in figures(project)
        if m.measurand.is_cell and m.comparison is None
    }
    assert set(cells) == {
        (batch, threads, name) for batch in (1, 16) for threads in (1, 2) for name in ("half", "baseline")
    }
    for batch in (1, 16):
        for threads in (1, 2):
            a, b = (np.log(raw[threads].samples[f"batch{batch}_{arm}"]) for arm in "ab")
            own, base = (cells[batch, threads, name].value or 0.0 for name in ("half", "baseline"))
            # the two are one truth with their ratio, pair by pair
            assert own / base == pytest.approx(np.exp(np.median(a - b)))
            assert np.sqrt(own * base) == pytest.approx(batch * 1e9 / np.exp(np.median((a + b) / 2)))
            for figure in (cells[batch, threads, "half"], cells[batch, threads, "baseline"]):
                low, high = figure.interval or (0.0, 0.0)
                assert low <= (figure.value or 0.0) <= high
    assert {m.key for m in figures(project)} == {next(iter(cells.values())).key}


def test_the_figures_replay_from_the_raw_times(project: Path) -> None:
    again = sitting.measurements(timings.read(project / "samples/half/here.npz"), "half", "here", 1)
    listed = figures(project)
    assert keyed(again, str(listed[0].key)) == listed


def test_the_reports_tell_of_it(project: Path) -> None:
    page = (project / "reports/report.html").read_text()
    assert 'id="throughput"' in page
    assert "does most" in page
    comment = (project / "reports/report.md").read_text()
    assert "| half | 2 |" in comment
    verdict = json.loads((project / "reports/verdict.json").read_text())
    assert {(m["batch"], m["threads"]) for m in verdict["measurements"] if m["batch"]} == {
        (batch, threads) for batch in (1, 16) for threads in (1, 2)
    }
