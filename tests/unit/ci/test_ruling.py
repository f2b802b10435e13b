"""Whose budget counts, which waivers, and what is known without measuring."""

from dataclasses import replace
from datetime import date

from makeweight import publish
from makeweight.ci import gate, regression, waiver_sources, weakening
from makeweight.ci.dvc import gist
from makeweight.decide import Waiver
from makeweight.decide.verdict import Review, Verdict
from makeweight.evidence.evidence import NOTHING
from makeweight.github.labels import Label
from unit.ci.conftest import Made, base_of, figure

TODAY = date(2026, 6, 1)
LOOSE = ("max_ratio: 0.5", "max_ratio: 0.9")


def waiver(rule: str, variant: str | None = None, until: date = TODAY) -> Waiver:
    return Waiver(rule, variant, "a reason", until, "label by @x")


def standing(rule: str) -> Waiver:
    """One of the base's makeweight.yaml."""
    return replace(waiver(rule), source="makeweight.yaml on main", standing=True)


def limits(ruled: gate.Ruling) -> dict[str, float]:
    return {rule.id: rule.limit for rule in ruled.rules}


def test_the_stricter_of_two_budgets_counts(made: Made) -> None:
    base = base_of(made())
    loose = gate.ruling(made(LOOSE), base, [], landed=False, today=TODAY)
    assert limits(loose)["size.max_ratio"] == 0.5
    assert loose.loosened
    assert [(each.what, each.was, each.now) for each in loose.budget] == [
        ("`size.max_ratio`", "at most 0.5x", "at most 0.9x")
    ]
    tight = gate.ruling(made(("max_ratio: 0.5", "max_ratio: 0.2")), base, [], landed=False, today=TODAY)
    assert limits(tight)["size.max_ratio"] == 0.2
    assert not tight.loosened
    assert tight.notices == ()


def test_what_has_landed_is_judged_by_its_own_budget(made: Made) -> None:
    ruled = gate.ruling(made(LOOSE), base_of(made()), [], landed=True, today=TODAY)
    assert limits(ruled)["size.max_ratio"] == 0.9
    assert ruled.notices == ()


def test_a_looser_budget_is_accepted_by_a_waiver_for_it_and_says_by_whom(made: Made) -> None:
    base = base_of(made())
    for rule in ("budget", "size.max_ratio"):
        ruled = gate.ruling(made(LOOSE), base, [waiver(rule)], landed=False, today=TODAY)
        assert limits(ruled)["size.max_ratio"] == 0.9
        assert any("@x" in notice for notice in ruled.notices)
    for other in (
        waiver("latency_p50.max_ratio"),
        waiver("size.max_ratio", "int8"),
        waiver("budget", until=date(2026, 5, 31)),
    ):
        assert limits(gate.ruling(made(LOOSE), base, [other], landed=False, today=TODAY))["size.max_ratio"] == 0.5


def test_a_waiver_of_the_file_lets_a_rule_be_broken_and_not_be_loosened(made: Made) -> None:
    """It lapses by itself, and what was loosened or removed under its cover would not come back."""
    base = base_of(made())
    gone = ("  size: {max_ratio: 0.5}\n", "")
    for change in (LOOSE, gone):
        kept = gate.ruling(made(change), base, [standing("size.max_ratio")], landed=False, today=TODAY)
        assert limits(kept)["size.max_ratio"] == 0.5
        assert [each.accepted for each in kept.budget] == [False]
        assert [each.rule for each in kept.waivers] == ["size.max_ratio"]
    agreed = gate.ruling(made(LOOSE), base, [standing("budget")], landed=False, today=TODAY)
    assert limits(agreed)["size.max_ratio"] == 0.9


def test_a_label_that_accepts_a_budget_is_no_review_of_what_was_pushed_after_it(made: Made) -> None:
    asked, label = Review(required=True, label="reviewed:x"), waiver("budget")
    ruled = gate.ruling(made(LOOSE), base_of(made()), [label], landed=False, today=TODAY, review=asked)
    assert limits(ruled)["size.max_ratio"] == 0.9
    assert [each.accepted for each in ruled.budget] == [False]
    ruled = gate.ruling(made(LOOSE), base_of(made()), [standing("budget")], landed=False, today=TODAY, review=asked)
    assert [each.accepted for each in ruled.budget] == [True]
    both = [waiver("size.max_ratio"), standing("budget")]
    ruled = gate.ruling(made(LOOSE), base_of(made()), both, landed=False, today=TODAY, review=asked)
    assert [each.accepted for each in ruled.budget] == [True]


