"""An Android device by the real adb, whose other end is a device of paper; programs there tell times that are known."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tiny_models

import adbd
import timing_programs
from file_locks import waited_for
from makeweight.bench import probe, sitting
from makeweight.bench.aim import Aim
from makeweight.bench.sitting import Pair
from makeweight.budget.metric import METRICS
from makeweight.devices.adb import Adb, AdbOptions
from makeweight.devices.device import DeviceFailed
from makeweight.measure.samples import store
from makeweight_base.errors import EnvironmentFailed, Exit, UsageError
from makeweight_base.progress import Silent
from makeweight_probe.job import EnergyJob, FactsJob, MemoryJob, Model

GETPROP = """cat <<'END'
[ro.build.fingerprint]: [google/panther/panther:15/AP4A/1:user/release-keys]
[ro.hardware]: [panther]
[ro.product.cpu.abilist]: [arm64-v8a,armeabi-v7a]
[ro.product.model]: [Pixel 7]
[ro.soc.model]: [GS201]
END"""


@pytest.fixture(scope="module", autouse=True)
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with adbd.serving(tmp_path_factory.mktemp("adb")) as given, pytest.MonkeyPatch.context() as patch:
        for name, value in given.items():
            patch.setenv(name, value)
        patch.delenv("ANDROID_SERIAL", raising=False)
        yield


@pytest.fixture(scope="module")
def phone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[adbd.Device]:
    device = adbd.Device(tmp_path_factory.mktemp("phone"))
    device.has("getprop", GETPROP)
    yield device
    device.vanish()


def at(phone: adbd.Device, **options: object) -> Adb:
    return Adb("pixel", AdbOptions(**{"serial": phone.serial, **options}))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder = tmp_path_factory.mktemp("models")
    store(folder / "inputs.npz", [{"x": np.zeros((1, 4), np.float32)}])
    timing_programs.program(folder / "benchmark_model", timing_programs.BENCHMARK_MODEL)
    a, b = (
        Model("litert", timing_programs.model(folder / f"{name} model.tflite", us), 1, ports=(("x", ("N", 4)),))
        for name, us in (("large", 3000), ("small's", 1200))
    )
    return Pair(a, b, str(folder / "inputs.npz"), free_batch=True)


def program(pair: Pair) -> str:
    return str(Path(pair.inputs).with_name("benchmark_model"))


def kept(phone: adbd.Device) -> Path:
    return phone.files / "makeweight"


def test_files_go_there_side_by_side_once_and_come_back(phone: adbd.Device, tmp_path: Path) -> None:
    model, weights = tmp_path / "a model's.onnx", tmp_path / "weights.bin"
    model.write_bytes(os.urandom(200_000))
    weights.write_bytes(b"\0\xff")
    there = at(phone).put(model, weights)
    lying = phone.place(there)
    assert lying.read_bytes() == model.read_bytes()
    assert lying.with_name("weights.bin").read_bytes() == weights.read_bytes()
    count = len(phone.pushed)
    assert at(phone).put(model, weights) == there
    assert len(phone.pushed) == count, "once for each content"
    at(phone).get(there, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == model.read_bytes()
    assert not list(kept(phone).glob("*.*")), "nothing half-written stays there"


def test_files_below_the_folder_of_the_first_go_there_by_their_paths(phone: adbd.Device, tmp_path: Path) -> None:
    given = [tmp_path / "given" / name for name in ("model.onnx", "weights/a.bin", "other/a.bin")]
    for file in given:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{file.parent.name}/{file.name}")
    lying = phone.place(at(phone).put(*given)).parent
    assert [(lying / file.relative_to(tmp_path / "given")).read_text() for file in given] == [
        "given/model.onnx", "weights/a.bin", "other/a.bin",
    ]  # fmt: skip


def test_how_a_program_ended_there_is_told(phone: adbd.Device) -> None:
    ended = at(phone).run([sys.executable, "-c", "import sys; sys.exit('out of \"breath\" and $HOME')"])
    assert (ended.code, ended.said) == (1, 'out of "breath" and $HOME\n')
    assert at(phone).run(["sh", "-c", "kill -9 $$"]).code == -9
    assert at(phone).run(["sh", "-c", "exit 255"]).code == 255, "what adb says of a lost device, too"


def test_a_benchmark_by_the_runtimes_own_program(phone: adbd.Device, pair: Pair) -> None:
    """Its times are known, so the ratio is: 1200 us by 3000 us."""
    board = at(phone, benchmark={"litert": f"{program(pair)} --use_gpu=true"})
    options = AdbOptions(processes=1, seconds=20)
    taken = sitting.carry_out(board, options, pair, Aim((0.7,)), 1, Silent())
    figures = {each.measurand.name: each for each in sitting.measurements(taken, "small", "pixel", 1) if each.value}
    ratio = figures["latency_p50_ratio"]
    assert ratio.value == pytest.approx(0.4)
    assert ratio.noise_floor == 0
    assert "a process of benchmark_model a block, fed by benchmark_model with random numbers" in ratio.method
    assert taken.identity["cpu"] == "GS201"
    assert taken.identity["runtimes"]["litert"].startswith("benchmark_model ")
    assert taken.identity["runtimes"]["litert"].endswith(" --use_gpu=true"), "another way to call it is another key"
    assert figures["peak_memory_ratio"].value == pytest.approx(0.4)
    for name in ("peak_memory_ratio", "memory_load"):
        assert "benchmark_model: highest resident memory" in figures[name].method
    assert figures["memory_load"].method == figures["peak_memory"].method
    assert phone.pushed.count("benchmark_model") == 1
    absent = {m.metric: m.reason for m in sitting.measurements(taken, "small", "pixel", 1) if not m.value}
    assert absent["latency_p99"] == "benchmark_model tells the mean of a block, which hides the tail"
    assert absent["cpu_time_p50"] == "benchmark_model tells no times of the processor"
    assert absent["throughput"] == "benchmark_model runs one batch"
    assert absent.keys() <= METRICS.keys()


def test_single_inferences_where_a_program_tells_them(phone: adbd.Device, tmp_path: Path, pair: Pair) -> None:
    tool = timing_programs.program(tmp_path / "onnxruntime_perf_test", timing_programs.PERF_TEST)
    a, b = (
        Model("onnxruntime", timing_programs.model(tmp_path / f"{us}.onnx", us), 1, ports=(("x", (1, 4)),))
        for us in (900, 990)
    )
    board = at(phone, benchmark={"onnxruntime": str(tool)})
    asked = Pair(a, b, pair.inputs, free_batch=False)
    taken = sitting.carry_out(board, AdbOptions(processes=1, seconds=20), asked, Aim((1.05,)), 1, Silent())
    figures = {m.measurand.name: m for m in sitting.measurements(taken, "b", "pixel", 1) if m.variant == "b"}
    assert figures["latency_p50_ratio"].value == pytest.approx(991 / 901)
    assert figures["latency_p99"].value == pytest.approx(992e-6)
    assert "tells only the peak" in str(figures["peak_memory"].reason)


def test_libraries_lie_beside_their_program_and_have_names_of_their_own(
    phone: adbd.Device, pair: Pair, tmp_path: Path
) -> None:
    libraries = [tmp_path / place / "libx.so" for place in ("new", "old")]
    for library in libraries:
        library.parent.mkdir()
        library.write_text(library.parent.name)
    one, two = ([str(library) for library in libraries[:count]] for count in (1, 2))
    timer = at(phone, benchmark={"litert": program(pair)}, libraries=one).timer(pair.a, {"x": (1, 4)})
    assert phone.place(timer._binary).with_name("libx.so").read_text() == "new"
    with pytest.raises(UsageError, match=r"several files have the name libx\.so\n.*name each once"):
        at(phone, benchmark={"litert": program(pair)}, libraries=two).timer(pair.a, {"x": (1, 4)})


def test_two_computers_that_time_there_at_once_write_to_different_files(phone: adbd.Device, pair: Pair) -> None:
    """As where the device has no `flock`; and nothing of it stays."""
    timers = [at(phone, benchmark={"litert": program(pair)}).timer(pair.a, {"x": (1, 4)}) for _ in range(2)]
    assert timers[0]._asked.result != timers[1]._asked.result
    assert timers[0].run(3) == timers[1].run(3)
    assert not list(kept(phone).glob("scratch*"))


def test_an_emulator_is_told_and_gives_no_times(phone: adbd.Device, pair: Pair, tmp_path: Path) -> None:
    emulator = adbd.Device(tmp_path / "emulator")
    emulator.has("getprop", "echo '[ro.kernel.qemu]: [1]'")
    board = at(emulator, benchmark={"litert": program(pair)})
    taken = sitting.carry_out(
        board, AdbOptions(processes=1, seconds=0.1), pair, Aim((), memory=False, energy=False), 1, Silent()
    )
    emulator.vanish()
    for figure in sitting.latency.measure(taken, "small", "pixel", 1):
        assert figure.value is None
        assert "emulated" in str(figure.reason)


def test_the_probe_runs_where_there_is_python(phone: adbd.Device, tmp_path: Path) -> None:
    tiny_models.dense(tmp_path / "small.onnx")
    store(tmp_path / "inputs.npz", [{"x": np.zeros((1, tiny_models.FEATURES), np.float32)}])
    job = MemoryJob(Model("onnxruntime", str(tmp_path / "small.onnx"), 1), str(tmp_path / "inputs.npz"), 1)
    folder = str(phone.files / "kept")
    assert probe.run(at(phone, python=sys.executable, folder=folder), job, print).facts["run"] > 0
    with pytest.raises(DeviceFailed, match="there is no `python9` there"):
        probe.run(at(phone, python="python9"), FactsJob(), print)


def test_energy_by_the_battery(phone: adbd.Device, pair: Pair) -> None:
    """This machine's power supplies stand for the phone's: none, so the reason is told."""
    board = at(phone, benchmark={"litert": program(pair)})
    told = probe.run(board, EnergyJob(pair.a, pair.b, pair.inputs, True, None, 1), print).facts
    assert told.keys() == {"unavailable"}
    told = probe.run(board, EnergyJob(pair.a, pair.b, pair.inputs, True, "rapl", 1), print).facts
    assert told["unavailable"] == "without Python there the battery alone can be read, and not `rapl`"
    told = probe.run(board, EnergyJob(pair.a, pair.b, pair.inputs, True, {"kind": "battery"}, 1), print).facts
    assert "without Python" not in told["unavailable"]


def test_one_measurement_at_a_time(phone: adbd.Device) -> None:
    """Another waits; a holder that is killed, or whose computer is, leaves no lock behind."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDS.format(serial=phone.serial)], stdout=subprocess.PIPE, text=True
    )
    said: list[str] = []
    assert holder.stdout
    assert holder.stdout.readline() == "holds\n"

    def waits() -> None:
        with at(phone).alone(said.append):
            pass

    with ThreadPoolExecutor(1) as beside:
        asked = beside.submit(waits)
        while not waited_for(kept(phone) / "lock"):
            assert not asked.done(), asked.result()
            time.sleep(0.02)
        holder.kill()
        holder.wait()
        holder.stdout.close()
        asked.result(60)
    assert said == ["another measurement ran on this device: waited for its end"]


