"""Commands of the log, read back as the runner reads them."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from makeweight.forge.annotation import Annotation, Level
from makeweight.github import commands

HOSTILE = st.text(st.sampled_from("::%,=\r\n#[] ;abcadd-mask0A25\u2028\x85\x0b")) | st.text()
Command = tuple[str, dict[str, str], str]


def runner(log: str) -> list[Command]:
    """The commands in a log, by the rules of the runner (actions/runner, ActionCommand.cs)."""
    return [found for line in re.split(r"\r\n|\r|\n", log) if (found := _command(line)) is not None]


def _command(line: str) -> Command | None:
    start = line.lstrip()
    if start.startswith("::") and (end := start.find("::", 2)) >= 0:
        name, _, properties = start[2:end].partition(" ")
        pairs = [pair.partition("=") for pair in properties.split(",") if pair]
        return name, {key.strip(): _unescape(value) for key, _, value in pairs}, _unescape(start[end + 2 :])
    old = re.search(r"##\[([^\]]*)\](.*)", line)
    return (old[1], {}, old[2]) if old else None


def _unescape(text: str) -> str:
    for mark, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(mark, character)
    return text


def test_what_the_runner_sees() -> None:
    told = Annotation("a,b/makeweight.yaml", 3, "failure", "size: over", "100 %\nover")
    line = commands.annotation(told)
    assert line == "::error file=a%2Cb/makeweight.yaml,line=3,title=size%3A over::100 %25%0Aover"


@pytest.mark.parametrize(("level", "name"), [("failure", "error"), ("warning", "warning"), ("notice", "notice")])
@given(path=HOSTILE, title=HOSTILE, message=HOSTILE, line=st.integers(-3, 10**6))
@example(path="x::add-mask::y", title="\n::add-mask::z", message="\r::stop-commands::t\n##[add-mask]v", line=1)
def test_whatever_is_told_stays_one_command_that_says_it(
    level: Level, name: str, path: str, title: str, message: str, line: int
) -> None:
    log = f"before\n{commands.annotation(Annotation(path, line, level, title, message))}\nafter"
    given = {"file": path, "line": str(max(1, line)), "title": title}
    assert runner(log) == [(name, {key: value for key, value in given.items() if value}, message)]


@given(text=HOSTILE)
@example("::add-mask::x")
@example("  \t::error::x")
@example("a\r::error::x")
@example("see ##[add-mask]x")
@example("\n\n::error::x")
@example(":::x::")
@example("\x1c::error::x")
def test_inert_text_holds_no_command_and_reads_the_same(text: str) -> None:
    shown = commands.inert(text)
    assert runner(shown) == []
    assert shown.replace("\u200b", "") == re.sub(r"\r\n|\r", "\n", text).replace("\u200b", "")


def test_text_that_is_harmless_is_left_as_it_is() -> None:
    assert commands.inert("a::b\n  # [x] ## y\n:x") == "a::b\n  # [x] ## y\n:x"
