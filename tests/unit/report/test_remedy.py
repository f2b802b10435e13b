"""What would pass is told in the right direction, with how far each variant is from its limit."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from makeweight import publish
from makeweight.artifact.artifact import Manifest
from makeweight.decide import decide
from makeweight.measurement import Measurement
from makeweight.project.reading import understand
from makeweight.report import markdown, terminal
from makeweight.report.content import Content

CONFIG = """\
name: digits
model: {{onnx: model.onnx}}
data: {{npz: {{calibration: c.npz, test: test.npz}}}}
variants: {{half: {{steps: [float16]}}, int8: {{steps: [quantize]}}}}
devices: {{local: {{kind: local}}}}
budget: {budget}
"""


def content(budget: str, **sizes: float) -> Content:
    """Two variants; accuracy drops by 4 pt in int8, and by nothing in half."""
    project = understand(CONFIG.format(budget=budget), "makeweight.yaml", Path("digits"))
    figures = []
    for name, size in {"half": 500e3, "int8": 250e3, **sizes}.items():
        drop = 0.04 if name == "int8" else 0.0
        figures += [
            Measurement("nonfinite_outputs", name, "fraction", 0.0, samples=100),
            Measurement("size", name, "bytes", size),
            Measurement("size", name, "ratio", size / 1e6, against="baseline", comparison="ratio"),
            Measurement("accuracy", name, "fraction", 0.9 - drop, (0.8, 0.95), 100),
            Measurement(
                "accuracy",
                name,
                "fraction",
                drop,
                (drop - 0.01, drop + 0.01),
                100,
                against="baseline",
                comparison="drop",
            ),
        ]
    return Content(decide(publish.terms(project), figures, {}))


def _would(made: Content) -> str:
    return next(line for line in markdown.render(made).splitlines() if line.startswith("**What would pass.**"))


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        ("{size: {max: 200 kB}}", ("`int8` is nearest: size is 1.25x its limit.", "`half`, size is 2.50x its limit.")),
        (
            "{size: {max: 200 kB, max_ratio: 0.1}}",
            ("`int8` is nearest: size is 2.50x its limit. So compress it more", "`half`, size is 5.00x its limit."),
        ),
        (
            "{size: {max: 300 kB}, accuracy: {max_drop: 1 pt}}",
            (
                "`half` is nearest: size is 1.67x its limit.",
                "So compress it more",
                "accuracy drops too far, by 3.0 pt.",
            ),
        ),
        (
            "{size: {max: 200 kB}, accuracy: {min: 95 %}}",
            ("nearest: size is 1.25x its limit and accuracy is 9.0 pt under its limit. So compressing it more loses",),
        ),
        ("{size: {max: 249.9 kB}}", ("`int8` is nearest: size is 1.0004x its limit.", "`half`, size is 2.00x its")),
        (
            "{accuracy: {min: 95 %}}",
            ("`half` is nearest: accuracy is 5.0 pt under its limit. So compress it less or train it longer",),
        ),
    ],
    ids=["too large", "two limits of one thing", "one of each", "both", "just over", "too little quality"],
)
def test_the_direction_and_how_far(budget: str, told: tuple[str, ...]) -> None:
    would = _would(content(budget))
    assert [part for part in told if part not in would] == []


def test_what_is_over_its_limit_by_a_hair_does_not_read_like_it() -> None:
    shown = markdown.render(content("{size: {max: 250 kB}}", half=1e6, int8=250_040.0))
    assert "| 250.04 kB |" in next(line for line in shown.splitlines() if line.startswith("| **size**"))


def test_what_the_budget_does_not_limit_and_got_worse_is_told_with_the_pass() -> None:
    made = content("{size: {max_ratio: 0.3}}")
    said = "the budget has no rule on accuracy, which got worse (drop 4.0 pt)"
    assert f"`int8` ships: 4.0x smaller, accuracy drop 4.0 pt; {said}" in markdown.render(made).splitlines()[0]
    assert said.replace("the", "The", 1) in " ".join(terminal.render(made, 200).split())


@pytest.mark.parametrize("budget", ["{size: {max_ratio: 0.3}, accuracy: {max_drop: 5 pt}}", "{size: {max_ratio: 0.3}}"])
def test_nothing_is_told_where_a_rule_is_about_it_or_it_is_no_worse(budget: str) -> None:
    made = content(budget)
    if "accuracy" not in budget:  # the interval holds zero
        figures = [
            asdict(replace(Measurement(**each), value=0.01, interval=(-0.01, 0.02)))
            if each["comparison"] == "drop"
            else each
            for each in made.verdict.measurements
        ]
        made = replace(made, verdict=replace(made.verdict, measurements=figures))
    assert "no rule on" not in markdown.render(made)


_STATIC = Manifest(
    "int8", "ready", "onnxruntime", [], 0, "p", {}, operators={"QGemm": 4}, quantized=4, floating=0, calibrated=True
)
_DYNAMIC = replace(_STATIC, variant="half", operators={"DynamicQuantizeMatMul": 4}, calibrated=False)


@pytest.mark.parametrize(
    ("slowdown", "manifests", "told"),
    [
        (1.2, [_STATIC], True),
        (0.8, [_STATIC], False),
        (1.2, [replace(_STATIC, operators={"QLinearConv": 2, "QGemm": 2})], False),
        (1.2, [_STATIC, _DYNAMIC], False),
        (1.2, [], False),
    ],
    ids=["slower", "faster", "with convolutions", "beside a dynamic one", "nothing known of it"],
)
def test_ranges_found_at_run_time_are_offered_where_fixed_ones_are_slower(
    slowdown: float, manifests: list[Manifest], told: bool
) -> None:
    made = content("{size: {max: 200 kB}}")
    slow = Measurement("latency_p50", "int8", "ratio", slowdown, against="baseline", device="local", comparison="ratio")
    verdict = replace(made.verdict, measurements=[*made.verdict.measurements, asdict(slow)])
    would = _would(replace(made, verdict=verdict, manifests={each.variant: each for each in manifests}))
    said = "`int8` is slower than the baseline, with ranges that are fixed: `quantize: {method: dynamic}` finds them"
    assert (said in would) == told
