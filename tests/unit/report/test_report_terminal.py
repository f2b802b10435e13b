from __future__ import annotations

import io
import re
from dataclasses import replace

import invented_content as invented
import pytest
from rich.cells import cell_len

from makeweight.report import terminal
from makeweight.report.content import Content

CONTENTS = {
    "three": invented.content(),
    "twelve": invented.many(),
    "one": invented.content(invented.DIGITS[2:]),
    "hostile": invented.hostile(),
    "regression": invented.regression(),
    "undecided": invented.undecided(),
    "no device": invented.content(devices=()),
    "one device": invented.content(devices=("laptop",)),
    "verdict alone": Content(invented.content().verdict),
    "waived": invented.waived(),
    "compared": invented.compared(),
}


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_no_line_is_wider_than_the_window_and_nothing_is_cut(name: str, width: int):
    shown = terminal.render(CONTENTS[name], width)
    assert max(cell_len(line) for line in shown.split("\n")) <= width
    assert "…" not in shown
    assert "\x1b" not in shown
    for variant in CONTENTS[name].verdict.variants:
        letters = "".join(variant.variant.split())
        assert letters in "".join(shown.split()) or len(letters) > 26  # a long name is folded over several lines


def test_no_figure_is_parted_from_its_unit_wherever_a_line_ends():
    """`fail: latency p50 at most 0.7x (+1` and `more)` on the next line read as two things."""
    broken = {"size.max": "is too large", "accuracy.max_drop": "drops 1.1 pt, and 0.5 pt is allowed"}
    models = tuple(invented.Model(name, 1, 0.011, {"laptop": 0.4}, broken=broken) for name in ("int8", "slim"))
    made = invented.content(models, ship=None, devices=("laptop",))
    pages = [terminal.render(made, width) for width in range(80, 122, 2)]
    assert all("(+1 more)" in page for page in pages)
    assert [found for page in pages for found in re.findall(r"\d\n *(?:pt|%|us|kB|MB|more\)).*", page)] == []


def test_one_table_when_it_fits():
    shown = terminal.render(invented.content(devices=("laptop",)), 120)
    row = next(line for line in shown.split("\n") if line.startswith("*"))
    cells = "* slim-int8 190 kB 10x 98.2 % drop 0.5 pt 87.8 us 4.7x [4.6, 4.8] pass, ships"
    assert row.split() == cells.split()


def test_a_time_of_a_run_in_which_the_machine_was_faster_has_the_baselines_beside_it():
    """412 us of the baseline, 0.213x of that: 87.8 us, halved."""
    shown = terminal.render(invented.uneven(), 140)
    rows = {line.removeprefix("*").split()[0]: line for line in shown.split("\n") if line.strip()}
    assert "43.9 us from 207 us 4.7x [4.6, 4.8]" in " ".join(rows["slim-int8"].split())
    assert " from " not in rows["baseline"] + rows["int8"]
    assert rows["baseline"].index(" us") == rows["slim-int8"].index(" us"), "figures stay one below the other"
    assert "from: the baseline's figure of that very benchmark" in shown
    assert "from: " not in terminal.render(invented.content(), 140)


def test_latencies_get_tables_of_their_own_when_they_do_not_fit():
    shown = terminal.render(invented.content(), 80)
    rows = [line for line in shown.split("\n") if line.startswith("*")]
    assert [("pass, ships" in row, "4.7x" in row) for row in rows] == [(True, False), (False, True)]


def test_what_ships_bears_a_star_and_nothing_else_does():
    shown = terminal.render(invented.content(devices=("laptop",)), 120)
    assert [line.split()[1] for line in shown.split("\n") if line.startswith("*")] == ["slim-int8"]
    assert not [line for line in terminal.render(invented.undecided(), 120).split("\n") if line.startswith("*")]


