"""What programs that time models print, as their sources have it and as people have shown it."""

from __future__ import annotations

from pathlib import Path

import pytest

from makeweight.programs import lines
from makeweight.programs.benchmark_model import BenchmarkModel
from makeweight.programs.executor_runner import ExecutorRunner
from makeweight.programs.machine import abi_of, runs_on
from makeweight.programs.perf_test import PerfTest
from makeweight.programs.program import Asked, CannotRun, Garbage

# TensorFlow Lite 2.20 on an Android phone; the line of memory is in MiB
LITERT = """\
INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Min num runs: [5]
INFO: Graph: [model.tflite]
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
INFO: The input model file size (MB): 8.45746
INFO: Initialized session in 143.669ms.
INFO: Running benchmark for at least 1 iterations and at least 0.05 seconds but terminate if exceeding 150 seconds.
INFO: count=2 first=72635 curr=42240 min=42134 max=72635 avg=57437.5 std=4813 p5=42168 median=42430 p95=49447

INFO: Running benchmark for at least 5 iterations and at least 0 seconds but terminate if exceeding 150 seconds.
INFO: count=5 first=42142 curr=42232 min=42142 max=42763 avg=42435.4 std=147 p5=42232 median=42405 p95=42729

INFO: Inference timings in us: Init: 143669, First inference: 72635, Warmup (avg): 57437.5, Inference (avg): 42435.4
INFO: Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE to the actual \
memory footprint of the model at runtime. Take the information at your discretion.
INFO: Memory footprint delta from the start of the tool (MB): init=23.5625 overall=27.5
"""
# the same in 2021, and from milliseconds on the numbers have exponents
LITERT_BEFORE = """\
Initialized session in 18.738ms.
count=6 first=140706 curr=74599 min=74599 max=140706 avg=85791.2 std=24559

count=50 first=74456 curr=74516 min=73909 max=75323 avg=1.04176e+06 std=268

Inference timings in us: Init: 18738, First inference: 140706, Warmup (avg): 85791.2, Inference (avg): 1.04176e+06
Peak memory footprint (MB): init=6.5 overall=64.75
"""
# ONNX Runtime 1.20, with its file of results behind
ORT = """\
Session creation time cost: 0.0183481 s
First inference time cost: 2 ms
Total inference time cost: 0.0028 s
Total inference requests: 3
Average inference time cost: 0.940745 ms
Total inference run time: 0.0029 s
Number of inferences per second: 1062.57
Avg CPU usage: 74 %
Peak working set size: 50905088 bytes
model,0.0009458,50905088,74,0
model,0.00095,50905088,74,1
model,9.6e-04,50905088,74,2
"""
ET = """\
I 00:00:00.000312 executorch:executor_runner.cpp:330] Resetting threadpool with num threads = 1
I 00:00:00.021430 executorch:executor_runner.cpp:512] Model loaded in 1.100000 ms.
I 00:00:00.022430 executorch:executor_runner.cpp:640] Iteration 1 of 3: 9.500000 ms
I 00:00:00.023430 executorch:executor_runner.cpp:640] Iteration 2 of 3: 1.250000 ms
I 00:00:00.024430 executorch:executor_runner.cpp:640] Iteration 3 of 3: 1.300000 ms
I 00:00:00.025430 executorch:executor_runner.cpp:655] Model executed successfully 3 time(s) in 12.050000 ms.
I 00:00:00.025530 executorch:executor_runner.cpp:664] 1 outputs:
OutputX 0: tensor(sizes=[1, 2], [0.1, 0.2])
"""
ET_BEFORE = "I 00:00:00.02 executorch:executor_runner.cpp:298] Model executed successfully 4 time(s) in 10.000000 ms.\n"


def asked(*shape: int | str | None, size: tuple[int, ...] = (), runs: int = 7) -> Asked:
    return Asked("/t/model", 4, runs, "/t/result", {"x": shape}, {"x": size})


def test_benchmark_model_tells_a_mean_and_memory() -> None:
    told = BenchmarkModel().told(LITERT, 5)
    assert told.times == pytest.approx((42435.4e3,))
    assert told.averaged == 5
    assert told.memory == {"load": 24_707_072, "run": 27.5 * 1024 * 1024}
    before = BenchmarkModel().told(LITERT_BEFORE, 50)
    assert before.times == pytest.approx((1.04176e9,))
    assert before.averaged == 50
    assert before.memory == {"load": 6.5 * 1024 * 1024, "run": 64.75 * 1024 * 1024}


def test_perf_test_tells_each_inference() -> None:
    told = PerfTest().told(ORT, 3)
    assert told.times == pytest.approx((945_800.0, 950_000.0, 960_000.0))
    assert (told.averaged, told.memory) == (1, None)
    with pytest.raises(Garbage, match="3 rows for 4 runs"):
        PerfTest().told(ORT, 4)


def test_executor_runner_tells_each_inference_but_the_first_or_in_older_ones_their_mean() -> None:
    assert ExecutorRunner().told(ET, 2).times == pytest.approx((1.25e6, 1.3e6))
    before = ExecutorRunner().told(ET_BEFORE, 3)
    assert before.times == pytest.approx((2.5e6,))
    assert before.averaged == 4


