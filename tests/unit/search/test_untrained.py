"""The form of a recipe before training, and a training that is held against others."""

from __future__ import annotations

from typing import Any

import pytest

from makeweight.compress.distill import Distill
from makeweight.compress.finetune import Finetune
from makeweight.compress.prune import Prune
from makeweight.compress.qat import Qat
from makeweight.compress.quantize import Quantize
from makeweight.compress.recipe import Step, Variant, plan
from makeweight.search.untrained import form_of
from makeweight.search.work import _GivenUp, _Race


def variant(*steps: Step) -> Variant:
    return Variant("trial-1", "onnxruntime", plan("module", list(steps), lambda *_: None), [])


def step(technique: Any, **options: Any) -> Step:
    return Step(technique(), technique.Options(**options))


def test_what_trains_nothing_has_no_other_form() -> None:
    assert form_of(variant(step(Quantize))) is None
    assert form_of(variant(step(Prune, ratio=0.5, epochs=0), step(Quantize))) is None


def test_what_is_fast_enough_by_measuring_has_no_other_form() -> None:
    assert form_of(variant(step(Prune, latency={"max_ratio": 0.5}))) is None


def test_training_is_left_out_and_the_search_for_good_numbers() -> None:
    form = form_of(
        variant(
            step(Prune, ratio=0.5, rounds=2, epochs=3),
            step(Finetune, epochs=4),
            step(Quantize, method="static", calibrate="mse", correct_bias=True),
        )
    )
    assert form is not None
    (pruned,) = form.plan.steps
    assert pruned.options.model_dump() | {"epochs": 3} == Prune.Options(ratio=0.5, rounds=2, epochs=3).model_dump()
    assert pruned.options.epochs == 0  # type: ignore[attr-defined]
    assert form.plan.trainings == []
    assert (form.plan.format.ranges, form.plan.format.observer) == ("static", "minmax")
    assert not form.plan.format.biases_corrected


def test_learned_ranges_are_static_ones_in_the_form() -> None:
    form = form_of(variant(step(Qat, epochs=2)))
    assert form is not None
    assert form.plan.steps == ()
    assert form.plan.format.ranges == "static"


def test_a_student_is_made_by_the_least_training() -> None:
    form = form_of(variant(step(Distill, width=0.5, epochs=9)))
    assert form is not None
    assert [options.epochs for _, options in form.plan.trainings] == [1]


def figures(*accuracies: float) -> list[dict[str, float]]:
    return [{"training_loss": 1.0, "validation_accuracy": each} for each in accuracies]


def test_a_training_goes_on_as_long_as_it_is_among_the_best() -> None:
    race = _Race(6, {1: (0.9, 0.8)})
    race.watch("a", figures(0.1))
    race.watch("a", figures(0.1, 0.95))
    race.watch("a", figures(0.1, 0.95, 0.2))
    assert race.had == {1: 0.95}
    late = _Race(6, {1: (0.9, 0.8)})
    with pytest.raises(_GivenUp, match="after epoch 2 of 6: others had a better validation accuracy"):
        late.watch("a", figures(0.99, 0.85))
    assert late.had == {1: 0.85}


def test_epochs_of_all_trainings_of_a_recipe_count_together() -> None:
    race = _Race(6, {1: (0.9, 0.8)})
    race.watch("first", figures(0.1))
    with pytest.raises(_GivenUp):
        race.watch("second", figures(0.1))


def test_a_smaller_loss_is_better_and_none_is_no_ground() -> None:
    race = _Race(3, {1: (-0.5, -0.6)})
    race.watch("a", [{"training_loss": 0.1, "validation_loss": 0.4}])
    assert race.had == {1: -0.4}
    unjudged = _Race(3, {1: (0.9, 0.8)})
    unjudged.watch("a", [{"training_loss": 0.1}])
    assert unjudged.had == {}


def test_what_is_taken_up_again_is_held_against_others_by_what_it_had_at_their_epoch() -> None:
    race = _Race(27, {3: (0.3, 0.2), 2: (0.6, 0.5)})
    # after five epochs of an earlier run it is the best by far, and so it was after one; not so after three
    with pytest.raises(_GivenUp, match="after epoch 3 of 27"):
        race.watch("a", figures(0.4, 0.5, 0.55, 0.9, 0.95))
    assert race.had == {3: 0.4, 2: 0.55}
    # the same where an earlier training of the recipe ended long ago
    race = _Race(27, {2: (0.6, 0.5)})
    race.watch("first", figures(0.1, 0.2))
    race.watch("second", figures(0.7, 0.8))
    assert race.had == {3: 0.1, 2: 0.7}