_HOLDS = """
import time
from makeweight.devices.adb import Adb, AdbOptions
with Adb("pixel", AdbOptions(serial="{serial}")).alone(print):
    print("holds", flush=True)
    time.sleep(600)
"""


def test_a_program_that_hangs_is_given_up_and_ended(phone: adbd.Device, tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    with pytest.raises(DeviceFailed, match=r"a program there has not ended for 2 s\n.*`patience:`"):
        at(phone, patience=2).run(["sh", "-c", f"echo $$ > {alive}; exec sleep 600"])
    there = int(alive.read_text())
    for _ in range(500):
        try:
            os.kill(there, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    pytest.fail("the program goes on there")


def test_a_device_that_vanishes_in_the_middle(tmp_path: Path) -> None:
    phone, alive = adbd.Device(tmp_path / "phone"), tmp_path / "alive"
    with ThreadPoolExecutor(1) as beside:
        ran = beside.submit(at(phone).run, ["sh", "-c", f"touch {alive}; exec sleep 600"])
        while not alive.exists():
            assert not ran.done(), ran.result()
            time.sleep(0.02)
        phone.vanish()
        with pytest.raises(DeviceFailed, match=r"it was lost in the middle of a run\n.*run again") as lost:
            ran.result()
    assert lost.value.exit_code == Exit.ENVIRONMENT


def test_a_device_that_cannot_be_reached(phone: adbd.Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at(phone).put(Path(__file__))
    with pytest.raises(DeviceFailed, match=r"there is no device `8A1X`\n.*Mend `serial:`.*`adb devices`") as failed:
        Adb("pixel", AdbOptions(serial="8A1X")).put(Path(__file__))
    assert failed.value.exit_code == Exit.ENVIRONMENT
    with pytest.raises(DeviceFailed, match="nothing there answers adb"):
        Adb("pixel", AdbOptions(serial="127.0.0.1:1")).put(Path(__file__))
    other = adbd.Device(tmp_path / "other")
    at(other).put(Path(__file__))
    with pytest.raises(DeviceFailed, match=r"there are several devices, and which it is is not said\n.*`serial:`"):
        Adb("pixel", AdbOptions()).put(Path(__file__))
    other.vanish()
    shy = adbd.Device(tmp_path / "shy")
    shy.authorized = False
    with pytest.raises(DeviceFailed, match=r"has not allowed this computer to reach it\n.*screen"):
        at(shy).put(Path(__file__))
    shy.vanish()
    monkeypatch.setenv("ADBUTILS_ADB_PATH", "/no/such/adb")
    with pytest.raises(EnvironmentFailed, match=r"`/no/such/adb` cannot be started.*\n.*apt install adb"):
        at(phone).put(Path(__file__))


def test_without_any_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with adbd.serving(tmp_path) as given:
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(DeviceFailed, match=r"there is no Android device\n.*USB debugging"):
            Adb("pixel", AdbOptions()).put(Path(__file__))


def test_a_full_device(phone: adbd.Device, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(os.urandom(100))
    phone.full = True
    try:
        with pytest.raises(DeviceFailed, match=r"model\.onnx cannot be brought there: it is full\n.*Make room"):
            at(phone).put(tmp_path / "model.onnx")
    finally:
        phone.full = False
    assert not list(kept(phone).glob("*.*")), "nothing half-written stays there"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo nonsense", "what `benchmark_model` printed makes no sense: there is no line"),
        ("", "printed makes no sense"),
        (
            "echo 'ERROR: Failed to load model' >&2; exit 1",
            "`benchmark_model` ended with exit code 1: ERROR: F",
        ),
        ("kill -11 $$", r"`benchmark_model` ended with signal 11"),
        (
            'echo \'CANNOT LINK EXECUTABLE "x": library "libc++_shared.so" not found\' >&2; exit 1',
            r"lacks a library there: .*libc\+\+_shared.so.*\n.*`libraries:`",
        ),
        ("echo 'sh: x: not executable: 64-bit ELF file' >&2; exit 126", r"another kind of processor\n.*`arm64-v8a`"),
        ("echo 'sh: x: inaccessible or not found' >&2; exit 127", "cannot be started there.*\n.*Android's build"),
        ("echo 'sh: x: Permission denied' >&2; exit 126", "may not be run there"),
    ],
    ids=["garbage", "nothing", "failed", "crash", "library", "processor", "loader", "noexec"],
)
def test_a_benchmark_program_that_fails(phone: adbd.Device, pair: Pair, tmp_path: Path, script: str, said: str) -> None:
    tool = timing_programs.program(tmp_path / "benchmark_model", script)
    with pytest.raises(DeviceFailed, match=said):
        probe.run(at(phone, benchmark={"litert": str(tool)}), MemoryJob(pair.b, pair.inputs), print)


def test_a_program_for_another_processor_or_none_is_told_before_it_runs(
    phone: adbd.Device, pair: Pair, tmp_path: Path
) -> None:
    tool = tmp_path / "benchmark_model"
    tool.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(11) + (62).to_bytes(2, "little") + bytes(44))
    job = MemoryJob(pair.b, pair.inputs)
    with pytest.raises(DeviceFailed, match=r"made for x86_64, and this device runs arm64-v8a, armeabi-v7a"):
        probe.run(at(phone, benchmark={"litert": str(tool)}), job, print)
    with pytest.raises(UsageError, match=r"no program is declared that times models of litert there\n.*`benchmark: {"):
        probe.run(at(phone), job, print)
    with pytest.raises(UsageError, match="there is no file /no/such"):
        probe.run(at(phone, benchmark={"litert": "/no/such"}), FactsJob(), print)
    long = Model("litert", pair.b.path, 1, ports=(("x", (1, "T")),))
    with pytest.raises(UsageError, match=r"device `pixel`: benchmark_model runs a file at the sizes"):
        probe.run(at(phone, benchmark={"litert": program(pair)}), MemoryJob(long, pair.inputs), print)
