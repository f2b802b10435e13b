"""Pipelines from end to end with the user's own code: timed, looked at, and told by file and line where it fails."""

import re
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models

from makeweight.bench import pipelines, sitting
from makeweight.bench.aim import Aim
from makeweight.bench.sitting import Pair
from makeweight.config.settings import PipelineSettings
from makeweight.devices.device import DeviceOptions
from makeweight.devices.local import Local
from makeweight.measure import end_to_end, raw, timings
from makeweight.measure.samples import store
from makeweight.user.sources import Sources
from makeweight_base.errors import UsageError
from makeweight_base.progress import Silent
from makeweight_probe import __main__ as probe
from makeweight_probe import users
from makeweight_probe.job import (
    BlocksJob,
    Model,
    Pipeline,
    PipelineJob,
    Port,
    Result,
    StartsJob,
    dump_job,
    load_job,
)
from makeweight_probe.whole import PARTS, Whole

GOOD = """
import numpy as np

def decode(sample):
    return np.frombuffer(sample, np.float32)

def label(outputs):
    return ["cat", "dog", "cow"][int(outputs["scores"].argmax())]

def nearest(outputs, sample):
    return {"first": float(np.frombuffer(sample, np.float32)[0]), "classes": outputs["scores"].shape[1]}
"""
_names = count()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_models.dense(folder / "small.onnx")
    tiny_models.dense(folder / "large.onnx", depth=6, width=512)
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((6, tiny_models.FEATURES)).astype(np.float32)
    store(folder / "inputs.npz", [{"x": row[None]} for row in rows])
    raw.store(folder / "raw.npz", [row.tobytes() for row in rows], [f"{i}.bin" for i in range(len(rows))])
    return folder


@pytest.fixture
def job(models: Path, tmp_path: Path) -> Iterator[Any]:
    """A job with this code around both models, on modules that no other test has loaded."""
    made: list[str] = []

    def of(code: str, before: str = "decode", after: str | None = "label", *, apart: bool = False) -> PipelineJob:
        name = f"own_code_{next(_names)}"
        made.append(name)
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            archive.writestr(f"{name}.py", code)
            archive.writestr("labels.txt", "cat\ndog\ncow\n")
        around = Pipeline(
            str(tmp_path / f"{name}.zip"),
            str(models / "raw.npz"),
            f"{name}:{before}",
            None if after is None else f"{name}:{after}",
            (Port("x", ("N", tiny_models.FEATURES), "float32"),),
            ("scores",),
        )
        small, large = (Model("onnxruntime", str(models / f"{size}.onnx"), 1) for size in ("small", "large"))
        fed = str(models / "inputs.npz")
        turns = BlocksJob(small, large, fed, apart, None, 0.2, (), 1, 0.0, None, None, 1)
        return PipelineJob(turns, around, around)

    yield of
    for name in made:
        sys.modules.pop(name, None)


def failed(result: Result) -> str:
    assert result.samples == {}
    assert result.facts["mistake"] is True
    return str(result.facts["unavailable"])


@pytest.mark.parametrize("apart", [False, True], ids=["in-one-process", "a-process-an-arm"])
def test_the_whole_and_its_parts_are_of_the_same_runs(job: Any, apart: bool) -> None:
    result = probe.run(load_job(dump_job(job(GOOD, apart=apart))))
    for arm in ("a", "b", "control"):
        whole = result.samples[f"wall_{arm}"]
        parts = [result.samples[f"{part}_{arm}"] for part in PARTS]
        assert whole.shape == parts[0].shape == (result.facts["rounds"], result.facts["kept"])
        assert (sum(parts) <= whole).all()
        assert np.median(sum(parts) / whole) > 0.5, "the clock itself is the rest"
    assert np.median(result.samples["model_b"]) > np.median(result.samples["model_a"])
    told = result.facts["answers"]
    assert 1 <= told["samples"] <= 6
    assert len(told["first"]) == 2
    assert told["first"][0] in ('"cat"', '"dog"', '"cow"')
    assert 0 <= told["same"] <= told["samples"]
    assert "unavailable" not in result.facts


def test_what_is_made_of_the_answer_may_see_the_sample(job: Any) -> None:
    told = probe.run(job(GOOD, after="nearest")).facts["answers"]
    assert '"classes": 3' in told["first"][0]
    assert told["same"] is None, "numbers that are no integers have no equal answers that could be counted"


def test_without_postprocess_the_outputs_are_the_answer(job: Any) -> None:
    assert probe.run(job(GOOD, after=None)).facts["answers"]["first"][0].startswith('{"scores": [[')


