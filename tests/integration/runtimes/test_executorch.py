"""A module as ExecuTorch's programs: what lies in them is looked at byte by byte, and what they answer held against
numpy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_once import made_once
from makeweight.advise import timing
from makeweight.artifact.feeds import fit
from makeweight.artifact.model import Model
from makeweight.artifact.ports import Feeds, Port
from makeweight.cli import main
from makeweight.config.settings import ModelSettings
from makeweight.runtimes.executorch import xnnpack
from makeweight.runtimes.executorch.program import read
from makeweight.runtimes.executorch.runtime import Executorch
from makeweight.runtimes.format import FLOAT32, Format, Numbers
from makeweight.runtimes.runtime import Program
from makeweight.user.ports import as_declared
from makeweight_base.errors import UsageError
from makeweight_base.quiet import quiet
from makeweight_probe.answering import answering
from makeweight_probe.flatbuffer import root
from makeweight_probe.sessions.executorch import _array, bookkeeping, open_profiled, writes_to_buffers

pytestmark = pytest.mark.long

CHANNELS, HIDDEN, CLASSES, SIDE = 3, 16, 5, 4
WORDS, LONGEST = 30, 40
STATIC = Format(Numbers("int8", "channel"), Numbers("int8"), "static", "minmax", exceptions=(("head", FLOAT32),))


@dataclass(frozen=True)
class Lowered:
    """The programs, and the weights that they were made of."""

    folder: Path
    weights: dict[str, Any]

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.pte"

    def model(self, name: str) -> Model:
        return Executorch().read(self.path(name))


def pictures(count: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal((count, CHANNELS, SIDE, SIDE), np.float32)


def sentences(count: int, length: int) -> Feeds:
    """Words, of which the first one's sentence has half."""
    mask = np.ones((count, length), np.int64)
    mask[0, length // 2 + 1 :] = 0
    return {"words": np.random.default_rng(length).integers(0, WORDS, (count, length)), "mask": mask}


def expected(weights: dict[str, Any], images: Any) -> Any:
    """A convolution of single pixels, ReLU, and a linear layer, in numpy."""
    mixed = np.einsum("oc,nchw->nohw", weights["mix.weight"][:, :, 0, 0], images)
    hidden = np.maximum(mixed + weights["mix.bias"][:, None, None], 0).reshape(len(images), -1)
    return hidden @ weights["head.weight"].T + weights["head.bias"]


class Calibration:
    def feeds(self, size: int) -> Iterator[Feeds]:
        for begin in range(0, 64, size):
            yield {"image": pictures(64)[begin : begin + size]}


def _lower(folder: Path) -> None:
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix, self.head = nn.Conv2d(CHANNELS, HIDDEN, 1), nn.Linear(HIDDEN * SIDE * SIDE, CLASSES)

        def forward(self, image: Any) -> Any:
            return self.head(torch.relu(self.mix(image)).flatten(1))

    torch.manual_seed(0)
    net = Net().eval()
    np.savez(folder / "weights.npz", **{name: values.numpy() for name, values in net.state_dict().items()})
    source = Program(net, {"image": ("N", CHANNELS, SIDE, SIDE)}, {"image": pictures(4)})

    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(WORDS, CLASSES)

        def forward(self, words: Any, mask: Any) -> Any:
            counting = mask.float()[..., None]
            return (self.words(words) * counting).sum(1) / counting.sum(1)

    words = Words().eval()
    np.save(folder / "words.npy", words.words.weight.detach().numpy())
    runtime = Executorch()
    shapes = {"words": ("N", "T"), "mask": ("N", "T")}
    free = Program(words, shapes, sentences(4, 7), largest={"T": LONGEST})
    made = runtime.lower(free, FLOAT32, None, folder / "words.pte")
    (folder / "words.json").write_text(json.dumps([list(port.shape) for port in (*made.inputs, *made.outputs)]))
    runtime.lower(source, FLOAT32, None, folder / "float.pte")
    _sum_so_far(folder / "sums.pte")
    for name in ("static", "again"):
        runtime.lower(source, STATIC, Calibration(), folder / f"{name}.pte")
    normal = nn.Sequential(nn.Conv2d(CHANNELS, HIDDEN, 1), nn.BatchNorm2d(HIDDEN), nn.ReLU()).eval()
    simulated = runtime.integers(
        replace(source, module=normal), replace(STATIC, ranges="learned", exceptions=()), Calibration()
    )
    (folder / "integers.json").write_text(json.dumps(asdict(simulated)))


def _sum_so_far(path: Path) -> None:
    """As somebody else exports a module that keeps a state: here of all that it was asked, the sum."""
    import torch
    from executorch.exir import to_edge
    from torch import nn

    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("sum", torch.zeros(1, 1))

        def forward(self, x: Any) -> Any:
            self.sum.add_(x)
            return self.sum * 1

    with quiet():
        path.write_bytes(bytes(to_edge(torch.export.export(Sum(), (torch.ones(1, 1),))).to_executorch().buffer))


@pytest.fixture(scope="session")
def lowered(tmp_path_factory: pytest.TempPathFactory) -> Lowered:
    folder = made_once(tmp_path_factory, "executorch", _lower)
    with np.load(folder / "weights.npz") as data:
        return Lowered(folder, dict(data))


@pytest.mark.parametrize("length", [1, 5, 18, LONGEST])
def test_another_size_may_be_free_up_to_what_is_declared(lowered: Lowered, length: int) -> None:
    """With a batch of one, since XNNPACK reshapes with one free size alone."""
    assert json.loads((lowered.folder / "words.json").read_text()) == [[1, "T"], [1, "T"], [1, CLASSES]]
    given = sentences(1, length)
    (answers,) = Executorch().open(lowered.model("words")).run(given)
    table = np.load(lowered.folder / "words.npy")
    wanted = [table[row[mask > 0]].mean(0) for row, mask in zip(given["words"], given["mask"], strict=True)]
    np.testing.assert_allclose(answers, wanted, atol=1e-5)


def test_more_than_is_declared_is_refused_in_words(lowered: Lowered) -> None:
    with pytest.raises(RuntimeError, match=rf"a free size up to that, and is fed with int64 \[1, {LONGEST + 1}\]"):
        Executorch().open(lowered.model("words")).run(sentences(1, LONGEST + 1))


def test_a_size_whose_largest_nobody_says_is_refused(tmp_path: Path) -> None:
    from torch import nn

    source = Program(nn.Embedding(WORDS, 2), {"words": ("N", "T")}, {"words": sentences(2, 3)["words"]})
    with pytest.raises(UsageError, match=r"`T` of input `words` cannot be free[\s\S]*model\.largest: \{T: ."):
        Executorch().lower(source, FLOAT32, None, tmp_path / "words.pte")


@pytest.mark.parametrize("count", [1, 3, 64])
def test_answers_are_those_of_the_module_in_any_batch(lowered: Lowered, count: int) -> None:
    images = pictures(count, seed=1)
    (answers,) = Executorch().open(lowered.model("float")).run({"image": images})
    np.testing.assert_allclose(answers, expected(lowered.weights, images), atol=1e-5)


def test_an_answer_does_not_depend_on_what_was_asked_before(lowered: Lowered) -> None:
    session = Executorch().open(lowered.model("sums"))
    two, three = ({"input": np.full((1, 1), value, np.float32)} for value in (2, 3))
    assert [session.run(each)[0].item() for each in (two, three)] == [2, 5], "it keeps a state where it is timed"
    ask = answering(session)
    assert [ask(each)[0].item() for each in (two, three, two)] == [2, 3, 2]
    assert not writes_to_buffers(lowered.path("float").read_bytes()), "what keeps none is not loaded anew each time"


def test_of_a_program_alone_its_user_says_which_size_is_free(lowered: Lowered) -> None:
    def declared(size: int | str) -> Model:
        settings = {"pte": "words.pte", "inputs": {"input": [1, size], "input_1": [1, size]}}
        return as_declared(lowered.model("words"), ModelSettings.model_validate(settings))

    model = declared("T")
    assert [(port.shape, port.bounded) for port in model.inputs] == [((1, "T"), False)] * 2
    given = sentences(1, 5)
    fed = fit(model.inputs, {"input": given["words"], "input_1": given["mask"]})
    (answers,) = Executorch().open(model).run(fed)
    table = np.load(lowered.folder / "words.npy")
    np.testing.assert_allclose(answers, [table[given["words"][0][given["mask"][0] > 0]].mean(0)], atol=1e-5)
    with pytest.raises(UsageError, match="is declared as"):
        declared(LONGEST + 1)


def test_answers_in_bfloat16_are_had_in_single_precision() -> None:
    import torch

    answer = _array(torch.tensor([[1.5, -0.25]], dtype=torch.bfloat16))
    assert (answer.dtype.name, answer.tolist()) == ("float32", [[1.5, -0.25]])


def test_int8_answers_are_near_those_of_the_module(lowered: Lowered) -> None:
    images = pictures(64)
    (answers,) = Executorch().open(lowered.model("static")).run({"image": images})
    wanted = expected(lowered.weights, images)
    noise = 10 * np.log10(np.square(wanted).sum() / np.square(wanted - answers).sum())
    assert 25 < noise < 60


def test_int8_weights_lie_in_the_program_rounded_by_channel(lowered: Lowered) -> None:
    weights = lowered.weights["mix.weight"]
    scales = np.abs(weights).max(axis=(1, 2, 3), keepdims=True) / 127
    assert np.round(weights / scales).astype(np.int8).tobytes() in lowered.path("static").read_bytes()


def test_a_layer_that_is_excluded_stays_in_float(lowered: Lowered) -> None:
    head = lowered.weights["head.weight"].tobytes()
    assert head in lowered.path("static").read_bytes()
    facts = Executorch().inspect(lowered.model("static"))
    assert (facts.quantized, facts.floating) == (1, 1)


def test_what_a_training_simulates_is_what_is_folded(lowered: Lowered) -> None:
    told = json.loads((lowered.folder / "integers.json").read_text())
    assert told["products"] == {"1/batch_norm": True}
    assert told["calls"] == {"input:1": "input:1", "2/relu": "2/relu"}
    images = pictures(64)
    step = float(images.max() - images.min()) / 255
    assert told["ranges"]["input:1"]["lowest"] == pytest.approx(images.min(), abs=step)
    assert told["ranges"]["input:1"]["highest"] == pytest.approx(images.max(), abs=step)
    assert told["ranges"]["2/relu"]["lowest"] == 0


def test_a_profile_tells_what_the_delegate_runs_in_integers(lowered: Lowered) -> None:
    """Of the int8 program the convolution of single pixels, and not the head, which was left in float: two parts, each
    in a call of the delegate. Integers come of a conversion, and are turned back by one."""
    session = open_profiled(str(lowered.path("static")), 1)
    for count in (1, 3):
        session.run({"image": pictures(count)})
    spans = session.spans()
    assert len(spans) == 2
    for each in spans:
        ran = [(span.kind, span.ran) for span in each if span.kind in ("Fully Connected", "Convert")]
        assert sorted(set(ran)) == [
            ("Convert", "conversion"),
            ("Fully Connected", "float"),
            ("Fully Connected", "integer"),
        ]
        assert len({span.name for span in each}) == len(each)
        calls = [span for span in each if span.kind == "DELEGATE_CALL"]
        for inner in (span for span in each if span.kind != "DELEGATE_CALL"):
            assert any(call.start <= inner.start <= call.start + call.ns for call in calls), inner


def test_two_lowerings_give_the_same_bytes(lowered: Lowered) -> None:
    assert lowered.path("static").read_bytes() == lowered.path("again").read_bytes()


def test_what_a_program_holds_is_counted(lowered: Lowered) -> None:
    facts = Executorch().inspect(lowered.model("float"))
    assert facts.parameters == sum(values.size for values in lowered.weights.values())
    assert facts.macs == SIDE * SIDE * CHANNELS * HIDDEN + HIDDEN * SIDE * SIDE * CLASSES
    assert (facts.quantized, facts.floating) == (0, 2)
    delegated = {name: count for name, count in facts.operators.items() if name.startswith("XnnpackBackend:")}
    assert delegated["XnnpackBackend:Conv2d"] == delegated["XnnpackBackend:FullyConnected"] == 1
    # that the batch is free takes asking for its size and a view, which no delegate could take over
    assert {*read(lowered.path("float")).kernels} >= {"aten::sym_size.int", "executorch_prim::et_view.default"}
    assert facts.operators == delegated


def test_an_operator_of_a_newer_delegate_leaves_what_multiplies_unknown(lowered: Lowered, tmp_path: Path) -> None:
    parts = [each.data for each in read(lowered.path("float")).delegates]
    held = next(data for data in parts if "Conv2d" in xnnpack.read(data).operators)
    nodes = root(held, int.from_bytes(held[10:14], "little")).tables(1)
    kinds = xnnpack.read(held).operators
    place = nodes[kinds.index("Conv2d")]._field(0)
    assert place is not None
    newer = held[:place] + b"\xc8" + held[place + 1 :]
    assert xnnpack.read(newer).operators[kinds.index("Conv2d")] == "operator 200"
    (tmp_path / "newer.pte").write_bytes(lowered.path("float").read_bytes().replace(held, newer))
    facts = Executorch().inspect(Executorch().read(tmp_path / "newer.pte"))
    assert facts.operators["XnnpackBackend:operator 200"] == 1
    assert (facts.macs, facts.quantized, facts.floating) == (None, None, None)
    assert facts.parameters == sum(values.size for values in lowered.weights.values())


@pytest.mark.parametrize(
    ("kernel", "is_so"),
    [
        ("aten::sym_size.int", True), ("executorch_prim::mul.Scalar", True), ("aten::mul.Scalar", False),
        ("executorch_prim::et_copy_index.tensor", False), ("aten::view_copy.out", False),
    ],
)  # fmt: skip
def test_which_kernels_only_hand_sizes_and_views_on(kernel: str, is_so: bool) -> None:
    assert bookkeeping(kernel) == is_so


def test_a_program_tells_ports_by_their_places(lowered: Lowered) -> None:
    model = lowered.model("float")
    assert model.inputs == (Port("input", (None, CHANNELS, SIDE, SIDE), "float32", bounded=True),)
    assert model.outputs == (Port("output", (None, CLASSES), "float32"),)
    assert model.size == lowered.path("float").stat().st_size


@pytest.mark.parametrize("part", [0, 0.0001, 0.01, 0.1, 0.5, 0.999], ids=str)
def test_a_program_that_is_cut_short_is_refused(lowered: Lowered, tmp_path: Path, part: float) -> None:
    whole, cut = lowered.path("static").read_bytes(), tmp_path / "cut.pte"
    cut.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(UsageError, match=r"empty|no ExecuTorch file|cut short"):
        Executorch().read(cut)


def test_a_sound_program_that_cannot_be_fed_with_arrays_is_told_for_that(lowered: Lowered, tmp_path: Path) -> None:
    whole = lowered.path("float").read_bytes()
    (tmp_path / "other.pte").write_bytes(whole.replace(b"forward", b"prefill"))
    with pytest.raises(UsageError, match=r"no method `forward`; it has `prefill`"):
        Executorch().read(tmp_path / "other.pte")
    plan = root(whole).tables(1)[0]
    kind = plan.tables(2)[plan.numbers(3, "i")[0]]._field(0)
    assert kind is not None
    (tmp_path / "number.pte").write_bytes(whole[:kind] + b"\x02" + whole[kind + 1 :])
    with pytest.raises(UsageError, match=r"input 0 of the program is no tensor"):
        Executorch().read(tmp_path / "number.pte")


def test_another_file_under_the_suffix_is_told_for_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "wrong.pte").write_bytes(b"\x1c\x00\x00\x00TFL3" + bytes(64))
    with pytest.raises(UsageError, match="LiteRT"):
        Executorch().read(tmp_path / "wrong.pte")
    with pytest.raises(UsageError, match="no such file"):
        Executorch().read(tmp_path / "none.pte")


