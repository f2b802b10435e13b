"""What is tried next follows from the seed and what is known, and from nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from makeweight.compress import space
from makeweight.search.proposals import Known, Proposals, Sampler, Settings

SPACES = {
    "small": space.read(
        "small",
        ["onnxruntime", "litert"],
        [[{"prune": {"ratio": {"from": 0.1, "to": 0.9}}}, None], {"quantize": {"method": ["static", "dynamic"]}}],
        "onnxruntime",
    ),
    "half": space.read("half", None, ["float16"], "onnxruntime"),
}


def proposals(seed: int = 0, kind: Any = "tpe", spaces: Any = SPACES) -> Proposals:
    return Proposals(spaces, lambda *_: False, Sampler(kind, seed, trials=12))


def ratio(settings: Settings) -> float:
    return next((step["prune"]["ratio"] for step in settings["steps"] if "prune" in step), 0.0)


def searched(seed: int, kind: str, count: int) -> list[Known]:
    """A search in which size falls and error grows with the ratio, which must not be over 0.6."""
    known: list[Known] = []
    for _ in range(count):
        found = proposals(seed, kind).next(known, 2, tried(known))
        assert found is not None
        part = ratio(found.settings)
        known.append(Known(found, (1 - part, part**2), (part - 0.6,)))
    return known


def tried(known: Sequence[Known]) -> Any:
    return lambda settings: any(each.proposal.settings == settings for each in known)


@pytest.mark.parametrize("kind", ["tpe", "nsga2"])
def test_the_same_seed_and_trials_give_the_same_proposals(kind: str) -> None:
    first, again, other = (searched(seed, kind, 6) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    # one that is taken up in the middle goes on as the whole would have
    assert proposals(1, kind).next(first[:4], 2, tried(first[:4])) == first[4].proposal


def test_what_is_under_way_counts() -> None:
    known = searched(3, "tpe", 4)
    open_one = [*known[:3], Known(known[3].proposal, None)]
    found = proposals(3).next(open_one, 2, tried(open_one))
    assert found is not None
    assert found.settings != known[3].proposal.settings


def test_whole_recipes_leave_no_step_out_and_settle_all_that_the_sampler_is_told() -> None:
    options = {
        "ratio": {"from": 0.2, "to": 0.8},
        "rounds": {"from": 1, "to": 64, "log": True},
        "epochs": {"from": 2, "to": 9},
        "layers": [None, 3],
    }
    spaces = {"all": space.read("all", None, [[None, {"prune": options}], ["float16", None]], "onnxruntime")}
    known: list[Known] = []
    for _ in range(24):
        found = proposals(spaces=spaces).next(known, 2, tried(known), whole=True)
        assert found is not None
        prune, numbers = found.settings["steps"]
        drawn = prune["prune"]
        assert numbers == "float16"
        assert 0.2 <= drawn["ratio"] <= 0.8
        assert drawn["rounds"] in range(1, 65)
        assert drawn["epochs"] in range(2, 10)
        known.append(Known(found, (1.0, 2.0), (0.5,)))
    all_drawn = [each.proposal.settings["steps"][0]["prune"] for each in known]
    assert {one["layers"] for one in all_drawn} == {None, 3}, "an option that is None is no step left out"
    assert sum(one["rounds"] <= 8 for one in all_drawn) in range(6, 19), "as many below the middle factor as above it"
    json.dumps([each.proposal.settled for each in known])
    assert proposals(spaces=spaces).next(known, 2, tried(known)) is not None


def test_whole_numbers_are_drawn_evenly_to_their_ends() -> None:
    spaces = {"one": space.read("one", None, [{"prune": {"rounds": {"from": 1, "to": 3}}}], "onnxruntime")}
    drawn = [proposals(seed, spaces=spaces).next([], 1, lambda _: False, whole=True) for seed in range(100)]
    rounds = [found.settings["steps"][0]["prune"]["rounds"] for found in drawn if found is not None]
    # a third each, by and large: of distances rounded the middle would be half
    assert all(rounds.count(number) in range(20, 46) for number in (1, 2, 3))


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "the-last-that-makes-sense"])
def test_a_genetic_search_has_a_generation_also_of_what_it_did_not_draw(whole: bool) -> None:
    known = searched(0, "nsga2", 4)
    last = {"runtime": "litert", "steps": [{"prune": {"ratio": 0.9}}, {"quantize": {"method": "dynamic"}}]}

    def refuse(settings: Settings) -> bool:
        return tried(known)(settings) or (not whole and settings != last)

    (generation,) = known[0].proposal.notes
    for _ in range(3 if whole else 1):
        found = proposals(0, "nsga2").next(known, 2, refuse, whole=whole)
        assert found is not None
        assert found.notes == {generation: 1}, "four trials are a generation of twelve"
        known.append(Known(found, (1.0, 2.0), (0.5,)))


def test_where_no_whole_recipe_is_left_others_are_tried() -> None:
    def refuse(settings: Settings) -> bool:
        return len(settings["steps"]) == 2

    found = proposals().next([], 2, refuse, whole=True)
    assert found is not None
    assert len(found.settings["steps"]) == 1


def test_a_space_that_is_tried_out_gives_nothing() -> None:
    only = {"half": SPACES["half"]}
    found = proposals(spaces=only).next([], 1, lambda _: False)
    assert found is not None
    assert found.settings == {"runtime": "onnxruntime", "steps": ["float16"]}
    assert proposals(spaces=only).next([Known(found, (1.0,))], 1, lambda settings: settings == found.settings) is None


def test_the_last_recipe_that_makes_sense_is_found() -> None:
    wanted = {"runtime": "litert", "steps": [{"prune": {"ratio": 0.9}}, {"quantize": {"method": "dynamic"}}]}
    found = proposals().next([], 1, lambda settings: settings != wanted)
    assert found is not None
    assert found.settings == wanted
    known = Known(found, (1.0,), (0.0,))
    assert proposals().next([known], 1, tried([known])) is not None


def test_ranges_of_two_kinds_are_searched_beside_each_other() -> None:
    spans = [{"from": 0.1, "to": 0.3}, {"from": 2, "to": 40}, {"from": 0.5, "to": 0.9, "log": True}]
    own = proposals(spaces={"one": space.read("one", None, [{"prune": {"ratio": spans}}], "onnxruntime")})
    known: list[Known] = []
    for _ in range(8):
        found = own.next(known, 1, tried(known))
        assert found is not None
        known.append(Known(found, (ratio(found.settings),)))
    for each in known:
        (span,) = (span for span in spans if span["from"] <= ratio(each.proposal.settings) <= span["to"])
        # what is settled is of that one alone
        assert len(each.proposal.settled) == 2, span
