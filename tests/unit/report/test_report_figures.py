from __future__ import annotations

from dataclasses import asdict, replace

import invented_content as invented
import pytest
from hypothesis import given
from hypothesis import strategies as st

from makeweight.budget.measurand import Measurand
from makeweight.measurement import Measurement, unavailable
from makeweight.report.content import Content
from makeweight.report.figures import Figures
from makeweight.report.written import title, written, written_interval
from makeweight_base.errors import UsageError


def figures(*measurements: Measurement, **changes: object) -> Figures:
    made = invented.content()
    verdict = replace(made.verdict, measurements=[asdict(each) for each in measurements], rules=[])
    return Figures(replace(made, verdict=verdict, **changes))  # type: ignore[arg-type]


def test_a_drop_is_positive_where_the_variant_is_worse():
    own = Measurement("accuracy", "int8", "fraction", 0.009, (0.005, 0.013), 10_000, comparison="drop")
    change = figures(own).change(Measurand("accuracy"), "int8")
    assert change is not None
    assert change.words == "drop 0.9 pt [0.5, 1.3]"
    assert change.better is False


def test_a_drop_below_a_tenth_of_a_point_is_not_rounded_away():
    own = Measurement("accuracy", "int8", "fraction", 0.0004, comparison="drop")
    change = figures(own).change(Measurand("accuracy"), "int8")
    assert change is not None
    assert change.text == "drop 0.04 pt"


def test_no_drop_has_no_sign_of_its_own():
    own = Measurement("accuracy", "int8", "fraction", 0.0, (-0.004, 0.004), comparison="drop")
    change = figures(own).change(Measurand("accuracy"), "int8")
    assert change is not None
    assert change.words == "drop 0.0 pt [-0.4, 0.4]"
    assert change.better is None


@pytest.mark.parametrize(
    ("ratio", "interval", "short", "words"),
    [
        (0.417, (0.4, 0.435), "2.4x [2.3, 2.5]", "2.4x faster [2.3, 2.5]"),
        (0.1, (0.098, 0.102), "10x [9.8, 10.2]", "10x faster [9.8, 10.2]"),
        (1.25, (1.2, 1.3), "0.80x [0.77, 0.83]", "1.25x slower [1.20, 1.30]"),
        (1.0, (0.98, 1.02), "1.00x [0.98, 1.02]", "1.00x [0.98, 1.02]"),
    ],
)
def test_a_ratio_reads_as_times_faster(ratio: float, interval: tuple[float, float], short: str, words: str):
    own = Measurement("latency_p50", "int8", "ratio", ratio, interval, device="pi5", comparison="ratio")
    change = figures(own).change(Measurand("latency_p50"), "int8", "pi5")
    assert change is not None
    assert (f"{change.text} {change.interval}", change.words) == (short, words)


def test_exact_figures_have_no_interval():
    change = figures(Measurement("size", "int8", "ratio", 0.5, comparison="ratio")).change(Measurand("size"), "int8")
    assert change is not None
    assert change.words == "2.0x smaller"
    same = figures(Measurement("size", "int8", "ratio", 1.0, comparison="ratio")).change(Measurand("size"), "int8")
    assert same is not None
    assert same.words == "unchanged"


def test_more_is_better_for_throughput():
    own = Measurement("throughput", "int8", "ratio", 2.0, (1.9, 2.1), device="pi5", comparison="ratio")
    change = figures(own).change(Measurand("throughput"), "int8", "pi5")
    assert change is not None
    assert change.words == "2.0x more [1.9, 2.1]"
    assert change.better is True


def test_an_error_grows_in_per_cent():
    own = Measurement("rmse", "int8", "ratio", 1.03, (1.01, 1.05), comparison="ratio")
    change = figures(own).change(Measurand("rmse"), "int8")
    assert change is not None
    assert change.words == "+3.0 % [+1.0, +5.0]"
    assert change.better is False


def test_a_custom_metric_follows_its_declared_direction():
    own = Measurement("metric", "int8", "number", 0.02, (0.01, 0.03), comparison="drop")
    higher = figures(own, better="higher").change(Measurand("metric"), "int8")
    lower = figures(own, better="lower").change(Measurand("metric"), "int8")
    assert higher is not None
    assert lower is not None
    assert higher.text == lower.text == "drop 0.02"
    assert higher.better is lower.better is False


@given(st.floats(1e-6, 1e6), st.floats(0, 0.9))
def test_better_is_told_only_when_the_interval_is_on_one_side(ratio: float, spread: float):
    interval = (ratio * (1 - spread), ratio * (1 + spread))
    own = Measurement("latency_p50", "int8", "ratio", ratio, interval, device="pi5", comparison="ratio")
    change = figures(own).change(Measurand("latency_p50"), "int8", "pi5")
    assert change is not None
    if interval[0] <= 1 <= interval[1] or change.text == "1.00x":
        assert change.better is None
    else:
        assert change.better is (interval[1] < 1)


def test_the_baseline_on_a_device_is_the_median_of_its_runs():
    runs = [
        Measurement("latency_p50", "baseline", "s", value, against=name, device="pi5")
        for name, value in (("a", 3.0), ("b", 1.0), ("c", 2.0))
    ]
    assert figures(*runs).value(Measurand("latency_p50"), "baseline", "pi5") == 2.0


def test_the_baselines_interval_on_a_device_holds_all_its_runs():
    runs = [
        Measurement("latency_p50", "baseline", "s", value, (value - 0.1, value + 0.2), against=name, device="pi5")
        for name, value in (("a", 3.0), ("b", 1.0), ("c", 2.0))
    ]
    assert figures(*runs).get(Measurand("latency_p50"), "baseline", "pi5").interval == (0.9, 3.2)
    assert figures(*runs).get(Measurand("latency_p50"), "baseline", "pi5", beside="c").interval == (1.9, 2.2)


