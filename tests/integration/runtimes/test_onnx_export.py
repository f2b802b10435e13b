"""A module becomes one ONNX file that computes the same, or a sentence that says what is in the way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from makeweight.artifact.ports import Feeds, Port
from makeweight.runtimes import traced
from makeweight.runtimes.onnxruntime import export, torchlib
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight_base.errors import UsageError

IMAGE: dict[str, tuple[int | str, ...]] = {"image": ("N", 1, 8, 8)}


def _example(shape: tuple[int, ...] = (2, 1, 8, 8)) -> Feeds:
    return {"image": np.random.default_rng(1).standard_normal(shape).astype(np.float32)}


@pytest.mark.parametrize("count", [1, 2, 96])
def test_any_batch_gives_what_the_module_gives(
    runtime: OnnxRuntime, exported: Path, images: Feeds, answers: Any, count: int
) -> None:
    model = runtime.read(exported)
    assert model.inputs == (Port("image", ("N", 1, 8, 8), "float32"),)
    assert model.outputs == (Port("output", ("N", 10), "float32"),)
    session = runtime.open(model)
    (given,) = session.run({"image": images["image"][:count]})
    np.testing.assert_allclose(given, answers[:count], rtol=1e-4, atol=1e-5)


def test_normalization_is_folded_into_convolutions(exported: Path) -> None:
    types = [node.op_type for node in onnx.load(exported).graph.node]
    assert types.count("Conv") == 2
    assert "BatchNormalization" not in types


def test_the_file_is_valid_and_holds_nothing_of_this_machine(exported: Path) -> None:
    content = exported.read_bytes()
    onnx.checker.check_model(content, full_check=True)
    assert b"site-packages" not in content
    assert str(Path(__file__).parent).encode() not in content
    assert b"stack_trace" not in content


def test_the_exporters_functions_are_parsed_for_more_than_their_domain_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from onnxscript._internal import ast_utils
    from onnxscript.function_libs.torch_lib.ops import core

    function = core.aten_add  # a traced one
    whole, parsed = function.function_ir, list[str]()
    read = ast_utils.get_src_and_ast
    monkeypatch.setattr(ast_utils, "get_src_and_ast", lambda asked: parsed.append(asked.__name__) or read(asked))
    with torchlib.sources_unread():
        assert function.function_ir.domain == whole.domain
        assert parsed == []
        assert function.function_ir.name == whole.name
    assert parsed == ["aten_add"]
    assert type(function.function_ir) is type(whole)


def test_where_the_exporters_functions_tell_no_operators_they_are_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    from onnxscript._internal.values import Op
    from onnxscript.function_libs.torch_lib.ops import core

    whole = core.aten_add.function_ir
    monkeypatch.delattr(Op, "opset")  # as in another version
    with torchlib.sources_unread():
        assert type(core.aten_add.function_ir) is type(whole)
        assert core.aten_add.function_ir.domain == whole.domain


def test_a_declared_batch_stays_fixed(runtime: OnnxRuntime, network: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    export.export(network, {"image": (3, 1, 8, 8)}, _example((3, 1, 8, 8)), path)
    assert runtime.read(path).inputs[0].shape == (3, 1, 8, 8)


class Sentences(nn.Module):
    """The mean over the words that a mask lets count; words and mask have the same shape."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(20, 8)

    def mean(self, words: Any, mask: Any) -> Any:
        counting = mask.float()[..., None]
        return (self.words(words) * counting).sum(1) / counting.sum(1)


class ByName(Sentences):
    def forward(self, words: Any, mask: Any) -> Any:
        scores = self.mean(words, mask)
        return {"scores": scores, "first": scores[:, :1]}


@dataclass
class Answer:
    scores: Any
    loss: Any = None
    first: Any = None


class OfADict(Sentences):
    def forward(self, batch: Any) -> Any:
        return Answer(self.mean(**batch), first=self.mean(**batch)[:, :1])


class OfOthers(Sentences):
    def forward(self, words: Any, **others: Any) -> Any:
        scores = self.mean(words, **others)
        return {"scores": scores, "hidden": None, "first": (scores[:, :1],)}


