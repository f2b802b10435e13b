"""What two model files are fed with: sizes that nobody knows are asked for, what both take is found out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from makeweight.artifact.ports import Port, Shape
from makeweight.compare import inputs
from makeweight.compare.models import shared_inputs
from makeweight.compare.sizes import asked, sized
from makeweight_base.errors import UsageError
from model_values import invented_model

VOICE = (Port("sound", (None, None), "float32"), Port("state", (2, None, 4), "float32"), Port("sr", (), "int64"))


@pytest.mark.parametrize(
    ("shapes", "wanted", "fed"),
    [
        ([("N", 3, 8, 8)], [], [(1, 3, 8, 8)]),
        ([(None, 8)], [], [(1, 8)]),
        ([(4, 8)], [], [(4, 8)]),
        ([("N", "T"), ("N", "T")], ["T=7"], [(1, 7), (1, 7)]),
        ([("N", "T"), (2, "N", 4)], ["T=7", "N=3"], [(3, 7), (2, 3, 4)]),
        ([(None, None), (2, None, 4), ()], ["x0=1,40"], [(1, 40), (2, 1, 4), ()]),
        ([(1, 3, "H", "W")], ["x0=1,3,32,64"], [(1, 3, 32, 64)]),
    ],
)
def test_made_up_sizes(shapes: list[Shape], wanted: list[str], fed: list[Shape]) -> None:
    ports = [Port(f"x{index}", shape, "float32") for index, shape in enumerate(shapes)]
    assert [port.shape for port in sized(ports, asked(wanted))] == fed


@pytest.mark.parametrize(
    ("shape", "says", "do"),
    [
        (("N", "S", 64), "`x` [1, S, 64]", "`--shape S=128`"),
        ((None, None), "`x` [1, ?]", "`--shape x=1,128`"),
        ((1, None), "`x` [1, ?]", "`--shape x=1,128`"),
        ((1, 3, None, None), "`x` [1, 3, ?, ?]", "`--shape x=1,3,128,128`"),
    ],
)
def test_a_size_that_nobody_knows_is_asked_for(shape: Shape, says: str, do: str) -> None:
    with pytest.raises(UsageError) as refused:
        sized([Port("x", shape, "float32")], {})
    assert refused.value.what == f"sizes besides the batch are free: {says}"
    assert do in str(refused.value.do)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("T", "`T` is no size"),
        ("T=0", "`T=0` is no size"),
        ("=3", "`=3` is no size"),
        ("T=1.5", "`T=1.5` is no size"),
        ("S=3", "`S=3` fits no input: there is sound [N, T]"),
        ("T=3,4", "`T=3,4` fits no input"),
        ("sound=1,2,3", "`sound=1,2,3` fits no input"),
    ],
)
def test_sizes_that_make_no_sense(text: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        sized([Port("sound", ("N", "T"), "float32")], asked([text]))
    assert says in refused.value.what


def test_a_size_given_twice() -> None:
    with pytest.raises(UsageError, match="`T` is given twice"):
        asked(["T=3", "T=4"])


def _shared(one: Port, other: Port) -> tuple[Shape, str]:
    (port,) = shared_inputs(invented_model(inputs=(one,)), invented_model(inputs=(other,))).ports
    return port.shape, port.dtype


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        (("N", 3), ("N", 3), ("N", 3)),
        (("N", "T"), (4, None), (4, "T")),
        ((4, "T"), (None, 7), (4, 7)),
        ((None, 3), ("batch", 3), ("batch", 3)),
    ],
)
def test_what_both_take(one: Shape, other: Shape, shared: Shape) -> None:
    assert _shared(Port("x", one, "float32"), Port("x", other, "float16")) == (shared, "float32")


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (Port("x", ("N", 3), "int64"), "takes x [N, 3] float32, and model.onnx takes x [N, 3] int64"),
        (Port("x", ("N", 4), "float32"), "takes x [N, 3] float32, and model.onnx takes x [N, 4] float32"),
        (Port("x", ("N", 3, 1), "float32"), "and model.onnx takes x [N, 3, 1] float32"),
        (Port("y", ("N", 4), "float32"), "and model.onnx takes y [N, 4] float32"),
    ],
)
def test_other_inputs_are_refused_with_their_types(other: Port, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        _shared(Port("x", ("N", 3), "float32"), other)
    assert says in refused.value.what


def test_a_size_that_is_the_largest_may_be_asked_for_smaller() -> None:
    tagger = invented_model(inputs=(Port("x", ("N", "T"), "int64"),))
    program = invented_model(inputs=(Port("input", (None, 128), "int64", bounded=True),))
    for pair in ((tagger, program), (program, tagger)):
        (port,) = shared_inputs(*pair).ports
        assert [each.shape for each in sized([port], {})] == [(1, 128)]
        assert [each.shape for each in sized([port], {port.name: (1, 64)})] == [(1, 64)]
        with pytest.raises(UsageError, match="fits no input"):
            sized([port], {port.name: (1, 129)})


def test_integers_that_one_alone_has_a_scale_for_are_the_same_to_both() -> None:
    scaled = invented_model(inputs=(Port("x", ("N",), "int8", scale=(0.5, 0)),))
    plain = invented_model(inputs=(Port("x", ("N",), "int8"),))
    for pair in ((scaled, plain), (plain, scaled)):
        assert shared_inputs(*pair).ports == [Port("x", ("N",), "int8")]
    assert shared_inputs(scaled, scaled).ports == list(scaled.inputs)


def test_samples_that_memory_does_not_hold_are_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: Any, **__: Any) -> None:
        raise MemoryError("Unable to allocate 8 GiB")

    monkeypatch.setattr(np, "load", load)
    with pytest.raises(MemoryError):
        inputs.of(tmp_path / "real.npz", VOICE, {})
