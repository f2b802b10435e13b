"""A variant under a new name is still held against what it was."""

from makeweight.ci import base_artifacts, gate, regression
from makeweight.ci.renaming import earlier, renamed
from makeweight.evidence.evidence import Evidence
from unit.ci.conftest import Made, base_of, figure

NEW = ("  int8: {steps: [{quantize: {method: dynamic}}]}\n", "  small: {steps: [{quantize: {method: dynamic}}]}\n")
OTHER = ("{method: dynamic}", "{method: dynamic, per_channel: false}")


def test_the_same_recipe_under_another_name_is_the_same_variant(made: Made) -> None:
    base = base_of(made())
    assert renamed(made(), base) == {}
    assert renamed(made(NEW), base) == {"small": "int8"}
    assert earlier(made(NEW), base) == {"small": "int8", "other": "other"}


def test_another_recipe_under_another_name_is_new_unless_its_bytes_are_the_same(made: Made) -> None:
    base, head = base_of(made()), made(NEW, OTHER)
    assert renamed(head, base) == {}
    assert renamed(head, base, {"small": "x", "other": "o"}) == {}
    assert renamed(head, base, {"small": "i", "other": "o"}) == {"small": "int8"}


def test_what_ships_in_the_place_of_one_that_is_gone_is_held_against_that_whatever_it_is_made_by(made: Made) -> None:
    base = base_of(made(("seed: 0", "seed: 0\nship: int8")))
    small = made(NEW, OTHER, ("seed: 0", "seed: 0\nship: small"))
    assert renamed(small, base) == {"small": "int8"}
    assert earlier(small, base) == {"small": "int8", "other": "other"}
    assert renamed(made(NEW, OTHER, ("seed: 0", "seed: 0\nship: other")), base) == {}
    beside = made((NEW[0], NEW[0] + NEW[1].replace(*OTHER)), ("seed: 0", "seed: 0\nship: small"))
    assert renamed(beside, base) == {}


def test_a_copy_beside_the_one_that_stays_is_not_renamed_and_held_against_it_too(made: Made) -> None:
    """Else `ship: best` would find one that nothing says has grown."""
    base, both = base_of(made()), made((NEW[0], NEW[0] + NEW[1]))
    assert renamed(both, base) == {}
    assert earlier(both, base) == {"int8": "int8", "small": "int8", "other": "other"}
    new = made((NEW[0], NEW[0] + NEW[1].replace("dynamic", "static")))
    assert earlier(new, base) == {"int8": "int8", "other": "other"}


def test_of_two_with_one_recipe_each_has_one_past(made: Made) -> None:
    twice = made((NEW[0], NEW[0] + NEW[0].replace("int8", "again")))
    head = made((NEW[0], NEW[1] + NEW[1].replace("small", "tiny")))
    found = renamed(head, base_of(twice))
    assert sorted(found) == ["small", "tiny"]
    assert sorted(found.values()) == ["again", "int8"]


def test_one_that_could_not_be_made_there_has_nothing_to_have_grown_from(made: Made) -> None:
    base = base_of(made(), provenance={"failed": {"int8": "no memory"}})
    assert renamed(made(NEW), base) == {"small": "int8"}
    assert "small" not in earlier(made(NEW), base)
    assert earlier(made(NEW), base_of(None)) == {}


def test_it_has_grown_from_what_it_was_called(made: Made) -> None:
    rule = ("size: {max_ratio: 0.5}", "size: {max_regression: 1 %}")
    base = base_of(made(rule), figure("size", 100.0, unit="B"))
    known = Evidence((figure("size", 150.0, variant="small", unit="B"),), {}, {}, {}, {}, {}, {})
    found = gate.of_evidence(made(NEW, rule), base, known, [], {}, {}, ())
    (grown,) = [m for m in found if (m.metric, m.comparison, m.variant) == ("size", "regression", "small")]
    assert abs((grown.value or 0) - 0.5) < 1e-12
    assert base_artifacts.needed(made(NEW, rule), base) == {"small": "int8", "other": "other"}
    assert grown.against == regression.AGAINST
