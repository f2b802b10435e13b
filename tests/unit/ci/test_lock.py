"""The lock to start from: the user's stages as at the head, ours as at the base."""

import pytest
import yaml

from makeweight.ci import lock
from makeweight_base.errors import ConfigError, UsageError


def entry(out: str = "aaa", dep: str = "ddd", **more: object) -> dict[str, object]:
    return {
        "cmd": "makeweight compress int8",
        "deps": [{"path": "code", "md5": dep}, {"path": "artifacts/baseline", "md5": "whatever"}],
        "outs": [{"path": "artifacts/int8", "md5": out}],
        **more,
    }


def text(entries: dict[str, object]) -> str:
    return yaml.safe_dump({"schema": "2.0", "stages": entries}, sort_keys=False, allow_unicode=True)


def test_the_heads_entries_of_our_stages_count_for_nothing() -> None:
    head = {"train": {"cmd": "new"}, "compress@int8": entry("forged"), "gate": {"cmd": "forged"}}
    base = {"train": {"cmd": "old"}, "compress@int8": entry("honest"), "evaluate@int8": {"cmd": "x"}}
    joined = yaml.safe_load(lock.joined(text(head), text(base)))["stages"]
    assert joined == {"train": {"cmd": "new"}, "compress@int8": entry("honest"), "evaluate@int8": {"cmd": "x"}}


def test_without_a_base_nothing_of_ours_is_taken_for_made() -> None:
    head = text({"compress@int8": entry(), "train": {"cmd": "x"}})
    assert yaml.safe_load(lock.joined(head, None))["stages"] == {"train": {"cmd": "x"}}
    assert yaml.safe_load(lock.joined(None, None))["stages"] == {}


def test_words_that_one_yaml_reads_as_text_and_the_other_not_stay_as_written() -> None:
    params = "        a: on\n        b: 12:30:45\n        c: 1e3\n        d: 0o7\n"
    head = f"schema: '2.0'\nstages:\n  train:\n    params:\n      p.yaml:\n{params}"
    assert params in lock.joined(head, None)


def test_what_is_merged_in_under_no_name_is_left_out() -> None:
    head = "x: &x {compress@int8: {cmd: forged}}\nschema: '2.0'\nstages:\n  <<: *x\n  train: {cmd: y}\n"
    for base in (None, head):
        assert yaml.safe_load(lock.joined(head, base))["stages"] == {"train": {"cmd": "y"}}


@pytest.mark.parametrize(
    ("name", "ours"), [("compress@a", True), ("report", True), ("compressed", False), ("train@x", False)]
)
def test_a_stage_is_ours_by_its_name(name: str, ours: bool) -> None:
    assert lock.is_ours(name) is ours


def test_what_is_written_can_be_read() -> None:
    joined = lock.joined(text({"größe": {"cmd": "makeweight?"}}), text({"report": {"cmd": "makeweight report"}}))
    assert lock.stages(joined, "dvc.lock") == {"größe": {"cmd": "makeweight?"}, "report": {"cmd": "makeweight report"}}
    assert lock.stages(None, "dvc.lock") == {}
    for nothing in ("", "null\n", "~\n"):
        assert lock.stages(nothing, "dvc.lock") == {}
        assert yaml.safe_load(lock.joined(nothing, nothing))["stages"] == {}


def test_a_conflict_is_told_by_its_line() -> None:
    with pytest.raises(ConfigError, match="merge conflict") as told:
        lock.stages("schema: '2.0'\n<<<<<<< HEAD\nstages: {}\n", "dvc.lock")
    (problem,) = told.value.problems
    assert (problem.source, problem.line) == ("dvc.lock", 2)


@pytest.mark.parametrize("broken", ["stages: [", "stages: [a]", "- a", "just words"])
def test_what_is_no_lock_is_refused(broken: str) -> None:
    with pytest.raises(UsageError, match="no lock file"):
        lock.stages(broken, "dvc.lock")


def test_a_lock_is_held_against_what_was_made() -> None:
    made = {"compress@int8": entry("made"), "benchmark@local-int8": {"outs": [{"path": "x", "md5": "1"}]}}
    assert lock.differing({"compress@int8": entry("made")}, made) == {}
    assert lock.differing({}, made) == {"compress@int8": "is missing"}
    assert lock.differing({"compress@int8": entry("other")}, made) == {"compress@int8": lock.OTHER_OUTPUTS}
    stale = lock.differing({"compress@int8": entry("made", dep="old")}, made)
    assert stale == {"compress@int8": "was made from something else than this commit holds"}
    assert "something else" in lock.differing({"compress@int8": entry("made", params={"a": 1})}, made)["compress@int8"]


def test_where_nothing_was_made_nothing_else_ships() -> None:
    """`dvc get` brings what the lock of the branch names, judged or not."""

    def ships(md5: str) -> dict[str, object]:
        return {"cmd": "makeweight ship", "outs": [{"path": "shipped", "md5": md5}]}

    base = {"compress@int8": entry("made"), "ship": ships("judged.dir")}
    assert lock.idle(base, base) == {}
    assert lock.idle({**base, "ship": ships("never judged.dir")}, base) == {"ship": lock.OTHER_OUTPUTS}
    assert lock.idle({**base, "compress@int8": entry("other")}, base) == {"compress@int8": lock.OTHER_OUTPUTS}
    # a pipeline that begins to ship, or ends
    without = {"compress@int8": entry("made")}
    assert lock.idle(base, without) == lock.idle(without, base) == {}
