"""What travels to a device and back: nothing is lost, and a probe of another protocol is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from makeweight_probe import ProbeFailed
from makeweight_probe.job import (
    PROTOCOL,
    AnswersJob,
    BlocksJob,
    Cold,
    FactsJob,
    Job,
    LackingJob,
    MatrixJob,
    MemoryJob,
    Model,
    ProfileJob,
    Result,
    dump_job,
    dump_result,
    load_job,
    load_result,
)

models = st.builds(
    Model,
    st.sampled_from(["onnxruntime", "litert"]),
    st.text(),
    st.integers(1, 64),
    st.lists(st.text(), max_size=2).map(tuple),
    execution_provider=st.sampled_from(["cpu", "cuda"]),
)
seconds = st.floats(0, 3600)
limits = st.lists(seconds, max_size=3).map(tuple)
jobs = st.one_of(
    st.builds(
        BlocksJob,
        a=models,
        b=models,
        inputs=st.text(),
        apart=st.booleans(),
        warming=st.none() | st.tuples(st.integers(1, 99), st.integers(1, 99)),
        seconds=seconds,
        limits=limits,
        target_runs=st.integers(0, 10**6),
        target_seconds=seconds | st.just(float("inf")),
        batch=st.none() | st.integers(1, 64),
        cold=st.none() | st.builds(Cold, limits, st.integers(1, 99), seconds),
        seed=st.integers(0, 2**63),
        outputs=st.booleans(),
    ),
    st.builds(
        MatrixJob,
        a=models,
        b=models,
        inputs=st.text(),
        apart=st.booleans(),
        batches=st.lists(st.integers(1, 4096), min_size=1, max_size=3).map(tuple),
        examples=st.integers(1, 64),
        rounds=st.integers(1, 99),
        seconds=seconds,
        seed=st.integers(0, 2**63),
        inputs_b=st.none() | st.text(),
    ),
    st.builds(MemoryJob, models, st.text(), st.integers(1, 20)),
    st.builds(ProfileJob, st.lists(st.tuples(models, st.text()), min_size=1, max_size=2).map(tuple)),
    st.builds(
        AnswersJob,
        models,
        st.none() | models,
        st.text(),
        st.none() | st.integers(1, 64),
        st.none() | st.integers(0, 9),
        wanted=st.none() | st.text(),
    ),
    st.builds(FactsJob, st.sampled_from(["cpu", "cuda"])),
    st.builds(LackingJob, st.sampled_from(["cpu", "cuda"]), st.sampled_from([None, "rapl", {"kind": "stream"}])),
)


@given(jobs)
def test_a_job_survives_the_journey(job: Job) -> None:
    assert load_job(dump_job(job)) == job


def test_a_job_of_another_protocol_is_refused() -> None:
    data = json.loads(dump_job(MemoryJob(Model("onnxruntime", "m", 1), "i")))
    data["protocol"] = PROTOCOL + 1
    with pytest.raises(ProbeFailed, match=f"speaks protocol {PROTOCOL}, the job {PROTOCOL + 1}; push the probe again"):
        load_job(json.dumps(data))


def test_an_unknown_job_is_refused() -> None:
    with pytest.raises(ProbeFailed, match="unknown job Dance"):
        load_job(json.dumps({"protocol": PROTOCOL, "kind": "Dance"}))


def test_a_job_names_its_files_and_can_be_moved_with_them() -> None:
    """External weights lie beside their model, wherever it goes."""
    large = Model("onnxruntime", "/home/large.onnx", 1, ("/home/large.bin",))
    job = MemoryJob(large, "/home/inputs.npz")
    assert job.files() == (("/home/large.onnx", "/home/large.bin"), ("/home/inputs.npz",))
    moved = job.moved({name: f"/there{name.removeprefix('/home')}" for files in job.files() for name in files})
    assert moved.files() == (("/there/large.onnx", "/there/large.bin"), ("/there/inputs.npz",))
    assert moved.model.threads == 1
    alone = AnswersJob(large, None, "/home/inputs.npz", None, None)
    assert alone.files() == job.files()
    assert replace(alone, reference=Model("onnxruntime", "/home/small.onnx", 1)).files() == (
        ("/home/large.onnx", "/home/large.bin"),
        ("/home/small.onnx",),
        ("/home/inputs.npz",),
    )
    told = replace(alone, wanted="/home/wanted.npz")
    assert told.files() == (*job.files(), ("/home/wanted.npz",))
    there = {name: f"/there{name.removeprefix('/home')}" for files in told.files() for name in files}
    assert told.moved(there).files()[2] == ("/there/wanted.npz",)


def test_a_result_survives_the_journey(tmp_path: Path) -> None:
    samples = {"wall_a": np.array([1.5, 2.5]), "batch_a": np.array([3, 4]), "wall_b": np.zeros(0)}
    facts = {"rounds": 2, "seconds": 0.1, "batch": None, "unavailable": "no µ here"}
    answered = {"0:0": np.array([True]), "0:1": np.array([7], np.int8)}
    dump_result(Result(samples, facts, answered), tmp_path / "result.npz")
    back = load_result(tmp_path / "result.npz")
    assert back.facts == facts
    for there, here in ((back.samples, samples), (back.outputs, answered)):
        assert there.keys() == here.keys()
        for name, values in here.items():
            np.testing.assert_array_equal(there[name], values)
            assert there[name].dtype == values.dtype


def test_a_board_whose_clock_is_not_set_answers_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins in 1970, a year that a zip does not know."""
    monkeypatch.setattr("time.time", lambda: 3600.0)
    dump_result(Result({"wall_a": np.arange(3.0)}, {"rounds": 3}, {"0:0": np.arange(2)}), tmp_path / "result.zip")
    monkeypatch.undo()
    result = load_result(tmp_path / "result.zip")
    assert (result.facts, result.samples["wall_a"].tolist()) == ({"rounds": 3}, [0.0, 1.0, 2.0])
