"""Answers beside those of another model, against figures computed with plain numpy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from makeweight.measure.elsewhere import beyond_rounding
from makeweight.measure.samples import store
from makeweight_probe import ProbeFailed, answers, sessions
from makeweight_probe.answers import MOST_DECIBELS, Noise
from makeweight_probe.job import AnswersJob, Model, Result

WEIGHTS = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
SAMPLES = np.random.default_rng(1).standard_normal((10, 4)).astype(np.float32)
Computing = Callable[[np.ndarray], list[Any]]


def product(x: np.ndarray) -> list[Any]:
    return [x @ WEIGHTS, x.sum(axis=1, keepdims=True)]


def rounded(x: np.ndarray) -> list[Any]:
    scores, sums = product(x)
    return [np.round(scores * 4) / 4, sums]


def centred(x: np.ndarray) -> list[Any]:
    """As a normalization by the batch."""
    scores, sums = product(x)
    return [scores - scores.mean(axis=0), sums]


def single(x: np.ndarray) -> list[Any]:
    if len(x) > 1:
        raise ValueError("one at a\ntime")
    return product(x)


def of_no_number(x: np.ndarray) -> list[Any]:
    scores, _ = product(x)
    return [np.where(scores > 1, np.nan, scores), np.array(["a"])]


def short(x: np.ndarray) -> list[Any]:
    """As a detector, which finds more in one picture than in another."""
    scores, sums = product(x)
    return [scores[:, :2], sums]


def detected(x: np.ndarray) -> list[Any]:
    """As a detector, of as many boxes as the fullest picture has, which lists its levels, too."""
    scores, _ = product(x)
    fullest = max(1, int((x > 0).sum(axis=1).max()))
    return [scores, x[:, None, :fullest], [x[:, :1], x[:, :2]]]


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    class Session:
        def __init__(self, computing: Computing) -> None:
            self._computing = computing

        def run(self, feeds: dict[str, np.ndarray]) -> list[Any]:
            return self._computing(feeds["x"])

    class Opener:
        def open_session(self, path: str, threads: int) -> Session:
            return Session(globals()[path])

    monkeypatch.setattr(sessions, "find", lambda _: Opener())
    store(tmp_path / "inputs.npz", [{"x": SAMPLES[i : i + 1]} for i in range(len(SAMPLES))])

    def ask(
        model: Computing,
        reference: Computing | None,
        together: int | None = 4,
        scores: int | None = 0,
        **more: Any,
    ) -> Result:
        named = [None if each is None else Model("r", each.__name__, 1) for each in (model, reference)]
        assert named[0] is not None
        return answers.ask(AnswersJob(named[0], named[1], str(tmp_path / "inputs.npz"), together, scores, **more))

    return ask


def test_signal_to_noise_by_output(ask: Callable[..., Result]) -> None:
    wanted = SAMPLES @ WEIGHTS
    given = np.round(wanted * 4) / 4
    result = ask(rounded, product)
    first, second = result.facts["decibels"]
    assert first == pytest.approx(20 * np.log10(np.linalg.norm(wanted) / np.linalg.norm(wanted - given)), abs=0.01)
    assert second == MOST_DECIBELS
    np.testing.assert_allclose(result.samples["wanted"], wanted, rtol=1e-6)
    np.testing.assert_allclose(result.samples["given"], given, atol=0.26)
    assert (result.facts["examples"], result.facts["broken"], result.facts["refused"]) == (10, [0, 0], None)


def test_what_was_answered_elsewhere_stands_for_a_reference(ask: Callable[..., Result], tmp_path: Path) -> None:
    each = [product(SAMPLES[i : i + 1]) for i in range(len(SAMPLES))]
    store(tmp_path / "wanted.npz", [{"0": scores, "1": sums} for scores, sums in each])
    told, asked = ask(rounded, None, wanted=str(tmp_path / "wanted.npz")), ask(rounded, product)
    assert told.facts == asked.facts
    assert {name: values.tolist() for name, values in told.samples.items()} == {
        name: values.tolist() for name, values in asked.samples.items()
    }


def test_answers_that_depend_on_their_neighbours(ask: Callable[..., Result]) -> None:
    """One by one a batch's mean is the example itself, so that nothing is left of the first output."""
    assert ask(centred, None).facts["together"] == [-MOST_DECIBELS, MOST_DECIBELS]
    assert min(ask(product, None).facts["together"]) > 100
    assert ask(product, None, together=None).facts["together"] == [None, None]


def test_a_model_that_takes_no_batch_is_no_failure(ask: Callable[..., Result]) -> None:
    facts = ask(single, product).facts
    assert facts["refused"] == "one at a time"
    assert facts["decibels"] == [MOST_DECIBELS, MOST_DECIBELS]


DRAWN = np.random.default_rng(2)


def drawn(x: np.ndarray) -> list[Any]:
    """As a model in training mode."""
    scores, sums = product(x)
    return [scores * DRAWN.standard_normal(scores.shape), sums]


def test_what_is_another_each_time_is_told_from_rounding(ask: Callable[..., Result]) -> None:
    """Of a model that depends on its neighbours the same is asked with none of them."""
    assert ask(centred, None).facts["again"] == [MOST_DECIBELS, MOST_DECIBELS]
    facts = ask(drawn, None).facts
    assert beyond_rounding(facts["again"][0], facts["same_again"][0])
    assert (facts["again"][1], facts["same_again"]) == (MOST_DECIBELS, [None, None])
    facts = ask(picked, None).facts
    assert facts["same_again"] == [None, (1, 1)]
    assert not any(map(beyond_rounding, facts["again"], facts["same_again"]))


