"""The lock to start from: the user's stages as at the head, ours as at the base."""

import pytest
import yaml

from makeweight.ci import lock
from makeweight.errors import UsageError


def entry(out: str = "aaa", dep: str = "ddd", **more: object) -> dict[str, object]:
    return {
        "cmd": "makeweight compress int8",
        "deps": [{"path": "code", "md5": dep}, {"path": "artifacts/baseline", "md5": "whatever"}],
        "outs": [{"path": "artifacts/int8", "md5": out}],
        **more,
    }


def test_the_heads_entries_of_our_stages_count_for_nothing() -> None:
    head = {"train": {"cmd": "new"}, "compress@int8": entry("forged"), "gate": {"cmd": "forged"}}
    base = {"train": {"cmd": "old"}, "compress@int8": entry("honest"), "evaluate@int8": {"cmd": "x"}}
    joined = yaml.safe_load(lock.joined(head, base))["stages"]
    assert joined == {"train": {"cmd": "new"}, "compress@int8": entry("honest"), "evaluate@int8": {"cmd": "x"}}


def test_without_a_base_nothing_of_ours_is_taken_for_made() -> None:
    assert yaml.safe_load(lock.joined({"compress@int8": entry(), "train": {"cmd": "x"}}, {}))["stages"] == {
        "train": {"cmd": "x"}
    }


@pytest.mark.parametrize(
    ("name", "ours"), [("compress@a", True), ("report", True), ("compressed", False), ("train@x", False)]
)
def test_a_stage_is_ours_by_its_name(name: str, ours: bool) -> None:
    assert lock.is_ours(name) is ours


def test_what_is_written_can_be_read() -> None:
    text = lock.joined({"größe": {"cmd": "makeweight?"}}, {"report": {"cmd": "makeweight report"}})
    assert lock.stages(text, "dvc.lock") == {"größe": {"cmd": "makeweight?"}, "report": {"cmd": "makeweight report"}}
    assert lock.stages(None, "dvc.lock") == {}
    assert lock.stages("", "dvc.lock") == {}


def test_a_conflict_is_told_by_its_line() -> None:
    with pytest.raises(UsageError, match="merge conflict") as told:
        lock.stages("schema: '2.0'\n<<<<<<< HEAD\nstages: {}\n", "dvc.lock")
    assert told.value.where == "dvc.lock:2"


@pytest.mark.parametrize("text", ["stages: [", "stages: [a]", "- a", "just words"])
def test_what_is_no_lock_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no lock file"):
        lock.stages(text, "dvc.lock")


def test_a_lock_is_held_against_what_was_made() -> None:
    made = {"compress@int8": entry("made"), "benchmark@local-int8": {"outs": [{"path": "x", "md5": "1"}]}}
    assert lock.differing({"compress@int8": entry("made")}, made) == {}
    assert lock.differing({}, made) == {"compress@int8": "is missing"}
    assert lock.differing({"compress@int8": entry("other")}, made) == {"compress@int8": lock.OTHER_OUTPUTS}
    stale = lock.differing({"compress@int8": entry("made", dep="old")}, made)
    assert stale == {"compress@int8": "was made from something else than this commit holds"}
    assert "something else" in lock.differing({"compress@int8": entry("made", params={"a": 1})}, made)["compress@int8"]
