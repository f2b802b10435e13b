"""Throughput over a matrix from raw samples: known times give known figures, and a file replays them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from makeweight import measurement
from makeweight.budget.measurand import Measurand
from makeweight.measure import throughput, timings
from makeweight.measure.timings import Timings
from makeweight.measurement import Measurement
from makeweight_probe.job import Result

MS = 1e6


def process(threads: int, seed: int, *, control: float = 1.0, rounds: int = 20, **facts: Any) -> Result:
    """An example takes a ms on one thread and in a batch of one; a batch of 8 takes 4 times as long, twice the threads
    half; the variant takes half. Each turn is spread by 1 %, the same for all in it."""
    rng = np.random.default_rng(seed)
    samples = {}
    for batch, times in ((1, 1.0), (8, 4.0)):
        spread = rng.lognormal(0, 0.01, rounds)
        for arm, share in (("a", 1.0), ("b", 0.5), ("control", control)):
            samples[f"batch{batch}_{arm}"] = MS * times * share * spread / threads
    state = {"before": {"load": 0.5}, "after": {"load": 0.6}, "apart": False, "identity": {"cpu": "a fast one"}}
    asked = {"threads": threads, "batches": [1, 8, 32], "lacking": {"32": "too long"}}
    return Result(samples, {"rounds": rounds, "inner": 1, "seconds": 1.0, **state, **asked, **facts})


TAKEN = Timings((), {}, matrix=tuple(process(threads, seed) for threads in (1, 2) for seed in (1, 2, 3)))


def cells(taken: Timings) -> dict[tuple[int, int, str, bool], Measurement]:
    """By batch, threads and model; and whether it is the ratio."""
    found = [each for each in throughput.measure(taken, "int8", "local") if each.measurand.is_cell]
    named = {(m.batch or 0, m.threads or 0, m.variant, m.comparison == "ratio"): m for m in found}
    assert len(named) == len(found)
    return named


def test_a_cell_is_examples_by_the_time_of_a_batch() -> None:
    found = cells(TAKEN)
    for threads in (1, 2):
        for batch, baseline in ((1, 1000), (8, 2000)):
            own, base = found[batch, threads, "int8", False], found[batch, threads, "baseline", False]
            ratio = found[batch, threads, "int8", True]
            assert base.value == pytest.approx(baseline * threads, rel=0.01)
            assert own.value == pytest.approx(2 * baseline * threads, rel=0.01)
            assert (own.unit, own.against, base.against) == ("1/s", None, "int8")
            assert ratio.value == pytest.approx(2.0)
            assert own.value / base.value == pytest.approx(ratio.value), "times and their ratio are one truth"
            for each in (own, base, ratio):
                low, high = each.interval or (math.inf, 0.0)
                assert low <= each.value <= high  # type: ignore[operator]
                assert (each.samples, each.noise_floor, each.device) == (60, 0.0, "local")


def test_the_ratio_is_paired_and_has_the_noise_floor_of_its_cell() -> None:
    """Turns differ by 1 %, and what two models take in the same turn does not: the ratio is exact."""
    found = cells(replace(TAKEN, matrix=tuple(process(1, seed, control=1.03) for seed in range(3))))
    ratio = found[8, 1, "int8", True]
    assert ratio.interval == (pytest.approx(2.0), pytest.approx(2.0))
    assert ratio.noise_floor == pytest.approx(0.03)
    low, high = found[8, 1, "int8", False].interval or (0.0, 0.0)
    assert high - low > 1


def test_a_cell_that_was_not_measured_tells_why() -> None:
    found = cells(TAKEN)
    for compared in (False, True):
        assert found[32, 2, "int8", compared].reason == "too long"
    assert (32, 2, "baseline", False) not in found
    gone = Result({}, {"unavailable": "it ended", "threads": 4, "batches": [1, 32], "lacking": {"32": "too long"}})
    found = cells(replace(TAKEN, matrix=(*TAKEN.matrix, gone)))
    assert found[1, 4, "int8", False].reason == "it ended"
    assert found[32, 4, "int8", False].reason == "too long"
    assert found[1, 2, "int8", False].status == "measured"


def test_a_size_for_which_only_one_process_had_the_time_is_its() -> None:
    short = process(1, 5)
    for arm in ("a", "b", "control"):
        del short.samples[f"batch8_{arm}"]
    found = cells(Timings((), {}, matrix=(short, process(1, 6))))
    assert (found[8, 1, "int8", False].samples, found[1, 1, "int8", False].samples) == (20, 40)
    assert "1 process," in found[8, 1, "int8", False].method


def test_too_few_pairs_have_no_ratio() -> None:
    found = cells(Timings((), {}, matrix=(process(1, 1, rounds=3),)))
    assert found[1, 1, "int8", False].value == pytest.approx(2000, rel=0.03)
    assert found[1, 1, "int8", True].reason == "too few pairs for an interval"


def test_neither_a_slowed_nor_an_imitated_machine_has_figures() -> None:
    state = {"throttling": {"events": 4}}, {"throttling": {"events": 5}}
    hot = process(2, 1, before=state[0], after=state[1])
    found = cells(Timings((), {}, matrix=(process(1, 1), hot)))
    assert "slowed down" in str(found[1, 2, "int8", False].reason)
    assert found[1, 1, "int8", False].status == "measured"
    imitated = Timings((process(1, 1, identity={"emulated": True}),), {}, matrix=(process(1, 1),))
    assert "emulated" in str(cells(imitated)[1, 1, "int8", False].reason)


def test_a_clock_that_shows_nothing_is_told() -> None:
    still = process(1, 1)
    still.samples["batch1_b"][3] = 0
    assert "too coarse" in str(cells(Timings((), {}, matrix=(still,)))[1, 1, "int8", False].reason)


def test_every_cell_replays_from_the_files(tmp_path: Path) -> None:
    timings.write(tmp_path / "local.npz", TAKEN)
    again = timings.read(tmp_path / "local.npz")
    assert cells(again) == cells(TAKEN)
    listed = [*cells(TAKEN).values()]
    text = measurement.dumps(listed)
    assert measurement.loads(text, "local.json") == listed
    assert '"throughput[batch=8,threads=2]": ' in text, "a figure of its own for DVC"


def test_a_cell_is_another_figure_than_the_one_that_rules_are_held_against() -> None:
    cell = Measurand("throughput", batch=32, threads=1)
    assert cell != Measurand("throughput")
    assert cell.compared("ratio").name == "throughput_ratio[batch=32,threads=1]"
    assert Measurement("throughput", "int8", "1/s", 5.0, batch=32, threads=1).absent("why").measurand == cell


@pytest.mark.parametrize(
    "odd", [{"batch": 8}, {"threads": 1}, {"batch": "8", "threads": 1}, {"batch": 0, "threads": 1}]
)
def test_half_a_cell_is_none(odd: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"a cell has a batch and threads|its `batch` is str"):
        measurement.of({"metric": "throughput", "variant": "int8", "unit": "1/s", "value": 5.0, **odd})
