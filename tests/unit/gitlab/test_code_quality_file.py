"""The code quality report: what GitLab asks of each of its entries."""

from __future__ import annotations

import json
from dataclasses import replace

from makeweight.forge.annotation import Annotation
from makeweight.gitlab import quality

BROKEN = Annotation("m/makeweight.yaml", 12, "failure", "size.max_ratio is broken", "0.4 is over 0.3")


def test_each_mark_is_an_entry() -> None:
    marks = [BROKEN, replace(BROKEN, line=0, level="warning"), replace(BROKEN, line=3, level="notice")]
    told = json.loads(quality.render(marks))
    assert [each["severity"] for each in told] == ["critical", "minor", "info"]
    assert [each["location"]["lines"]["begin"] for each in told] == [12, 1, 3]
    for each in told:
        assert set(each) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert each["location"]["path"] == "m/makeweight.yaml"
        assert each["description"] == "size.max_ratio is broken: 0.4 is over 0.3"
    assert len({each["fingerprint"] for each in told}) == 3


def test_other_figures_of_a_rule_make_no_other_entry() -> None:
    (one,) = json.loads(quality.render([BROKEN]))
    (other,) = json.loads(quality.render([replace(BROKEN, message="0.5 is over 0.3")]))
    assert one["fingerprint"] == other["fingerprint"]
    assert one["description"] != other["description"]


def test_nothing_to_tell_is_an_empty_list() -> None:
    assert json.loads(quality.render([])) == []