@pytest.mark.parametrize("kind", [ByName, OfADict, OfOthers])
def test_inputs_go_by_name_and_outputs_have_theirs(runtime: OnnxRuntime, tmp_path: Path, kind: type[Sentences]) -> None:
    torch.manual_seed(0)
    module, rng = kind().eval(), np.random.default_rng(0)
    # declared in another order than forward() has them
    feeds = {"mask": np.tril(np.ones((5, 6), np.int64)), "words": rng.integers(0, 20, (5, 6))}
    path = tmp_path / "model.onnx"
    export.export(module, {"mask": ("N", 6), "words": ("N", 6)}, feeds, path)
    model = runtime.read(path)
    session = runtime.open(model)
    assert [(port.name, port.dtype) for port in model.inputs] == [("mask", "int64"), ("words", "int64")]
    assert [port.name for port in model.outputs] == ["scores", "first_0" if kind is OfOthers else "first"]
    scores, first = session.run(feeds)
    # row i counts its first i + 1 words
    vectors = module.words.weight.detach().numpy()[feeds["words"]]
    expected = np.stack([vectors[row, : row + 1].mean(0) for row in range(5)])
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(first, scores[:, :1])


class ReturnsItsInput(nn.Module):
    def forward(self, image: Any) -> Any:
        return {"image": 2 * image}


class DependsOnValues(nn.Module):
    def forward(self, image: Any) -> Any:
        if image.sum() > 0:  # MARK
            return image
        return -image


class NoCounterpart(nn.Module):
    def forward(self, image: Any) -> Any:
        return torch.linalg.eigvals(image[0, 0]).real


class Fails(nn.Module):
    def forward(self, image: Any) -> Any:
        raise ValueError("my own mistake")  # FAILS


class FixedBatch(nn.Module):
    def forward(self, image: Any) -> Any:
        return image.reshape(2, 64)


class NoTensor(nn.Module):
    def forward(self, image: Any) -> Any:
        return "three"


def _line(mark: str) -> int:
    return next(n for n, text in enumerate(Path(__file__).read_text().splitlines(), 1) if text.endswith(f"# {mark}"))


@pytest.mark.parametrize(
    ("module", "says", "where"),
    [
        (DependsOnValues(), "what it does depends on the values of its input", "MARK"),
        (NoCounterpart(), "ONNX has no counterpart of the operator `aten.linalg_eig`", None),
        (Fails(), "the module fails on an example: ValueError: my own mistake", "FAILS"),
        (FixedBatch(), "`N` of input `image` cannot be free: forward() works with 2 alone", None),
        (NoTensor(), "the module returns str, which holds no tensor", None),
        (ReturnsItsInput(), "an input and an output `image`", None),
    ],
)
def test_what_cannot_be_exported_is_named(
    runtime: OnnxRuntime,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    module: Any,
    says: str,
    where: str | None,
) -> None:
    with pytest.raises(UsageError) as caught:
        export.export(module, IMAGE, _example(), tmp_path / "model.onnx")
    assert says in caught.value.what
    if where is not None:
        assert caught.value.where == f"{__file__}:{_line(where)}"
    assert capfd.readouterr() == ("", "")


class Forgets(nn.Module):
    """Answers something else every time: no graph can hold that."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, image: Any) -> Any:
        self.calls += 1
        return image * self.calls


def test_a_file_that_computes_something_else_is_refused(runtime: OnnxRuntime, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not compute what the module does: output `output` is off by up to"):
        export.export(Forgets(), IMAGE, _example(), tmp_path / "model.onnx")


def test_more_than_one_file_can_hold_is_refused_before_it_is_tried(
    runtime: OnnxRuntime, network: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traced, "LARGEST", 1000)
    with pytest.raises(UsageError, match=r"the weights take .* GB, and one ONNX file holds at most"):
        export.export(network, IMAGE, _example(), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_not_the_modules_fault(runtime: OnnxRuntime, network: Any) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("/dev/full, which stands for a full disk here, exists on Linux only")
    with pytest.raises(OSError, match="No space left on device"):
        export.export(network, IMAGE, _example(), full)
