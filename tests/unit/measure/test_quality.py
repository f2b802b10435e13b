"""Quality, alone and paired, on answers small enough to be counted by hand; and replayed from its file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from makeweight.budget.metric import METRICS
from makeweight.config.settings import TaskSettings
from makeweight.measure import outcomes, quality
from makeweight.measure.outcomes import WRONG, Outcomes
from makeweight.measure.sampled import mean_difference
from makeweight.measure.statistics import paired_difference, wilson
from makeweight.measure.tasks.table import TASKS
from makeweight.measure.tasks.task import Asked
from makeweight.measurement import Measurement

CLASSIFICATION = TaskSettings()
REGRESSION = TaskSettings(kind="regression")


def classified(prediction: list[int], target: list[int], classes: int = 3, **more: Any) -> Outcomes:
    answers = np.array(prediction)
    return Outcomes(
        kept={
            "prediction": answers,
            "confidence": np.where(answers == WRONG, np.nan, 0.9),
            "target": np.array(target),
        },
        finite=answers != WRONG,
        slices=more.pop("slices", None),
        classes=classes,
        scores="softmax",
        digest=more.pop("digest", "d"),
    )


def answered(prediction: Any, target: Any) -> Outcomes:
    keeper = TASKS["regression"].keeper(Asked(REGRESSION, None, Path("/nowhere")))
    finite = keeper.add({"y": np.asarray(prediction, float)}, np.asarray(target, float))
    return Outcomes(keeper.kept().arrays, finite, None, 0, "none", "d")


def scored(scores: Any, examples: int) -> Outcomes:
    return Outcomes({"score": np.asarray(scores, float)}, np.ones(examples, bool), None, 0, "none", "d")


def by_metric(found: list[Measurement]) -> dict[str, Measurement]:
    assert len({m.measurand.name for m in found}) == len(found)
    return {m.measurand.name: m for m in found}


# ten examples of three classes; the baseline has 8 right, the variant 7: 2 lost, 1 won
TARGET = [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
BEFORE = [0, 0, 0, 1, 1, 1, 1, 2, 2, 0]
AFTER = [0, 0, 0, 0, 1, 2, 2, 2, 2, 0]


def test_classification_by_hand() -> None:
    found = by_metric(quality.measure(CLASSIFICATION, "int8", classified(AFTER, TARGET), classified(BEFORE, TARGET)))
    assert found["accuracy"].value == 0.7
    assert found["accuracy"].interval == wilson(7, 10)
    assert found["accuracy_drop"].value == 0.1
    assert found["accuracy_drop"].interval == paired_difference(2, 1, 10)
    assert found["accuracy_drop"].against == "baseline"
    # class 1: 3 of 3 before, 1 of 3 after
    assert (found["worst_class_accuracy"].value, found["worst_class_accuracy"].detail) == (1 / 3, "1")
    assert (found["worst_class_accuracy_drop"].value, found["worst_class_accuracy_drop"].detail) == (2 / 3, "1")
    assert (found["negative_flips"].value, found["positive_flips"].value) == (0.2, 0.1)
    assert found["mcnemar_p"].value == 1.0
    assert found["nonfinite_outputs"].value == 0.0
    assert {m.samples for m in found.values()} == {10, 3}


def test_alone_there_is_nothing_to_compare_with() -> None:
    found = by_metric(quality.measure(CLASSIFICATION, "baseline", classified(BEFORE, TARGET), None))
    assert set(found) == {"accuracy", "worst_class_accuracy", "f1", "nonfinite_outputs"}


def test_a_drop_is_exact_to_the_last_bit() -> None:
    """1 of 200 is 0.005, so that a limit of 0.5 pt allows it."""
    before, after = [0] * 200, [1] + [0] * 199
    found = by_metric(quality.measure(CLASSIFICATION, "v", classified(after, [0] * 200), classified(before, [0] * 200)))
    assert found["accuracy_drop"].value == 0.005


def test_class_names_and_slices_are_told() -> None:
    slices = np.array(["day"] * 5 + ["night"] * 3 + [""] * 2)
    task = TaskSettings(classes=["cat", "dog", "owl"])
    own, base = classified(AFTER, TARGET, slices=slices), classified(BEFORE, TARGET, slices=slices)
    found = by_metric(quality.measure(task, "int8", own, base))
    assert found["worst_class_accuracy"].detail == "dog"
    assert (found["accuracy[day]"].value, found["accuracy[night]"].value) == (1.0, 1 / 3)
    assert (found["accuracy_drop[day]"].value, found["accuracy_drop[night]"].value) == (-0.2, 2 / 3)
    assert "accuracy[]" not in found


def test_a_class_without_examples_is_not_the_worst() -> None:
    found = by_metric(quality.measure(CLASSIFICATION, "v", classified([0, 1], [0, 1], classes=5), None))
    assert found["worst_class_accuracy"].value == 1.0


def test_one_example_of_one_class() -> None:
    for after, accuracy in ((0, 1.0), (1, 0.0)):
        own, base = classified([after], [0], classes=2), classified([0], [0], classes=2)
        found = by_metric(quality.measure(CLASSIFICATION, "v", own, base))
        assert (found["accuracy"].value, found["accuracy_drop"].value) == (accuracy, 1 - accuracy)


def test_an_answer_that_is_no_number_is_wrong_and_counted() -> None:
    own = classified([WRONG, *AFTER[1:]], TARGET)
    found = by_metric(quality.measure(CLASSIFICATION, "v", own, classified(BEFORE, TARGET)))
    assert (found["nonfinite_outputs"].value, found["nonfinite_outputs"].detail) == (0.1, "1 of 10 examples")
    assert found["negative_flips"].value == 0.3


def test_two_different_sets_of_examples_are_never_compared() -> None:
    own = classified(AFTER, TARGET, digest="other")
    with pytest.raises(ValueError, match="different examples"):
        quality.measure(CLASSIFICATION, "v", own, classified(BEFORE, TARGET))


def test_regression_by_hand() -> None:
    target = [1.0, 2.0, 3.0, 4.0]
    base, own = answered([1, 2, 3, 5], target), answered([2, 3, 4, 5], target)
    found = by_metric(quality.measure(REGRESSION, "v", own, base))
    assert (found["mae"].value, found["rmse"].value) == (1.0, 1.0)
    assert found["mae_ratio"].value == 4.0
    assert found["rmse_ratio"].value == 2.0
    # total sum of squares 5: 1 - 4/5, and it was 1 - 1/5
    assert found["r2"].value == pytest.approx(0.2)
    assert found["r2_drop"].value == pytest.approx(0.6)
    low, high = found["mae"].interval or (None, None)
    assert (low, high) == (1.0, 1.0)


def test_a_regression_of_several_outputs_takes_all_of_them() -> None:
    own = answered([[0, 0], [0, 2]], [[0, 0], [0, 0]])
    found = by_metric(quality.measure(REGRESSION, "v", own, None))
    assert (found["mae"].value, found["rmse"].value) == (0.5, 1.0)


@pytest.mark.parametrize(
    ("own", "base", "metric", "reason"),
    [
        ([np.nan, 1], [0, 1], "mae", "answers hold NaN or infinity"),
        ([np.inf, 1], [0, 1], "rmse_ratio", "answers hold NaN or infinity"),
        ([np.nan, 1], [0, 1], "r2_drop", "answers hold NaN or infinity"),
        ([1, 1], [1, 2], "mae_ratio", "the baseline's error is zero, so there is no ratio to it"),
        ([1e200, 1], [0, 1], "rmse", "errors are too large to be squared"),
        ([0, 1], [1e200, 1], "rmse_ratio", "the baseline has no such figure"),
    ],
)
def test_what_regression_cannot_tell_is_unavailable(
    own: list[float], base: list[float], metric: str, reason: str
) -> None:
    found = by_metric(quality.measure(REGRESSION, "v", answered(own, [1, 2]), answered(base, [1, 2])))
    assert (found[metric].status, found[metric].reason) == ("unavailable", reason)


@pytest.mark.parametrize("value", [0.1, 1e6 / 3, 0.0])
def test_targets_that_are_all_the_same_have_no_r_squared(value: float) -> None:
    """Also where their mean differs from them in the last bit: that is no variance."""
    found = by_metric(quality.measure(REGRESSION, "v", answered([1, 2, 3], [value] * 3), None))
    assert (found["r2"].status, found["r2"].reason) == ("unavailable", "every target is the same")


def test_one_example_has_no_interval() -> None:
    found = by_metric(quality.measure(REGRESSION, "v", answered([1.0], [2.0]), answered([1.5], [2.0])))
    assert (found["mae"].value, found["mae"].interval, found["mae_ratio"].interval) == (1.0, None, None)


def custom(better: str = "higher") -> TaskSettings:
    return TaskSettings(kind="custom", metric="my:score", better=better)  # type: ignore[arg-type]


@pytest.mark.parametrize(("better", "drop"), [("higher", -1.0), ("lower", 1.0)])
def test_a_custom_metric_drops_when_it_becomes_worse(better: str, drop: float) -> None:
    own, base = scored([2, 3, 4], 3), scored([1, 2, 3], 3)
    found = by_metric(quality.measure(custom(better), "v", own, base))
    assert (found["metric"].value, found["metric_drop"].value) == (3.0, drop)
    assert found["metric"].interval == mean_difference(np.array([2.0, 3.0, 4.0]))
    assert found["metric_drop"].interval == (drop, drop)


def test_one_number_for_all_examples_has_no_interval() -> None:
    found = by_metric(quality.measure(custom(), "v", scored([0.5], 3), scored([0.75], 3)))
    assert (found["metric"].value, found["metric"].interval) == (0.5, None)
    assert (found["metric_drop"].value, found["metric_drop"].interval) == (0.25, None)


def test_scores_of_a_custom_metric_have_slices() -> None:
    night = np.array(["night", "", "night", "day"])
    own, base = replace(scored([1, 2, 5, 7], 4), slices=night), scored([2, 2, 8, 7], 4)
    found = by_metric(quality.measure(custom(), "v", own, base))
    assert {name: found[name].value for name in found if "[" in name} == {
        "metric[day]": 7, "metric_drop[day]": 0, "metric[night]": 3, "metric_drop[night]": 2,
    }  # fmt: skip
    assert found["metric_drop[night]"].interval == mean_difference(np.array([1.0, 3.0]))
    assert found["metric[day]"].interval is None, "one example has none"


def test_a_custom_metric_of_all_examples_has_no_slices_and_says_so() -> None:
    night = np.array(["night", "", "night"])
    found = by_metric(quality.measure(custom(), "v", replace(scored([0.5], 3), slices=night), scored([0.7], 3)))
    for name in ("metric[night]", "metric_drop[night]"):
        assert found[name].status == "unavailable"
        assert "`my:score` gives one number for all examples" in str(found[name].reason)
    assert found["metric"].value == 0.5


def test_a_custom_metric_that_is_no_number_is_unavailable() -> None:
    found = by_metric(quality.measure(custom(), "v", scored([np.nan, 1], 2), scored([1, 1], 2)))
    assert {found[name].status for name in ("metric", "metric_drop")} == {"unavailable"}


@pytest.mark.parametrize("before", [[np.nan, 1], [np.inf, 1], [np.nan]], ids=["nan", "infinite", "one-number"])
def test_a_custom_metric_that_is_no_number_for_the_baseline_has_no_drop(before: list[float]) -> None:
    own = scored([2.0] * len(before), 2)
    found = by_metric(quality.measure(custom(), "v", own, scored(before, 2)))
    assert found["metric"].value == 2.0
    assert (found["metric_drop"].status, found["metric_drop"].reason) == (
        "unavailable",
        "the baseline has no such figure",
    )


@pytest.mark.parametrize("task", [CLASSIFICATION, REGRESSION, custom()], ids=lambda task: task.kind)
def test_every_metric_of_the_catalogue_is_measured_or_told_missing(task: TaskSettings) -> None:
    own = {
        "classification": classified(AFTER, TARGET),
        "regression": answered([1, 2], [1, 3]),
        "custom": scored([1, 2], 2),
    }
    names = {m.measurand.name for m in quality.measure(task, "v", own[task.kind], own[task.kind])}
    expected = {metric.name for metric in METRICS.values() if metric.origin == "evaluate" and task.has(metric)}
    assert expected <= names
    assert expected <= {m.measurand.name for m in quality.missing(task, "v", "it could not be made")}
    assert "nonfinite_outputs" in names


answers = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


@given(answers)
def test_figures_replay_from_the_file_of_answers(rows: list[tuple[int, int, int]]) -> None:
    """Accuracy and flips agree with each other, and whatever is computed from the file is what was computed before."""
    target, before, after = (list(column) for column in zip(*rows, strict=True))
    own = classified(after, target, classes=4, slices=np.array(["a" if t else "" for t in target]))
    base = classified(before, target, classes=4, slices=own.slices)
    found = by_metric(quality.measure(CLASSIFICATION, "v", own, base))
    drop = found["negative_flips"].value - found["positive_flips"].value  # type: ignore[operator]
    assert found["accuracy_drop"].value == pytest.approx(drop)
    assert found["accuracy"].value == pytest.approx(float(np.mean(base.right)) - drop)
    assert all(
        m.interval is None or m.interval[0] <= m.value <= m.interval[1] for m in found.values() if m.value is not None
    )


@pytest.mark.parametrize(
    ("task", "own", "base"),
    [
        (
            CLASSIFICATION,
            classified([WRONG, *AFTER[1:]], TARGET, slices=np.array(["é"] * 10)),
            classified(BEFORE, TARGET),
        ),
        (REGRESSION, answered([[1, np.nan], [2, 3]], [[1, 2], [2, 4]]), answered([[1, 2], [2, 3]], [[1, 2], [2, 4]])),
        (custom("lower"), scored([1, 2, 3], 3), scored([1, 2, 4], 3)),
    ],
    ids=["classification", "regression", "custom"],
)
def test_answers_survive_their_file(tmp_path: Path, task: TaskSettings, own: Outcomes, base: Outcomes) -> None:
    for name, given_ in (("own", own), ("base", base)):
        outcomes.write(tmp_path / f"{name}.npz", given_)
    read = [outcomes.read(tmp_path / f"{name}.npz") for name in ("own", "base")]
    assert quality.measure(task, "v", *read) == quality.measure(task, "v", own, base)
