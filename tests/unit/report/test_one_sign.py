"""A drop has one sign: whatever tells it, positive is worse, as the rule about it reads."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import invented_content as invented
import pytest

from makeweight import publish
from makeweight.ci import lines, telling
from makeweight.decide import decide
from makeweight.measurement import Measurement
from makeweight.project.reading import understand
from makeweight.report import card, dvcplots, html, junit, markdown, terminal
from makeweight.report.content import ClassFigure, Content

CONFIG = """\
name: digits
model: {onnx: model.onnx}
data: {npz: {test: test.npz}}
task: classification
variants: {half: {steps: [float16]}}
devices: {local: {kind: local}}
ship: half
budget:
  accuracy: {max_drop: 1 pt}
  size: {max_regression: 5 %}
"""


def content(drop: float, low: float, high: float, grown: float) -> Content:
    project = understand(CONFIG, "makeweight.yaml", Path("digits"))
    figures = [
        Measurement("nonfinite_outputs", "half", "fraction", 0.0, samples=100),
        Measurement("accuracy", "baseline", "fraction", 0.9, (0.8, 0.95), 100),
        Measurement("accuracy", "half", "fraction", 0.9 - drop, (0.5, 0.99), 100),
        Measurement("accuracy", "half", "fraction", drop, (low, high), 100, against="baseline", comparison="drop"),
        Measurement("accuracy", "half", "fraction", drop, (low, high), 100, comparison="drop", control=True),
        Measurement("accuracy", "half", "fraction", 0.9, samples=100, control=True),
        Measurement("size", "half", "ratio", grown, (grown - 0.01, grown + 0.02), comparison="regression"),
    ]
    decided = decide(publish.terms(project), figures, {})
    made = invented.content((invented.Model("half", 0.5, drop),), ship=None, devices=())
    classes = {"half": (ClassFigure("cat", 50, 0.9, 0.9 - drop), ClassFigure("dog", 50, 0.9, 0.9))}
    return Content(
        decided, manifests={"half": made.manifests["half"], "baseline": made.manifests["baseline"]}, classes=classes
    )


def forms(made: Content) -> dict[str, str]:
    """Everything that is told of a verdict, as plain text."""
    page = html.render(made)
    place = lines.of(CONFIG)
    return {
        "the comment": markdown.render(made),
        "the terminal": " ".join(terminal.render(made, 200).split()),
        "the page": re.sub(r"<[^>]*>", " ", page.partition("</style>")[2]).replace("\N{NO-BREAK SPACE}", " "),
        "the card": card.render(made, "half"),
        "the JUnit file": junit.render(made.verdict),
        "an annotation": " ".join(each.message for each in telling.marks(made.verdict, place)),
        "the verdict's own sentences": " ".join(rule.sentence for rule in made.verdict.rules),
    }


CASES = {
    "a drop that may be none": (0.143, -0.127, 0.413, 0.3),
    "a gain": (-0.143, -0.413, 0.127, -0.3),
    "a drop beyond doubt": (0.143, 0.101, 0.413, 0.3),
}


@pytest.mark.parametrize("case", CASES)
def test_every_form_of_a_verdict_tells_a_drop_with_the_same_sign(case: str) -> None:
    drop, low, high, grown = CASES[case]
    told, seen = forms(content(drop, low, high, grown)), 0
    around = f"[{low * 100:.1f}, {high * 100:.1f}]"
    for form, text in told.items():
        found = re.findall(r"\[[-+]?\d+\.\d, [-+]?\d+\.\d\](?! *since)", text)
        ours = [each for each in found if each.replace("+", "").replace("-", "") == around.replace("-", "")]
        assert set(ours) <= {around}, form
        seen += bool(ours)
        turned = f"[{-high * 100:.1f}, {-low * 100:.1f}]"
        assert turned not in text.replace("+", ""), form
        for figure in re.findall(r"drops? (?:of )?(-?\d+\.\d) pt", text):
            assert float(figure) in (round(drop * 100, 1), 0.0, 1.0), (form, figure)
    # a rule that passes is no annotation, and the terminal's table leaves the interval of a test set to the report
    assert seen >= 4, told


def test_growth_has_the_sign_of_its_rule_too() -> None:
    told = forms(content(0.143, -0.127, 0.413, -0.3))
    sentences = told["the verdict's own sentences"]
    assert "size grew by -30.0 % [-31.0, -28.0] against the merge base (it fell)" in sentences
    for form in ("the comment", "the page"):
        assert "[28.0, 31.0]" not in told[form]


def test_the_rows_for_dvc_have_it_too() -> None:
    rows = dvcplots.files(content(0.143, -0.127, 0.413, 0.0))[dvcplots.CLASSES].splitlines()
    assert rows[1].split(",")[-1] == "14.3"


def test_what_is_measured_has_it_from_the_start() -> None:
    made = content(0.143, -0.127, 0.413, 0.0)
    (record,) = [asdict(r) if not isinstance(r, dict) else r for r in made.verdict.measurements
                 if r["comparison"] == "drop" and not r["control"]]  # fmt: skip
    before, after = (
        next(m["value"] for m in made.verdict.measurements
             if m["metric"] == "accuracy" and m["variant"] == name and m["comparison"] is None and not m["control"])
        for name in ("baseline", "half")
    )  # fmt: skip
    assert record["value"] == pytest.approx(before - after)


@pytest.mark.parametrize(
    ("low", "said"), [(0.01, True), (-0.01, False)], ids=["certainly behind its control", "perhaps behind its control"]
)
def test_what_compression_alone_cost_is_said_beside_the_verdict(low: float, said: bool) -> None:
    told = forms(content(0.02, low, 0.03, 0.0))
    for form in ("the comment", "the page"):
        found = "Trained as long and not compressed, the baseline reaches 90.0 % (accuracy)" in " ".join(
            told[form].split()
        )
        assert found == said, form
