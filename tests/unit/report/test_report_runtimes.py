"""Reports of several runtimes: by recipe, with the faster runtime and what fell back. One runtime needs no word."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from invented_content import RUNTIMES, Model, content

from makeweight.artifact import artifact
from makeweight.artifact.files import sha256_of
from makeweight.cli import main
from makeweight.decide.verdict import dumps
from makeweight.layout import Layout
from makeweight.report import card, html, markdown, remarks, terminal
from makeweight.report.comparison import rows
from makeweight.report.content import Content
from makeweight.report.figures import Figures
from makeweight.report.runtimes import fallen_back

SEVERAL = content(RUNTIMES, ship="int8-litert")
FASTER = (
    "Of quantize (method static), litert is 2.00x as fast as onnxruntime on `laptop`: `int8-litert`; onnxruntime "
    "and litert are not told apart on `pi5`."
)
FALLEN = "`int8-litert` leaves 1 of 10 operators to litert's own kernels: 1 GATHER."


def test_models_of_one_recipe_stand_together() -> None:
    shown = [(row.variant, row.recipe, row.runtime) for row in rows(SEVERAL, Figures(SEVERAL))]
    assert shown == [
        ("baseline", "as it is", "onnxruntime"),
        ("plain-litert", "as it is", "litert"),
        ("int8", "quantize (method static)", "onnxruntime"),
        ("int8-litert", "quantize (method static)", "litert"),
        ("int8-dynamic", "quantize (method dynamic)", "onnxruntime"),
    ]


def test_the_faster_runtime_is_advised_and_what_fell_back_is_told() -> None:
    """Of the leading variant's recipe, 0.50 and 0.25 of the baseline's time on the one device; as good as one on the
    other."""
    assert remarks.remarks(SEVERAL, Figures(SEVERAL)) == [FASTER, FALLEN]


def test_a_faster_one_that_breaks_the_budget_is_no_advice() -> None:
    verdict = SEVERAL.verdict
    variants = [replace(each, verdict="fail") if each.variant == "int8-litert" else each for each in verdict.variants]
    changed = replace(SEVERAL, verdict=replace(verdict, variants=variants))
    assert "`int8-litert`, which breaks the budget" in remarks.remarks(changed, Figures(changed))[0]


@pytest.mark.parametrize("form", [markdown.render, terminal.render, html.render], ids=["markdown", "terminal", "html"])
def test_every_form_tells_it(form: Callable[[Content], str]) -> None:
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>|`", "", unescape(form(SEVERAL))))
    for told in (FASTER, FALLEN, "recipe"):
        assert told.replace("`", "") in text


def test_recipes_that_differ_late_are_not_told_as_one() -> None:
    """They are not held against each other, however little of them is shown."""
    left_out = [f"layer{number}.0.conv1" for number in range(20)]
    models = [
        Model(name, 0.3, 0.003, {"laptop": ratio}, recipe=[{"quantize": {"exclude": own}}], runtime=runtime)
        for name, ratio, own, runtime in (
            ("one", 0.5, left_out, "onnxruntime"),
            ("other", 0.3, [*left_out, "fc"], "litert"),
        )
    ]
    both = content(models, ship="other")
    assert remarks.remarks(both, Figures(both)) == []
    assert max(len(row.recipe) for row in rows(both, Figures(both))) == 100


def test_what_has_no_room_beside_the_figures_stands_before_them() -> None:
    """Nothing is cut, and no name is broken, in a window of 80 characters."""
    lines = [" ".join(line.split()) for line in terminal.render(SEVERAL, 80).splitlines()]
    assert lines.index("* int8-litert quantize (method static) litert") < lines.index(
        "* int8-litert 490 kB 3.9x 98.4 % drop 0.3 pt pass, ships"
    )


def test_the_gate_tells_it_of_the_models_that_were_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    at = Layout(Path())
    for name, manifest in SEVERAL.manifests.items():
        artifact.write(at.artifact(name), manifest)
    hashes = {name: sha256_of(at.artifact(name) / artifact.MANIFEST) for name in SEVERAL.manifests}
    hashes["gone"] = "0" * 64
    at.verdict.parent.mkdir()
    at.verdict.write_text(dumps(replace(SEVERAL.verdict, provenance={"manifests": hashes})))
    assert main(["gate"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert FASTER in said
    assert "int8-litert quantize (method static) litert" in said

    changed = at.artifact("int8-litert") / artifact.MANIFEST
    changed.write_text(changed.read_text().replace("GATHER", "SCATTER"))
    assert main(["gate"]) == 3, "stale"
    assert "int8-litert quantize" not in " ".join(capsys.readouterr().out.split())


def test_the_card_of_a_variant_has_what_is_said_of_it() -> None:
    told = card.render(SEVERAL, "int8-litert")
    assert "leaves 1 of 10 operators" in told
    assert "leaves 1 of 10 operators" not in card.render(SEVERAL, "int8")


def test_one_runtime_needs_no_word() -> None:
    one = content()
    assert remarks.remarks(one, Figures(one)) == []
    assert {(row.recipe, row.runtime) for row in rows(one, Figures(one))} == {("", "")}
    assert "Runtimes" not in markdown.render(one)


@pytest.mark.parametrize(
    "form", [markdown.render, terminal.render, html.render, lambda each: card.render(each, "int8-litert")]
)
def test_a_file_that_a_format_made_no_smaller_is_told(form: Callable[[Content], str]) -> None:
    told = "4,096 bytes, and 3,210 of the baseline"
    manifests = dict(SEVERAL.manifests)
    manifests["int8-litert"] = replace(manifests["int8-litert"], notes={"quantize": {"no smaller": told}})
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>|`", "", unescape(form(replace(SEVERAL, manifests=manifests)))))
    assert f"quantize made the file of int8-litert no smaller: {told}." in text
    assert "no smaller" not in form(SEVERAL)


@pytest.mark.parametrize(
    ("operators", "delegate", "left"),
    [
        ({"XNNPACK:CONV_2D": 9, "GATHER": 1}, "XNNPACK", {"GATHER": 1}),
        ({"XnnpackBackend:Conv2d": 3, "aten::argmax.out": 2}, "XnnpackBackend", {"aten::argmax.out": 2}),
        ({"XNNPACK:CONV_2D": 9, "GATHER": 1}, None, {"GATHER": 1}),
        ({"CONV_2D": 9, "GATHER": 1}, "XNNPACK", {"CONV_2D": 9, "GATHER": 1}),
        ({"Conv": 3, "Relu": 1}, None, {}),
        ({}, None, {}),
    ],
    ids=["LiteRT", "ExecuTorch", "a manifest of before", "all of it", "no delegate", "unknown"],
)
def test_what_falls_back(operators: dict[str, int], delegate: str | None, left: dict[str, int]) -> None:
    assert fallen_back(operators, delegate) == left
