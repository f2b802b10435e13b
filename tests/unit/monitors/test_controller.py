"""The controller with a pointer's file: what is written down, done, read back, and taken up by the next process."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from full_disk import full_disk

from controlled import CANARY, POLICY, STABLE, Controlled, Told
from makeweight_base.errors import EnvironmentFailed
from makeweight_monitors.metrics import SERVING_BREAKER, Blindness
from makeweight_monitors.prometheus.queries import Sample
from makeweight_monitors.rollback import audit
from makeweight_monitors.rollback.audit import Head
from makeweight_monitors.rollback.case import Canary, Case
from makeweight_monitors.rollback.leases.file import FileLease
from makeweight_monitors.rollback.policy import Silence
from makeweight_monitors.rollback.seen import Placement
from makeweight_monitors.rules import names
from makeweight_monitors.serving import pointer
from makeweight_monitors.serving.pointer import Pointer

_ANSWERED = "sum({__name__"


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Controlled]:
    controlled = Controlled(tmp_path)
    yield controlled
    controlled.end()


def test_a_rollback_from_the_alert_to_the_last_answer(one: Controlled) -> None:
    one.prometheus.asks()
    one.prometheus.answers = {_ANSWERED: 70.0}
    one.tick()
    assert (one.share, one.stages) == (0.0, ["rolling_back"])
    one.prometheus.answers = {_ANSWERED: 71.0}
    one.tick(later=5.0)
    one.tick(later=5.0)
    assert one.stages == ["rolling_back"]
    one.tick(later=5.0)
    assert one.stages == ["rolled_back"]
    assert one.lines("observed") == ["watches prod: digits r2, which has 5.0% of the traffic"]
    assert one.lines() == [
        "rolls prod: digits r2 back from 5%: MakeweightAccuracyDropPaired fires since 2030-01-01T00:00:00Z, "
        "its test `paired` has an e-value 5000",
        "prod: digits r2 gets no traffic any more, says the target; what it still answers is watched",
        "prod: digits r2 has answered nothing for 10 s",
        "prod: digits r2 is rolled back, 15.0 s after that was decided; it stays so",
    ]
    epoch = one.epoch
    pointer.write(one.file, Pointer(STABLE, CANARY, epoch))  # a person reverts the revert
    for _ in range(5):
        one.tick(later=60.0)
    assert one.epoch == epoch + 1
    assert isinstance(audit.verify(one.journal.log, one.journal.head()), Head)


@pytest.mark.parametrize("ahead", [400.0, -400.0], ids=["ahead", "behind"])
def test_a_rollback_is_confirmed_by_a_prometheus_whose_clock_is_another(one: Controlled, ahead: float) -> None:
    one.prometheus.asks()
    for _ in range(4):
        theirs = one.prometheus.time + 5.0 + ahead
        one.prometheus.answers = {_ANSWERED: 70.0, "vector(time())": theirs, "min(timestamp": theirs}
        assert one.stages != ["rolled_back"]
        one.tick(later=5.0)
    assert one.stages == ["rolled_back"]


def test_since_when_an_alert_is_active_goes_by_the_zone_that_it_tells(one: Controlled) -> None:
    """Failures that have lasted from one scrape to the next are believed."""
    one.prometheus.asks(alertname=names.FAILURES_ABOVE_STABLE, test="failures")
    one.prometheus.firing[0]["activeAt"] = "1970-01-01T02:15:00.123456789+02:00"
    one.prometheus.answers = {"scraped every": 60.0}
    one.tick()
    assert one.stages == ["rolling_back"]
    assert "fires since 1970-01-01T00:15:00Z" in one.lines()[0]


STEPS = [("set", 0), ("verify", 0), ("finalize", 0), *(("note", number) for number in range(7))]


class Killed(BaseException):
    """What ends a process."""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("what", "number"), STEPS)
def test_killed_before_or_after_any_step_the_next_process_finishes_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, when: str, number: int
) -> None:
    one = Controlled(tmp_path)
    one.prometheus.asks()
    one.prometheus.answers = {_ANSWERED: 70.0}
    of = one.journal if what == "note" else one.target
    whole, times = getattr(of, what), iter(range(100))

    def killed(*given: object, **more: object) -> object:
        last = next(times) == number
        if last and when == "before":
            raise Killed
        done = whole(*given, **more)
        if last:
            raise Killed
        return done

    with monkeypatch.context() as patched, contextlib.suppress(Killed):
        patched.setattr(of, what, killed)
        for _ in range(4):
            one.tick(later=10.0)
    one.end()
    one.begin()
    for _ in range(5):
        one.tick(later=10.0)
    assert (one.share, one.epoch, one.stages) == (0.0, 2, ["rolled_back"])
    assert isinstance(audit.verify(one.journal.log, one.journal.head()), Head)
    one.end()


def test_a_good_one_is_stable_in_the_end(one: Controlled) -> None:
    one.prometheus.answers = {names.DROP_HIGH: 0.002, _ANSWERED: 5.0}
    shares = []
    for _ in range(20):
        one.tick(later=50.0)
        shares.append(one.share)
    assert sorted(set(shares)) == [0.0, 0.05, 0.25, 0.5]
    assert pointer.load(one.file).stable == replace(CANARY, weight=1.0)
    assert one.stages == ["promoted"]
    assert [line for line in one.lines() if "promote" in line] == [
        "promotes prod: digits r2, which has 50%: every look of 100 s found it good enough: "
        "the drop is at most 0.20% (99 % interval), and 1.00% is tolerated",
        "prod: digits r2 is promoted: it is stable now",
    ]


def test_no_answer_of_prometheus_is_no_health(one: Controlled) -> None:
    one.prometheus.asks()
    one.prometheus.down = "no connection"
    one.tick()
    one.tick(later=600.0)
    assert (one.share, one.controller.health.blind) == (0.05, "Prometheus does not answer: no connection")
    assert len(one.lines()) == 1
    one.prometheus.down = ""
    one.prometheus.answers = {names.WATCHDOG: 61.0}
    one.tick()
    assert one.controller.health.blind == "the rules were last evaluated 61 s ago"
    one.prometheus.answers = {}
    one.tick()
    assert (one.share, one.controller.health.blind) == (0.0, "")


@pytest.mark.parametrize(
    ("beat", "age", "blind"),
    [
        (15.0, 60.0, ""),
        (60.0, 61.0, ""),
        (60.0, 241.0, "the rules were last evaluated 241 s ago"),
    ],
    ids=["on time", "seldom, and on time", "seldom, and late"],
)
def test_how_old_the_watchdog_may_be_goes_by_how_often_it_is_evaluated(
    one: Controlled, beat: float, age: float, blind: str
) -> None:
    one.prometheus.beat, one.prometheus.answers = beat, {names.WATCHDOG: age}
    one.tick()
    assert one.controller.health.blind == blind


def test_rules_whose_records_are_dated_back_are_not_late(one: Controlled) -> None:
    one.prometheus.answers = {"age": 75.0}
    one.tick()
    assert one.controller.health.blind == ""


def test_its_health_is_that_of_the_canary_that_serves(one: Controlled) -> None:
    """Beside one that is being rolled back, of which nothing is known."""
    one.prometheus.asks()
    one.tick()
    newer = replace(CANARY, sha256="b" * 64)
    pointer.write(one.file, pointer.load(one.file).on_trial(newer))
    one.prometheus.firing.clear()
    one.prometheus.late = 61.0
    one.prometheus.asks(sha256=newer.sha256)
    one.tick()
    assert (one.share, one.stages) == (0.0, ["rolling_back", "rolling_back"])
    assert (one.controller.health.blind, one.controller.health.blindness) == ("", None)
    one.prometheus.firing.clear()
    one.tick()
    assert one.controller.health.blind == "the rules of makeweight-rollback were last evaluated 61 s ago"


SILENT_AND_ASKED: dict[str, tuple[Callable[[Told], object], str, Blindness]] = {
    "tests that are evaluated late": (
        lambda told: setattr(told, "late", 61.0),
        "the rules of makeweight-rollback were last evaluated 61 s ago",
        "rules",
    ),
    "a test that cannot be evaluated": (
        lambda told: setattr(told, "failing", "many-to-many matching not allowed"),
        "a test of makeweight-rollback cannot be evaluated: many-to-many matching not allowed",
        "rules",
    ),
    "a test without a value, since what it reads is not recorded": (
        lambda told: told.answers.update({"unjudged by paired": 1.0}),
        "the test `paired` has no e-value, though what it counts has come for 5m: its rules fail",
        "rules",
    ),
    "of one environment, though another is seen": (
        lambda told: told.answers.update({"absent_over_time(": 1.0}),
        "no process of this environment was scraped for 5m",
        "observers",
    ),
}


@pytest.mark.parametrize("silent", SILENT_AND_ASKED)
def test_silence_holds_unless_a_test_asks_for_a_rollback(one: Controlled, silent: str) -> None:
    falls_silent, said, kind = SILENT_AND_ASKED[silent]
    one.prometheus.answers = {names.DROP_HIGH: 0.002}
    falls_silent(one.prometheus)
    for _ in range(5):
        one.tick(later=100.0)
    assert one.share == 0.05
    assert (one.controller.health.blind, one.controller.health.blindness) == (said, kind)
    one.prometheus.asks()
    one.tick()
    assert one.share == 0.0


def nothing_observed(told: Told) -> None:
    told.asks(alertname=names.NOTHING_OBSERVED, kind="alarm", test="")


SILENCES: dict[Blindness, tuple[Callable[[Told], object], str]] = {
    "prometheus": (lambda told: setattr(told, "down", "no connection"), "Prometheus does not answer: no connection"),
    "rules": (
        lambda told: told.answers.update({names.WATCHDOG: None}),
        "MakeweightWatchdog does not fire: the rules are not evaluated",
    ),
    "observers": (nothing_observed, "MakeweightNothingObserved is firing"),
}


@pytest.mark.parametrize("kind", SILENCES)
@pytest.mark.parametrize("declared", ["hold", "rollback"])
def test_silence_is_never_health_and_leads_to_what_is_declared(
    tmp_path: Path, kind: Blindness, declared: Silence
) -> None:
    one, (falls_silent, said) = Controlled(tmp_path, replace(POLICY, silence={kind: declared})), SILENCES[kind]
    one.prometheus.answers = {names.DROP_HIGH: 0.002}
    one.tick()
    falls_silent(one.prometheus)
    one.tick(later=1.0)
    assert (one.controller.health.blind, one.controller.health.blindness, one.share) == (said, kind, 0.05)
    one.tick(later=POLICY.silence_for)
    assert one.share == (0.05 if declared == "hold" else 0.0)
    one.end()


def test_a_step_that_the_target_refuses_waits_for_nobody_who_holds(
    one: Controlled, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object) -> None:
        raise EnvironmentFailed("busy")

    one.prometheus.answers = {names.DROP_HIGH: 0.002}
    with monkeypatch.context() as patched:
        patched.setattr(one.target, "set", refuses)
        for _ in range(4):
            one.tick(later=50.0)
    assert "the step did not succeed, and is tried again: busy" in one.lines()[-1]
    one.controller.order("hold", "Ada", "odd", ("n" * 16, 9e9))
    one.tick(later=100.0)
    assert (one.share, one.lines()[-1]) == (0.05, "does not give prod: digits r2 25% after all: held by Ada (odd)")


def test_who_promotes_by_hand_in_the_midst_of_a_rollback_is_told_so(one: Controlled) -> None:
    one.prometheus.asks()
    one.tick()
    now = pointer.load(one.file)
    pointer.write(one.file, now.on_trial(CANARY).promoted())
    one.tick(later=11.0)
    assert one.stages == ["failed"]
    assert "was made stable by somebody else, and has all of the traffic" in one.lines()[-1]
    pointer.write(one.file, replace(pointer.load(one.file), stable=replace(STABLE, weight=1.0)))
    for _ in range(3):
        one.tick(later=20.0)
    assert one.stages == ["rolled_back"]


def test_a_breaker_that_is_open_holds(one: Controlled) -> None:
    one.prometheus.answers = {names.DROP_HIGH: 0.002, SERVING_BREAKER.series: 1.0}
    for _ in range(5):
        one.tick(later=100.0)
    assert one.share == 0.05
    assert "in 1 of its processes the breaker is open" in one.lines()[-1]


def test_a_canary_in_the_shadow_is_taken_off(one: Controlled) -> None:
    pointer.write(one.file, Pointer(replace(STABLE, weight=1.0), replace(CANARY, weight=0.0), 1))
    one.prometheus.asks()
    one.tick()
    assert pointer.load(one.file).canary is None
    one.tick(later=11.0)
    assert one.stages == ["rolled_back"]


def test_two_controllers_and_one_lease(one: Controlled) -> None:
    one.tick()
    other = Controlled(one.folder)
    other.prometheus.asks()
    other.tick()
    assert (other.controller.health.leads, one.share) == (False, 0.05)
    with pytest.raises(EnvironmentFailed, match="another controller leads"):
        other.controller.order("rollback", "Ada", "odd", ("n", 1.0))
    one.lease.give_back()
    other.tick()
    assert (other.controller.health.leads, one.share) == (True, 0.0)
    other.end()


def test_who_cannot_tell_whether_the_lease_is_theirs_does_not_say_that_they_lead(
    one: Controlled, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown() -> bool:
        raise EnvironmentFailed("the lease was not renewed for 20 s")

    one.tick()
    monkeypatch.setattr(one.lease, "take", unknown)
    one.tick()
    assert (one.controller.health.leads, one.controller.health.trouble) == (False, "the lease was not renewed for 20 s")


def test_somebody_else_writes_at_the_same_time(one: Controlled, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of theirs is lost; the next look finds it as it is."""
    looked = one.controller.looking.look

    def slow(canary: Canary, placement: Placement, time: float) -> object:
        found = looked(canary, placement, time)
        pointer.write(one.file, pointer.load(one.file).at_weight(0.1))
        return found

    one.prometheus.asks()
    with monkeypatch.context() as patched:
        patched.setattr(one.controller.looking, "look", slow)
        one.tick()
    assert (one.share, one.stages) == (0.1, ["rolling_back"])
    one.tick()
    assert one.share == 0.0


