"""A board behind a command of the user's: a program here that prints times which are known."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import timing_programs
from makeweight.bench import probe, sitting
from makeweight.bench.aim import Aim
from makeweight.bench.sitting import Pair
from makeweight.devices import command
from makeweight.devices.command import Command, CommandOptions
from makeweight.devices.device import DeviceFailed
from makeweight.measure.samples import store
from makeweight_base.errors import Exit
from makeweight_base.progress import Silent
from makeweight_probe import alone
from makeweight_probe.job import EnergyJob, FactsJob, MemoryJob, Model

# the time stands in the model; the first of each run is a slow one
TIMES = 'us=$(cat "$1"); echo 99999; run=1; while [ $run -lt $2 ]; do echo $us; run=$((run + 1)); done\n'


def board(run: str, **options: Any) -> Command:
    return Command("orin", CommandOptions(run=run, **{"patience": 30, **options}))


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    store(tmp_path / "inputs.npz", [{"x": np.zeros((1, 4), np.float32)}])
    strange = tmp_path / "it's; touch pwned $(touch pwned) {x}"
    strange.mkdir()
    a, b = (Model("onnxruntime", timing_programs.model(strange / f"{us}.onnx", us), 1) for us in (1500, 900))
    return Pair(a, b, str(tmp_path / "inputs.npz"), free_batch=True)


def test_a_benchmark_by_a_command(pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each arm in turn, each block a process; a folder's strange name is nothing but a name."""
    monkeypatch.chdir(tmp_path)
    tool = timing_programs.program(tmp_path / "time-it", f"{TIMES}[ -f $3/engine ] || exit 9\n")
    built = timing_programs.program(tmp_path / "build", 'echo built >> "$1/engine"\n')
    device = board(
        f"{tool} {{model}} {{runs}} {{folder}}",
        unit="us",
        warm_up=1,
        prepare=f"{built} {{folder}}",
        identify="printf 'Jetson Orin Nano\\nL4T 36.4\\n'",
    )
    taken = sitting.carry_out(device, CommandOptions(run="x {model}", processes=2), pair, Aim((0.7,)), 1, Silent())
    figures = {m.measurand.name: m for m in sitting.measurements(taken, "b", "orin", 1) if m.variant == "b"}
    assert figures["latency_p50_ratio"].value == pytest.approx(0.6)
    assert figures["latency_p99"].value == pytest.approx(900e-6), "the first of each run does not count"
    assert "a process of time-it a block" in figures["latency_p50"].method
    assert figures["peak_memory"].reason == "a command tells times, and no memory"
    assert taken.identity["cpu"] == "Jetson Orin Nano"
    assert taken.identity["board"] == ["Jetson Orin Nano", "L4T 36.4"]
    assert taken.identity["command"][1].endswith("{model} {runs} {folder}")
    assert taken.identity["files"] == {
        str(each): hashlib.sha256(Path(each).read_bytes()).hexdigest() for each in (built, tool)
    }
    engines = [file.read_text() for file in Path(device._kept.name).glob("*/engine")]
    assert engines == ["built\n", "built\n"], "once for each model"
    assert not list(tmp_path.rglob("pwned"))
    energy = probe.run(device, EnergyJob(pair.a, pair.b, pair.inputs, True, None, 1), print)
    assert energy.facts.keys() == {"unavailable"}


def test_models_of_one_graph_with_other_weights_are_prepared_each(pair: Pair, tmp_path: Path) -> None:
    """Else an engine of the baseline's weights would be timed as the variant."""
    built = timing_programs.program(tmp_path / "build", 'cat "$(dirname "$1")/weights/a.bin" > "$2/engine"\n')
    device = board("cat {folder}/engine", prepare=f"{built} {{model}} {{folder}}")
    for name, time_of_it in (("base", 3), ("sparse", 2)):
        (tmp_path / name / "weights").mkdir(parents=True)
        (tmp_path / name / "model.onnx").write_text("the same graph")
        (tmp_path / name / "weights/a.bin").write_text(f"{time_of_it}")
        weights = (str(tmp_path / name / "weights/a.bin"),)
        model = Model("onnxruntime", str(tmp_path / name / "model.onnx"), 1, weights)
        assert device.timer(model, {"x": (1, 4)}).run(1).times == (time_of_it * 1e6,)


