"""The ratio that leaves so much arithmetic or time, on widths that are counted by hand."""

import math
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from makeweight.bench.sitting import Ratio
from makeweight.compress.prune import LatencyLimit
from makeweight.compress.stopwatch import Timed
from makeweight.compress.subject import Subject
from makeweight.compress.target import MOST, Latency, for_macs, least_ratio, macs, rising
from makeweight.runtimes.format import FLOAT32
from makeweight.runtimes.runtime import RecipeFailed
from makeweight_base.progress import Silent

STEPS = 8


def narrowed(ratio: float) -> nn.Module:
    """Its width in eighths; each of them is one input, one output and 8 multiplications."""
    width = max(1, round((1 - ratio) * STEPS))
    return nn.Sequential(nn.Linear(width, STEPS, bias=False))


def width_of(module: Any) -> int:
    return int(module[0].in_features)


@pytest.mark.parametrize(("wanted", "width"), [(0.5, 4), (0.9, 7), (0.1, 1)])
def test_the_least_ratio_of_widths_in_steps(wanted: float, width: int) -> None:
    tried = []

    def reached(ratio: float) -> bool:
        tried.append(ratio)
        return width_of(narrowed(ratio)) / STEPS <= max(wanted, 1 / STEPS)

    ratio = least_ratio(reached)
    assert ratio is not None
    assert width_of(narrowed(ratio)) == width
    assert ratio == pytest.approx(1 - (width + 0.5) / STEPS, abs=0.01)
    assert len(tried) == 8


def multiplied(ratio: float) -> nn.Module:
    width = max(2, round((1 - ratio) * STEPS))
    return nn.Sequential(nn.Linear(4, width, bias=False), nn.Linear(width, width, bias=False))


def test_multiply_accumulates_that_are_left() -> None:
    whole, example = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 8)), {"x": torch.zeros(1, 4)}
    ratio, left = for_macs(0.5, multiplied, whole, example)
    # of width w, 4 w + w^2: 60 of 96 with 6, 45 with 5
    assert left == 45 / 96
    assert multiplied(ratio)[1].in_features == 5  # type: ignore[index]
    with pytest.raises(RecipeFailed, match=r"12\.5% of the multiply-accumulates are left .* at most 10\.0%"):
        for_macs(0.1, multiplied, whole, example)


def test_multiply_accumulates_are_counted_by_what_is_called() -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 10))
    assert macs(module, {"image": torch.zeros(2, 3, 6, 6)}) == 2 * (8 * 3 * 9 * 36 + 8 * 36 * 10)
    with pytest.raises(RecipeFailed, match="counts no multiply-accumulates"):
        macs(nn.ReLU(), {"x": torch.zeros(2, 3)})


def test_attention_and_recurrences_are_counted_whole() -> None:
    examples, places, width, inner = 2, 5, 8, 16
    encoder = nn.TransformerEncoderLayer(width, 2, inner, batch_first=True)
    of_a_place = 4 * width * width + 2 * places * width + 2 * width * inner
    assert macs(encoder, {"src": torch.zeros(examples, places, width)}) == examples * places * of_a_place
    kinds: list[tuple[int, Any]] = [(4, nn.LSTM), (3, nn.GRU)]
    for gates, kind in kinds:
        given = {"input": torch.zeros(examples, places, width)}
        assert macs(kind(width, inner, batch_first=True), given) == examples * places * gates * inner * (width + inner)


@dataclass
class Clock:
    """In place of a stopwatch: by the width of a module, its time in those of the baseline, 4 ms. `spread` is how far
    from it the interval's ends are."""

    times: dict[int, float]
    spread: float = 0.01
    device: Any = field(default_factory=lambda: SimpleNamespace(name="desk"))
    format: Any = FLOAT32
    asked: list[tuple[int, float | None]] = field(default_factory=list)

    def time(self, subject: Subject, limit: float | None = None) -> Timed:
        width = width_of(subject.source)
        self.asked.append((width, limit))
        ratio = self.times[width]
        return Timed(Ratio(ratio, (ratio - self.spread, ratio + self.spread), 0.005), ratio * 0.004, 0.004, 3)


LINEAR = {width: width / STEPS for width in range(1, STEPS + 1)}


