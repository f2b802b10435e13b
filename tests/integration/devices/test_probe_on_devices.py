"""Jobs of the probe on a device run in a process of their own; one that dies is told, as is a device that is lost."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny_models
from onnx.external_data_helper import set_external_data

import timing_programs
from makeweight.bench import probe, sitting
from makeweight.bench.aim import Aim
from makeweight.bench.probe import JobFailed
from makeweight.bench.sitting import Pair
from makeweight.devices.device import Device, DeviceFailed, DeviceOptions, Ended, GivenUp
from makeweight.devices.local import Local
from makeweight.measure.samples import store
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight_base.errors import Exit
from makeweight_base.progress import Silent
from makeweight_probe.__main__ import LOST, SILENT
from makeweight_probe.job import BlocksJob, MemoryJob, Model

HERE = Local("here", DeviceOptions())
JOB = MemoryJob(Model("onnxruntime", "no-such-model.onnx", 1), "no-such-inputs.npz")


class Elsewhere:
    """A machine that has Python, numpy and the runtime and nothing of ours: files are copied into a folder of its own,
    and what is not there cannot be read."""

    Options = DeviceOptions
    carries_probe = False

    def __init__(self, root: Path) -> None:
        self.name = "elsewhere"
        self.python: Sequence[str] = (sys.executable,)
        self.root = root
        self.commands: list[list[str]] = []

    def put(self, *files: Path) -> str:
        folder = self.root / f"{len(list(self.root.iterdir()))}"
        folder.mkdir()
        for file in files:
            place = folder / file.relative_to(files[0].parent)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
        return str(folder / files[0].name)

    def run(self, command: Sequence[str]) -> Ended:
        self.commands.append(list(command))
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=False)
        return Ended(done.returncode, done.stderr)

    def get(self, there: str, here: Path) -> None:
        shutil.copyfile(there, here)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_models.dense(tmp_path / "small.onnx")
    tiny_models.dense(tmp_path / "large.onnx", depth=6, width=512)
    rng = np.random.default_rng(0)
    feeds = [{"x": rng.standard_normal((1, tiny_models.FEATURES)).astype(np.float32)} for _ in range(12)]
    store(tmp_path / "inputs.npz", feeds)
    (tmp_path / "there").mkdir()
    return tmp_path


def pair(folder: Path, *, apart: bool = False) -> Pair:
    small, large = (Model("onnxruntime", str(folder / f"{name}.onnx"), 1) for name in ("small", "large"))
    return Pair(small, large, str(folder / "inputs.npz"), free_batch=True, apart=apart)


def test_a_device_needs_to_put_run_and_get_and_nothing_else(folder: Path) -> None:
    """The probe itself goes there as one file, and runs from there."""
    device: Device = Elsewhere(folder / "there")
    taken = sitting.carry_out(device, DeviceOptions(seconds=20.0, processes=1), pair(folder), Aim((1.05,)), 1, Silent())
    assert sitting.settled(taken, (1.05,))
    assert len(taken.memory["a"]) == len(taken.memory["b"]) > 0
    assert isinstance(device, Elsewhere)
    sent = {word.partition("=")[2] for words in device.commands for word in words if word.startswith("PYTHONPATH=")}
    assert all(Path(file).parent.parent == folder / "there" for file in sent)
    contents = {Path(file).read_bytes() for file in sent}
    assert len(contents) == 1, "the same bytes each time, so that a device need not be sent them twice"


def test_facts_are_a_job_like_any_other(folder: Path) -> None:
    here, there = (probe.facts(device, print).identity for device in (HERE, Elsewhere(folder / "there")))
    assert here == there, "it is this machine, reached in another way"


def test_arms_in_processes_of_their_own_agree_with_arms_in_one(folder: Path) -> None:
    for apart in (False, True):
        taken = sitting.carry_out(
            HERE,
            DeviceOptions(seconds=20.0, processes=1),
            pair(folder, apart=apart),
            Aim((1.05,), memory=False),
            1,
            Silent(),
        )
        assert taken.where == ("a process an arm" if apart else "in one process")
        assert sitting.ratio_of(taken).above(1.05)


def test_a_probe_that_fails_is_a_failed_device_with_its_last_words() -> None:
    with pytest.raises(DeviceFailed) as failed:
        probe.run(HERE, JOB, print)
    assert failed.value.exit_code == Exit.ENVIRONMENT
    assert "device `here`: the measuring process ended with exit code 1: FileNotFoundError" in str(failed.value)


def test_what_the_probe_cannot_do_is_told_in_its_own_words(folder: Path) -> None:
    job = MemoryJob(Model("onyx", str(folder / "small.onnx"), 1), str(folder / "inputs.npz"))
    with pytest.raises(DeviceFailed, match=r"^device `here`: the probe knows no runtime `onyx` here"):
        probe.run(HERE, job, print)


def test_a_model_of_operators_that_the_runtime_there_lacks_is_told_as_one(folder: Path) -> None:
    """As an older version has it, or another kind of processor where a file was optimised for this one."""
    model = Model("onnxruntime", str(tiny_models.unknown_operator(folder / "unknown.onnx")), 1)
    with pytest.raises(DeviceFailed, match=r"lacks what the model uses: .*FlashFusion.*\n.*without what was optimised"):
        probe.run(HERE, MemoryJob(model, str(folder / "inputs.npz")), print)


def test_a_probe_that_is_killed_is_told_by_its_signal(tmp_path: Path) -> None:
    device = Local("here", DeviceOptions())
    device.python = (str(timing_programs.program(tmp_path / "python", "kill -9 $$\n")),)
    with pytest.raises(DeviceFailed, match=r"ended with signal 9: it said nothing\n.*short of memory"):
        probe.run(device, JOB, print)


@pytest.mark.parametrize(
    ("code", "given_up", "killed"),
    [(SILENT, True, False), (LOST, False, True)],
    ids=["does not answer", "was ended from outside"],
)
def test_an_arm_that_does_not_answer_is_given_up_and_one_that_was_ended_from_outside_is_lost(
    tmp_path: Path, code: int, given_up: bool, killed: bool
) -> None:
    script = f"echo 'this is what became of arm b' >&2\nexit {code}\n"
    device = Local("here", DeviceOptions())
    device.python = (str(timing_programs.program(tmp_path / "python", script)),)
    with pytest.raises(JobFailed, match=r"^device `here`: this is what became of arm b\n") as failed:
        probe.run(device, JOB, print)
    assert (isinstance(failed.value, GivenUp), failed.value.killed) == (given_up, killed)


def test_an_arm_whose_process_cannot_open_its_model_is_told_with_the_arm(folder: Path) -> None:
    given = pair(folder)
    broken = Model("onnxruntime", str(folder / "no-such-model.onnx"), 1)
    job = BlocksJob(given.a, broken, given.inputs, True, None, 3.0, (), 1, 0.0, None, None, 1)
    with pytest.raises(DeviceFailed, match=r"device `here`: the process of arm b ended with exit code 1: .*no-such"):
        probe.run(HERE, job, print)


def test_a_file_of_the_users_named_like_one_of_pythons_does_not_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "queue.py").write_text("raise RuntimeError('this is not the queue you look for')")
    (tmp_path / "numpy.py").write_text("raise RuntimeError('this is not the numpy you look for')")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DeviceFailed, match="FileNotFoundError"):
        probe.run(HERE, JOB, print)


def test_weights_of_one_name_in_two_folders_below_the_model(folder: Path) -> None:
    """Each goes where the model looks for it."""
    given = onnx.load(folder / "small.onnx")
    for tensor, place in zip(given.graph.initializer, ("weights", "other", "weights/more"), strict=True):
        set_external_data(tensor, f"{place}/a.bin")
        (folder / place).mkdir(exist_ok=True)
    onnx.save(given, folder / "model.onnx")
    model = probe.model_of(OnnxRuntime().read(folder / "model.onnx"))
    assert [Path(file).relative_to(folder).as_posix() for file in model.files] == [
        "model.onnx", "other/a.bin", "weights/a.bin", "weights/more/a.bin",
    ]  # fmt: skip
    job = MemoryJob(model, str(folder / "inputs.npz"), 1)
    assert probe.run(Elsewhere(folder / "there"), job, print).facts["run"] > 0
