"""Running a model over a split: batches that it takes, types that it asks for, and answers that are told when odd."""

from typing import Any

import numpy as np
import pytest

from makeweight.artifact.ports import Port
from makeweight.measure.inference import BATCH, outputs
from makeweight.user.dataset import Dataset
from makeweight_base.errors import UsageError
from makeweight_base.progress import Silent
from model_values import invented_model


def x(*shape: int | None) -> Port:
    return Port("x", shape, "float32")


class Model:
    """Stands in for a runtime and its session: remembers what it was fed with, and answers with `answer`."""

    def __init__(self, *inputs: Port, answer: Any = None, outputs: tuple[str, ...] = ("y",)) -> None:
        self.model = invented_model(
            inputs=inputs or (x(None, 2),), outputs=tuple(Port(name, (), "float32") for name in outputs)
        )
        self.fed: list[dict[str, np.ndarray]] = []
        self._answer = answer or (lambda feeds: [feeds["x"].sum(axis=1, keepdims=True)] * len(outputs))

    def open(self, model: Any) -> Any:
        assert model is self.model
        return self

    def reason(self, error: Exception) -> str:
        return str(error)

    def run(self, feeds: dict[str, np.ndarray]) -> list[Any]:
        self.fed.append(feeds)
        answer: list[Any] = self._answer(feeds)
        return answer


def dataset(count: int, dtype: Any = np.float32) -> Dataset:
    return Dataset("test", {"x": np.arange(2 * count).reshape(count, 2).astype(dtype)}, np.zeros(count, int))


def run(model: Model, data: Dataset, output: str | None = None) -> np.ndarray:
    return outputs(model, model.model, data, output=output, progress=Silent(), label="int8 on test")  # type: ignore[arg-type]


def refusal(model: Model, data: Dataset, output: str | None = None) -> str:
    with pytest.raises(UsageError) as refused:
        run(model, data, output)
    return str(refused.value)


@pytest.mark.parametrize("count", [1, BATCH - 1, BATCH, BATCH + 1, 3 * BATCH])
@pytest.mark.parametrize("size", [None, 1, 4, 100])
def test_every_example_is_answered_once_in_order(count: int, size: int | None) -> None:
    model, data = Model(x(size, 2)), dataset(count)
    np.testing.assert_array_equal(run(model, data), data.inputs["x"].sum(axis=1, keepdims=True))
    assert {len(feeds["x"]) for feeds in model.fed} <= ({size} if size else {BATCH, count % BATCH})


@pytest.mark.parametrize("batch", [1, 4])
def test_where_neighbours_count_it_is_asked_as_it_is_served(batch: int) -> None:
    """As many as it is served, always: what the last batch lacks is filled up."""
    model = Model(answer=lambda feeds: [feeds["x"] - feeds["x"].mean(axis=0)])
    data = dataset(6)
    found = outputs(model, model.model, data, output=None, batch=batch, progress=Silent(), label="int8 on test")  # type: ignore[arg-type]
    assert {len(feeds["x"]) for feeds in model.fed} == {batch}
    values = data.inputs["x"]
    filled = np.concatenate([values, values[[5, 5]]])[: -(-6 // batch) * batch].reshape(-1, batch, 2)
    np.testing.assert_array_equal(found, (filled - filled.mean(axis=1, keepdims=True)).reshape(-1, 2)[:6])


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