def test_the_offending_rules_are_the_last_lines():
    lines = terminal.render(invented.undecided(), 300).rstrip("\n").split("\n")
    assert lines[-1].startswith("fail: slim-int8: accuracy drops 0.9 pt [0.5, 1.3]")
    assert lines[-2].startswith("undecided: slim-int8: latency p50 on laptop is 0.69x")
    assert lines[-2].endswith("To settle it: makeweight benchmark slim-int8 --device laptop --seconds 30")
    assert lines[-3].startswith("warning: slim-int8: energy on laptop")
    assert lines[-4].startswith("fail: `slim-int8` does not make weight")


def test_many_offences_are_counted_the_last_ones_shown():
    models = tuple(
        invented.Model(f"v{i}", 1, 0, broken={"size.max": "too large", "accuracy.max_drop": "too wrong"})
        for i in range(9)
    )
    lines = [line for _, line in terminal.last_lines(invented.content(models, ship=None).verdict)]
    assert lines[0] == "(7 more broken or open rules of other variants are in the report)"
    assert len(lines) == 13
    assert lines[-1].startswith("fail: v0: too large")


def test_reasons_are_told_once_below_the_table():
    models = (invented.DIGITS[1], invented.Model("bad", 0, 0, {}, failed="out of memory", broken={"recipe": "x"}))
    shown = terminal.render(invented.content(models, ship="int8"), 100)
    row = next(line for line in shown.split("\n") if line.strip().startswith("bad"))
    assert row.split("  ")[-1].strip() == "fail: could not be made"
    assert "not measured (1)" in row
    assert shown.count("(1) out of memory") == 1


def test_a_device_that_was_not_reached_says_why():
    made = invented.content((invented.Model("int8", 0.3, 0.0, {"laptop": 0.4}),), ship="int8")
    machine = replace(made.machines[1], reason="connection timed out")
    shown = terminal.render(replace(made, machines=(made.machines[0], machine)), 100)
    assert "pi5: not reached: connection timed out" in shown
    assert "pi5 did not answer: connection timed out" in shown


def test_the_footer_says_how_it_was_measured():
    shown = terminal.render(invented.content(), 200)
    machine = "AMD EPYC 7B13 · avx512_vnni · onnxruntime 1.32.0 · 1 thread"
    said = f"{machine} · noise floor 1.2 % · 3 processes x 400 pairs of blocks, in one process"
    assert f"laptop: {said}\n" in shown
    assert "report: reports/report.html" in shown


def test_a_verdict_alone_still_says_how_many_pairs():
    assert "1,200 pairs of blocks a variant" in terminal.render(Content(invented.content().verdict), 120)


def test_colours_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    plain, coloured = io.StringIO(), Terminal()
    terminal.print_to(invented.content(), plain)
    terminal.print_to(invented.content(), coloured)
    assert "\x1b[" in coloured.getvalue()
    assert "\x1b" not in plain.getvalue()
    assert plain.getvalue() == terminal.render(invented.content(), terminal.WIDTH)


def test_a_stream_that_knows_no_unicode_loses_no_line():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    terminal.print_to(invented.hostile(), stream)
    stream.flush()
    assert raw.getvalue().decode("ascii").count("\n") == terminal.render(invented.hostile(), terminal.WIDTH).count("\n")


def test_notices_come_before_the_table():
    made = invented.undecided()
    noted = replace(made, verdict=replace(made.verdict, notices=["a fork\x1b[2J has no data", "`size.max` removed"]))
    lines = terminal.render(noted, 120).split("\n")
    assert lines[2] == "note: A fork [2J has no data."
    assert lines[4] == "note: `size.max` removed."
    assert next(i for i, line in enumerate(lines) if "variant" in line and "size" in line) > 4


def test_what_is_waived_is_told_below_and_in_the_table():
    lines = terminal.render(invented.waived(), 300).rstrip("\n").split("\n")
    row = next(line for line in lines if line.startswith("*"))
    assert row.endswith("pass (1 waived), ships")
    assert lines[-1] == (
        "waived: slim-int8: accuracy drops 0.9 pt, and 0.5 pt is allowed. "
        "Waived until 2026-12-31 (label by @somebody): better data are on their way"
    )


def test_remarks_stand_in_the_footer():
    assert "  2 benchmarks skipped: artifacts unchanged\n" in terminal.render(invented.compared(), 120)