def test_a_removed_rule_stays(made: Made) -> None:
    ruled = gate.ruling(made(("  size: {max_ratio: 0.5}\n", "")), base_of(made()), [], landed=False, today=TODAY)
    assert limits(ruled)["size.max_ratio"] == 0.5


def test_waivers_that_lapsed_or_match_nothing_are_told(made: Made) -> None:
    old, idle = waiver("size.max_ratio", until=date(2026, 5, 1)), waiver("size.max")
    ruled = gate.ruling(made(), base_of(made()), [old, idle], landed=False, today=TODAY)
    assert any("lapsed after 2026-05-01" in notice for notice in ruled.notices)
    assert any("`size.max`" in notice and "matches no rule" in notice for notice in ruled.notices)


def test_the_heads_own_budget_is_judged_beside(made: Made) -> None:
    head, base = made(LOOSE), base_of(made())
    ruled = gate.ruling(head, base, [], landed=False, today=TODAY)
    figures = [
        made_figure
        for variant in ("int8", "other")
        for made_figure in (
            figure("nonfinite_outputs", 0.0, variant=variant, unit="fraction"),
            figure("size", 0.7, variant=variant, comparison="ratio"),
            figure(
                "latency_p50",
                0.5,
                variant=variant,
                device="local",
                interval=(0.4, 0.6),
                noise_floor=0.0,
                comparison="ratio",
            ),
        )
    ]
    decided = gate.decided(publish.terms(head, ruled.rules), publish.terms(head), ruled, figures, {}, ())
    assert decided.verdict == "fail"
    assert "would be passed" in decided.notices[0]


def test_labels_speak_by_their_description() -> None:
    given, objections = waiver_sources.of_labels(
        [
            Label("waive:size.max_ratio", "until 2026-12-31: the shelf is full", "boss", True),
            Label("waive:size.max@int8", "  until 2026-12-31 - because\nof two lines ", "boss", True),
            Label("waive:size.max", "until 2026-12-31: mine", "reader", False),
            Label("waive:a", "some day", "boss", True),
            Label("waive:b", "until 2026-02-31: no such day", "boss", True),
            Label("bug", "until 2026-12-31: x", "boss", True),
        ]
    )
    assert given == [
        Waiver("size.max_ratio", None, "the shelf is full", date(2026, 12, 31), "label by @boss"),
        Waiver("size.max", "int8", "because\nof two lines", date(2026, 12, 31), "label by @boss"),
    ]
    assert len(objections) == 3
    assert "@reader may not write" in objections[0]
    assert all("until YYYY-MM-DD: reason" in objection for objection in objections[1:])


def everything_timed() -> list:  # type: ignore[type-arg]
    return [figure("latency_p50", 1e-3, variant=name, device="local", unit="s") for name in ("int8", "other")]


def test_what_the_base_knew_of_what_is_gone_is_left_aside(made: Made) -> None:
    old = figure("latency_p50", 0.4, device="local", comparison="regression")
    base = base_of(made(), *everything_timed(), old, figure("latency_p50", device="pi5"))
    only = made(("  other: {steps: [float16]}\n", ""))
    known, failed = gate.of_base(only, base)
    assert failed == {}
    assert {m.variant for m in known} == {"int8"}
    assert {m.device for m in known} == {"local"}
    (grown,) = [m for m in known if m.comparison == "regression"]
    assert (grown.value, grown.interval) == (0.0, (0.0, 0.0))


def test_where_nothing_could_be_had_every_rule_says_why(made: Made) -> None:
    project = made()
    figures = gate.of_nothing(project, project.rules, "the data are elsewhere")
    decided = gate.decided(
        publish.terms(project),
        publish.terms(project),
        gate.ruling(project, None, [], landed=False, today=TODAY),
        figures,
        {},
        (),
    )
    assert decided.verdict == "inconclusive"
    assert all("the data are elsewhere" in rule.sentence for rule in decided.rules)


