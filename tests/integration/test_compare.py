"""`makeweight compare A B` on real files: the answer, its exit code, and every file that is no model."""

import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from onnx import TensorProto, helper

import probing
from makeweight.bench import sitting
from makeweight.cli import main
from makeweight.compare import likeness
from makeweight.compare.likeness import Likeness
from makeweight.devices.device import DeviceFailed
from makeweight.devices.local import Local
from makeweight.measure import samples
from makeweight.measure.timings import Timings
from makeweight_probe.job import Result


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_models.dense(folder / "small.onnx")
    tiny_models.dense(folder / "large.onnx", depth=8, width=512)
    tiny_models.dense(folder / "one.onnx", batch=1)
    tiny_models.dense(folder / "four.onnx", batch=4)
    tiny_models.dense(folder / "renamed.onnx", name="image")
    _pictures(folder / "wide.onnx")
    _pictures(folder / "wide_last.onnx", last=True)
    tiny_models.speech(folder / "speech.onnx")
    tiny_models.embedding(folder / "words.onnx")
    tiny_models.unknown_operator(folder / "unknown.onnx")
    return folder


def compare(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["compare", *map(str, arguments)])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, said.out, said.err


QUICK = """\
model: {onnx: small.onnx}
data: {npz: {test: test.npz}}
variants: {half: {steps: [float16]}}
devices: {quick: {kind: local, processes: 1, seconds: 20}}
budget: {size: {max: 1 MB}}
"""


