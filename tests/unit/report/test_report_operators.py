"""Where the time goes, in each form of the report: a sentence where something is not faster, and bars side by side."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import invented_content as invented

from makeweight.measure.operators import Operator, Profile
from makeweight.report import html, markdown, operators, terminal
from makeweight.report.content import Content, OperatorTimes
from makeweight.report.figures import Figures

BEFORE = Profile(
    (Operator("conv", "Conv", "float", 8e-4), Operator("pool", "MaxPool", "float", 2e-4)), 1.2e-3, 50, 1e-6
)
CONVERTING = Profile(
    (
        Operator("conv", "QLinearConv", "integer", 4e-4),
        Operator("resize", "Resize", "float", 3e-4),
        Operator("q", "QuantizeLinear", "conversion", 2e-4),
        Operator("d", "DequantizeLinear", "conversion", 1e-4),
    ),
    1.5e-3, 50, 1e-6,
)  # fmt: skip
FALLEN = Profile(
    (Operator("f", "Fully Connected", "integer", 9e-4), Operator("cumsum.out", "cumsum.out", "fallback", 1e-4)),
    1e-3, 50, 1e-6,
)  # fmt: skip
SLOW = (
    "`fp16` is not faster and spends 30 % of its operators' time on `laptop` converting numbers (`QuantizeLinear` "
    "20 %, `DequantizeLinear` 10 %) and 30 % in what stayed in float (`Resize`)."
)


def profiled(after: Profile, variant: str = "fp16", before: Profile = BEFORE, device: str = "laptop") -> Content:
    return replace(invented.content(), operators=(OperatorTimes(device, variant, before, after),))


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>|[`*]", "", unescape(page)))


def test_what_is_not_faster_is_explained_everywhere() -> None:
    """fp16 takes 1.007 of the baseline's time on the laptop."""
    content = profiled(CONVERTING)
    assert operators.remarks(content, Figures(content)) == [SLOW]
    for form in (terminal.render, markdown.render, html.render):
        assert SLOW.replace("`", "") in text_of(form(content))


def test_what_is_faster_is_told_on_the_terminal_where_it_is_looked_at_and_in_no_comment() -> None:
    lead = profiled(FALLEN, "slim-int8")
    said = (
        "`slim-int8` spends 10 % of its operators' time on `laptop` in what the delegate left to the runtime's own "
        "kernels (`cumsum.out`)."
    )
    assert operators.remarks(lead, Figures(lead)) == [said]
    assert operators.slowed(lead, Figures(lead)) == []
    assert "operators' time" not in markdown.render(lead)
    other = profiled(FALLEN, "int8")
    assert operators.remarks(other, Figures(other)) == []


def test_without_a_better_reason_the_longest_type_is_named_beside_the_baselines_share() -> None:
    content = profiled(BEFORE, "slim-int8")
    assert operators.remarks(content, Figures(content)) == [
        "`slim-int8` spends 80 % of its operators' time on `laptop` in `Conv`, the baseline 80 %."
    ]
    named_otherwise = Profile((Operator("conv", "Convolution", "float", 9e-4),), 1e-3, 50, 1e-6)
    content = profiled(named_otherwise, "slim-int8")
    assert operators.remarks(content, Figures(content)) == [
        "`slim-int8` spends 100 % of its operators' time on `laptop` in `Convolution`."
    ]
    unknown = profiled(BEFORE, "slim-int8", Profile(reason="no profiler"))
    assert operators.remarks(unknown, Figures(unknown))[0].endswith("in `Conv`.")


def test_the_page_shows_both_models_type_by_type_and_says_what_is_not_known() -> None:
    page = html.render(profiled(CONVERTING))
    shown = page.replace("\N{NO-BREAK SPACE}", " ")
    for words in (
        "Resize: 300 us, baseline none",
        "Conv: none, baseline 800 us",
        "QuantizeLinear: 200 us, baseline none",
    ):
        assert words in shown
    assert "The baseline is not shown: no profiler." in text_of(
        html.render(profiled(CONVERTING, before=Profile(reason="no profiler")))
    )
    told = text_of(html.render(profiled(Profile(reason="LiteRT has none"))))
    assert re.search(r"fp16 on laptop\s*LiteRT has none", told)
    assert "Where the time goes" not in html.render(invented.content())


def test_nothing_measured_and_hostile_names_draw_no_nonsense() -> None:
    zero = Profile((Operator("x", "Add", None, 0.0),), 1e-6, 50, 1e-6)
    assert "no operator took a time" in html.render(profiled(zero, before=zero))
    name = "<script>alert(1)</script>"
    page = html.render(profiled(Profile((Operator(name, name, None, 1e-3),), 1e-3, 5, 1e-6)))
    assert "<script>" not in page
    assert name[:8] in unescape(page)
