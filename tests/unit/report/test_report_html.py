from __future__ import annotations

import functools
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import invented_content as invented
import numpy as np
import pytest

from makeweight.report import html
from makeweight.report.content import ClassFigure, Flip, Flips
from makeweight.report.figures import Figures
from makeweight.report.sections import charts, examples

CONTENTS = {
    "three": invented.content(),
    "twelve": invented.many(),
    "one": invented.content(invented.DIGITS[2:]),
    "hostile": invented.hostile(),
    "regression": invented.regression(),
    "undecided": invented.undecided(),
    "no device": invented.content(devices=()),
    "no flips": invented.content(flips=0),
    "waived": invented.waived(),
    "verdict alone": invented.compared(),
    "nothing measured": replace(
        invented.content(), verdict=replace(invented.content().verdict, measurements=[]), timings=(), flips={}
    ),
    "nothing at all": replace(
        invented.content(devices=()),
        verdict=replace(
            invented.content().verdict,
            measurements=[], rules=[], variants=[], ship=None, verdict="not_applicable", provenance={},
        ),
        manifests={}, timings=(), classes={}, flips={},
    ),
}  # fmt: skip
VOID = {"meta", "img", "br", "link", "input", "hr"}


@functools.cache
def page_of(name: str) -> str:
    """Rendered when a test looks at it: not in each of the processes that collect them."""
    return html.render(CONTENTS[name])


