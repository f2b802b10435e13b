"""What a first makeweight.yaml says of a model's inputs: free sizes by letters, constants, states."""

from __future__ import annotations

import pytest

from makeweight.artifact.ports import Port, Shape
from makeweight.starter import inputs
from makeweight_base.errors import UsageError

VOICE = (Port("input", (None, None), "float32"), Port("state", (2, None, 128), "float32"), Port("sr", (), "int64"))
SPEECH = (Port("output", (None, 1), "float32"), Port("stateN", (None, None, None), "float32"))


def test_a_state_is_what_a_later_output_hands_on() -> None:
    later = (SPEECH[0], Port("stateN", (2, None, 128), "float32"))
    assert inputs.states(VOICE, later) == ["state"]
    cells = (VOICE[0], Port("h0", (1, None, 8), "float32"), Port("c0", (1, None, 8), "float32"))
    ends = (SPEECH[0], Port("hn", (1, None, 8), "float32"), Port("cn", (1, None, 8), "float32"))
    assert inputs.states(cells, ends) == ["h0", "c0"]


@pytest.mark.parametrize(
    "later",
    [
        Port("stateN", (2, None, 64), "float32"),
        Port("stateN", (2, None, 128), "float16"),
        Port("embedding", (2, None, 128), "float32"),
    ],
)
def test_what_is_no_state(later: Port) -> None:
    assert inputs.states(VOICE, (SPEECH[0], later)) == []
    # the first output is the answer, and the first input what it is an answer to
    assert inputs.states(VOICE, (Port("stateN", (2, None, 128), "float32"),)) == []


@pytest.mark.parametrize(
    ("shapes", "declared"),
    [
        ([(None, 3, 8, 8)], [["N", 3, 8, 8]]),
        ([("batch", 3, None, None)], [["N", 3, "H", "W"]]),
        ([("b", "len"), ("b", "len"), ("b", None)], [["N", "T"], ["N", "T"], ["N", "S"]]),
        ([(4, None)], [[4, "T"]]),
    ],
)
def test_free_sizes_have_letters(shapes: list[Shape], declared: list[list[int | str]]) -> None:
    ports = [Port(f"x{index}", shape, "float32") for index, shape in enumerate(shapes)]
    assert list(inputs.of_model(ports, "net.onnx").values()) == declared


def test_what_does_not_begin_with_the_batch_is_asked_for() -> None:
    with pytest.raises(UsageError, match=r"input `sr` \[\] does not begin with the batch") as refused:
        inputs.of_model([VOICE[0], VOICE[2]], "voice.onnx")
    assert "--constants sr=16000" in str(refused.value.do)
    with pytest.raises(UsageError, match=r"input `state` \[2,\?,128\] does not begin with the batch"):
        inputs.of_model(VOICE[:2], "voice.onnx")


def test_what_a_file_leaves_open_is_asked_for() -> None:
    rankless, second = Port("x", (), "float32", ranked=False), Port("x", ("seq", "batch", 8), "float32")
    with pytest.raises(UsageError, match="input `x` has no shape in the file") as refused:
        inputs.of_model([rankless], "net.onnx")
    assert "`--inputs x=N,3,224,224`" in str(refused.value.do)
    inputs.must_fit({"x": ["N", 3, 224, 224]}, [rankless], "net.onnx")
    with pytest.raises(UsageError, match="has its batch in place 2") as refused:
        inputs.of_model([second], "net.onnx")
    assert "`--inputs x=N,T,8`" in str(refused.value.do)
    inputs.must_fit({"x": ["N", "T", 8]}, [second], "net.onnx")
    with pytest.raises(UsageError, match=r"`x` is \?,\?,8 there, and N,8 was given"):
        inputs.must_fit({"x": ["N", 8]}, [second], "net.onnx")


@pytest.mark.parametrize(
    ("seen", "declared"),
    [
        ({"image": [(1, 8, 8)] * 3}, {"image": ["N", 1, 8, 8]}),
        ({"tokens": [(5,), (7,)], "mask": [(5,), (7,)]}, {"tokens": ["N", "T"], "mask": ["N", "T"]}),
        ({"sound": [(5,), (7,)], "text": [(7,), (5,)]}, {"sound": ["N", "T"], "text": ["N", "S"]}),
        ({"image": [(3, 4, 6), (3, 5, 6)]}, {"image": ["N", 3, "H", 6]}),
        ({"x": [(), ()]}, {"x": ["N"]}),
        ({"x": [(0,), (2,)]}, {"x": ["N", "T"]}),
    ],
    ids=["fixed", "alike", "unlike", "height", "numbers", "one_is_empty"],
)
def test_sizes_in_which_examples_differ_are_free(
    seen: dict[str, list[tuple[int, ...]]], declared: dict[str, list[int | str]]
) -> None:
    assert inputs.of_examples(seen, "the test split") == declared


@pytest.mark.parametrize(
    ("seen", "said"),
    [([(3,), (3, 1)], "examples of `x` have 1 and 2 dimensions"), ([(2, 0), (2, 0)], r"of `x` are empty: \[2, 0\]")],
)
def test_examples_that_are_no_input_are_told(seen: list[tuple[int, ...]], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        inputs.of_examples({"x": seen}, "the test split")


def test_constants_are_whole_where_they_are_written_so() -> None:
    found = inputs.constants(["sr=16000", "gain=0.5", "shift=-2"])
    assert found == {"sr": 16000, "gain": 0.5, "shift": -2}
    assert [type(value) for value in found.values()] == [int, float, int]
    for text in ("sr", "sr=", "=3", "sr=nan", "sr=inf"):
        with pytest.raises(UsageError, match="is no constant; write NAME=16000"):
            inputs.constants([text])
