"""The stages as data, derived from the project."""

from __future__ import annotations

from pathlib import Path

import pytest

from makeweight.pipeline.stages import stages
from makeweight_base.errors import UsageError
from unit.pipeline.conftest import module, onnx


def test_a_model_file_and_npz_files_reach_the_stages_that_read_them() -> None:
    made = stages(onnx("lock"))
    assert made["baseline"]["deps"] == [
        "net.onnx",
        "lock",
        "data/test.npz",
        "data/cal.npz",
        "data/train.npz",
    ]
    # the test split never reaches compression, and the file itself reaches it as artifacts/baseline
    assert made["compress"]["do"]["deps"] == [
        "artifacts/baseline",
        "lock",
        "data/cal.npz",
        "data/train.npz",
    ]
    assert made["evaluate"]["do"]["deps"][-1] == "data/test.npz"
    assert "data/cal.npz" not in made["evaluate"]["do"]["deps"]


def test_a_dependency_is_named_once() -> None:
    made = stages(module("models/base.pt", "digits/", "./digits", "digits"))
    assert made["baseline"]["deps"] == ["models/base.pt", "digits"]


@pytest.mark.parametrize("source", [".", "./", "..", "../..", "reports", "artifacts/", "./samples/x"])
def test_a_source_that_the_pipeline_writes_is_refused(source: str) -> None:
    with pytest.raises(UsageError, match=r"makeweight\.yaml: sources: "):
        stages(module(source))


def test_the_layout_is_the_one_truth_for_places() -> None:
    from makeweight.layout import Layout

    layout = Layout(Path())
    outs = str(stages(module()))
    for path in (
        layout.artifact("${key}"),
        layout.flips("${key}"),
        layout.curves("${key}"),
        layout.timings("${item.variant}", "${item.device}"),
    ):
        assert f"'{path.as_posix()}'" in outs