def test_a_target_that_cannot_be_read_is_told_once_and_its_end_too(one: Controlled) -> None:
    whole = one.file.read_bytes()
    one.file.write_text("{")
    one.tick()
    one.tick(later=5.0)
    assert "no pointer" in one.controller.health.trouble
    one.file.write_bytes(whole)
    one.tick(later=5.0)
    assert one.controller.health.trouble == ""
    trouble = one.lines("trouble")
    assert ("no pointer" in trouble[0], trouble[1:]) == (True, ["it is over"])


def test_a_target_of_another_model_is_left_alone(one: Controlled) -> None:
    pointer.write(one.file, Pointer(STABLE, replace(CANARY, model="faces"), 1))
    one.prometheus.asks()
    one.tick()
    assert "the target serves `faces`, and `digits` is declared" in one.controller.health.trouble
    assert one.share == 0.05


def test_a_dry_run_says_once_what_would_be_done(tmp_path: Path) -> None:
    one = Controlled(tmp_path, dry=True)
    one.prometheus.asks()
    one.tick()
    one.tick(later=5.0)
    assert (one.share, one.epoch, len(one.lines("dry run"))) == (0.05, 1, 1)
    assert one.lines("dry run")[0].startswith("rolls prod: digits r2 back from 5%")
    one.end()


