"""What a commit's verdict.json claims, held against what was found of that commit."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from types import SimpleNamespace
from typing import Any

import pytest

from makeweight.ci import claimed, landed
from makeweight.decide import verdict
from makeweight.decide.verdict import Verdict
from makeweight.measurement import Measurement
from unit.ci.conftest import figure

FACTS = {
    "artifacts": {"baseline": "b", "int8": "i"},
    "failed": {},
    "code": {"mine/data.py": "d", "mine/net.py": "n"},
    "read": {"words/en.txt": "w", "words/de.txt": "d"},
    "test_examples": "t",
    "pipeline": {"sources": "s", "raw": None},
}
SIZE = figure("size", 100.0, unit="B")
FIGURES = [SIZE, figure("size", 400.0, unit="B", variant="baseline"), figure("latency_p50", 0.5, device="pi5")]


def told(facts: Mapping[str, Any], *figures: Measurement) -> Verdict:
    listed = [asdict(each) for each in figures]
    return Verdict("pass", "", "int8", "best", "size", "tiny", [], [], listed, facts)


FOUND = told(FACTS, *FIGURES)


def git(**verdicts: Verdict | str) -> Any:
    """One whose commits hold these as their verdict.json."""
    texts = {name: each if isinstance(each, str) else verdict.dumps(each) for name, each in verdicts.items()}
    return SimpleNamespace(read=lambda commit, _: texts[commit].encode() if commit in texts else None)


@pytest.mark.parametrize(
    ("facts", "figures", "otherwise"),
    [
        ({}, FIGURES, None),
        ({"artifacts": {"baseline": "b", "int8": "of the next change"}}, FIGURES, "the models"),
        ({"artifacts": {"int8": None}, "code": None, "pipeline": None}, FIGURES, None),
        ({"failed": {"int8": "no memory"}}, FIGURES, "recipes that failed"),
        ({"code": {"mine/data.py": "d"}}, FIGURES, "the code that ran"),
        ({"read": {"words/en.txt": "w"}}, FIGURES, "the files that were read"),
        ({"read": {"words": None}}, FIGURES, None),
        ({"read": {"word": None}}, FIGURES, "the files that were read"),
        ({"read": None}, FIGURES, None),
        ({"test_examples": None}, FIGURES, "the test examples"),
        ({"pipeline": {"sources": "of the next change", "raw": None}}, FIGURES, "the code around the models"),
        ({}, [replace(SIZE, value=900.0)], "`size` of `int8`"),
        ({}, [replace(SIZE, value=900.0), SIZE], "`size` of `int8`"),
        ({}, [replace(FIGURES[2], value=0.4), replace(SIZE, value=0.0, comparison="regression")], None),
        ({}, [figure("size", 1.0, unit="B", variant="gone")], None),
        (
            {"failed": {"x": ""}, "code": {}, "test_examples": "u"},
            [replace(SIZE, value=1.0)],
            "recipes that failed, the code that ran, the test examples and 1 more",
        ),
    ],
    ids=[
        *("the same", "another model", "nothing is told", "a recipe that did not fail", "code is left out"),
        *("a file is left out", "their folder", "another folder", "nothing is told of files"),
        *("no examples", "other code around", "another size", "both sizes", "a clock's figures"),
        *("a variant that is gone", "many"),
    ],
)
def test_what_a_later_change_could_get_through_by_is_found(
    facts: dict[str, Any], figures: list[Measurement], otherwise: str | None
) -> None:
    claims = told({**FACTS, **facts}, *figures)
    assert claimed.otherwise(git(HEAD=claims), "HEAD", FOUND) == otherwise


def test_what_nobody_would_believe_claims_nothing() -> None:
    assert claimed.otherwise(git(), "HEAD", FOUND) is None
    assert claimed.otherwise(git(HEAD="{"), "HEAD", FOUND) is None


def test_only_the_reports_that_a_change_itself_brings_are_told_of_it() -> None:
    old, forged = told({**FACTS, "test_examples": "o"}), told({**FACTS, "artifacts": {"int8": "of the next change"}})
    assert claimed.brought(git(HEAD=old, base=old), "base", FOUND) == []
    (said,) = claimed.brought(git(HEAD=forged, base=old), "base", FOUND)
    assert said.startswith("`reports/verdict.json` of this change tells otherwise of the models than")


def test_after_the_merge_it_is_refused(tmp_path: Any) -> None:
    forged = git(HEAD=told({**FACTS, "artifacts": {"int8": "of the next change"}}))
    forged.read = lambda commit, path, whole=forged.read: whole(commit, path) if path == claimed.PLACE else None
    differing = landed.differing(tmp_path, None, forged, FOUND)
    assert differing == {"reports/verdict.json": "tells otherwise of the models"}