def test_a_device_that_is_silent_is_not_measured_and_says_so(made: Made) -> None:
    project = made()
    base = base_of(project)
    known = replace(
        NOTHING,
        measurements=(
            figure("latency_p50", device="local", interval=(0.4, 0.5), comparison="ratio").stale("the model changed"),
        ),
    )
    found = gate.of_evidence(project, base, known, [], {"local": "it did not answer"}, {}, ())
    told = {(m.measurand.name, m.variant): m.reason for m in found if m.device == "local"}
    assert told["latency_p50_ratio", "int8"] == "it did not answer"
    assert told["latency_p50_ratio", "other"] == "it did not answer"
    assert told["latency_p50_regression", "int8"] == "it did not answer"


def test_growth_is_a_ratio_less_one_and_from_zero_there_is_none(made: Made) -> None:
    rules = regression.wanted(made(("size: {max_ratio: 0.5}", "size: {max_regression: 0 %}")).rules, None)
    now, before = [figure("size", 105.0, unit="B")], [figure("size", 100.0, unit="B")]
    (grown,) = regression.of_figures(rules, "int8", "int8", now, before)
    assert grown.measurand.name == "size_regression"
    assert grown.value is not None
    assert abs(grown.value - 0.05) < 1e-12
    (none,) = regression.of_figures(rules, "int8", "int8", now, [figure("size", 0.0, unit="B")])
    assert none.status == "unavailable"
    (missing,) = regression.of_figures(rules, "int8", "int8", now, [])
    assert "merge base has no figure" in str(missing.reason)


def test_the_small_print_names_both_commits(made: Made) -> None:
    assert gate.remarks("a" * 40, base_of(made()), 2) == [
        "commit aaaaaaa against main bbbbbbb",
        "2 benchmarks skipped: the artifacts are the base's",
    ]
    assert gate.remarks("a" * 40, None, 0) == ["commit aaaaaaa"]
    facts = {"seed": 0, "commit": "a" * 40, "base": "b" * 40}
    assert gate.provenance({"seed": 0}, "a" * 40, base_of(made()), measured=True) == facts
    told = gate.provenance({"seed": 0}, "a" * 40, base_of(made()), measured=False)
    assert told == {**facts, "measured_at": "b" * 40}


def test_dvcs_words_are_cut_to_what_a_reader_needs() -> None:
    said = "x\nERROR: failed to pull - Checkout failed for following targets:\ntiny.onnx\nIs your cache up to date?\n"
    assert gist(said) == "failed to pull - Checkout failed for following targets: tiny.onnx"
    assert gist("a\n\nlast words\n") == "last words"
    assert gist("") == "DVC said nothing"


def test_a_base_whose_budget_nobody_can_read_is_no_base_without_one(made: Made) -> None:
    """It was a link, or of another version: what counts instead may be looser, so somebody's word is asked for."""
    base = base_of(None, unusable="makeweight.yaml at bbbbbbb:1: a mapping is wanted here")
    head = made(("  latency_p50: {max_ratio: 0.9, max_regression: 5 %}\n", ""))
    figures = [figure("nonfinite_outputs", 0.0, variant=name, unit="fraction") for name in head.variants]
    figures += [figure("size", 0.1, variant=name, comparison="ratio") for name in head.variants]

    def decided(*waivers: Waiver, landed: bool = False) -> Verdict:
        asked = Review(required=base.asks_for_review and not landed, label="reviewed:a")
        ruled = gate.ruling(head, base, waivers, landed=landed, today=TODAY, review=asked)
        altered = weakening.alterations(head, base, ruled.budget, figures, {}, lambda _: True)
        terms = publish.terms(head, ruled.rules)
        return gate.decided(terms, terms, ruled, figures, {}, altered)

    found = decided()
    assert (found.verdict, found.ship) == ("inconclusive", None)
    assert "the budget not known: makeweight.yaml at bbbbbbb:1" in found.sentence
    assert decided(waiver("budget")).verdict == "pass"
    assert decided(waiver("size.max_ratio")).verdict == "inconclusive"
    assert decided(landed=True).verdict == "pass"


def test_code_and_files_that_no_source_names_are_told_apart_and_not_all_by_name() -> None:
    ran, read = gate.undeclared(["a.py"], [f"{number}.csv" for number in range(7)])
    assert ran.startswith("Code of this repository ran that `sources` does not name: `a.py`. A change there")
    assert "were read that `sources` does not name: `0.csv`, `1.csv`, `2.csv`, `3.csv`, `4.csv` and 2 more." in read
    assert gate.undeclared([], []) == []