def test_a_program_that_was_traced_with_channels_last_is_refused(lowered: Lowered, tmp_path: Path) -> None:
    rows, last = bytes([4, 0, 0, 0, 0, 1, 2, 3]), bytes([4, 0, 0, 0, 0, 2, 3, 1])
    (tmp_path / "last.pte").write_bytes(lowered.path("float").read_bytes().replace(rows, last))
    with pytest.raises(UsageError, match=r"\[0, 2, 3, 1\] in memory(?s:.)*contiguous"):
        Executorch().read(tmp_path / "last.pte")


def test_a_program_of_kernels_that_are_not_here_is_refused_by_their_name(lowered: Lowered, tmp_path: Path) -> None:
    whole = lowered.path("float").read_bytes()
    (tmp_path / "odd.pte").write_bytes(whole.replace(b"XnnpackBackend", b"XnnpackBackenx"))
    with pytest.raises(UsageError, match="XnnpackBackenx"):
        Executorch().open(Executorch().read(tmp_path / "odd.pte"))


@pytest.mark.parametrize(
    ("feeds", "says"),
    [
        pytest.param({"image": pictures(65)}, r"up to that, and is fed with float32 \[65, 3, 4, 4\]", id="too-many"),
        pytest.param({"image": pictures(1).astype("float64")}, "float64", id="another-type"),
        pytest.param({}, "takes 1 inputs, and is fed with 0", id="none"),
    ],
)
def test_inputs_that_do_not_fit_are_told(lowered: Lowered, feeds: Feeds, says: str) -> None:
    session = Executorch().open(lowered.model("float"))
    with pytest.raises((RuntimeError, ValueError), match=says):
        session.run(feeds)