class Page(HTMLParser):
    """What a browser would make of it: elements, their attributes, the visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self.text += " "
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag
        self.text += " "

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data.replace("\N{NO-BREAK SPACE}", " ")

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(params=CONTENTS)
def page(request: pytest.FixtureRequest) -> Page:
    return Page(page_of(request.param))


def test_every_element_is_closed(page: Page):
    assert page.open == []


def test_nothing_is_fetched_and_nothing_runs(page: Page):
    for tag, attributes in page.elements:
        assert tag not in {"script", "link", "iframe", "object", "embed", "form", "base"}
        for name, value in attributes.items():
            assert not name.startswith("on")
            if (tag, name) == ("a", "href"):  # somewhere to go, fetched only when a reader goes there
                assert value.startswith("https://github.com/")
            elif name in {"src", "href", "srcset", "poster", "data", "action", "xlink:href"}:
                assert value.startswith("data:image/png;base64,")
    policy = next(meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")


@pytest.mark.parametrize("name", CONTENTS)
def test_the_style_fetches_nothing(name: str):
    style = page_of(name).partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    assert "prefers-color-scheme: dark" in style
    assert "@media print" in style


@pytest.mark.parametrize("name", CONTENTS)
def test_charts_are_well_formed_and_told_in_words(name: str):
    charts = re.findall(r'<svg viewBox="[^"]*" role="img".*?</svg>', page_of(name), re.S)
    for chart in charts:
        root = ET.fromstring(chart)  # noqa: S314 - what we drew ourselves
        assert root.get("aria-label")
        assert len(root.findtext("desc", "")) > 5
        numbers = " ".join(each.get(name, "") for each in root.iter() for name in ("d", "x", "y", "cx", "cy", "width"))
        assert not re.search(r"nan|inf", numbers)
    if name == "three":
        assert len(charts) == 3 + 2 + 3 - 1  # fp16 changed no class, so it has no bars


def test_every_control_and_heading_is_labelled(page: Page):
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    sections = page.all("section")
    assert all(section["aria-labelledby"] in ids for section in sections)
    assert len(ids) == len([1 for _, attributes in page.elements if "id" in attributes])
    assert all(image.get("alt") for image in page.all("img"))
    assert len(page.all("h1")) == 1


def test_a_time_of_a_run_in_which_the_machine_was_faster_has_the_baselines_beside_it():
    shown = html.render(invented.uneven()).replace("\N{NO-BREAK SPACE}", " ")
    assert '<span class="main">43.9 us from 207 us</span>' in shown
    assert "From: the baseline&#39;s figure of that very benchmark" in shown
    assert "43.9 us from 207 us</tspan>" in shown, "the label of the ridge, which stands at 87.8 us"
    assert '<dd class="detail">43.9 us, from 207 us</dd>' in shown


def test_it_opens_with_the_verdict():
    text = " ".join(Page(page_of("three")).text.split())
    assert text.startswith("digits: passed · makeweight makeweight digits ✓ passed slim-int8 ships")


def test_outcomes_are_words_and_signs_never_colour_alone():
    text = " ".join(Page(page_of("undecided")).text.split())
    for said in ("✕ blocked", "✕ over budget", "? undecided", "✕ fail", "✓ pass"):
        assert said in text


def test_a_blocked_verdict_says_why_what_would_settle_it_and_what_would_pass():
    text = " ".join(Page(page_of("undecided")).text.split())
    assert "Why Accuracy drops 0.9 pt [0.5, 1.3], and drop at most 0.5 pt is allowed." in text
    assert "What would settle it makeweight benchmark slim-int8 --device laptop --seconds 30" in text
    assert "What would pass int8 passes every rule (3.8x smaller" in text


def test_hostile_names_are_shown_and_do_nothing():
    page = Page(page_of("hostile"))
    for name in invented.HOSTILE:
        assert name in page.text
    assert "onerror=1" in page.text
    assert not page.all("i")
    assert all(attributes.get("src", "").startswith("data:") for attributes in page.all("img"))
    assert "\x1b" not in page_of("hostile")


def test_what_was_not_measured_says_why():
    text = " ".join(Page(page_of("three")).text.split())
    assert "energy on laptop no meter on laptop" in text
    failed = " ".join(Page(page_of("hostile")).text.split())
    assert "It could not be made: it <b>raised</b> | x [31m next line" in failed


def test_flipped_examples_are_pictures():
    images = Page(page_of("undecided")).all("img")
    assert len(images) == 2 * 64
    assert images[0]["class"] == "tiny"
    assert images[0]["alt"] == "test example 0: 0, taken for 5"
    assert "No example that the baseline has right is wrong here." in Page(page_of("no flips")).text


def test_examples_without_a_picture_are_listed():
    flips = {"slim-int8": Flips(70, (Flip(3, "cat", "cat", "dog", None, None),))}
    page = Page(html.render(replace(CONTENTS["three"], flips=flips)))
    assert not page.all("img")
    text = " ".join(page.text.split())
    assert "cat → dog no. 3" in text
    assert "1 of 70 are shown." in text


def test_large_pictures_do_not_make_a_page_that_will_not_open(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(examples, "_PICTURE_BYTES", 5000)
    large = b"\x89PNG\r\n\x1a\n" + b"\0" * 8 + (640).to_bytes(4) + (480).to_bytes(4) + b"\0" * 2000
    flips = {"slim-int8": Flips(4, tuple(Flip(i, "cat", "cat", "dog", 0.5, large) for i in range(4)))}
    page = Page(html.render(replace(CONTENTS["three"], flips=flips)))
    assert len(page.all("img")) == 2
    assert "class" not in page.all("img")[0]
    assert page.text.count("picture left out: too large") == 2


def test_of_many_classes_those_that_changed_most_are_shown():
    classes = tuple(ClassFigure(f"class {i}", 5, 0.9, 0.9 - (i - 500) / 10_000) for i in range(1000))
    text = html.render(replace(CONTENTS["three"], classes={"slim-int8": classes}))
    assert "The 24 of 1000 classes that changed most." in Page(text).text
    assert "class 999: " in text
    assert "class 0: " in text
    assert "class 600: " not in text


def test_a_task_without_classes_shows_none():
    text = Page(page_of("regression")).text
    assert "What each class lost or won" not in text
    assert "Flipped examples" not in text
    assert "Root mean square error against size" in text
    assert "down is better" in text


def test_errors_that_are_all_zero_are_drawn():
    made = invented.regression()
    figures = [
        {**each, "value": 0.0, "interval": (0.0, 0.0)} if each["metric"] == "rmse" else each
        for each in made.verdict.measurements
        if (each["metric"], each["comparison"]) != ("rmse", "ratio")
    ]
    shown = html.render(replace(made, verdict=replace(made.verdict, measurements=figures)))
    assert "<figcaption>Root mean square error against size</figcaption>\n<svg" in shown


def test_a_device_that_was_not_reached_says_why():
    made = invented.content((invented.Model("int8", 0.3, 0.0, {"laptop": 0.4}),), ship="int8")
    machine = replace(made.machines[1], reason="connection timed out")
    text = " ".join(Page(html.render(replace(made, machines=(made.machines[0], machine)))).text.split())
    assert "pi5 not reached: connection timed out" in text
    assert "not measured: pi5 did not answer: connection timed out" in text


def test_samples_that_are_no_numbers_are_left_out():
    made = CONTENTS["three"]
    broken = replace(made.timings[0], variant_seconds=np.array([np.nan, np.inf, -1.0, 0.0]))
    text = html.render(replace(made, timings=(broken, *made.timings[1:])))
    assert Page(text).open == []


def test_notices_come_first_and_do_nothing():
    notices = ["this pull request loosens the budget: `size.max` removed", "<img src=x onerror=1> `<b>`"]
    made = CONTENTS["undecided"]
    page = Page(html.render(replace(made, verdict=replace(made.verdict, notices=notices))))
    text = " ".join(page.text.split())
    first = text.index("Note. This pull request loosens the budget: size.max removed.")
    assert text.index("leaves 1 open") < first < text.index("Note. <img src=x onerror=1> <b> .") < text.index("Why")
    assert len(page.all("img")) == len(Page(page_of("undecided")).all("img"))


def test_what_is_waived_is_shown_loudly():
    text = " ".join(Page(page_of("waived")).text.split())
    assert "slim-int8 ships with 1 of 5 rules waived: 10x smaller" in text
    said = "Waived. Accuracy drops 0.9 pt, and 0.5 pt is allowed. Waived until 2026-12-31 (label by @somebody): better"
    assert text.index(said) < text.index("Size 10x smaller")
    for shown in ("✕ over budget, waived", "✓ pass (1 waived)", "✕ fail waived"):
        assert shown in text


def test_a_verdict_alone_says_nothing_untrue():
    page = Page(page_of("verdict alone"))
    text = " ".join(page.text.split())
    assert "commit 1a2b3c4 against main 5d6e7f8" in text
    assert "2 benchmarks skipped: artifacts unchanged" in text
    assert "5.3x faster [5.2, 5.5]" in text
    assert "No latency was measured" not in text
    assert "How the models were made" not in text
    (link,) = page.all("a")
    assert link["href"] == "https://github.com/acme/digits/actions/runs/1?a=b&c=d"


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "//host", "https://", "/etc", "https://[::1"]
)
def test_what_is_no_web_address_is_no_link(url: str):
    page = Page(html.render(replace(CONTENTS["verdict alone"], links={"run": url})))
    assert not page.all("a")
    assert page.text.rstrip().endswith("run")


def test_nothing_timed_says_why():
    made = invented.content((invented.Model("int8", 0.3, 0.0, {}),), ship=None)
    text = " ".join(Page(html.render(replace(made, machines=()))).text.split())
    assert "No latency was measured: laptop: laptop did not answer: connection timed out; pi5: pi5 did not" in text


def test_a_model_that_lost_everything_can_be_left_out_of_the_trade_offs():
    lost = (("near", 0.004), ("tolerable", 0.02), ("gone", 0.88))
    made = invented.content(tuple(invented.Model(name, 0.3, drop, {}) for name, drop in lost), ship="near")
    figures = Figures(made)
    far = charts.collapsed(made, figures)
    assert far == ["gone"]
    (whole, *_), (drawn, *_) = charts.tradeoffs(made, figures), charts.tradeoffs(made, figures, far)
    assert "gone" in whole["svg"]
    assert "gone" not in drawn["svg"]
    assert "tolerable" in drawn["svg"]


def test_the_same_content_gives_the_same_page():
    assert html.render(CONTENTS["twelve"]) == page_of("twelve")


def test_contrast_of_text_is_readable():
    """WCAG 2.1, 1.4.3: at least 4.5 to 1."""
    style = page_of("three").partition("<style>")[2].partition("</style>")[0]
    light, dark = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", part)) for part in _palettes(style))
    for palette in (light, dark):
        for ink in ("ink", "quiet", "accent", "pass", "fail", "open"):
            for ground in ("page", "surface", "faint"):
                assert _contrast(palette[ink], palette[ground]) >= 4.5, (ink, ground)
        assert _contrast(palette["accent"], palette["accent-soft"]) >= 4.5


def _palettes(style: str) -> tuple[str, str]:
    first, _, rest = style.partition("@media (prefers-color-scheme: dark)")
    return first, rest.partition("* {")[0]


def _contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)
