"""Running a model over a split: batches that it takes, types that it asks for, and answers that are told when odd."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from makeweight.measure.inference import BATCH, batch_size, fit, outputs
from makeweight.user.dataset import Dataset
from makeweight_base.errors import UsageError
from makeweight_base.progress import Silent


@dataclass(frozen=True)
class Port:
    name: str
    shape: tuple[int | None, ...]
    dtype: Any = np.float32


class Model:
    """Stands in for a session: remembers what it was fed with, and answers with `answer`."""

    def __init__(self, *inputs: Port, answer: Any = None, outputs: tuple[str, ...] = ("y",)) -> None:
        self.inputs = inputs or (Port("x", (None, 2)),)
        self.outputs = tuple(Port(name, ()) for name in outputs)
        self.fed: list[dict[str, np.ndarray]] = []
        self._answer = answer or (lambda feeds: [feeds["x"].sum(axis=1, keepdims=True)] * len(self.outputs))

    def run(self, feeds: dict[str, np.ndarray]) -> list[Any]:
        self.fed.append(feeds)
        answer: list[Any] = self._answer(feeds)
        return answer


def dataset(count: int, dtype: Any = np.float32) -> Dataset:
    return Dataset("test", {"x": np.arange(2 * count).reshape(count, 2).astype(dtype)}, np.zeros(count, int))


def run(model: Model, data: Dataset, output: str | None = None) -> np.ndarray:
    return outputs(model, data, output=output, progress=Silent(), label="int8 on test")


def refusal(model: Model, data: Dataset, output: str | None = None) -> str:
    with pytest.raises(UsageError) as refused:
        run(model, data, output)
    return str(refused.value)


@pytest.mark.parametrize("count", [1, BATCH - 1, BATCH, BATCH + 1, 3 * BATCH])
@pytest.mark.parametrize("size", [None, 1, 4, 100])
def test_every_example_is_answered_once_in_order(count: int, size: int | None) -> None:
    model, data = Model(Port("x", (size, 2))), dataset(count)
    np.testing.assert_array_equal(run(model, data), data.inputs["x"].sum(axis=1, keepdims=True))
    assert {len(feeds["x"]) for feeds in model.fed} <= ({size} if size else {BATCH, count % BATCH})


@pytest.mark.parametrize(
    ("shapes", "size"),
    [
        ([(None, 2)], None),
        ([(1, 2)], 1),
        ([(8, 2), (8,)], 8),
        ([(None, 2), (4, 2)], 4),
        ([(1, 2), (2, 2)], None),
        ([()], None),
    ],
)
def test_the_batch_that_a_model_insists_on(shapes: list[tuple[int | None, ...]], size: int | None) -> None:
    assert batch_size(Model(*(Port(f"x{i}", shape) for i, shape in enumerate(shapes)))) == size


def test_the_output_is_chosen_by_name() -> None:
    model = Model(answer=lambda feeds: [feeds["x"], -feeds["x"]], outputs=("scores", "features"))
    assert (run(model, dataset(3)) >= 0).all()
    assert (run(model, dataset(3), "features") <= 0).all()
    assert "no output `score`; it has scores, features" in refusal(model, dataset(3), "score")


def test_answers_that_are_no_numbers_pass_through_as_they_are() -> None:
    """NaN is told by the soundness of the variant, not here: the others go on."""
    found = run(Model(answer=lambda feeds: [np.full((len(feeds["x"]), 2), np.nan)]), dataset(3))
    assert np.isnan(found).all()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([np.float32(5)], "the output has shape () for 3 examples: its first size must be the batch"),
        ([np.zeros((1, 10))], "shape (1, 10) for 3 examples"),
        ([np.zeros((3, 0))], "shape (3, 0) for 3 examples"),
        ([[{0: 0.5, 1: 0.5}] * 3], "the output `y` holds object, not numbers"),
        ([np.array(["cat", "dog", "owl"])], "the output `y` holds <U3, not numbers"),
    ],
)
def test_odd_answers_are_told(answer: Any, said: str) -> None:
    told = refusal(Model(answer=lambda _: answer), dataset(3))
    assert said in told
    assert told.startswith("int8 on test: ")
    assert "`model.output`" in told


def test_a_model_that_fails_is_told() -> None:
    told = refusal(Model(answer=lambda feeds: feeds["z"]), dataset(3))
    assert told.startswith("int8 on test: the model could not run on the examples: 'z'")


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
        (np.float32, None, [1.5]),
    ],
)
def test_numbers_are_given_in_the_type_that_is_asked_for(have: Any, want: Any, values: list[Any]) -> None:
    fitted = fit(Model(Port("x", (None,), want)), {"x": np.array(values, have)})["x"]
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
        (np.float32, np.float16, [1e6], "wants float16, and the data have numbers beyond it (up to 1e+06)"),
        (np.float64, np.float32, [1e300], "wants float32, and the data have numbers beyond it"),
    ],
)
def test_what_would_lose_more_than_precision_is_refused(have: Any, want: Any, values: list[Any], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        fit(Model(Port("x", (None,), want)), {"x": np.array(values, have)})
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
        fit(Model(), feeds)
    assert said in str(refused.value)