def test_a_model_stands_beside_the_one_baseline_by_its_ratio():
    """The machine was twice as slow when `fast` was measured, which by its own figure would be slower than the rest."""
    of = Measurand("latency_p50")
    runs = []
    for name, base, own in (("even", 1.0, 1.0), ("slow", 1.0, 1.5), ("fast", 2.0, 1.6)):
        runs += [
            Measurement("latency_p50", "baseline", "s", base, against=name, device="pi5"),
            Measurement("latency_p50", name, "s", own, device="pi5"),
            Measurement("latency_p50", name, "ratio", own / base, comparison="ratio", against="baseline", device="pi5"),
        ]
    made = figures(*runs)
    places = {name: made.place(of, name, "pi5") for name in ("baseline", "even", "slow", "fast")}
    assert places == {"baseline": 1.0, "even": 1.0, "slow": 1.5, "fast": 0.8}
    assert made.value(of, "fast", "pi5") == 1.6, "what was measured stays what was measured"
    assert figures(runs[1]).place(of, "even", "pi5") == 1.0, "with nothing to compare it with, it stands for itself"


@pytest.mark.parametrize(("beside", "told"), [(2.2, None), (2.6, 2.6), (1.5, 1.5)], ids=["near", "slower", "faster"])
def test_a_figure_of_another_run_has_the_baseline_of_that_run_beside_it(beside: float, told: float | None):
    """The baseline that is shown took 2 s, and copies of one model differed by 20 % in the other run."""
    runs = [Measurement("latency_p50", "baseline", "s", 2.0, against=name, device="pi5") for name in ("a", "b")]
    runs += [
        Measurement("latency_p50", "baseline", "s", beside, against="c", device="pi5"),
        Measurement("latency_p50", "c", "s", beside / 2, device="pi5"),
        Measurement(
            "latency_p50", "c", "ratio", 0.5, comparison="ratio", against="baseline", device="pi5", noise_floor=0.2
        ),
    ]
    found = figures(*runs).own_baseline(Measurand("latency_p50"), "c", "pi5")
    assert (None if found is None else found.value) == told
    # the floor that a report names is the largest of any run there
    quiet = [*runs[:-1], replace(runs[-1], noise_floor=0.0), replace(runs[-1], variant="a")]
    same = figures(*quiet).own_baseline(Measurand("latency_p50"), "c", "pi5")
    assert (None if same is None else same.value) == told


def test_a_reason_is_always_found():
    made = figures(unavailable(Measurand("energy"), "int8", "J", "no meter on pi5", device="pi5"))
    assert made.reason(Measurand("energy"), "int8", "pi5") == "no meter on pi5"
    assert made.reason(Measurand("size"), "int8") == "no figure was recorded"
    failed = Figures(invented.content((invented.Model("bad", 0, 0, {}, failed="out of memory"),), ship=None))
    assert failed.reason(Measurand("peak_memory"), "bad", "pi5") == "out of memory"


def test_quality_is_what_the_task_measures():
    assert Figures(invented.content()).quality.metric == "accuracy"
    assert Figures(invented.regression()).quality.metric == "rmse"
    assert figures(Measurement("metric", "int8", "number", 1.0)).quality.metric == "metric"
    assert figures(unavailable(Measurand("mae"), "int8", "number", "NaN")).quality.metric == "mae"


def test_reasons_are_gathered_by_what_they_hold_for():
    made = Figures(invented.content())
    assert made.unavailable() == [("no meter on laptop", ["energy on laptop"]), ("no meter on pi5", ["energy on pi5"])]


def test_figures_are_written_with_unit_and_interval():
    latency = Measurement("latency_p50", "int8", "s", 171e-6, (168e-6, 175e-6), device="pi5")
    assert (written(latency), written_interval(latency)) == ("171 us", "[168, 175]")
    across = Measurement("latency_p50", "int8", "s", 0.99e-3, (950e-6, 1.1e-3), device="pi5")
    assert written_interval(across) == "[950 us, 1.10 ms]"
    estimated = Measurement("energy", "int8", "J", 0.012, status="estimated")
    assert written(estimated) == "about 12.0 mJ"
    control = Measurement("accuracy", "int8", "fraction", 0.003, comparison="drop", control=True)
    assert written(control) == "0.3 pt"


def test_titles():
    assert title(Measurand("latency_p50")) == "latency p50"
    assert title(Measurand("accuracy", slice="night")) == "accuracy of night"
    assert title(Measurand("accuracy", "drop", control=True)) == "accuracy drop against the control"


def test_a_verdict_alone_names_its_devices():
    made = invented.content()
    record = {"status": "ok", "identity": {"cpu": "Cortex-A76"}}
    alone = Content(replace(made.verdict, provenance={"devices": {"pi5": record, "odd": 3}}))
    assert Figures(alone).machines["pi5"].identity == {"cpu": "Cortex-A76"}
    assert Figures(alone).devices == ["pi5", "laptop"]


@pytest.mark.parametrize(
    "entry", [{}, {"metric": "size"}, {"metric": "size", "variant": "x", "unit": "B", "interval": [1]}]
)
def test_a_damaged_measurement_is_told(entry: dict[str, object]):
    made = invented.content()
    with pytest.raises(UsageError, match="cannot be read"):
        Figures(replace(made, verdict=replace(made.verdict, measurements=[entry])))