@pytest.mark.parametrize(
    ("program", "printed"),
    [
        (BenchmarkModel(), ""),
        (BenchmarkModel(), "\0\xff garbage"),
        (BenchmarkModel(), LITERT.replace("Inference (avg): 42435.4", "Inference (avg): nan")),
        (BenchmarkModel(), LITERT.replace("overall=27.5", "overall=inf")),
        (BenchmarkModel(), LITERT.replace("Inference (avg): 42435.4", "Inference (avg): -3")),
        (BenchmarkModel(), LITERT.replace("Inference (avg): 42435.4", "Inference (avg): fast")),
        (PerfTest(), ORT.partition("model,")[0]),
        (PerfTest(), ORT.replace("0.00095", "inf")),
        (PerfTest(), ORT.replace("0.00095", "1.2.3")),
        (ExecutorRunner(), ET.replace("Model executed successfully", "Model failed")),
        (ExecutorRunner(), ET.replace("1.300000 ms", "nan ms")),
        (ExecutorRunner(), ET.replace("1.300000 ms", "1.3.0 ms")),
    ],
)
def test_what_makes_no_sense_is_garbage(program: BenchmarkModel | PerfTest | ExecutorRunner, printed: str) -> None:
    with pytest.raises(Garbage):
        program.told(printed, 3)


def test_how_programs_are_called() -> None:
    fixed = asked(1, 3, size=(1, 3))
    assert BenchmarkModel().words("/t/bm", fixed) == [
        "/t/bm", "--graph=/t/model", "--num_threads=4", "--num_runs=7", "--min_secs=0", "--warmup_runs=1",
        "--warmup_min_secs=0.05",
    ]  # fmt: skip
    assert PerfTest().words("/t/pt", fixed) == [
        "/t/pt", "-I", "-m", "times", "-r", "7", "-x", "4", "-y", "1", "/t/model", "/t/result",
    ]  # fmt: skip
    assert ExecutorRunner().words("/t/er", fixed) == [
        "/t/er", "--model_path=/t/model", "--num_executions=8", "--cpu_threads=4",
    ]  # fmt: skip


def test_sizes_that_a_file_leaves_free_are_told_or_refused() -> None:
    """A free size that is 1 is what programs take by themselves."""
    one, long = asked("N", 3, size=(1, 3)), asked("N", "T", size=(1, 16))
    assert BenchmarkModel().words("b", one)
    assert "-f" not in PerfTest().words("p", one)
    assert PerfTest().words("p", long)[10:12] == ["-f", "T:16"]
    assert ExecutorRunner().words("e", long)[-1] == "--input_shapes=1x16"
    with pytest.raises(CannotRun, match="`x` is to have 16 where the file leaves the size free"):
        BenchmarkModel().words("b", long)
    with pytest.raises(CannotRun, match="a size of `x` is to be 16, and the file leaves it free without a name"):
        PerfTest().words("p", asked(1, None, size=(1, 16)))


def test_a_time_a_line() -> None:
    assert lines.times("1.5\n\n 2e-1 \n", "ms", 0).times == pytest.approx((1.5e6, 2e5))
    assert lines.times("9\n1\n2\n", "us", 1).times == (1e3, 2e3)
    for printed, said in (
        ("", "it printed no time"),
        ("\n \n", "it printed no time"),
        ("1\ndone\n", "line 2 is no time: `done`"),
        ("1\nnan\n", "no time stands in `line 2: nan`"),
        ("1\ninf\n", "no time stands in `line 2: inf`"),
        ("1\n-2\n", "no time stands in `line 2: -2`"),
        ("0\n", "line 1 says that an inference took no time"),
        ("1\n2\n", "it printed 2 times, and the first 2 do not count"),
        ("\x1b[31mred\n", r"line 1 is no time: `\?\[31mred`"),
    ):
        with pytest.raises(Garbage, match=said):
            lines.times(printed, "ms", 2 if "count" in said else 0)


@pytest.mark.parametrize(
    ("printed", "unit", "step"),
    [("3\n12\n", "s", 1e9), ("1.5\n2\n2.25\n", "ms", 1e4), ("1e-3\n", "us", 1.0), (" 2.50 \n", "ns", 0.01)],
    ids=["whole", "the finest of them", "an exponent", "noughts at the end"],
)
def test_the_step_of_times_is_the_last_place_that_they_have(printed: str, unit: lines.Unit, step: float) -> None:
    assert lines.times(printed, unit, 0).step == pytest.approx(step)


def test_which_processor_a_program_is_made_for(tmp_path: Path) -> None:
    program = tmp_path / "program"
    for machine, abi in ((183, "arm64-v8a"), (40, "armeabi-v7a"), (62, "x86_64"), (8, "ELF machine 8")):
        program.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(11) + machine.to_bytes(2, "little") + bytes(44))
        assert abi_of(program) == abi
    program.write_bytes(b"\x7fELF\x01\x02\x01" + bytes(11) + (40).to_bytes(2, "big"))
    assert abi_of(program) == "armeabi-v7a"
    for content in (b"#!/bin/sh\n", b"\x7fELF", b""):
        program.write_bytes(content)
        assert abi_of(program) is None
    assert runs_on("armeabi-v7a", ["armeabi"])
    assert runs_on("arm64-v8a", ["arm64-v8a", "armeabi-v7a"])
    assert not runs_on("x86_64", ["arm64-v8a"])
