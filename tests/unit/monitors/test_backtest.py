"""The pure parts of a backtest: when an alert fires, in which order rules are read, what a saved answer holds."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from makeweight_base.errors import UsageError
from makeweight_monitors.backtest import recorded, replay, rulefile, summary
from makeweight_monitors.backtest.arguments import moment
from makeweight_monitors.backtest.firing import Episode, episodes
from makeweight_monitors.backtest.recorded import Recorded
from makeweight_monitors.backtest.replay import Outcome
from makeweight_monitors.backtest.rulefile import Loaded
from makeweight_monitors.backtest.unrolled import unrolled
from makeweight_monitors.prometheus.queries import Series
from makeweight_monitors.rules import generate, promql, text
from rules_project import digits


def test_an_alert_without_patience_fires_at_once() -> None:
    assert list(episodes([0, 60, 120], 60, 0)) == [Episode(0, 0, 120)]


def test_one_with_patience_fires_when_it_has_been_true_for_that_long() -> None:
    assert list(episodes([0, 60, 120, 180], 60, 120)) == [Episode(0, 120, 180)]
    assert list(episodes([0, 60], 60, 120)) == [Episode(0, None, 60)]


def test_a_break_begins_anew() -> None:
    assert list(episodes([0, 60, 180, 240, 300], 60, 120)) == [Episode(0, None, 60), Episode(180, 300, 300)]


def test_what_keeps_firing_bridges_breaks() -> None:
    found = list(episodes([0, 60, 240, 900], 60, 0, keep=180))
    assert found == [Episode(0, 0, 420), Episode(900, 900, 1080)]


def test_nothing_true_is_nothing_fired() -> None:
    assert list(episodes([], 60, 0)) == []


def rule(name: str, expression: str, alert: bool = False, **labels: str) -> Loaded:
    return Loaded(name, expression, alert, 0.0, 0.0, labels)


def test_rules_are_layered_by_what_they_read() -> None:
    rules = [rule("c", "b + a"), rule("b", "a * 2"), rule("a", "x_total"), rule("d", "x_total"), rule("A", "c", True)]
    assert [[one.name for one in layer] for layer in rulefile.layers(rules)] == [["a", "d"], ["b"], ["c"]]
    assert rulefile.raw(rules) == {"x_total"}


def test_two_rules_of_one_name_are_read_only_when_both_are_there() -> None:
    rules = [rule("a", "x"), rule("a", "b"), rule("b", "y"), rule("c", "a")]
    assert [[one.expression for one in layer] for layer in rulefile.layers(rules)] == [["x", "y"], ["b"], ["a"]]


def test_a_circle_is_refused() -> None:
    with pytest.raises(UsageError, match="in a circle: a, b"):
        rulefile.layers([rule("a", "b"), rule("b", "a")])


@pytest.mark.parametrize(
    ("own_first", "function"), [(False, "last_over_time"), (False, "max_over_time"), (True, "min_over_time")]
)
def test_what_a_rule_remembers_of_itself_is_read_from_the_past(own_first: bool, function: str) -> None:
    own, source = 'a{m="x}\\"", n="1"}', 'b{m="y"}'
    kept = promql.carried(source, own, function, own_first=own_first)
    (found,) = unrolled(rule("a", f"sum({kept}) unless c[1h]"), 90.4)
    assert found.expression == f"sum({function}({source}[90s])) unless c[90s]"
    other = rule("d", f"a + {function}(b[1h])")
    assert unrolled(other, 90) == [other]


def test_what_a_rule_adds_up_from_look_to_look_is_the_sum_of_what_it_added() -> None:
    own = 'a{m="x}\\""}'
    kept = promql.accumulated("b - max_over_time(b[1h] offset 1ms) > 0\nor\nc * 0", own, "c * 0")
    step, whole = unrolled(rule("a", f"{kept}\n", x="y"), 90.4)
    assert step == rule("a:each_look", "  b - max_over_time(b[1h] offset 1ms) > 0\n  or\n  c * 0", x="y")
    each = own.replace("a{", "a:each_look{")
    assert whole == rule("a", f"sum_over_time({each}[90s]) and {each}", x="y")


def test_generated_rules_are_read_back(tmp_path: Path) -> None:
    terms, _ = digits()
    path = tmp_path / "rules.yaml"
    path.write_text(text.render(generate.groups(terms), [], terms.runbooks))
    read = rulefile.read(path)
    assert [one.name for one in read if one.alert] == [alert.name for alert in generate.alerts(generate.groups(terms))]
    down = next(one for one in read if one.name == "MakeweightReplicaDown")
    assert (down.hold, down.labels["kind"]) == (120, "alarm")
    with pytest.raises(UsageError, match="in a circle"):
        rulefile.layers(read)
    assert 2 <= len(rulefile.layers([one for rule in read for one in unrolled(rule, 3600)])) <= 18
    assert "makeweight_paired_total" in rulefile.raw(read)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be read"),
        ("a: 1", "`groups` is missing"),
        ("groups: [{rules: [{record: a}]}]", "`expr` is missing"),
        ("groups: [{rules: [{alert: a, expr: b, for: soon}]}]", "no duration"),
        ("groups: [{rules: [{record: a, expr: b}]}]", "nothing could fire"),
        ("groups: [{rules: [{alert: a, expr: '{__name__=~\"b.*\"}'}]}]", "cannot be told"),
        ("[]", "this is no file of rules"),
    ],
)
def test_what_is_no_file_of_rules_is_refused(content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(content)
    with pytest.raises(UsageError, match=said) as refused:
        rulefile.read(path)
    assert str(refused.value).startswith(str(path))


def answer(*series: tuple[dict[str, str], list[list[Any]]]) -> str:
    result = [{"metric": metric, "values": values} for metric, values in series]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})


def test_a_saved_answer_is_put_on_a_grid(tmp_path: Path) -> None:
    path = tmp_path / "range.json"
    path.write_text(
        answer(
            ({"__name__": "a_total", "x": "1"}, [[1000, "1"], [1060, "2"], [1120, "3"]]),
            ({"__name__": "a_total", "x": "2"}, [[1007.5, "5"], [1067, "NaN"]]),
        )
    )
    found = recorded.load(path, None, None, 60)
    assert (found.start, found.end, found.step, found.first) == (1000, 1120, 60, 1000)
    assert found.series[0].points == ((1000, 1), (1060, 2), (1120, 3))
    assert [time for time, _ in found.series[1].points] == [1060, 1120]
    later = recorded.load(path, 1030, 1100, 60)
    assert (later.start, later.end, later.first) == (1060, 1100, 1000)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "no answer of a range query"),
        ("{}", "no answer of a range query"),
        ('{"data": {"result": {}}}', "list of series"),
        (answer(({}, [[1, "1"]])), "series without a name"),
        (answer(), "no sample"),
        (answer(({"__name__": "a"}, [[1, "many"]])), "no answer of a range query"),
    ],
)
def test_what_is_no_saved_answer_is_refused(content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "range.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=said):
        recorded.load(path, None, None, None)


def test_samples_are_written_as_promtool_reads_them() -> None:
    series = [
        Series({"__name__": "a_total", "x": 'q"\\\n'}, ((1000.0, 1.0), (1060.0, float("nan")))),
        Series({"__name__": "b"}, ((1000.0, float("-inf")),)),
    ]
    assert replay.openmetrics(series) == (
        'a_total{x="q\\"\\\\\\n"} 1.0 1000.000\na_total{x="q\\"\\\\\\n"} NaN 1060.000\nb -Inf 1000.000\n# EOF\n'
    )
    assert replay.openmetrics([Series({"__name__": "a"}, ())]) is None


def test_the_table_tells_what_fired_first_and_what_never_did() -> None:
    late = Outcome(
        rule("Late", "x", True, kind="evidence"), (({"model": "m", "y": "1"}, (Episode(3600, 3660, 7200),)),)
    )
    early = Outcome(
        rule("Early", "x", True, kind="rollback"),
        (({"model": "m", "revision": "r"}, (Episode(0, None, 60), Episode(600, 600, 660), Episode(1200, 1200, 1200))),),
    )
    never = Outcome(rule("Never", "x", True), (({}, (Episode(0, None, 60),)),))
    past = Recorded((), 0, 7200, 60)
    written = summary.table([late, early, never], past, [])
    lines = written.splitlines()
    assert lines[0] == "1970-01-01 00:00:00Z to 1970-01-01 02:00:00Z, every 60 s, 0 recorded series"
    assert lines[3].split() == ["1970-01-01", "00:10:00Z", "rollback", "Early", "2", "3", "min", "revision=r"]
    assert lines[4].split() == ["1970-01-01", "01:01:00Z", "evidence", "Late", "1", "1", "h", "00", "min", "y=1"]
    assert lines[-1] == "never fired: Never"
    assert summary.fired([late, early], "rollback")
    assert not summary.fired([late, never], "rollback")
    assert summary.data([never], past, [])["alerts"] == [
        {
            "alert": "Never",
            "kind": None,
            "episodes": [{"labels": {}, "pending": 0, "fired": None, "until": 60}],
        }
    ]
    assert "nothing would have fired" in summary.table([never], past, [])


def test_times() -> None:
    assert moment("1700000000") == 1_700_000_000
    assert moment("2030-12-31T08:00") == moment("2030-12-31T08:00Z") == moment("2030-12-31T10:00+02:00")
    with pytest.raises(argparse.ArgumentTypeError):
        moment("yesterday")
