"""Labels against scikit-learn's figures, whatever the scores are; and what has no figure."""

from typing import Any

import numpy as np
import pytest
from kept_answers import kept, measured

from makeweight.config.settings import TaskSettings
from makeweight.measure.tasks.table import TASKS
from makeweight_base.errors import UsageError

TASK = TaskSettings(kind="multilabel")
RNG = np.random.default_rng(5)
TARGETS = RNG.integers(0, 2, (60, 3))
LOGITS = RNG.normal(size=(60, 3)) * 2 + 2 * TARGETS - 1
SURE = 1 / (1 + np.exp(-LOGITS))


@pytest.mark.parametrize("threshold", [0.5, 0.2])
@pytest.mark.parametrize("scores", [LOGITS, SURE], ids=["logits", "probabilities"])
def test_figures_are_those_of_scikit_learn(threshold: float, scores: Any) -> None:
    from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

    task = TaskSettings(kind="multilabel", threshold=threshold)
    found = measured(task, kept(task, {"y": scores}, TARGETS))
    assert found["f1"].value == pytest.approx(f1_score(TARGETS, threshold <= SURE, average="macro"))
    assert found["average_precision"].value == pytest.approx(average_precision_score(TARGETS, SURE, average="macro"))
    assert found["auroc"].value == pytest.approx(roc_auc_score(TARGETS, SURE, average="macro"))
    for name in ("f1", "average_precision", "auroc"):
        low, high = found[name].interval or (0, 0)
        assert low < (found[name].value or 0) < high
        assert "percentile bootstrap over examples, 1,000 resamples, seed 0" in found[name].method


def test_a_model_beside_itself_drops_by_nothing_at_all() -> None:
    own = kept(TASK, {"y": LOGITS}, TARGETS)
    found = measured(TASK, own, own)
    for name in ("f1_drop", "average_precision_drop", "auroc_drop"):
        assert (found[name].value, found[name].interval) == (0.0, (0.0, 0.0))


def test_a_variant_is_read_like_its_baseline() -> None:
    base = kept(TASK, {"y": LOGITS}, TARGETS)
    squeezed = np.abs(LOGITS) / 10
    assert kept(TASK, {"y": squeezed}, TARGETS).scores == "probability"
    assert kept(TASK, {"y": squeezed}, TARGETS, like=base).scores == "sigmoid"


def test_a_label_that_no_example_has_counts_nowhere() -> None:
    from sklearn.metrics import roc_auc_score

    targets = TARGETS * [1, 0, 1]
    found = measured(TASK, kept(TASK, {"y": LOGITS}, targets))
    assert found["auroc"].value == pytest.approx(roc_auc_score(targets[:, [0, 2]], LOGITS[:, [0, 2]]))
    with pytest.raises(UsageError, match=r"no example of label 1 \(1 of 3 labels are absent"):
        TASKS["multilabel"].check(TASK, kept(TASK, {"y": LOGITS}, targets))


@pytest.mark.parametrize(
    ("targets", "missing"),
    [
        (np.zeros_like(TARGETS), {"f1", "worst_label_f1", "average_precision", "auroc"}),
        (np.ones_like(TARGETS), {"auroc"}),
    ],
    ids=["no label at all", "every label everywhere"],
)
def test_without_positives_or_negatives_there_is_no_area(targets: Any, missing: set[str]) -> None:
    own = kept(TASK, {"y": LOGITS}, targets)
    found = measured(TASK, own, own)
    assert {name for name, each in found.items() if each.status == "unavailable"} == {
        f"{name}{end}" for name in missing for end in ("", "_drop")
    }
    assert all(found[name].reason for name in missing)


def test_an_answer_that_is_no_number_is_the_wrong_one() -> None:
    broken, wrong = LOGITS.copy(), LOGITS.copy()
    broken[4], wrong[4] = np.nan, np.where(TARGETS[4] > 0, -99, 99)
    found, expected = (measured(TASK, kept(TASK, {"y": scores}, TARGETS)) for scores in (broken, wrong))
    for name in ("f1", "average_precision", "auroc"):
        assert found[name].value == expected[name].value
    assert found["nonfinite_outputs"].value == pytest.approx(1 / 60)


def test_scores_of_another_number_of_labels_are_told() -> None:
    with pytest.raises(UsageError, match=r"gives 3 scores an example, and the targets have shape \[2\]"):
        kept(TASK, {"y": LOGITS}, TARGETS[:, :2])
