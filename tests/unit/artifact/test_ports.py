"""Arrays that fit a model's inputs: shapes, batches, and types that lose no more than precision."""

import re
from typing import Any

import numpy as np
import pytest

from makeweight.artifact.feeds import fit, handed_on
from makeweight.artifact.ports import Port, batch_elsewhere, batch_size, shown, types
from makeweight_base.errors import UsageError


def name_of(dtype: Any) -> str:
    return "" if dtype is None else np.dtype(dtype).name


def test_a_shape_in_words() -> None:
    assert str(Port("image", ("N", 3, None, 8), "float32")) == "image [N, 3, N, 8]"
    assert shown(()) == "[]"


@pytest.mark.parametrize(
    ("shapes", "size"),
    [
        ([(None, 2)], None),
        ([("N", 2)], None),
        ([(1, 2)], 1),
        ([(8, 2), (8,)], 8),
        ([(None, 2), (4, 2)], 4),
        ([(1, 2), (2, 2)], None),
        ([()], None),
    ],
)
def test_the_batch_that_a_model_insists_on(shapes: list[tuple[int | str | None, ...]], size: int | None) -> None:
    assert batch_size([Port(f"x{i}", shape, "float32") for i, shape in enumerate(shapes)]) == size


@pytest.mark.parametrize(
    ("have", "want", "values"),
    [
        (np.float32, np.float32, [1.5]),
        (np.float64, np.float32, [1.5]),
        (np.float32, np.float64, [1.5]),
        (np.float32, np.float16, [1.5]),
        (np.int64, np.float32, [3]),
        (np.uint8, np.float32, [255]),
        (np.bool_, np.float32, [True]),
        (np.int64, np.int32, [2**31 - 1]),
        (np.uint8, np.int64, [255]),
        (np.int64, np.uint8, [0, 255]),
        (np.float32, None, [1.5]),
    ],
)
def test_numbers_are_given_in_the_type_that_is_asked_for(have: Any, want: Any, values: list[Any]) -> None:
    fitted = fit([Port("x", (None,), name_of(want))], {"x": np.array(values, have)})["x"]
    assert fitted.dtype == (want or have)
    assert fitted.tolist() == values
    assert fitted.flags.c_contiguous


