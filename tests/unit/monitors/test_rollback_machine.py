"""The decision on a canary: a table of single steps, and whole lives in any order of events."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from canary_trials import ASKS, CANARY, OBSERVED, POLICY, World, alert, seen
from hypothesis import given
from hypothesis import strategies as st

from makeweight_monitors.metrics import Blindness
from makeweight_monitors.rollback import machine
from makeweight_monitors.rollback.case import Answered, Case, Deed
from makeweight_monitors.rollback.machine import Did, Looked, Ordered, WentWrong
from makeweight_monitors.rollback.seen import Alerting, Placement
from makeweight_monitors.rules import names

DEED = Deed("rollback", 0.0, 1000.0)
GOOD = replace(OBSERVED, good_since=1000.0, good_at=1090.0)
SHADOWED = Placement(0.0, CANARY.sha256, CANARY.attempt, shadowed=True)


def rolling(**said: Any) -> Case:
    return replace(OBSERVED, stage="rolling_back", share=said.pop("share", 0.05), deed=replace(DEED, **said))


STEPPING = replace(OBSERVED, deed=Deed("step", 0.25, 1000.0))
PROMOTING = replace(OBSERVED, share=1.0, deed=Deed("promote", 1.0, 1000.0, "confirmed"))


def made_stable(sha256: str, *release: str) -> Placement:
    """A target on which that is stable, and no canary."""
    return Placement(0.0, "", "", stable=sha256, stable_release=(release[0], release[1]) if release else None)


FAILS = replace(ASKS, test="failures", lasts=15.0, every=15.0)
ROLLED_BACK = replace(OBSERVED, stage="rolled_back", share=0.0, since=1000.0, configured=0.05)


def begun(began: float, configured: float) -> Placement:
    """A target that gives the canary 5 %, and forgets what it is told when it ends."""
    return Placement(0.05, CANARY.sha256, CANARY.attempt, began=began, configured=configured)


STEPS = {
    "a step that was begun by a process that ended": (STEPPING, Looked(seen(2000)), "observing", "set", ""),
    "one while somebody holds the canary": (
        STEPPING,
        Looked(seen(2000, held="Ada (a demo)")),
        "observing",
        "nothing",
        "does not give prod: digits r2 25% after all: held by Ada (a demo)",
    ),
    "one while a rollback is asked for that is not believed": (
        STEPPING,
        Looked(seen(2000, 0.05, ASKS, alert(names.SHARE_OFF))),
        "observing",
        "nothing",
        "MakeweightAccuracyDropPaired is firing",
    ),
    "one while a rollback is asked for": (STEPPING, Looked(seen(2000, 0.05, ASKS)), "rolling_back", "set", "from 5%"),
    "one that was done and not noted": (STEPPING, Looked(seen(2000, 0.25, held="Ada (b)")), "observing", "set", ""),
    "one of a canary that somebody took off meanwhile": (
        STEPPING,
        Looked(seen(2000, placement=Placement(0.0, CANARY.sha256, CANARY.attempt))),
        "observing",
        "nothing",
        "has 0% of the traffic, set by somebody else; it was to have 25%",
    ),
    "all of the traffic, and not stable yet": (PROMOTING, Looked(seen(2000, 1.0)), "observing", "finalize", ""),
    "the same, and a test asks for it back": (
        PROMOTING,
        Looked(seen(2000, 1.0, ASKS)),
        "rolling_back",
        "set",
        "from 100%",
    ),
    "stable, which was not noted": (
        PROMOTING,
        Looked(seen(2000, placement=made_stable(CANARY.sha256, "r2", "1"))),
        "observing",
        "finalize",
        "",
    ),
    "a promotion that somebody undid": (
        PROMOTING,
        Looked(seen(2000, placement=made_stable("b" * 64, "r1", ""))),
        "observing",
        "nothing",
        "does not serve any more",
    ),
    "made stable by hand": (
        OBSERVED,
        Looked(seen(2000, placement=made_stable(CANARY.sha256, "r2", "1"))),
        "promoted",
        "nothing",
        "is stable now",
    ),
    "made stable in the midst of a rollback": (
        rolling(),
        Looked(seen(2000, placement=made_stable(CANARY.sha256, "r2", "1"))),
        "failed",
        "nothing",
        "made stable by somebody else",
    ),
    "rolled back to another release of the same file": (
        rolling(),
        Looked(seen(2000, placement=made_stable(CANARY.sha256, "r1", ""))),
        "rolling_back",
        "nothing",
        "is watched",
    ),
    "a process that ended hides no answers of another": (
        rolling(phase="read_back", answered=Answered(1010.0, 1500.0)),
        Looked(seen(1030, 0.0, answered=Answered(1030.0, 510.0))),
        "rolling_back",
        "nothing",
        "",
    ),
    "an alert that fires rolls back": (OBSERVED, Looked(seen(1000, 0.05, ASKS)), "rolling_back", "set", "from 5%"),
    "failures that may show of stable with its next scrape": (
        OBSERVED,
        Looked(seen(1000, 0.05, FAILS, scraped_every=60.0)),
        "observing",
        "nothing",
        "may show of stable with its next scrape",
    ),
    "failures that last longer than that": (
        OBSERVED,
        Looked(seen(1000, 0.05, replace(FAILS, lasts=60.0), scraped_every=60.0)),
        "rolling_back",
        "set",
        "from 5%",
    ),
    "failures of processes that are scraped as often as rules are evaluated": (
        OBSERVED,
        Looked(seen(1000, 0.05, FAILS, scraped_every=20.0)),
        "rolling_back",
        "set",
        "from 5%",
    ),
    "labels, which come at any time": (
        OBSERVED,
        Looked(seen(1000, 0.05, replace(FAILS, test="paired"), scraped_every=60.0)),
        "rolling_back",
        "set",
        "from 5%",
    ),
    "one that is pending holds": (
        GOOD,
        Looked(seen(2000, 0.05, replace(ASKS, firing=False))),
        "observing",
        "nothing",
        "pending",
    ),
    "another attempt's says nothing": (
        GOOD,
        Looked(seen(1050, 0.05, replace(ASKS, attempt="2"))),
        "observing",
        "nothing",
        "does well",
    ),
    "another file's says nothing": (
        GOOD,
        Looked(seen(1050, 0.05, replace(ASKS, sha256="b" * 64))),
        "observing",
        "nothing",
        "does well",
    ),
    "of a canary that is gone there is nothing to roll back": (
        OBSERVED,
        Looked(seen(1000, 0.05, ASKS, placement=Placement(0.05, "b" * 64, "1"))),
        "observing",
        "nothing",
        "does not serve",
    ),
    "rolled back is latched": (
        replace(OBSERVED, stage="rolled_back"),
        Looked(seen(1000, 0.05, ASKS)),
        "rolled_back",
        "nothing",
        "somebody let it in again",
    ),
    "traffic that is back since the proxy began anew": (
        ROLLED_BACK,
        Looked(seen(2000, placement=begun(1500.0, 0.05))),
        "rolling_back",
        "set",
        "began anew",
    ),
    "the same while no process of it is scraped: another may have its place": (
        ROLLED_BACK,
        Looked(seen(2000, placement=begun(1500.0, 0.05), answered=None)),
        "rolled_back",
        "nothing",
        "",
    ),
    "the same before it was confirmed": (
        replace(rolling(phase="read_back"), since=1000.0, configured=0.05),
        Looked(seen(2000, placement=begun(1500.0, 0.05))),
        "rolling_back",
        "set",
        "began anew",
    ),
    "let in by somebody, in a proxy that has run for long": (
        ROLLED_BACK,
        Looked(seen(2000, placement=begun(900.0, 0.05))),
        "rolled_back",
        "nothing",
        "somebody let it in again",
    ),
    "let in by another configuration": (
        replace(ROLLED_BACK, configured=0.0),
        Looked(seen(2000, placement=begun(1500.0, 0.05))),
        "rolled_back",
        "nothing",
        "somebody let it in again",
    ),
    "promoted is latched": (
        replace(OBSERVED, stage="promoted"),
        Looked(seen(1000, 0.05, ASKS)),
        "promoted",
        "nothing",
        "",
    ),
    "nothing known holds": (
        GOOD,
        Looked(seen(5000, blind="no answer")),
        "observing",
        "nothing",
        "nothing is known (no answer)",
    ),
    "no data holds": (GOOD, Looked(seen(5000, drop_high=None)), "observing", "nothing", "there is no data"),
    "a drop that is not a number holds": (
        GOOD,
        Looked(seen(5000, drop_high=float("nan"))),
        "observing",
        "nothing",
        "nan%",
    ),
    "a drop beyond the budget holds": (
        GOOD,
        Looked(seen(5000, drop_high=0.02)),
        "observing",
        "nothing",
        "as large as 2.00%",
    ),
    "agreement alone is enough": (
        GOOD,
        Looked(seen(1100, drop_high=None, certified=True)),
        "observing",
        "set",
        "gives prod: digits r2 25% after 5%",
    ),
    "held by a person": (GOOD, Looked(seen(5000, held="Ada (a demo)")), "observing", "nothing", "held by Ada (a demo)"),
    "cooling down": (GOOD, Looked(seen(5000, last_rollback=4700.0)), "observing", "nothing", "300 s ago"),
    "an open breaker": (
        GOOD,
        Looked(seen(5000, breakers=2)),
        "observing",
        "nothing",
        "in 2 of its processes the breaker",
    ),
    "an alarm holds": (
        GOOD,
        Looked(seen(5000, 0.05, alert(names.CANARY_UNWATCHED))),
        "observing",
        "nothing",
        "CanaryUnwatched",
    ),
    "a limit of the budget holds": (
        GOOD,
        Looked(seen(5000, 0.05, alert(names.LATENCY_ABOVE_STABLE, "evidence", variant="canary"))),
        "observing",
        "nothing",
        "LatencyAboveStable",
    ),
    "what a test takes for granted does not hold": (
        GOOD,
        Looked(seen(5000, 0.05, alert(names.LABEL_COVERAGE_LOW, "evidence", variant="stable", sha256="0" * 64))),
        "observing",
        "nothing",
        "LabelCoverageLow is firing",
    ),
    "an alarm about another canary does not": (
        GOOD,
        Looked(seen(1100, 0.05, alert(names.CANARY_UNWATCHED, variant="canary", sha256="b" * 64))),
        "observing",
        "set",
        "gives",
    ),
    "that no controller is seen is none to the one that looks": (
        GOOD,
        Looked(seen(1100, 0.05, alert(names.CONTROLLER_GONE))),
        "observing",
        "set",
        "gives",
    ),
    "good for too short": (GOOD, Looked(seen(1099)), "observing", "nothing", "does well at 5%"),
    "good for long enough": (GOOD, Looked(seen(1100)), "observing", "set", "every look of 100 s"),
    "good, and nobody looked for a while": (
        replace(GOOD, good_at=1039.0),
        Looked(seen(1100)),
        "observing",
        "nothing",
        "does well at 5%",
    ),
    "good at half of the traffic is promoted": (
        replace(GOOD, share=0.5),
        Looked(seen(1100, 0.5)),
        "observing",
        "set",
        "promotes prod: digits r2, which has 50%",
    ),
    "a share that somebody else set": (GOOD, Looked(seen(5000, 0.4)), "observing", "nothing", "has 40% of the traffic"),
    "a weight that the target rounded": (GOOD, Looked(seen(1100, 13 / 256)), "observing", "set", "25%"),
    "a person's order": (OBSERVED, Ordered(seen(1000), "Ada", "odd"), "rolling_back", "set", "Ada asks for it (odd)"),
    "a canary in the shadow": (
        replace(OBSERVED, share=0.0),
        Looked(seen(1000, 0.0, ASKS, placement=SHADOWED)),
        "rolling_back",
        "set",
        "from 0%",
    ),
    "one in the shadow that nobody took away yet": (
        rolling(share=0.0),
        Looked(seen(2000, 0.0, placement=SHADOWED)),
        "rolling_back",
        "set",
        "",
    ),
    "an order for what has no traffic": (
        OBSERVED,
        Ordered(seen(1000, 0.0), "Ada", "odd"),
        "observing",
        "nothing",
        "nothing to roll back",
    ),
    "a person who changed their mind": (
        replace(OBSERVED, stage="rolled_back"),
        Ordered(seen(1000), "Ada", "worse after all"),
        "rolling_back",
        "set",
        "Ada",
    ),
    "begun by a process that ended": (rolling(), Looked(seen(2000)), "rolling_back", "set", ""),
    "acted by a process that ended": (rolling(phase="acted"), Looked(seen(2000)), "rolling_back", "verify", ""),
    "done by a process that could not note it": (
        rolling(),
        Looked(seen(2000, 0.0)),
        "rolling_back",
        "nothing",
        "is watched",
    ),
    "not before its time": (rolling(again=2001.0), Looked(seen(2000)), "rolling_back", "nothing", ""),
    "by a clock that went back": (rolling(again=9000.0), Looked(seen(2000)), "rolling_back", "set", ""),
    "the target refuses": (rolling(), WentWrong(1001, "down"), "failed", "nothing", "tried again: down"),
    "tried again after it failed": (replace(rolling(), stage="failed"), Looked(seen(2000)), "failed", "set", ""),
    "its read-back disagrees": (
        rolling(phase="acted"),
        WentWrong(1001, "the share is 5 %"),
        "failed",
        "nothing",
        "5 %",
    ),
    "let in again before it was confirmed": (
        rolling(phase="read_back"),
        Looked(seen(2000, 0.05, ASKS)),
        "rolled_back",
        "nothing",
        "somebody let it in again",
    ),
    "its process is gone": (
        rolling(phase="read_back"),
        Looked(seen(1010, 0.0, answered=None)),
        "rolling_back",
        "finalize",
        "none of its processes",
    ),
    "still answering after its time": (
        rolling(phase="read_back"),
        Looked(seen(1100, 0.0)),
        "failed",
        "nothing",
        "still answers",
    ),
    "unconfirmed, since blind": (
        rolling(phase="read_back"),
        Looked(seen(1100, 0.0, blind="no answer")),
        "failed",
        "nothing",
        "unconfirmed",
    ),
    "finalized": (rolling(phase="confirmed"), Did(1020), "rolled_back", "nothing", "20.0 s after"),
    "finalized, with a word of the target": (
        rolling(phase="confirmed"),
        Did(1020, "removed 2 models"),
        "rolled_back",
        "nothing",
        "it stays so; removed 2 models",
    ),
}


@pytest.mark.parametrize(("case", "event", "stage", "action", "says"), STEPS.values(), ids=STEPS)
def test_one_step(case: Case, event: machine.Event, stage: str, action: str, says: str) -> None:
    step = machine.step(case, event, POLICY)
    assert (step.case.stage, step.action) == (stage, action)
    assert says in step.sentence
    assert bool(says) == bool(step.sentence)


def test_a_clock_that_went_back_keeps_nothing_from_its_end() -> None:
    policy = replace(POLICY, silence="rollback", silence_for=100.0)
    unseen = replace(OBSERVED, blind_since=9000.0)
    for time, action in ((2000, "nothing"), (2099, "nothing"), (2100, "set")):
        step = machine.step(unseen, Looked(seen(time, blind="no answer")), policy)
        unseen = step.case
        assert step.action == action
    answering = rolling(phase="read_back", begun=9000.0, answered=Answered(9000.0, 500.0))
    for time, stage in ((2000, "rolling_back"), (2000 + POLICY.confirm_within, "failed")):
        answering = machine.step(answering, Looked(seen(time, 0.0, answered=Answered(time, 500.0 + time))), POLICY).case
        assert answering.stage == stage
    for last, action in ((9e9, "set"), (1099.0 + POLICY.cooldown, "nothing")):
        assert machine.step(GOOD, Looked(seen(1100, last_rollback=last)), POLICY).action == action


def test_whom_somebody_let_in_again_stays_so_when_the_proxy_begins_anew() -> None:
    let_in = machine.step(ROLLED_BACK, Looked(seen(2000, placement=begun(900.0, 0.05))), POLICY).case
    after = machine.step(let_in, Looked(seen(3000, placement=begun(2500.0, 0.05))), POLICY)
    assert (after.case.stage, after.action) == ("rolled_back", "nothing")


def test_a_canary_that_does_not_serve_any_more_has_no_share() -> None:
    step = machine.step(OBSERVED, Looked(seen(1000, placement=Placement(0.05, "b" * 64, "1"))), POLICY)
    assert step.case.share == 0.0
    back = machine.step(step.case, Looked(seen(1010)), POLICY)
    assert "has 5% of the traffic, set by somebody else; it was 0%" in back.sentence


def test_a_rollback_is_explained_with_its_numbers() -> None:
    step = machine.step(OBSERVED, Looked(replace(seen(1000, 0.05, ASKS), share=0.0481)), POLICY)
    assert step.sentence == (
        "rolls prod: digits r2 back from 5%: MakeweightAccuracyDropPaired fires since 2030-01-01T12:00:00Z, "
        "its test `paired` has an e-value 5120 over 5000; it had 4.8% of the requests of half an hour"
    )
    assert step.case.deed is not None
    assert step.case.deed.why == step.sentence


LABELLED = ("paired", "split", "slice", "class")
OFF = [
    (names.REPLICA_DOWN, "stable", ("failures", *LABELLED)),
    (names.REPLICA_DOWN, "canary", LABELLED),
    (names.STABLE_UNSEEN, "", ("failures", *LABELLED)),
    (names.COUNTER_POISONED, "", ("failures", *LABELLED)),
    (names.SHARE_OFF, "canary", LABELLED),
    (names.LABEL_COVERAGE_LOW, "canary", LABELLED),
    (names.LABELS_SELECTED, "", ("paired", "slice", "class")),
]


@pytest.mark.parametrize(
    ("guard", "variant", "off"), OFF, ids=[f"{name} {variant}".strip() for name, variant, _ in OFF]
)
def test_a_test_is_not_believed_while_its_guard_fires(guard: str, variant: str, off: tuple[str, ...]) -> None:
    """And is once that ends, though no alert is sent again."""
    for test in ("failures", *LABELLED):
        asks, fires = replace(ASKS, test=test), alert(guard, variant=variant)
        step = machine.step(OBSERVED, Looked(seen(1000, 0.05, asks, fires)), POLICY)
        assert (step.action == "nothing") == (test in off), test
        assert ("is not believed" in step.sentence) == (test in off)
        assert (
            machine.step(OBSERVED, Looked(seen(1000, 0.05, asks, replace(fires, firing=False))), POLICY).action == "set"
        )
        assert machine.step(step.case, Looked(seen(1010, 0.05, asks)), POLICY).case.stage == "rolling_back"


def test_what_does_not_hold_for_another_canary_says_nothing_of_this_one() -> None:
    """Such as that the one before does not get its share any more, since it was rolled back."""
    before = {"sha256": "b" * 64, "attempt": CANARY.attempt}
    retried = {"sha256": CANARY.sha256, "attempt": "0"}
    for name, variant in ((names.SHARE_OFF, ""), (names.LABELS_SELECTED, ""), (names.REPLICA_DOWN, "canary")):
        for other in (before, retried):
            fires = alert(name, variant=variant, **other)
            assert machine.step(OBSERVED, Looked(seen(1000, 0.05, ASKS, fires)), POLICY).case.stage == "rolling_back"
            assert machine.step(GOOD, Looked(seen(1100, 0.05, fires)), POLICY).action == "set"
        own = alert(name, variant=variant, sha256=CANARY.sha256, attempt=CANARY.attempt)
        assert machine.step(OBSERVED, Looked(seen(1000, 0.05, ASKS, own)), POLICY).action == "nothing"
    stable = alert(names.REPLICA_DOWN, variant="stable", sha256="0" * 64)
    assert machine.step(OBSERVED, Looked(seen(1000, 0.05, ASKS, stable)), POLICY).action == "nothing"


def test_a_good_canary_goes_all_the_way() -> None:
    world = World()
    shares = []
    for _ in range(40):
        world.look()
        if not shares or world.share != shares[-1]:
            shares.append(world.share)
    assert shares == [0.05, 0.25, 0.5, 1.0]
    assert (world.case.stage, world.finalized) == ("promoted", ["promote"])


def test_steps_that_end_early_leave_the_rest_to_people() -> None:
    world = World(policy=replace(POLICY, steps=(0.05, 0.25)))
    for _ in range(40):
        world.look()
    assert (world.share, world.case.stage, world.finalized) == (0.25, "observing", [])
    assert "the last step that is declared" in world.case.why


def test_a_bad_one_is_rolled_back_and_its_traffic_seen_to_end() -> None:
    world = World()
    world.look(ASKS, later=5.0)
    assert (world.share, world.case.stage) == (0.0, "rolling_back")
    world.look(later=5.0)
    assert world.case.stage == "rolling_back"
    world.look(later=10.0)
    assert (world.case.stage, world.finalized, world.taken_away) == ("rolled_back", ["rollback"], 1)


def test_silence_follows_the_declared_policy() -> None:
    for silence, share in (("hold", 0.05), ("rollback", 0.0)):
        world = World(policy=replace(POLICY, silence=silence))
        world.look(blind="no answer")
        world.look(blind="no answer", later=59.0)
        assert world.share == 0.05
        world.look(blind="no answer", later=1.0)
        assert world.share == share, silence


def test_silence_is_declared_for_each_kind_of_it_and_what_is_not_declared_is_held() -> None:
    kinds: tuple[tuple[Blindness, float], ...] = (("rules", 0.05), ("observers", 0.0), ("prometheus", 0.05))
    for kind, share in kinds:
        world = World(policy=replace(POLICY, silence={"rules": "hold", "observers": "rollback"}))
        world.look(blind="why", blindness=kind)
        world.look(blind="why", blindness=kind, later=60.0)
        assert world.share == share, kind


def test_the_same_is_said_once_though_its_numbers_move() -> None:
    first = machine.step(GOOD, Looked(seen(1010, drop_high=0.02)), POLICY)
    again = machine.step(first.case, Looked(seen(1020, drop_high=0.03)), POLICY)
    other = machine.step(again.case, Looked(seen(1030, drop_high=None)), POLICY)
    assert [bool(one.sentence) for one in (first, again, other)] == [True, False, True]


ALERTS: tuple[tuple[Alerting, ...], ...] = (
    (),
    (ASKS,),
    (ASKS, ASKS),
    (replace(ASKS, test="failures", name=names.FAILURES_ABOVE_STABLE), ASKS),
    (ASKS, alert(names.REPLICA_DOWN)),
)
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(ALERTS),
        st.sampled_from(["", "blind"]),
        st.sampled_from(["", "refuses", "dies"]),
        st.integers(0, 8),
    ),
    max_size=25,
)


@given(EVENTS)
def test_in_any_order_and_number_alerts_take_the_traffic_away_once(events: list[tuple[Any, str, str, int]]) -> None:
    """Whatever comes, however often, with targets that refuse and processes that die between any two steps."""
    world = World(policy=replace(POLICY, steps=()))
    for alerting, blind, fate, after in events:
        world.refuses, world.dies_after = fate == "refuses", after if fate == "dies" else None
        world.look(*alerting, blind=blind)
    world.refuses, world.dies_after = False, None
    world.look(ASKS)
    for _ in range(8):
        world.look(ASKS, later=61.0)
    assert (world.taken_away, world.share, world.case.stage) == (1, 0.0, "rolled_back")
    world.share = 0.05  # a person reverts the revert
    for _ in range(3):
        world.look(ASKS)
    assert (world.taken_away, world.share) == (1, 0.05)
    world.order()
    assert (world.taken_away, world.share) == (2, 0.0)


def test_a_person_who_asks_twice_gets_one_rollback() -> None:
    world = World()
    world.order()
    world.order("Grace")
    assert (world.taken_away, world.case.canary) == (1, CANARY)