@pytest.mark.parametrize(
    ("decibels", "same", "beyond"),
    [(59.0, None, True), (61.0, None, False), (None, None, False), (-3.0, (10, 10), False), (90.0, (0, 1), True)],
)
def test_integers_are_told_by_how_many_are_the_same(
    decibels: float | None, same: tuple[int, int] | None, beyond: bool
) -> None:
    assert beyond_rounding(decibels, same) == beyond


def test_numbers_that_break_are_counted(ask: Callable[..., Result]) -> None:
    assert ask(of_no_number, product, scores=1).samples == {}
    facts = ask(of_no_number, product).facts
    assert facts["broken"] == [int((SAMPLES @ WEIGHTS > 1).sum()), 0]
    assert facts["decibels"][1] is None


def test_another_size_cannot_be_compared(ask: Callable[..., Result]) -> None:
    result = ask(short, product)
    assert result.facts["decibels"] == [None, MOST_DECIBELS]
    assert result.samples == {}


def swapped(x: np.ndarray) -> list[Any]:
    """Another runtime's: its outputs in another order, and the scores lie otherwise."""
    scores, sums = product(x)
    return [sums, scores.T]


def test_what_has_another_size_in_each_example_or_is_no_array_stays_apart(ask: Callable[..., Result]) -> None:
    facts = ask(detected, detected).facts
    assert len({detected(SAMPLES[i : i + 1])[1].shape for i in range(4)}) > 1
    assert facts["decibels"] == [MOST_DECIBELS, MOST_DECIBELS, None]
    assert facts["refused"] is None
    assert facts["together"][0] > 100
    assert facts["together"][2] is None


def test_outputs_are_found_and_turned(ask: Callable[..., Result]) -> None:
    """Rounded scores against those of the other, by numpy."""
    wanted = SAMPLES @ WEIGHTS
    noise = wanted - np.round(wanted * 4) / 4
    result = ask(rounded, swapped, counterparts=((1, (1, 0)), (0, None)))
    decibels = 20 * np.log10(np.linalg.norm(wanted) / np.linalg.norm(noise))
    assert result.facts["decibels"] == [pytest.approx(decibels, abs=0.01), MOST_DECIBELS]
    np.testing.assert_allclose(result.samples["wanted"], wanted, rtol=1e-6)
    alone = ask(rounded, swapped, counterparts=(None, (0, None)))
    assert (alone.facts["decibels"], alone.samples) == ([None, MOST_DECIBELS], {})


def test_each_is_fed_as_it_takes_it(ask: Callable[..., Result], tmp_path: Path) -> None:
    store(tmp_path / "own.npz", [{"x": 2 * SAMPLES[i : i + 1]} for i in range(len(SAMPLES))])
    halved = ask(product, product, reference_inputs=str(tmp_path / "own.npz")).facts["decibels"]
    assert halved == [pytest.approx(20 * np.log10(2), abs=1e-4)] * 2, "half of what is wanted is missing"


def test_a_model_that_fails_alone_cannot_be_asked(ask: Callable[..., Result]) -> None:
    with pytest.raises(ProbeFailed, match="one at a time"):
        ask(product, failing, scores=None)


def failing(x: np.ndarray) -> list[Any]:
    raise ValueError("one at a time")


@given(
    arrays.arrays(np.float64, (6, 3), elements=st.floats(-1e3, 1e3)),
    arrays.arrays(np.float64, (6, 3), elements=st.floats(-1e3, 1e3)),
    st.integers(1, 6),
)
def test_how_it_is_cut_makes_no_difference(wanted: np.ndarray, given: np.ndarray, size: int) -> None:
    whole, cut = Noise(), Noise()
    whole.add(wanted, given)
    for start in range(0, 6, size):
        cut.add(wanted[start : start + size], given[start : start + size])
    assert whole.decibels() == pytest.approx(cut.decibels(), abs=1e-6)


def picked(x: np.ndarray) -> list[Any]:
    """The class itself, beside its scores."""
    scores, _ = product(x)
    return [scores, scores.argmax(axis=1)]


def picked_otherwise(x: np.ndarray) -> list[Any]:
    """In another type, and another class where the first number is large."""
    scores, classes = picked(x)
    return [scores, np.where(x[:, 0] > 0.5, (classes + 1) % 3, classes).astype(np.int32)]


def test_integers_are_counted_by_how_many_are_the_same(ask: Callable[..., Result]) -> None:
    facts = ask(picked_otherwise, picked).facts
    others = int((SAMPLES[:, 0] > 0.5).sum())
    assert 0 < others < 10
    assert facts["same"] == [None, (10 - others, 10)]
    assert facts["same_together"] == [None, (10, 10)]


@given(arrays.arrays(np.int64, (2, 20), elements=st.integers(0, 9)), st.integers(0, 10**5))
def test_what_integers_count_from_makes_no_difference(pair: np.ndarray, start: int) -> None:
    plain, moved = Noise(), Noise()
    plain.add(*pair)
    moved.add(*(pair + start))
    assert plain.same == moved.same == (int((pair[0] == pair[1]).sum()), 20)
    assert plain.decibels() == pytest.approx(moved.decibels(), abs=1e-2)