@pytest.mark.parametrize(
    ("have", "want", "values", "said"),
    [
        (np.float32, np.int64, [1.5], "wants int64, and the data are float32"),
        (np.float32, np.uint8, [0.5], "wants uint8, and the data are float32"),
        (np.int64, np.int32, [2**31], "wants int32, and the data have numbers beyond it"),
        (np.int64, np.int8, [300], "wants int8, and the data have numbers beyond it"),
        (np.int64, np.uint8, [-1], "wants uint8, and the data have numbers beyond it"),
        (np.float32, np.float16, [1e6], "wants float16, and the data have numbers beyond it (up to 1e+06)"),
        (np.float64, np.float32, [1e300], "wants float32, and the data have numbers beyond it"),
    ],
)
def test_what_would_lose_more_than_precision_is_refused(have: Any, want: Any, values: list[Any], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        fit([Port("x", (None,), name_of(want))], {"x": np.array(values, have)})
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("feeds", "said"),
    [
        ({"y": np.zeros((1, 2))}, "the model's inputs are x, and the data have y"),
        ({}, "the model's inputs are x, and the data have"),
        ({"x": np.zeros((1, 3), np.float32)}, "input `x` wants shape [N, 2], and the data have [1, 3]"),
        ({"x": np.zeros((1, 2, 1), np.float32)}, "input `x` wants shape [N, 2], and the data have [1, 2, 1]"),
    ],
)
def test_feeds_that_do_not_fit_are_told(feeds: dict[str, np.ndarray], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        fit([Port("x", (None, 2), "float32")], feeds)
    assert said in str(refused.value)


def test_a_letter_is_one_size_over_all_inputs() -> None:
    ports = [Port("tokens", ("N", "T"), ""), Port("mask", ("N", "T"), ""), Port("square", ("N", "S", "S"), "")]
    feeds = {"tokens": np.zeros((2, 5)), "mask": np.zeros((2, 5)), "square": np.zeros((2, 3, 3))}
    assert list(fit(ports, feeds)) == ["tokens", "mask", "square"]
    for given, said in (
        (
            {"mask": np.zeros((2, 4))},
            "`T` is 5 (axis 1 of `tokens` [2, 5]) and 4 (axis 1 of `mask` [2, 4]), and a letter",
        ),
        ({"mask": np.zeros((3, 5))}, "`N` is 2 (axis 0 of `tokens` [2, 5]) and 3 (axis 0 of `mask` [3, 5])"),
        (
            {"square": np.zeros((2, 3, 4))},
            "`S` is 3 (axis 1 of `square` [2, 3, 4]) and 4 (axis 2 of `square` [2, 3, 4])",
        ),
    ):
        with pytest.raises(UsageError, match=re.escape(said)):
            fit(ports, feeds | given)
    with pytest.raises(UsageError, match="in example 7, `T` is 5"):
        fit(ports, feeds | {"mask": np.zeros((2, 4))}, 7)


COARSE, FINE = (0.5, 10), (0.25, -3)


@pytest.mark.parametrize(
    ("port", "given"),
    [
        (Port("x", ("N",), "int8", scale=FINE), [-23, -1, 127]),
        (Port("x", ("N",), "uint8", scale=COARSE), [0, 11, 210]),
        (Port("x", ("N",), "float32"), [-5.0, 0.5, 100.0]),
        (Port("x", ("N",), "int64"), [0, 11, 210]),
    ],
    ids=["another scale", "the same scale", "real numbers", "integers that stand for themselves"],
)
def test_integers_are_handed_on_as_the_numbers_that_they_stand_for(port: Port, given: list[float]) -> None:
    """By hand, the steps 0, 11 and 210 are -5, 0.5 and 100: in steps of a quarter from -3 on, -20 - 3, 2 - 3, and 397,
    of which a byte has 127."""
    own = [Port("x", ("N",), "uint8", scale=COARSE)]
    assert types(own) == {"x": ("uint8", COARSE)}
    handed = fit([port], handed_on({"x": np.array([0, 11, 210], np.uint8)}, own, [port]))["x"]
    assert (handed.dtype.name, handed.tolist()) == (port.dtype, given)


def test_an_input_of_unknown_rank_takes_any_array() -> None:
    port = Port("x", (), "float32", ranked=False)
    assert port.takes((2, 3))
    assert str(port) == "x [...]"
    assert fit([port, Port("y", ("N",), "float32")], {"x": np.ones((2, 3)), "y": np.ones(2)})["x"].shape == (2, 3)


@pytest.mark.parametrize(
    ("shape", "takes"),
    [((1, "T"), True), ((1, 128), True), ((1, 64), True), ((1, 129), False), ((1,), False), ((4, 128), True)],
)
def test_sizes_at_most(shape: tuple[int | str, ...], takes: bool) -> None:
    assert Port("x", (None, 128), "int64", bounded=True).takes(shape) == takes
    assert not Port("x", (None, 128), "int64").takes((1, "T")), "a size that is fixed is no letter"


@pytest.mark.parametrize(
    ("shape", "place"),
    [(("seq", "batch", 8), 2), ((1, 2, "Batch_Size"), 3), (("batch", "batch"), None), (("N", 8), None)],
)
def test_a_batch_that_is_named_elsewhere(shape: tuple[int | str, ...], place: int | None) -> None:
    told = batch_elsewhere(Port("x", shape, "float32"))
    assert told is None if place is None else f"has its batch in place {place}," in str(told)
    assert batch_elsewhere(Port("x", shape, "float32", constant=0)) is None, "a state has it where it likes"