def test_who_asks_a_dry_run_for_a_rollback_is_told_that_nothing_is_done(tmp_path: Path) -> None:
    one = Controlled(tmp_path, dry=True)
    one.tick()
    said = "a dry run, nothing is done: rolls prod: digits r2 back from 5%: Ada asks for it (odd)"
    assert one.controller.order("rollback", "Ada", "odd", ("n" * 16, 2000.0)) == said
    assert one.share == 0.05
    one.end()


def test_a_target_that_knows_no_files_is_told_by_what_is_scraped(
    one: Controlled, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = Canary("prod", "digits", CANARY.sha256, "1", "r2")
    monkeypatch.setattr(one.target, "get", lambda: Placement(0.05, mark="1"))
    monkeypatch.setattr(one.controller.looking, "serving", lambda: [canary, replace(canary, sha256="b" * 64)])
    one.prometheus.asks()
    one.tick()
    assert one.stages == []  # two at once: which is it?
    assert "processes of prod: digits r2 and of prod: digits r2 are scraped" in one.controller.health.trouble
    monkeypatch.setattr(one.controller.looking, "serving", lambda: [canary])
    one.tick()
    assert (one.share, one.stages) == (0.0, ["rolling_back"])


def test_one_missed_scrape_does_not_begin_a_step_anew(one: Controlled, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where what is scraped says which canary is there."""
    asked: list[str] = []

    def query(expression: str, at: float | None = None) -> list[Sample]:
        if not expression.startswith("group by"):
            return answered(expression, at)
        asked.append(expression)
        there = {"sha256": CANARY.sha256, "attempt": "1", "revision": "r2"}
        seen = not missed or ("last_over_time" in expression and missed < 60)
        return [Sample(there, 1.0, one.prometheus.time)] if seen else []

    answered, missed = one.prometheus.query, 0.0
    monkeypatch.setattr(one.prometheus, "query", query)
    monkeypatch.setattr(one.target, "get", lambda: Placement(0.05, mark="1"))
    one.prometheus.answers = {names.DROP_HIGH: 0.002}
    one.tick()
    (began,) = (case.good_since for case in one.journal.cases())
    missed = 15.0
    one.tick(later=15.0)
    missed = 0.0
    one.tick(later=15.0)
    assert ([case.good_since for case in one.journal.cases()], one.lines()[1:]) == ([began], [])
    assert "[60s]" in asked[1]
    missed = 70.0
    one.tick(later=70.0)
    assert "does not serve any more" in one.lines()[-1]


OTHER = Canary("prod", "digits", "b" * 64, "1", "r1")


def of_no_file(one: Controlled, monkeypatch: pytest.MonkeyPatch, *there: Canary) -> Canary:
    """Let the target tell shares alone, and these canaries be scraped; that of the pointer."""

    def get() -> Placement:
        return Placement(one.share, mark=str(one.epoch))

    monkeypatch.setattr(one.target, "get", get)
    monkeypatch.setattr(one.controller.looking, "serving", lambda: list(there))
    return Canary("prod", "digits", CANARY.sha256, "1", "r2")


def test_of_two_that_are_scraped_one_that_was_rolled_back_is_not_meant(
    one: Controlled, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = of_no_file(one, monkeypatch)
    one.journal.note(case=Case(OTHER, "rolled_back"))
    monkeypatch.setattr(one.controller.looking, "serving", lambda: [OTHER, canary])
    one.prometheus.asks()
    one.tick()
    assert (one.share, one.controller.health.trouble) == (0.0, "")


def test_a_rollback_that_is_not_done_yet_is_done_with_any_other_scraped(
    one: Controlled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That nobody is, or another alone, does not mean that the target gives it no traffic."""
    canary, sets = of_no_file(one, monkeypatch), one.target.set
    monkeypatch.setattr(one.controller.looking, "serving", lambda: [canary])

    def refuses(*_: object) -> None:
        raise EnvironmentFailed("not allowed")

    one.prometheus.asks()
    monkeypatch.setattr(one.target, "set", refuses)
    one.tick()
    for there in ([], [OTHER], [canary, OTHER]):
        monkeypatch.setattr(one.controller.looking, "serving", lambda there=there: there)
        one.tick(later=61.0)
        assert (one.share, one.stages) == (0.05, ["failed"])
    monkeypatch.setattr(one.target, "set", sets)
    one.tick(later=61.0)
    one.tick(later=20.0)
    assert (one.share, one.stages) == (0.0, ["rolled_back"])


def test_while_prometheus_is_down_the_canary_is_the_one_that_came_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Controlled(tmp_path, replace(POLICY, silence="rollback"))
    canary = of_no_file(one, monkeypatch)
    for there in (OTHER, canary):
        monkeypatch.setattr(one.controller.looking, "serving", lambda there=there: [there])
        one.tick(later=10.0)
    one.prometheus.down = "no connection"
    monkeypatch.setattr(one.controller.looking, "serving", lambda: one.prometheus.query(""))
    one.tick(later=10.0)
    one.tick(later=60.0)
    stages = {case.canary.sha256[0]: case.stage for case in one.journal.cases()}
    assert (one.share, stages) == (0.0, {"a": "rolling_back", "b": "observing"})
    one.end()


def test_a_person_takes_traffic_from_a_canary_that_nobody_scrapes(
    one: Controlled, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = of_no_file(one, monkeypatch)
    with pytest.raises(EnvironmentFailed, match="gives 5% of the traffic to a canary, and nothing tells which"):
        one.controller.order("rollback", "Ada", "odd", ("n1", 9e9))
    monkeypatch.setattr(one.controller.looking, "serving", lambda: [canary])
    one.tick()
    monkeypatch.setattr(one.controller.looking, "serving", list)
    one.tick(later=100.0)
    assert "gets no traffic any more" in str(one.controller.order("rollback", "Ada", "odd", ("n2", 9e9)))
    assert one.share == 0.0


def test_of_two_that_are_scraped_the_one_that_answers_is_meant(
    one: Controlled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each by its file, once, whatever it is called; one without a file is none that could be meant."""

    def query(expression: str, at: float | None = None) -> list[Sample]:
        asked.append(expression)
        there = [("a", "r2"), ("b", "r1")] if "increase(" not in expression else [("a", "r2")]
        rows = [{"sha256": letter * 64, "attempt": "0", "revision": name} for letter, name in there]
        return [Sample(labels, 1.0, 1.0) for labels in (*rows, {**rows[0], "revision": "late"}, {"revision": "other"})]

    asked: list[str] = []
    monkeypatch.setattr(one.prometheus, "query", query)
    assert one.controller.looking.serving() == [Canary("prod", "digits", "a" * 64, "")]
    assert "[120s]) > 0)" in asked[-1]


def test_an_answer_of_another_form_is_silence_where_what_is_scraped_tells_the_canary_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as that of a proxy in front of Prometheus."""
    one = Controlled(tmp_path, replace(POLICY, silence="rollback"))
    canary = of_no_file(one, monkeypatch)
    looking = one.controller.looking
    monkeypatch.setattr(looking, "serving", lambda: [canary])
    one.tick()
    monkeypatch.delattr(looking, "serving")

    def strange(expression: str, at: float | None = None) -> list[Sample]:
        raise KeyError("data")

    monkeypatch.setattr(one.prometheus, "query", strange)
    one.tick(later=5.0)
    assert (one.controller.health.blind, one.share) == ("Prometheus' answer has another form: KeyError", 0.05)
    one.tick(later=POLICY.silence_for)
    assert one.share == 0.0
    one.end()


def test_a_target_that_fails_as_no_target_should_is_told(one: Controlled, monkeypatch: pytest.MonkeyPatch) -> None:
    def strange() -> Placement:
        raise KeyError("spec")

    monkeypatch.setattr(one.target, "get", strange)
    one.tick()
    assert "the target itself failed: KeyError: 'spec'" in one.controller.health.trouble
    assert one.controller.health.blindness == "target"


ORDERS = [
    ("hold", "held: no canary goes further until `resume`; what asks for a rollback still gets it (odd)"),
    ("resume", "resumed"),
    ("rollback", "prod: digits r2 gets no traffic any more, says the target; what it still answers is watched"),
]


@pytest.mark.parametrize(("order", "says"), ORDERS)
def test_an_order_of_a_person_counts_once(one: Controlled, order: str, says: str) -> None:
    one.tick()
    assert one.controller.order(order, "Ada", "odd", ("n" * 16, 2000.0)) == says
    assert one.controller.order(order, "Ada", "odd", ("n" * 16, 2000.0)) is None
    assert one.lines("order") == [f"Ada asks for {order} (odd)"]


def test_held_it_goes_no_further_and_is_still_rolled_back(one: Controlled) -> None:
    one.prometheus.answers = {names.DROP_HIGH: 0.002}
    one.controller.order("hold", "Ada", "demo", ("n1", 9e9))
    for _ in range(5):
        one.tick(later=100.0)
    assert one.share == 0.05
    one.controller.order("resume", "Ada", "over", ("n2", 9e9))
    for _ in range(3):
        one.tick(later=50.0)
    assert one.share == 0.25
    one.controller.order("hold", "Ada", "demo", ("n3", 9e9))
    one.prometheus.asks()
    one.tick()
    assert one.share == 0.0


def test_what_cannot_be_written_down_is_not_done(one: Controlled) -> None:
    one.tick()
    one.prometheus.asks()
    with full_disk():
        one.tick(later=1000.0)
        assert "the journal cannot be used" in one.controller.health.trouble
        assert one.share == 0.05
    one.tick()
    assert (one.share, one.controller.health.trouble) == (0.0, "")


def test_a_full_disk_shows_before_anything_has_to_be_written(one: Controlled) -> None:
    one.tick()
    with full_disk():
        one.tick(later=5.0)
        assert "the journal cannot be used" in one.controller.health.trouble


def test_silence_of_the_journal_is_silence(tmp_path: Path) -> None:
    """With `silence: rollback` the traffic is taken away after the declared time; later it stands in the journal."""
    one = Controlled(tmp_path, replace(POLICY, silence="rollback"))
    one.tick()
    with full_disk():
        one.tick(later=5.0)
        one.tick(later=59.0)
        assert one.share == 0.05
        one.tick(later=1.0)
        assert (one.share, one.stages) == (0.0, ["observing"])
        one.tick(later=5.0)
    one.tick(later=5.0)
    one.tick(later=20.0)
    assert (one.epoch, one.stages) == (2, ["rolled_back"])
    (said,) = [line for line in one.lines() if line.startswith("rolls")]
    assert said.startswith("rolls prod: digits r2 back from 5%: what is decided could not be written down for 60 s")
    assert audit.verify(one.journal.log, one.journal.head()) == one.journal.head()
    one.end()


def test_what_that_took_away_is_taken_away_again_where_a_proxy_that_begins_anew_gives_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Controlled(tmp_path, replace(POLICY, silence="rollback"))
    get, began = one.target.get, [500.0]
    monkeypatch.setattr(one.target, "get", lambda: replace(get(), began=began[-1], configured=0.05))
    one.prometheus.answers = {_ANSWERED: 70.0}
    one.tick()
    with full_disk():
        for later in (5.0, 60.0):
            one.tick(later=later)
    for _ in range(3):
        one.tick(later=20.0)
    assert one.stages == ["rolled_back"]
    began.append(one.prometheus.time + 10.0)
    pointer.write(one.file, pointer.load(one.file).on_trial(CANARY))
    one.tick(later=20.0)
    assert (one.share, one.stages) == (0.0, ["rolling_back"])
    one.end()


@pytest.mark.parametrize("scraped", [0, 1, 2])
def test_it_is_silence_too_where_the_journal_cannot_be_read_and_the_target_knows_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scraped: int
) -> None:
    one = Controlled(tmp_path, replace(POLICY, silence="rollback"))
    there = [of_no_file(one, monkeypatch), OTHER][:scraped]
    monkeypatch.setattr(one.controller.looking, "serving", lambda: there)
    closed = sqlite3.connect(":memory:")
    closed.close()
    with monkeypatch.context() as patched:
        patched.setattr(one.journal, "_base", closed)
        for later in (5.0, 59.0, 1.0):
            assert one.share == 0.05
            one.tick(later=later)
        assert one.share == 0.0
    one.end()


def test_silence_of_the_journal_leaves_what_a_person_let_in_again(tmp_path: Path) -> None:
    one = Controlled(tmp_path, replace(POLICY, silence="rollback"))
    one.prometheus.asks()
    one.tick()
    one.tick(later=20.0)
    one.tick(later=20.0)
    assert one.stages == ["rolled_back"]
    pointer.write(one.file, pointer.load(one.file).on_trial(CANARY))
    with full_disk():
        one.tick(later=5.0)
        one.tick(later=500.0)
        assert one.share == 0.05
    one.end()


def test_the_policy_is_what_is_declared() -> None:
    assert POLICY.next_step(0.05) == 0.25
    assert POLICY.next_step(13 / 256) == 0.25
    assert POLICY.next_step(1.0) is None
    assert [POLICY.wait(tries) for tries in (1, 2, 3, 99)] == [2.0, 4.0, 8.0, 60.0]


def test_the_lease_is_free_once_its_process_ended(tmp_path: Path) -> None:
    one, other = FileLease(tmp_path / "lease"), FileLease(tmp_path / "lease")
    assert (one.take(), one.take(), other.take()) == (True, True, False)
    one.give_back()
    assert other.take()
    other.give_back()
    with pytest.raises(EnvironmentFailed, match="cannot be opened"):
        FileLease(tmp_path / "no folder" / "lease").take()


def test_a_dry_run_makes_way_for_one_that_acts(tmp_path: Path) -> None:
    dry, one = Controlled(tmp_path, dry=True), Controlled(tmp_path)
    for each in (dry, one):
        each.prometheus.asks()
        each.tick()
    assert (one.share, one.controller.health.leads) == (0.0, True)
    dry.tick()
    assert not dry.controller.health.leads
    dry.end()
    one.end()


def test_a_lease_whose_file_was_removed_is_had_by_one_of_two(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    one, other = (FileLease(tmp_path / "state" / "lease") for _ in range(2))
    assert one.take()
    one.path.unlink()
    assert other.take()
    assert not one.take()
    other.give_back()
    assert one.take()
    (tmp_path / "state").rename(tmp_path / "away")
    with pytest.raises(EnvironmentFailed, match="cannot be opened"):
        one.take()