# What `decode(s)` does or returns, or the whole module, and what is said of it.
WRONG = {
    "raises": ("    return {}['missing']", r"own_code_\d+\.py:4: preprocess raised KeyError: 'missing'"),
    "exits": ("    raise SystemExit(0)", r"own_code_\d+\.py:4: preprocess raised SystemExit: 0"),
    "nothing": ("    ...", r"returns nothing for `x`: return a numpy array"),
    "rank": ("    return np.ones((2, 3, 8), np.float32)", r"returns \[2, 3, 8\] for `x`, which takes \[N, 8\]"),
    "shape": ("    return np.ones(7, np.float32)", r"returns \[7\] for `x`, which takes \[N, 8\]"),
    "type": ("    return np.ones(8)", r"float64 for `x`, which takes float32: end it with `\.astype"),
    "nan": ("    return np.full(8, np.nan, np.float32)", r"makes NaN or infinity of 0\.bin for `x`"),
    "name": ("    return {'y': np.ones(8, np.float32)}", r"returns the inputs y, and the model's are x"),
}
NO_MODULE = {
    "cannot-be-imported": (
        "raise ValueError('no')",
        r"own_code_\d+\.py:1: importing `own_code_\d+` raised ValueError: no",
    ),
    "is-no-python": ("def decode(s:\n", r"own_code_\d+\.py:1: importing `own_code_\d+` raised SyntaxError"),
    "is-not-there": ("def encode(s): ...", r"pipeline\.preprocess: `own_code_\d+` has no `decode`"),
    "no-callable": ("decode = 3", r"is not callable, but of type int"),
}


@pytest.mark.parametrize("case", [*WRONG, *NO_MODULE])
def test_code_that_does_not_do_what_it_should(job: Any, case: str) -> None:
    body, said = (WRONG | NO_MODULE)[case]
    code = f"import numpy as np\ndef label(o): ...\ndef decode(s):\n{body}\n" if case in WRONG else body
    assert re.search(said, failed(probe.run(job(code))))


def test_postprocess_is_told_by_its_line_too(job: Any) -> None:
    code = GOOD + "\ndef broken(outputs):\n    return outputs['logits']\n"
    assert failed(probe.run(job(code, after="broken"))).endswith("postprocess raised KeyError: 'logits'")


def test_it_is_told_from_a_process_of_an_arm_as_well(job: Any) -> None:
    code = "def decode(sample):\n    raise ValueError('not a JPEG')\ndef label(outputs):\n    return 1\n"
    assert failed(probe.run(job(code, apart=True))).endswith(".py:2: preprocess raised ValueError: not a JPEG")


def test_a_package_that_is_not_there_is_named(job: Any) -> None:
    result = probe.run(job(f"import no_such_package.of_ours\n{GOOD}"))
    assert result.facts["lacking"] == ["no_such_package", "preprocess"]
    assert "mistake" not in result.facts
    here = Local("pi5", DeviceOptions())
    told = pipelines.lacking(here, "PIL", "preprocess")
    assert told.startswith("preprocess needs `PIL`, which `pi5` lacks: `")
    assert "-m pip install pillow` there" in told


def test_what_does_not_return_is_given_up(job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "PATIENCE", 0.2)
    code = f"{GOOD}\nimport time\ndef slow(s):\n    try:\n        time.sleep(60)\n    except Exception:\n        pass\n"
    assert failed(probe.run(job(code, before="slow"))) == "preprocess has not returned after 0.2 s"


def test_what_it_prints_and_alters_harms_nobody(job: Any, models: Path, tmp_path: Path) -> None:
    rows = np.ones((2, tiny_models.FEATURES), np.float32)
    raw.store(tmp_path / "arrays.npz", list(rows), ["one", "two"])
    asked = job(
        "import os\ndef decode(sample):\n    print('decoding')\n    os.write(1, b'and how')\n    sample += 1\n"
        "    assert sample[0] == 2, 'it was altered before'\n    return sample\n"
        "def label(outputs):\n    return open('labels.txt').read().split()[0]\n",
        apart=True,
    )
    own = replace(asked.a, raw=str(tmp_path / "arrays.npz"))
    result = probe.run(PipelineJob(asked.blocks, own, own))
    assert result.facts["answers"]["first"] == ['"cat"', '"cat"'], "it runs beside its own files"
    assert result.facts["answers"]["same"] == 2


