"""What a change does to the terms by which it is judged, and what can then be known: never less is asked for it."""

from datetime import date
from itertools import product

import pytest

from makeweight import publish
from makeweight.ci import compress, gate
from makeweight_base.errors import ConfigError
from unit.ci.conftest import Made, base_of, figure

TODAY = date(2026, 6, 1)
TWO = ("  local: {kind: local}\n", "  local: {kind: local}\n  pi5: {kind: local}\n")


def test_a_rule_about_a_device_outlives_the_device(made: Made) -> None:
    """Taking a device away does not take away the rule that names it: it can only be open then."""
    ruled_there = made(TWO, ("max_ratio: 0.9", "device: pi5, max_ratio: 0.9"))
    head = made()
    ruled = gate.ruling(head, base_of(ruled_there), [], landed=False, today=TODAY)
    assert {rule.id for rule in ruled.rules} >= {"latency_p50[pi5].max_ratio", "latency_p50[pi5].max_regression"}
    figures = [figure("nonfinite_outputs", 0.0, unit="fraction", variant=name) for name in head.variants] + [
        figure(metric, 0.1, variant=name, device="local", interval=(0.1, 0.1), noise_floor=0.0, comparison="ratio")
        for name, metric in product(head.variants, ("size", "latency_p50"))
    ]
    found = gate.decided(publish.terms(head, ruled.rules), publish.terms(head), ruled, figures, {}, ())
    assert found.verdict == "inconclusive"
    assert any(rule.device == "pi5" and rule.blocks for rule in found.rules)


def test_where_nothing_could_be_had_no_rule_of_either_budget_passes(made: Made) -> None:
    head = made(TWO, ("size: {max_ratio: 0.5}", "size: {max_ratio: 0.9, max_regression: 1 %}"))
    ruled = gate.ruling(head, base_of(made(TWO)), [], landed=False, today=TODAY)
    figures = gate.of_nothing(head, ruled.rules, "the data are elsewhere")
    assert len({(m.measurand.name, m.variant, m.device) for m in figures}) == len(figures)
    found = gate.decided(publish.terms(head, ruled.rules), publish.terms(head), ruled, figures, {}, ())
    assert {rule.verdict for rule in found.rules} == {"inconclusive"}
    assert all("the data are elsewhere" in rule.sentence for rule in found.rules)
    assert {(rule.variant, rule.device) for rule in found.rules if rule.metric == "latency_p50"} == set(
        product(("int8", "other"), ("local", "pi5"))
    )


def test_a_fork_is_told_of_another_way_than_a_branch() -> None:
    assert "fork" in gate.plea(fork=True)
    assert "fork" not in gate.plea(fork=False)


def test_a_lock_that_is_altered_for_nothing_is_told() -> None:
    """It would stand on the base after the merge, and what stands on the base is believed."""

    def entry(out: str) -> dict[str, object]:
        return {"cmd": "makeweight compress int8", "outs": [{"path": "artifacts/int8", "md5": out}]}

    base = {"compress@int8": entry("honest"), "benchmark@local-int8": entry("timed")}
    assert compress._about_an_idle_lock(base, base) == []
    assert compress._about_an_idle_lock({**base, "train": {}, "benchmark@local-int8": entry("again")}, base) == []
    (told,) = compress._about_an_idle_lock({**base, "compress@int8": entry("forged")}, base)
    assert "alters `compress@int8` in dvc.lock" in told
    many = {f"compress@v{number}": entry("honest") for number in range(9)}
    (told,) = compress._about_an_idle_lock({}, many)
    assert "`compress@v3` and 5 more" in told


def test_variants_that_dvc_takes_from_elsewhere_are_no_variants(made: Made) -> None:
    """`vars` of dvc.yaml say which stages there are; what was never made could have been put there by any other one."""
    project = made()
    whole: dict[str, object] = {
        f"{stage}@{name}": {} for stage, name in product(("compress", "evaluate"), ("int8", "other"))
    }
    compress._refuse_unmade(project, {"baseline": {}, **whole, "train": {}})
    with pytest.raises(ConfigError, match="DVC ran no stage `compress@other`, `evaluate@other`") as refused:
        compress._refuse_unmade(project, {"baseline": {}, "compress@int8": {}, "evaluate@int8": {}})
    assert [(each.source, each.line) for each in refused.value.problems] == [("dvc.yaml", None)]
