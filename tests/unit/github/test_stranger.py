"""A stranger's Markdown through GitHub's own parser: what it renders to leads nowhere, and reads as it was."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options

from makeweight.github import stranger
from makeweight.report import markdown
from unit.report.invented_content import HOSTILE, Model, content

OURS = "https://github.com/acme/model"
RUN = f"{OURS}/actions/runs/123"


class Page(HTMLParser):
    """What a rendered page leads to, loads, and says outside of code."""

    def __init__(self, said: str) -> None:
        super().__init__()
        self.leads: list[str] = []
        self.loads: list[str] = []
        self.drawn: list[str] = []
        self.texts: list[str] = []
        self._code = 0
        self.feed(cmarkgfm.github_flavored_markdown_to_html(said, options=Options.CMARK_OPT_UNSAFE))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "a" or "href" in given:
            self.leads.append(given.get("href") or "")
        if tag not in {"a", "p", "br", "hr", "em", "strong", "del", "blockquote", "ul", "ol", "li", "input"} | {
            *("code", "pre", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "sub", "span"),
            *("h1", "h2", "h3", "h4", "h5", "h6"),
        }:
            self.loads.append(tag)
        self._code += tag == "code"
        self.drawn += [given[name] or "" for name in ("lang", "class") if tag in ("pre", "code") and name in given]

    def handle_endtag(self, tag: str) -> None:
        self._code -= tag == "code"

    def handle_data(self, data: str) -> None:
        if not self._code:
            self.texts.append(data)


SITE = "spy.example"
HTTPS = f"https://{SITE}"
TRIES = [
    f"[x]({HTTPS})",
    f"[x](<{HTTPS}> 'title')",
    f"[x][y]\n\n[y]: {HTTPS}",
    f"[x][]\n\n[x]: {HTTPS}",
    f"[x]\n\n[x]: {HTTPS}",
    f"[x]\n\n[x]:\n   {HTTPS}\n   'title'",
    "[x](//spy.example)",
    "[x](javascript:alert)",
    "[x](mailto:a@spy.example)",
    f"x[^1]\n\n[^1]: {HTTPS}",
    f"![x]({HTTPS}/x.png)",
    f"![x][y]\n\n[y]: {HTTPS}/x.png",
    f"[![x]({HTTPS}/x.png)]({HTTPS})",
    f"![run]({RUN})",
    f"<{HTTPS}>",
    "<a@spy.example>",
    f"<a href='{HTTPS}'>x</a>",
    f"<A\nHREF={HTTPS}>x</A>",
    f"<details><a href={HTTPS}>x</a></details>",
    f"<div>\n<a href={HTTPS}>x</a>\n</div>",
    f"<details open ontoggle=x href={HTTPS}>",
    "<img src=x>",
    f"<picture><source srcset={HTTPS}><img src=x></picture>",
    f"<video src={HTTPS}></video>",
    "<svg><image href=x></svg>",
    f"<!-- --><a href={HTTPS}>x</a>",
    f"<![CDATA[x]]><a href={HTTPS}>x</a>",
    f"<?x?><a href={HTTPS}>x</a>",
    HTTPS,
    f"HTTP://{SITE}",
    f"ftp://{SITE}",
    f"_{HTTPS}_ ({HTTPS})",
    f"www.{SITE}",
    f"_WWW.{SITE}_",
    "somebody@spy.example",
    "mailto:somebody@spy.example",
    "xmpp:somebody@spy.example/x",
    f"https&#58;//{SITE}",
    f"https:&#47;&sol;{SITE}",
    f"www&period;{SITE}",
    f"&#119;ww.{SITE}",
    "some&commat;spy.example",
    f"&lt;a href={HTTPS}&gt;",
    f"&lta href={HTTPS}&gt x",
    f"\\<{HTTPS}\\>",
    f"[x]\\({HTTPS})",
    f"\\[x]({HTTPS})",
    f"`[x]({HTTPS})`",
    f"| a |\n|---|\n| [x]({HTTPS}) |",
    f"> - [x]({HTTPS})",
    f"    [x]({HTTPS})",
    f"```\n{HTTPS}\n```\n{HTTPS}",
    f"{OURS}/issues/1",
    f"[x]({OURS}/issues/1)",
    f"[x]({OURS}/actions/runs/1/../../../../stranger)",
    "[x](https://github.com/acme/model2/actions/runs/1)",
    f"[x]({RUN} 'title')",
    f"[x]({RUN}?x={HTTPS})",
    f"<div>\n[run]({HTTPS})\n</div>",
]


@pytest.mark.parametrize("said", TRIES)
def test_it_leads_nowhere_and_loads_nothing(said: str) -> None:
    page = Page(stranger.harmless(said, OURS))
    assert page.leads == []
    assert page.loads == []


def test_what_the_test_above_stands_on() -> None:
    """Most of what is tried would lead somewhere, or load something, if it were posted as it is."""
    idle = {said for said in TRIES if not (Page(said).leads or Page(said).loads)}
    assert len(idle) < len(TRIES) / 4


@pytest.mark.parametrize(
    "said",
    [
        *("@owner", "@acme/owners", "&#64;owner", "&#64owner", "&commat;owner", "@&#111;wner", "x@owner", "\\@owner"),
        *("#12", "acme/model#12", "GH-12", "gh&#45;12", "G&#72;-12", "&#35;12", "&num;12", "#&#49;2", "\\#12", "&#12"),
        *("acme/model@0123456789abcdef0123456789abcdef01234567", "_GH-12_", "&amp;#64;owner", "&&#35;12"),
        "<details>\n&#64owner &#35 #12 &commat\n</details>",
    ],
)
def test_it_notifies_nobody(said: str) -> None:
    # GitHub reads an element's text once more as HTML does, which knows references without a semicolon
    texts = Page(stranger.harmless(said, OURS)).texts
    assert not any(re.search(r"@[A-Za-z0-9]|#\d|GH-\d", text, re.IGNORECASE) for text in texts), texts


@pytest.mark.parametrize(
    "said",
    [
        '```mermaid\ngraph TD\nclick A href "//spy.example"\n```',
        '```mermaid\nquadrantChart\n    title x\nclick A href "//spy.example"\n```',
        "~~~ geojson\n{}\n~~~",
        "> ```mermaid\n> graph TD\n> ```",
        "- ````Mermaid\n  graph TD\n  ````",
        "```math\n\\href{//spy.example}{x}\n```",
    ],
)
def test_no_code_is_drawn(said: str) -> None:
    drawn = re.compile(r"(language-)?(mermaid|geojson|topojson|stl|math)", re.IGNORECASE)
    kinds = Page(stranger.harmless(said, OURS)).drawn
    assert not any(map(drawn.fullmatch, kinds)), kinds


def test_no_command_of_mathematics_is_left() -> None:
    assert not re.search(r"\\[A-Za-z]", stranger.harmless("$\\href{//spy.example}{x}$ $`\\href{x}{y}`$", OURS))


def test_what_an_honest_report_holds_comes_through() -> None:
    names = (Model("fp16", 0.5, 0.0), *(Model(name, 0.3, 0.001) for name in HOSTILE))
    for models in ((Model("fp16", 0.5, 0.0), Model("int8", 0.25, 0.003)), names):
        report = markdown.render(content(models, ship="fp16"))
        posted = stranger.harmless(report, OURS)
        assert read(posted) == read(report)
        assert Page(posted).drawn == Page(report).drawn


def read(said: str) -> str:
    page = Page(said)
    return re.sub(r"\s+", " ", "".join(page.texts).replace("\N{ZERO WIDTH SPACE}", ""))


def test_a_run_of_the_repository_may_be_linked_to() -> None:
    assert Page(stranger.harmless(f"<sub>[run]({RUN}) · [the run]({RUN})</sub>", OURS)).leads == [RUN, RUN]


@pytest.mark.parametrize("given", ["a\u202eb\x00c\x1b[31m", "a&#x202e;b&#10;c&#13;[31m"])
def test_what_does_not_show_is_a_space(given: str) -> None:
    assert stranger.harmless(given, OURS) == "a b c [31m"