@pytest.mark.parametrize(
    "made",
    ["dict(enumerate(numbers.tolist()))", "numbers.tolist()", "numbers.reshape(2, 50)", "{'nested': [numbers]}"],
    ids=["mapping", "list", "array", "array within"],
)
def test_answers_of_many_integers_are_told_apart_by_any_of_them(
    made: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"own_code_{next(_names)}"
    (tmp_path / f"{name}.py").write_text(
        f"def decode(sample):\n    return sample\ndef listed(outputs):\n    numbers = outputs['y']\n    return {made}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    raw.store(tmp_path / "raw.npz", [np.zeros(3, np.float32)], ["one"])
    port = Port("x", ("N", 3), "float32")
    around = Pipeline("", str(tmp_path / "raw.npz"), f"{name}:decode", f"{name}:listed", (port,), ("y",))
    few, many, other = np.arange(100, dtype=np.int32), np.arange(100), np.arange(100)
    other[-1] = 7
    told = [
        Whole(lambda _, answer=answer: [answer], around, {"x": np.zeros((1, 3), np.float32)}, tmp_path).checked(0)
        for answer in (few, many, other)
    ]
    assert [each["exact"] for each in told] == [True] * 3
    assert told[0]["digest"] == told[1]["digest"] != told[2]["digest"]


def test_a_module_of_pythons_own_is_found_first(models: Path, tmp_path: Path, job: Any) -> None:
    with zipfile.ZipFile(tmp_path / "shadow.zip", "w") as archive:
        archive.writestr("queue.py", GOOD)
    asked = job(GOOD)
    shadow = replace(asked.a, sources=str(tmp_path / "shadow.zip"), preprocess="queue:decode")
    assert "`queue` is a module of Python's own" in failed(probe.run(PipelineJob(asked.blocks, shadow, shadow)))
    absent = replace(asked.a, preprocess="nowhere:decode")
    told = failed(probe.run(PipelineJob(asked.blocks, absent, absent)))
    assert told.startswith("pipeline.preprocess: there is no module `nowhere` among `sources`")


def test_cold_starts_are_launched_in_turns(models: Path) -> None:
    small, large = (Model("onnxruntime", str(models / f"{size}.onnx"), 1) for size in ("small", "large"))
    asked = StartsJob(small, large, str(models / "inputs.npz"), 2, 0.01, (), 1)
    result = probe.run(load_job(dump_job(asked)))
    count = result.facts["rounds"]
    assert {name: values.shape for name, values in result.samples.items()} == {
        f"start_{arm}": (count,) for arm in ("a", "b", "control")
    }
    assert all((values > 0).all() for values in result.samples.values())


def test_a_sitting_has_all_of_it_and_replays_it(models: Path, tmp_path: Path) -> None:
    """With sources as they are packed, on a device, with code that ends its process as if all were well."""
    (tmp_path / "io_of_ours.py").write_text(GOOD)
    (tmp_path / "leaving.py").write_text("import os\ndef decode(sample):\n    os._exit(0)\n")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__/x.pyc").write_bytes(b"")
    sources = Sources(tmp_path, ("io_of_ours.py", "leaving.py", "."), ("large",))
    assert [str(path) for path in sources.files()] == ["io_of_ours.py", "leaving.py"]
    model = Model("onnxruntime", str(models / "small.onnx"), 1)
    ports = (Port("x", ("N", tiny_models.FEATURES), "float32"),)
    sources.pack(tmp_path / "sources.zip")
    around = Pipeline(
        str(tmp_path / "sources.zip"),
        str(models / "raw.npz"),
        "io_of_ours:decode",
        "io_of_ours:label",
        ports,
        ("scores",),
    )
    pair = Pair(model, model, str(models / "inputs.npz"), free_batch=False, around=(around, around))
    here, options = (
        Local("here", DeviceOptions()),
        DeviceOptions(seconds=30, processes=1),
    )  # it stops when it has enough
    taken = sitting.carry_out(here, options, pair, Aim((), memory=False), 1, Silent())
    timings.write(tmp_path / "local.npz", taken)
    again = timings.read(tmp_path / "local.npz")
    figures = {(m.measurand.name, m.variant): m for m in end_to_end.measure(again, "copy", "here", 1)}
    assert figures == {(m.measurand.name, m.variant): m for m in end_to_end.measure(taken, "copy", "here", 1)}
    p50 = figures["end_to_end_latency_p50", "copy"]
    assert p50.value == pytest.approx(figures["end_to_end_latency_p50", "baseline"].value, rel=0.5)
    shares = [figures[f"{part}_share", "copy"].value or 0 for part in PARTS]
    assert 0.5 < sum(shares) <= 1.05
    assert (figures["same_answers", "copy"].value, figures["same_answers", "copy"].samples) == (1.0, 6)

    gone = replace(pair, around=(replace(around, preprocess="leaving:decode"),) * 2)
    taken = sitting.carry_out(here, options, gone, Aim((), memory=False), 1, Silent())
    assert taken.processes, "what else was measured is kept"
    assert "the process that ran the pipeline ended" in str(end_to_end.failure(taken))
    assert end_to_end.mistake(taken) is None


def test_what_cannot_be_sent_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights.bin").write_bytes(b"x" * 2000)
    monkeypatch.setattr("makeweight.user.sources.MOST", 1000)
    with pytest.raises(UsageError, match=r"weights\.bin"):
        Sources(tmp_path, ("weights.bin",), ()).pack(tmp_path / "sources.zip")


def test_a_variants_own_code_goes_before_the_others() -> None:
    settings = PipelineSettings.model_validate(
        {"preprocess": "io:decode", "postprocess": "io:label", "variants": {"int8": {"preprocess": "io:decode_int8"}}}
    )
    assert settings.around("baseline") == ("io:decode", "io:label")
    assert settings.around("int8") == ("io:decode_int8", "io:label")