def test_places_are_filled_word_by_word(pair: Pair, tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    tool = timing_programs.program(tmp_path / "hear", f'for word in "$@"; do echo "$word"; done > {heard}; echo 1\n')
    probe.run(
        board(f"{tool} --onnx={{model}} 'two words' --shapes={{inputs}} {{{{}}}} -t{{threads}}"),
        MemoryJob(pair.a, pair.inputs, 3),
        print,
    )
    assert heard.read_text().splitlines() == [
        f"--onnx={Path(pair.a.path).absolute()}",
        "two words",
        "--shapes=x:1x4",
        "{}",
        "-t1",
    ]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo '[I] === Performance summary ==='", "line 1 is no time: `[I] === Performance summary ===`"),
        ("true", "it printed no time"),
        ("echo nan", "no time stands in `line 1: nan`"),
        ("echo 1; echo -1", "no time stands in `line 2: -1`"),
        ("echo 0", "line 1 says that an inference took no time"),
        ("echo 'no board on the bus' >&2; exit 3", "ended with exit code 3: no board on the bus"),
        ("kill -9 $$", "ended with signal 9: it said nothing"),
    ],
    ids=["garbage", "nothing", "nan", "negative", "zero", "fails", "killed"],
)
def test_a_command_that_does_not_do_its_work(pair: Pair, tmp_path: Path, script: str, said: str) -> None:
    tool = timing_programs.program(tmp_path / "tool", script)
    with pytest.raises(DeviceFailed) as failed:
        probe.run(board(f"{tool} {{model}}"), MemoryJob(pair.a, pair.inputs), print)
    assert said in str(failed.value)
    assert str(failed.value).startswith("device `orin`: ")
    assert failed.value.exit_code == Exit.ENVIRONMENT


def test_one_that_prints_less_than_its_warm_up(pair: Pair) -> None:
    with pytest.raises(DeviceFailed, match="it printed 1 times, and the first 2 do not count"):
        probe.run(board("sh -c 'echo 1' {model}", warm_up=2), MemoryJob(pair.a, pair.inputs), print)


