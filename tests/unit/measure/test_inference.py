"""Running a model over a split: batches that it takes, types that it asks for, and answers that are told when odd."""

from typing import Any

import numpy as np
import pytest

from makeweight.artifact.ports import Port
from makeweight.measure.inference import BATCH, outputs, reading
from makeweight.user.split import Split
from makeweight_base.errors import UsageError
from makeweight_base.progress import Silent
from model_values import invented_model
from split_values import split_of


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


def dataset(count: int, dtype: Any = np.float32) -> Split:
    return split_of("test", {"x": np.arange(2 * count).reshape(count, 2).astype(dtype)}, np.zeros(count, int))


def run(model: Model, data: Split, output: str = "y", batch: int | None = None) -> np.ndarray:
    examples = reading(model.model, data, batch)
    session = model.open(model.model)
    found = list(outputs(model, session, model.model, examples, batch=batch, progress=Silent(), label="int8 on test"))  # type: ignore[arg-type]
    assert [number for _, given in found for number in given.numbers] == list(range(data.length()))
    return np.concatenate([answers[output] for answers, _ in found])


@pytest.mark.parametrize("count", [1, BATCH - 1, BATCH, BATCH + 1, 3 * BATCH])
@pytest.mark.parametrize("size", [None, 1, 4, 100])
def test_every_example_is_answered_once_in_order(count: int, size: int | None) -> None:
    model, data = Model(x(size, 2)), dataset(count)
    np.testing.assert_array_equal(run(model, data), data.source.inputs["x"].sum(axis=1, keepdims=True))
    assert {len(feeds["x"]) for feeds in model.fed} <= ({size} if size else {BATCH, count % BATCH})


@pytest.mark.parametrize("batch", [1, 4])
def test_where_neighbours_count_it_is_asked_as_it_is_served(batch: int) -> None:
    """As many as it is served, always: what the last batch lacks is filled up."""
    model = Model(answer=lambda feeds: [feeds["x"] - feeds["x"].mean(axis=0)])
    data = dataset(6)
    found = run(model, data, batch=batch)
    assert {len(feeds["x"]) for feeds in model.fed} == {batch}
    values = data.source.inputs["x"]
    filled = np.concatenate([values, values[[5, 5]]])[: -(-6 // batch) * batch].reshape(-1, batch, 2)
    np.testing.assert_array_equal(found, (filled - filled.mean(axis=1, keepdims=True)).reshape(-1, 2)[:6])


def test_every_output_is_answered_by_its_name() -> None:
    model = Model(answer=lambda feeds: [feeds["x"], -feeds["x"]], outputs=("scores", "features"))
    assert (run(model, dataset(3), "scores") >= 0).all()
    assert (run(model, dataset(3), "features") <= 0).all()


def test_an_output_without_the_batch_stays_as_it_is() -> None:
    model = Model(x(4, 2), answer=lambda feeds: [feeds["x"], np.float32(7)], outputs=("y", "constant"))
    examples = reading(model.model, dataset(3))
    session = model.open(model.model)
    ((answers, given),) = outputs(model, session, model.model, examples, progress=Silent(), label="int8 on test")  # type: ignore[arg-type]
    assert (len(answers["y"]), float(answers["constant"]), len(given)) == (3, 7.0, 3)


def test_answers_that_are_no_numbers_pass_through_as_they_are() -> None:
    """NaN is told by the soundness of the variant, not here: the others go on."""
    found = run(Model(answer=lambda feeds: [np.full((len(feeds["x"]), 2), np.nan)]), dataset(3))
    assert np.isnan(found).all()


def test_a_model_that_fails_is_told() -> None:
    with pytest.raises(UsageError, match=r"^int8 on test: the model could not run on the examples: 'z'"):
        run(Model(answer=lambda feeds: feeds["z"]), dataset(3))