@pytest.fixture(scope="module")
def in_one_process(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    """This machine in one process, where it does not matter how many there are; it ends when it is decided."""
    folder = tmp_path_factory.mktemp("quick")
    (folder / "makeweight.yaml").write_text(QUICK)
    return "--device", "quick", "--project", folder


@pytest.fixture
def quick(in_one_process: tuple[object, ...]) -> Iterator[tuple[object, ...]]:
    """And that is this one, where it does not matter which it is."""
    with probing.here():
        yield in_one_process


@pytest.fixture(scope="module")
def with_itself(models: Path) -> dict[str, Any]:
    """What is told of a model beside itself, on this machine."""
    large = str(models / "large.onnx")
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        assert main(["compare", large, large, "--seconds", "5", "--max-ratio", "3", "--json"]) == 0
    assert err.getvalue() == "", "nothing beside the answer"
    told: dict[str, Any] = json.loads(out.getvalue())
    return told


def test_a_much_slower_model_is_over(models: Path, quick: Any, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = compare(capsys, models / "small.onnx", models / "large.onnx", *quick)
    assert code == 1
    assert out.startswith("over: large.onnx takes ")
    assert "at most 1.05x was asked for" in out
    assert "inputs made up" in out


def test_the_same_model_is_within_as_json(models: Path, with_itself: dict[str, Any]) -> None:
    found = with_itself
    assert found["verdict"] == "within"
    assert found["max_ratio"] == 3
    low, high = found["interval"]
    assert low <= found["ratio"] <= high < 3
    assert found["noise_floor"] >= 0
    assert found["pairs"] > 0
    assert found["arms"] == "in one process"
    assert found["b"]["latency_p50"] / found["a"]["latency_p50"] == pytest.approx(found["ratio"])
    assert found["processes"] >= 3
    assert found["a"]["size"] == (models / "large.onnx").stat().st_size
    assert len(found["a"]["sha256"]) == 64
    assert found["device"]["cores"] >= 1


@pytest.mark.parametrize("name", ["one", "four", "speech", "words"])
def test_models_of_every_shape_are_fed(models: Path, quick: Any, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """A fixed batch, integers, inputs that do not begin with the batch, and one without a dimension."""
    code, out, _ = compare(capsys, models / f"{name}.onnx", models / f"{name}.onnx", "--max-ratio", 5, *quick)
    assert code == 0
    assert out.startswith("within: ")


def _pictures(path: Path, *, last: bool = False) -> Path:
    """Pictures of 2 channels as they are, in one layout or the other, and of another name there."""
    names, shape = (["args_0", "args_1"], [1, 8, 8, 2]) if last else (["image", "y"], ["N", 2, 8, 8])
    nodes = [helper.make_node("Identity", names[:1], names[1:])]
    return tiny_models.save(path, nodes, *([tiny_models.value(name, shape)] for name in names))


def test_inputs_and_outputs_of_other_names_and_layouts_are_found(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same pictures go to both, so that an identity answers the same numbers in either layout."""
    undecided(monkeypatch, ratio=0.5, control=1.0, spread=0.001)
    pictures = np.random.default_rng(0).standard_normal((4, 2, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "real.npz", image=pictures)
    told = (models / "wide.onnx", models / "wide_last.onnx", "--inputs", tmp_path / "real.npz")
    code, out, _ = compare(capsys, *told)
    assert code == 0
    assert "its answers beside those of wide.onnx, signal to noise: `y` 200.0 dB\n" in out
    for line in ("`image` is `args_0` by its place", "`image` [N, 2, 8, 8] lies as [1, 8, 8, 2] there"):
        assert f"  {line}\n" in out
    found = json.loads(compare(capsys, *told, "--json")[1])
    assert (found["signal_to_noise"], found["broken"], len(found["matched"])) == ({"y": 200.0}, 0, 4)


def _in_half_precision(path: Path) -> Path:
    """With a float16 input and output, and a batch of four."""
    nodes = [
        helper.make_node("Cast", ["x"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["wide"], ["sum"], keepdims=1),
        helper.make_node("Cast", ["sum"], ["y"], to=TensorProto.FLOAT16),
    ]
    return tiny_models.save(
        path,
        nodes,
        [tiny_models.value("x", [4, tiny_models.FEATURES], TensorProto.FLOAT16)],
        [tiny_models.value("y", [1, 1], TensorProto.FLOAT16)],
    )


def test_float_types_and_a_fixed_batch_may_differ(
    models: Path, tmp_path: Path, quick: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    half = _in_half_precision(tmp_path / "half.onnx")
    code, out, _ = compare(capsys, models / "small.onnx", half, "--max-ratio", 50, *quick)
    assert code == 0
    assert "inputs made up: x [4, 8]" in out


@pytest.mark.parametrize("suffix", ["", "onnx"])
def test_real_samples(
    models: Path, tmp_path: Path, quick: Any, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    np.savez(tmp_path / "real.npz", x=np.ones((10, tiny_models.FEATURES), np.float32), target=np.zeros(10))
    name = "four" if suffix else "small"
    code, out, _ = compare(
        capsys,
        models / f"{name}.onnx",
        models / f"{name}.onnx",
        "--inputs",
        tmp_path / "real.npz",
        "--max-ratio",
        5,
        "--threads",
        2,
        *quick,
    )
    assert code == 0
    assert f"inputs {tmp_path / 'real.npz'}" in out


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"y": np.ones((10, 8))}, "the model's inputs are x, and the data have y"),
        ({"x": np.ones((10, 9))}, "input `x` wants shape [N, 8], and the data have [1, 9]"),
        ({"x": np.ones((0, 8))}, "holds no example"),
        ({"x": np.array(["a"])}, "wants shape [N, 8]"),
        ({"x": np.array([["a"] * 8])}, "input `x` wants float32, and the data are str"),
        ({}, "holds no example"),
        ({"x": np.array(None)}, "cannot be read as .npz: it is none, damaged, or holds Python objects\n  Write plain"),
    ],
)
def test_samples_that_do_not_fit_are_told(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arrays: dict[str, Any], said: str
) -> None:
    np.savez(tmp_path / "real.npz", **arrays)
    code, _, err = compare(
        capsys, models / "small.onnx", models / "small.onnx", "--inputs", tmp_path / "real.npz", "--seconds", 1
    )
    assert code == 2
    assert err.startswith(f"error: {tmp_path / 'real.npz'}: ")
    assert said in err


def test_samples_that_are_no_file_are_told(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = compare(capsys, models / "small.onnx", models / "small.onnx", "--inputs", models / "no.npz")
    assert (code, "no.npz: cannot be read as .npz" in err) == (2, True)


def test_a_file_of_no_runtime_is_told(models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "model.bin"
    other.write_bytes(b"?")
    code, _, err = compare(capsys, models / "small.onnx", other)
    assert (code, f"{other}: no runtime here has files that end so; there is .onnx (onnxruntime)" in err) == (2, True)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ("wide", "small.onnx takes x [N, 8] float32, and wide.onnx takes image [N, 2, 8, 8] float32"),
        ("words", "and words.onnx takes tokens [N, 5] int64"),
    ],
)
def test_models_with_different_inputs_are_not_compared(
    models: Path, capsys: pytest.CaptureFixture[str], other: str, said: str
) -> None:
    code, _, err = compare(capsys, models / "small.onnx", models / f"{other}.onnx")
    assert code == 2
    assert said in err
    assert "Only models with the same inputs can be compared." in err


def test_an_input_without_a_rank_is_fed_as_the_other_model_or_the_user_says(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    undecided(monkeypatch, ratio=0.5, control=1.0, spread=0.001)
    alike(monkeypatch)
    rankless, small = tiny_models.rankless(tmp_path / "rankless.onnx"), models / "small.onnx"
    for pair in ((rankless, small), (small, rankless)):
        assert compare(capsys, *pair)[0] == 0
    code, _, err = compare(capsys, rankless, rankless)
    assert (code, "input `x` has no shape in the file" in err, "`--shape x=1,3,224,224`" in err) == (2, True, True)
    assert compare(capsys, rankless, rankless, "--shape", "x=1,8")[0] == 0
    np.savez(tmp_path / "real.npz", x=np.ones((4, 8), np.float32))
    assert compare(capsys, rankless, rankless, "--inputs", tmp_path / "real.npz")[0] == 0


def test_an_input_that_is_called_as_targets_are_is_fed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    undecided(monkeypatch, ratio=0.5, control=1.0, spread=0.001)
    alike(monkeypatch)
    decoder = tiny_models.dense(tmp_path / "decoder.onnx", name="target")
    np.savez(tmp_path / "real.npz", target=np.ones((4, tiny_models.FEATURES), np.float32))
    assert compare(capsys, decoder, decoder, "--inputs", tmp_path / "real.npz")[0] == 0


def test_a_state_goes_with_each_of_the_examples(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It begins with two layers, and not with the batch."""
    undecided(monkeypatch, ratio=0.5, control=1.0, spread=0.001)
    alike(monkeypatch)
    stored = list[Any]()
    monkeypatch.setattr(samples, "store", lambda _, feeds: stored.append(feeds))
    given = {"sound": np.arange(48.0).reshape(3, 16), "state": np.ones((2, 1, 4)), "rate": np.array(16000)}
    np.savez(tmp_path / "real.npz", **given)
    speech = models / "speech.onnx"
    assert compare(capsys, speech, speech, "--inputs", tmp_path / "real.npz")[0] == 0
    assert [feeds["sound"][0, 0] for feeds in stored[0]] == [0, 16, 32]
    assert all(feeds["state"].shape == (2, 1, 4) and feeds["rate"] == 16000 for feeds in stored[0])


def test_an_output_that_the_second_lacks_is_told(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    undecided(monkeypatch, ratio=0.5, control=1.0, spread=0.001)
    parts = tiny_models.parts(tmp_path / "parts.onnx")
    with probing.here():
        found = json.loads(compare(capsys, parts, models / "small.onnx", "--json")[1])
    assert found["signal_to_noise"]["parts"] is None
    assert found["matched"] == ["no output of small.onnx is `parts`, by name or by place"]


def test_answers_at_random_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    undecided(monkeypatch, ratio=0.5, control=1.0, spread=0.001)
    drawn = tiny_models.drawn(tmp_path / "drawn.onnx")
    with probing.here():
        code, out, _ = compare(capsys, drawn, drawn)
    assert (code, "  `scores` of drawn.onnx is another each time that the same is asked\n" in out) == (0, True)


def test_a_model_that_does_not_run_on_made_up_inputs_asks_for_real_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Word 1 of a vocabulary of one: ONNX Runtime objects when it runs, not when it loads."""
    path = tiny_models.embedding(tmp_path / "one_word.onnx", words=1)
    code, _, err = compare(capsys, path, path, "--seconds", 1)
    assert code == 2
    assert err.startswith(f"error: {path}: the model does not run on made-up inputs: ")
    assert "Give real samples with `--inputs FILE.npz`." in err


def broken_files(folder: Path, whole: bytes) -> dict[str, tuple[bytes | None, str]]:
    return {
        "missing.onnx": (None, "no such file"),
        "cut.onnx": (whole[: len(whole) // 2], "cut short or damaged"),
        "empty.onnx": (b"", "this is an empty file"),
        "text.onnx": (b"hello, I am no model\n" * 20, "this is no ONNX file"),
        "lfs.onnx": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "a Git LFS pointer"),
    }


@pytest.mark.parametrize("name", sorted(broken_files(Path(), b"")))
@pytest.mark.parametrize("first", [True, False], ids=["as A", "as B"])
def test_a_file_that_is_no_model_is_told_by_its_name(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, first: bool
) -> None:
    good = models / "small.onnx"
    content, said = broken_files(tmp_path, good.read_bytes())[name]
    bad = tmp_path / name
    if content is not None:
        bad.write_bytes(content)
    code, out, err = compare(capsys, *((bad, good) if first else (good, bad)))
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {bad}: ")
    assert said in err


def test_a_folder_and_an_unknown_operator_are_told(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = compare(capsys, models, models / "small.onnx")
    assert (code, "this is a folder" in err) == (2, True)
    code, _, err = compare(capsys, models / "unknown.onnx", models / "unknown.onnx")
    assert (code, "FlashFusion" in err) == (2, True)


def test_the_answer_does_not_depend_on_files_of_the_users_folder(
    models: Path,
    tmp_path: Path,
    in_one_process: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "queue.py").write_text("raise RuntimeError('not the queue you look for')")
    monkeypatch.chdir(tmp_path)
    model = models / "small.onnx"
    assert compare(capsys, model, model, "--max-ratio", 5, *in_one_process)[0] == 0


# What cannot be told


def undecided(monkeypatch: pytest.MonkeyPatch, *, ratio: float, control: float, spread: float) -> None:
    """Measured already, in place of running the probe: three processes with exactly these medians, evenly spread."""

    def carry_out(*_: object, **__: object) -> Timings:
        around = np.exp(np.linspace(-spread, spread, 201))[:, None]
        samples = {
            "wall_a": np.full((201, 1), 1e5),
            "wall_b": 1e5 * ratio * around,
            "wall_control": np.full((201, 1), 1e5 * control),
        }
        process = Result(samples, {"rounds": 201, "seconds": 0.1, "inner": 1, "apart": False, "identity": {}})
        return Timings((process,) * 3, {})

    monkeypatch.setattr(sitting, "carry_out", carry_out)


def alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked already, in place of another process."""
    monkeypatch.setattr(likeness, "ask", lambda *_, **__: Likeness({"scores": 200.0}, 0, []))


@pytest.mark.parametrize(
    ("ratio", "control", "spread", "said"),
    [
        (1.06, 1.0, 0.2, "` would likely settle it"),
        (1.06, 1.2, 0.001, "identical models differ by here"),
        (1.0501, 1.0, 0.2, "It would take over an hour"),
    ],
    ids=["more time", "noise floor", "at the limit"],
)
def test_an_open_question_says_what_would_settle_it(
    models: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    ratio: float,
    control: float,
    spread: float,
    said: str,
) -> None:
    undecided(monkeypatch, ratio=ratio, control=control, spread=spread)
    alike(monkeypatch)
    code, out, _ = compare(capsys, models / "small.onnx", models / "small.onnx")
    assert code == 3
    assert out.startswith("inconclusive: ")
    assert said in out
    code, out, _ = compare(capsys, models / "small.onnx", models / "small.onnx", "--json")
    assert code == 3
    needed = json.loads(out)["seconds_needed"]
    assert (needed is not None) == ("likely settle" in said)
    assert needed is None or needed > 10


# On a device of a project

PROJECT = """\
model: {onnx: small.onnx}
data: {npz: {test: test.npz}}
variants: {half: {steps: [float16]}}
devices:
  bench: {kind: local, threads: 2, seconds: 1.5, processes: 2}
budget: {size: {max: 1 MB}}
"""


@pytest.fixture
def declared(tmp_path: Path) -> Path:
    (tmp_path / "makeweight.yaml").write_text(PROJECT)
    return tmp_path


def test_a_declared_device_answers_in_the_same_words(
    models: Path,
    declared: Path,
    with_itself: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, tail = models / "small.onnx", ("--seconds", 5, "--max-ratio", 5, "--json")
    monkeypatch.chdir(declared)
    code, there, err = compare(capsys, model, model, "--device", "bench", *tail)
    assert (code, err) == (0, "")
    assert json.loads(there).keys() == with_itself.keys()
    assert json.loads(there)["device"] == with_itself["device"], "it is this machine, under another name"
    assert json.loads(there)["processes"] == 2


@pytest.mark.parametrize(
    ("asked", "threads", "seconds"),
    [((), 2, 1.5), (("--threads", 1), 1, 1.5), (("--seconds", 3), 2, 3.0)],
    ids=["the device's", "threads", "seconds"],
)
def test_how_it_measures_is_the_devices_unless_it_is_said(
    models: Path,
    declared: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    asked: tuple[Any, ...],
    threads: int,
    seconds: float,
) -> None:
    used: list[Any] = []
    undecided(monkeypatch, ratio=0.5, control=1.0, spread=0.001)
    alike(monkeypatch)
    measured = sitting.carry_out

    def watched(device: Any, options: Any, *rest: Any, **more: Any) -> Timings:
        used.append((device.name, options))
        return measured(device, options, *rest, **more)

    monkeypatch.setattr(sitting, "carry_out", watched)
    model = models / "small.onnx"
    code, _, err = compare(capsys, model, model, "--device", "bench", "--project", declared, *asked)
    assert code == 0
    ((name, options),) = used
    assert (name, options.threads, options.seconds, options.processes) == ("bench", threads, seconds, 2)
    assert err.endswith(" of bench\n")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--device", "bnech"), "no device `bnech` in makeweight.yaml; did you mean `bench`?"),
        (("--device", "bench", "--project", "nowhere"), "nowhere: no such folder"),
        (("--device", "bench", "--project", "empty"), "no makeweight.yaml in "),
        (("--project", "."), "no `--device` is named"),
    ],
)
def test_a_device_that_is_not_declared_is_told(
    models: Path,
    declared: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    asked: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.chdir(declared)
    (declared / "empty").mkdir(exist_ok=True)
    code, out, err = compare(capsys, models / "small.onnx", models / "small.onnx", *asked)
    assert (code, out) == (2, "")
    assert said in err


def test_a_device_that_does_not_answer_is_no_verdict(
    models: Path, declared: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(self: Local, *_: object) -> None:
        raise DeviceFailed("no route to host", where=f"device `{self.name}`")

    monkeypatch.setattr(Local, "run", unreachable)
    model = models / "small.onnx"
    code, out, err = compare(capsys, model, model, "--device", "bench", "--project", declared)
    assert (code, out) == (4, "")
    assert "device `bench`: no route to host" in err


def test_a_gpu_that_is_not_there_is_no_verdict_and_never_the_processor(
    models: Path, declared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = PROJECT.replace("kind: local", "kind: local, execution_provider: cuda")
    (declared / "makeweight.yaml").write_text(text)
    model, on_gpu = models / "small.onnx", ("--device", "bench", "--project", declared)
    code, out, err = compare(capsys, model, model, *on_gpu)
    assert (code, out) == (4, "")
    assert "device `bench`: the runtime `onnxruntime` has no execution provider `cuda` here" in err
    assert "`pip install onnxruntime-gpu`" in err
    code, _, err = compare(capsys, model, models / "small.tflite", *on_gpu)
    assert code == 2
    assert "small.tflite: the runtime `litert` has no `execution_provider: cuda`" in err
