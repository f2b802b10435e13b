"""Regression of any shape: the same figures whether the numbers are kept, or their sums alone."""

from typing import Any

import numpy as np
import pytest
from kept_answers import kept, kept_of, measured

from makeweight.config.settings import TaskSettings
from makeweight.measure.tasks.regression import FEW
from makeweight_base.errors import UsageError

TASK = TaskSettings(kind="regression")
RNG = np.random.default_rng(9)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 4), (FEW + 1,), (20, 20)])
def test_figures_are_those_of_scikit_learn(shape: tuple[int, ...]) -> None:
    from sklearn.metrics import mean_absolute_error, r2_score

    targets = RNG.normal(size=(30, *shape)) + 1e3
    given = targets + RNG.normal(size=(30, *shape))
    found = measured(TASK, own := kept(TASK, {"y": given}, targets))
    flat = [values.reshape(30, -1) for values in (targets, given)]
    assert found["mae"].value == pytest.approx(mean_absolute_error(*flat))
    assert found["rmse"].value == pytest.approx(float(np.sqrt(np.square(flat[0] - flat[1]).mean())))
    if np.size(targets[0]) <= FEW:
        assert found["r2"].value == pytest.approx(r2_score(*flat, multioutput="variance_weighted"))
    else:
        assert "more than 256" in str(found["r2"].reason)
        assert "prediction" not in own.kept


def test_the_interval_is_that_of_the_plain_bootstrap() -> None:
    targets, given = RNG.normal(size=(40, 2)), RNG.normal(size=(40, 2))
    found = measured(TASK, kept(TASK, {"y": given}, targets))
    rng, figures = np.random.default_rng(0), []
    for _ in range(1000):
        rows = rng.integers(0, 40, 40)
        wanted = targets[rows]
        figures.append(1 - np.square(wanted - given[rows]).sum() / np.square(wanted - wanted.mean(axis=0)).sum())
    assert found["r2"].interval == pytest.approx(np.quantile(figures, [0.025, 0.975]))


def test_examples_of_several_lengths_are_judged_by_all_their_numbers() -> None:
    off, batches = [], []
    for length in (3, 5):
        targets = RNG.normal(size=(4, length))
        given = targets + RNG.normal(size=(4, length))
        batches.append(({"y": given}, targets))
        off.append(np.abs(given - targets).ravel())
    found = measured(TASK, kept_of(TASK, batches))
    assert found["mae"].value == pytest.approx(float(np.concatenate(off).mean()))
    assert found["r2"].status == "unavailable"


@pytest.mark.parametrize("targets", [np.zeros((3, 2)), np.zeros((3, 5))])
def test_targets_of_another_size_are_told(targets: Any) -> None:
    with pytest.raises(UsageError, match=r"gives 4 numbers an example, and the targets have shape \[\d\]"):
        kept(TASK, {"y": np.zeros((3, 4))}, targets)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [((3, 8, 5), (8, 5, 3)), ((1, 2, 3), (3, 2)), ((300, 2), (2, 300))],
    ids=["channels last", "beside a size of one", "many numbers"],
)
def test_targets_that_lie_otherwise_are_no_other_numbers(given: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    """They would be as many, and every figure one of numbers that have nothing to do with each other."""
    answers = RNG.normal(size=(6, *given))
    with pytest.raises(UsageError, match="as many numbers, in another order"):
        kept(TASK, {"y": answers}, RNG.normal(size=(6, *wanted)))


@pytest.mark.parametrize(("given", "wanted"), [((1, 8, 5), (8, 5)), ((40,), (8, 5)), ((8, 5), (8, 1, 5))], ids=str)
def test_what_lies_alike_may_have_other_axes(given: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    targets = RNG.normal(size=(6, 40))
    answers = targets + RNG.normal(size=(6, 40))
    found = measured(TASK, kept(TASK, {"y": answers.reshape(6, *given)}, targets.reshape(6, *wanted)))
    assert found["mae"].value == pytest.approx(float(np.abs(answers - targets).mean()))