def test_strides_of_an_input_do_not_change_its_answer(lowered: Lowered) -> None:
    images = pictures(2)
    last = np.ascontiguousarray(images.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    (answers,) = Executorch().open(lowered.model("float")).run({"image": last})
    np.testing.assert_allclose(answers, expected(lowered.weights, images), atol=1e-5)


def test_a_process_has_one_pool_of_threads(lowered: Lowered) -> None:
    session = Executorch().open(lowered.model("float"), threads=1)
    with pytest.raises(UsageError, match="a program is open here on 1"):
        Executorch().open(lowered.model("float"), threads=2)
    del session
    assert Executorch().open(lowered.model("float"), threads=2).run({"image": pictures(1)})


def test_advice_on_a_program_alone_says_what_takes_its_module(
    lowered: Lowered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(timing, "_SECONDS", 0.05)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.pte").symlink_to(lowered.path("float"))
    np.savez(tmp_path / "data.npz", input=pictures(64), target=np.arange(64) % CLASSES)
    (tmp_path / "makeweight.yaml").write_text(
        "model: {pte: model.pte}\n"
        "data: {npz: {train: data.npz, validation: data.npz, test: data.npz}, calibration: {samples: 16}}\n"
        "budget: {size: {max_ratio: 0.5}}\n"
    )
    assert main(["advise", "--json", "--seconds", "0.001"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["advice"] == []
    assert "A file of executorch is finished" in told["headline"]
    assert {each["rule"] for each in told["aside"] if each["takes_module"]} >= {"int8", "slim-int8"}


def test_dynamic_ranges_need_no_examples_and_weights_are_seen(tmp_path: Path) -> None:
    import torch
    from torch import nn

    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.query, self.key = nn.Linear(8, 16), nn.Linear(8, 16)

        def forward(self, x: Any) -> Any:
            return self.query(x) * self.key(x)

    net = Attending().eval()
    given = np.random.default_rng(0).standard_normal((4, 8), np.float32)
    runtime = Executorch()
    dynamic = Format(Numbers("int8", "channel"), Numbers("int8"), "dynamic")
    made = runtime.lower(Program(net, {"x": ("N", 8)}, {"x": given}), dynamic, None, tmp_path / "dynamic.pte")
    (answers,) = runtime.open(made).run({"x": given})
    weights = [(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in (net.query, net.key)]
    wanted = np.prod([given @ weight.T + bias for weight, bias in weights], axis=0)
    assert 10 * np.log10(np.square(wanted).sum() / np.square(wanted - answers).sum()) > 30
