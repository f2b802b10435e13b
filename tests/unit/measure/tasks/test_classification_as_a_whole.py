"""What a classification has of the whole set: F1, and, of two named classes, the areas. Against scikit-learn."""

import numpy as np
import pytest
from kept_answers import kept, measured

from makeweight.config.settings import TaskSettings

RNG = np.random.default_rng(7)
TWO = TaskSettings(classes=["healthy", "ill"])


def test_f1_is_the_mean_over_classes() -> None:
    from sklearn.metrics import f1_score

    scores, targets = RNG.normal(size=(80, 4)), RNG.integers(0, 4, 80)
    found = measured(TaskSettings(), kept(TaskSettings(), {"y": scores}, targets))
    assert found["f1"].value == pytest.approx(f1_score(targets, scores.argmax(1), average="macro"))
    assert "auroc" not in found


@pytest.mark.parametrize("columns", [1, 2])
def test_two_named_classes_have_areas(columns: int) -> None:
    from sklearn.metrics import average_precision_score, roc_auc_score

    targets = RNG.integers(0, 2, 50)
    logits = RNG.normal(size=(50, columns)) + 0.7 * targets[:, None] * [-1, 1][-columns:]
    found = measured(TWO, kept(TWO, {"y": logits}, targets))
    ill = logits[:, -1] - (logits[:, 0] if columns == 2 else 0)
    assert found["auroc"].value == pytest.approx(roc_auc_score(targets, ill))
    assert found["average_precision"].value == pytest.approx(average_precision_score(targets, ill))


@pytest.mark.parametrize("answers", ["logits", "probabilities"])
def test_answers_that_are_nearly_sure_are_not_ties(answers: str) -> None:
    """In single precision the first class's probability is 1 for all of them."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    targets = RNG.integers(0, 2, 60)
    scores = np.stack([np.zeros(60), RNG.uniform(-60, -20, 60) + 5 * targets], axis=1)
    if answers == "probabilities":
        scores = (np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)).astype(np.float32)
    found = measured(TWO, kept(TWO, {"y": scores}, targets))
    assert found["auroc"].value == pytest.approx(roc_auc_score(targets, scores[:, 1]))
    assert found["average_precision"].value == pytest.approx(average_precision_score(targets, scores[:, 1]))


def test_an_answer_that_is_no_number_is_ranked_as_wrong_as_can_be() -> None:
    scores = np.array([[0.0, 5.0], [np.inf, 9.0], [0.0, -5.0], [0.0, np.nan]])
    found = measured(TWO, kept(TWO, {"y": scores}, np.array([1, 1, 0, 0])))
    assert found["auroc"].value == 0.25, "of four pairs, one of two numbers is right"


def test_without_the_second_class_there_is_no_area() -> None:
    found = measured(TWO, kept(TWO, {"y": RNG.normal(size=(9, 2))}, np.zeros(9, int)))
    assert (found["auroc"].status, found["auroc"].reason) == (
        "unavailable",
        "no test example is positive, that is of class 1",
    )


def test_scores_that_are_no_probabilities_in_the_last_batch_are_logits_in_all() -> None:
    scores = np.array([[0.4, 0.6]] * 7 + [[4.0, 6.0]])
    own = kept(TaskSettings(), {"y": scores}, np.ones(8, int))
    assert own.scores == "softmax"
    assert own.confidence[0] == pytest.approx(1 / (1 + np.exp(-0.2)))