def test_one_that_hangs_is_ended_with_all_that_it_started(pair: Pair, tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    tool = timing_programs.program(tmp_path / "tool", f"sleep 600 & echo $! > {alive}; wait\n")
    with pytest.raises(DeviceFailed, match=r"has not ended for 1 s\n.*`patience:`"):
        probe.run(board(f"{tool} {{model}}", patience=1), MemoryJob(pair.a, pair.inputs), print)
    for _ in range(500):
        try:
            os.kill(int(alive.read_text()), 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    pytest.fail("what it started goes on")


def test_one_that_cannot_be_started(pair: Pair, tmp_path: Path) -> None:
    job = MemoryJob(pair.a, pair.inputs)
    with pytest.raises(DeviceFailed, match=r"there is no program `no-such-tool` here\n.*`run:`"):
        probe.run(board("no-such-tool {model}"), job, print)
    (tmp_path / "data").write_text("")
    with pytest.raises(DeviceFailed, match=r"data` cannot be started: Permission denied\n.*chmod"):
        probe.run(board(f"{tmp_path / 'data'} {{model}}"), job, print)
    with pytest.raises(DeviceFailed, match="there is no program `no-such-tool` here"):
        probe.run(board("x {model}", identify="no-such-tool"), FactsJob(), print)


def test_two_by_the_same_command_wait_for_each_other_and_leave_no_lock_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "FOUND_BY_ALL", tmp_path)
    said: list[str] = []
    waiting, rest = threading.Event(), time.sleep

    def looks_again(seconds: float) -> None:
        waiting.set()
        rest(0.01)

    monkeypatch.setattr(time, "sleep", looks_again)
    first, other, second = (board(f"{tool} {{model}}") for tool in ("time-it", "another", "time-it"))

    def waits() -> None:
        with second.alone(said.append):
            pass

    with ThreadPoolExecutor(1) as beside:
        with first.alone(said.append), other.alone(said.append):
            asked = beside.submit(waits)
            assert waiting.wait(60)
            assert not asked.done()
        asked.result(60)
    assert said == ["another measurement by `time-it` ran: waited for its end"]
    assert not list(tmp_path.glob("*.lock"))


def test_a_lock_of_a_strangers_is_neither_followed_nor_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who writes to the same folder knows its name, and puts a link there, or holds it."""
    monkeypatch.setattr(command, "FOUND_BY_ALL", tmp_path)
    monkeypatch.setattr(alone, "_LOOK", 0.01)
    device, said, mine = board("time-it {model}", patience=0.1), list[str](), tmp_path / "mine"
    with device.alone(said.append):
        (lock,) = tmp_path.glob("*.lock")
    assert not lock.exists()
    lock.symlink_to(mine)
    with device.alone(said.append):
        assert len(said) == 1
        assert said[0].startswith(f"nothing keeps other measurements from running meanwhile: {lock} cannot be locked")
    assert not mine.exists()
    assert lock.is_symlink(), "what is another's stays"
    lock.unlink()
    with (
        alone.locked(lock, lambda: None),
        pytest.raises(
            DeviceFailed, match=r"device `orin`: another measurement by `time-it` has been running for 0\.1 s"
        ),
        device.alone(said.append),
    ):
        pass


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"run": "trtexec"}, "neither `{model}` nor its `{folder}` stands in it"),
        ({"run": "trtexec {model} {shapes}"}, "`{shapes}` is not known here; in braces there can be {model}, {folder}"),
        ({"run": "trtexec {model!r}"}, "is not known here"),
        ({"run": "trtexec {model.__class__}"}, "is not known here"),
        ({"run": "trtexec '{model}"}, "quotes do not match in it"),
        ({"run": "trtexec {model} }"}, "braces do not match in `}`"),
        ({"run": " "}, "there is no program in it"),
        ({"run": "t {model}", "identify": "t {model}"}, "in braces there can be nothing"),
        ({"run": "t {model}", "unit": "minutes"}, "unit"),
    ],
)
def test_commands_that_cannot_be_called_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError) as refused:
        CommandOptions(**options)
    assert said in str(refused.value)


def test_python_is_a_command_like_any_other(pair: Pair) -> None:
    command = f'{sys.executable} -c "import sys; print(*[2.5] * int(sys.argv[2]), sep=chr(10))" {{model}} {{runs}}'
    device = board(command)
    assert device.timer(pair.a, {"x": (1, 4)}).run(3).times == (2.5e6,) * 3


# what it writes with --exportTimes, as NVIDIA's samples have it; --saveEngine and --loadEngine name the same file
TRTEXEC = """\
for word in "$@"; do
  case "$word" in
    --onnx=*) onnx=${word#*=} ;;
    --saveEngine=*) cat "$onnx" > "${word#*=}"; echo "&&&& PASSED TensorRT.trtexec" ;;
    --loadEngine=*) ms=$(cat "${word#*=}") || exit 1 ;;
    --iterations=*) runs=${word#*=} ;;
    --exportTimes=*) times=${word#*=} ;;
  esac
done
[ -n "$times" ] || exit 0
echo "[I] Latency: min = 1 ms, max = 2 ms, mean = 1.5 ms"
{ echo "["; run=0; sep="  "
  while [ $run -lt $runs ]; do
    printf '%s{ "startEnqMs" : 1.5, "endEnqMs" : 1.75, "computeMs" : 0.5, "d2hMs" : 1e-3, "latencyMs" : %s }\\n' \\
      "$sep" "$ms"
    run=$((run + 1)); sep=", "
  done; echo "]"; } > "$times"
"""


def test_the_example_of_the_docs_reads_what_trtexec_exports(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).resolve().parents[3] / "docs/configuration.md").read_text()
    (script,) = re.findall(r"^```sh file=boards/trt\.sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (example,) = re.findall(r"^```yaml\ndevices:\n  orin:\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    options = yaml.safe_load(example)
    assert options.pop("kind") == "command"
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards/trt.sh").write_text(script)
    timing_programs.program(tmp_path / "trtexec", TRTEXEC)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    device = Command("orin", CommandOptions(**{**options, "identify": None}))
    assert device.timer(pair.b, {"x": (1, 4)}).run(3).times == (900e6,) * 3