def aimed(clock: Clock, **limit: Any) -> tuple[Latency, int]:
    """The search, and the width that it found."""
    given: Any = SimpleNamespace(stopwatch=clock, progress=Silent())
    latency = Latency(LatencyLimit(**limit), given)
    return latency, width_of(narrowed(latency.ratio(narrowed, Subject(narrowed(0)))))


def test_a_latency_is_reached_by_the_least_that_does_and_each_width_is_measured_once() -> None:
    clock = Clock(LINEAR)
    latency, width = aimed(clock, max_ratio=0.6)
    assert width == 4  # 0.625 with 5 is too slow
    widths = [each for each, _ in clock.asked]
    assert len(widths) == len(set(widths)) <= 6
    assert {limit for _, limit in clock.asked} == {0.6}
    note = latency.note
    assert (note["device"], note["format"], note["wanted"]) == ("desk", "float32", 0.6)
    by_parameters = {each["parameters"]: each for each in note["tries"]}
    assert set(by_parameters) == {width * STEPS for width in widths}
    assert by_parameters[32]["latency ratio"] == 0.5
    assert by_parameters[32]["interval"] == pytest.approx([0.49, 0.51])
    assert by_parameters[32]["seconds"] == 0.002
    assert "slower with more removed" not in note


@pytest.mark.parametrize(
    ("limit", "spread", "width"),
    [(0.503, 0.01, 3), (0.501, 0.0, 3), (0.52, 0.01, 4)],
    ids=["within the interval", "within the noise", "clear of both"],
)
def test_what_cannot_be_told_from_the_limit_counts_as_too_slow(limit: float, spread: float, width: int) -> None:
    assert aimed(Clock(LINEAR, spread), max_ratio=limit)[1] == width


def test_a_time_is_held_against_what_the_baseline_took() -> None:
    clock = Clock(LINEAR)
    latency, width = aimed(clock, max="2.1 ms")
    assert width == 4
    assert latency.note["wanted"] == pytest.approx(2.1 / 4)
    assert clock.asked[0] == (8, None)
    assert clock.asked[1] == (1, pytest.approx(2.1 / 4))


def test_what_is_reached_already_prunes_nothing() -> None:
    clock = Clock(LINEAR)
    with pytest.raises(
        RecipeFailed, match=r"changed nothing: .* takes 1\.00x .* \[0\.99, 1\.01\] on device `desk`, in"
    ):
        aimed(clock, max_ratio=1.1)
    assert len(clock.asked) == 1


@pytest.mark.parametrize(
    ("limit", "told"),
    [(0.1, r"nearest to `latency` is 0\.12x .* \[0\.12, 0\.14\] on .* 0\.1x"), (0.126, "too near to the limit")],
    ids=["too slow", "not to be told"],
)
def test_what_cannot_be_reached_tells_the_nearest(limit: float, told: str) -> None:
    with pytest.raises(RecipeFailed, match=told):
        aimed(Clock(LINEAR), max_ratio=limit)


def test_where_removing_more_takes_longer_is_told() -> None:
    latency, width = aimed(Clock({**LINEAR, 3: 0.9}), max_ratio=0.6)
    assert width in (2, 4)
    tries = latency.tries
    assert rising(tries) == latency.note.get("slower with more removed", [])
    at = 1 - 3 / STEPS
    assert rising([*tries, (at, Clock({3: 0.9}).time(Subject(narrowed(at))))]) == [at]


def test_another_form_after_training_is_measured_again() -> None:
    clock = Clock(LINEAR)
    latency, _ = aimed(clock, max_ratio=0.6)
    latency.look_again(Subject(narrowed(0.5)))
    assert "after training" not in latency.note
    latency.look_again(Subject(narrowed(0.25)))
    assert latency.note["after training"]["latency ratio"] == 0.75


def test_an_interval_without_end_is_none_in_a_manifest() -> None:
    timed = Clock(LINEAR).time(Subject(narrowed(0)))
    assert timed.plain()["interval"] == pytest.approx([0.99, 1.01])
    endless = replace(timed, ratio=replace(timed.ratio, interval=(0.0, math.inf)))
    assert endless.plain()["interval"] is None
    assert not endless.ratio.below(1e9)


def test_the_largest_ratio_leaves_something() -> None:
    assert width_of(narrowed(MOST)) == 1
