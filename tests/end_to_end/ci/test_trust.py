"""Who may say what: forged figures and locks, loosened budgets, waivers and who set them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from end_to_end.ci.attacks import attack
from end_to_end.ci.conftest import Hub
from end_to_end.ci.test_events import FLOAT16, write
from makeweight import measurement
from makeweight.budget.measurand import Measurand

LATER = (datetime.now(UTC) + timedelta(days=9)).date().isoformat()
EARLIER = (datetime.now(UTC) - timedelta(days=2)).date().isoformat()
TIGHTER = ("max_ratio: 0.3", "max_ratio: 0.1")
"""A budget that the same artifacts break, so that nothing has to be made for it."""


def forge_figures(root: Path) -> None:
    """Say of int8 what it would take to pass, in every place where it is said."""
    path = root / "reports/int8/evaluate.json"
    told = json.loads(path.read_text())
    told["size_kb"] *= 0.4
    told["size_ratio"] *= 0.4
    for record in told["measurements"]:
        if record["variant"] == "int8" and record["metric"] == "size":
            record["value"] *= 0.4
    told["size_kb"] = next(
        r["value"]
        for r in told["measurements"]
        if r["metric"] == "size" and r["variant"] == "int8" and "comparison" not in r
    )
    told["size_kb"] *= 1e-3
    path.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")


def forge_times(root: Path) -> None:
    """Say of int8 that it takes an eighth of the time, under the key of the model that lies there."""
    path, ratio = root / "reports/int8/board.json", Measurand("latency_p50", "ratio")
    told = measurement.loads(path.read_text(), "what was measured")
    forged = [replace(each, value=0.125, interval=(0.12, 0.13)) if each.measurand == ratio else each for each in told]
    path.write_text(measurement.dumps(forged))


@attack(
    "figures are edited by hand, and `dvc commit -f` makes the lock agree",
    "what differs from the base is made and measured in the run, and that is judged",
)
@attack(
    "the change before brought figures of the model to come under the very keys that it will have, a verdict.json that "
    "says it had that model, and a dvc.lock that knows its bytes",
    "where a model is made from something else than the base's, it is made, evaluated and measured here, whatever lies "
    "there and whatever bytes come of it",
)
def test_forged_figures_and_a_forged_lock_are_caught(hub: Hub) -> None:
    def edit(root: Path) -> None:
        hub.config(FLOAT16)(root)
        hub.run("dvc", "repro", "-q", ok=False)
        forge_figures(root)
        forge_times(root)
        hub.run("makeweight", "report")
        hub.run("dvc", "commit", "-f", "-q", "evaluate@int8", "report", "gate")
        hub.run("dvc", "push", "-q", "--run-cache")

    hub.change("forged", edit)
    # the forgery is good enough for DVC: in a fresh clone nothing would run, and the gate would pass
    clone = hub.folder / "clone"
    hub.git("clone", "-q", "-b", "forged", str(hub.origin), str(clone))
    assert "Stage 'evaluate@int8' didn't change, skipping" in hub.run(
        "dvc", "repro", "--dry", "--allow-missing", "evaluate@int8", cwd=clone
    )
    hub.run("makeweight", "gate", cwd=clone)

    def before(root: Path) -> None:
        hub.git("checkout", "-q", "forged", "--", "dvc.lock", "reports")

    def after(root: Path) -> None:
        hub.config(FLOAT16)(root)
        with (root / "reports/verdict.json").open("a") as file:
            file.write("\n")

    hub.change("main", before)
    hub.change("forged", after, onto="main")
    run = hub.pull_request("forged")
    assert run.code == 1, run.log
    assert "makeweight compress int8" in run.log
    size = next(r for r in run.verdict()["rules"] if r["rule"] == "size.max_ratio" and r["variant"] == "int8")
    assert size["value"] > 0.45
    assert "int8 beside baseline on board" in run.log
    time = next(r for r in run.verdict()["rules"] if r["rule"] == "latency_p50.max_ratio" and r["variant"] == "int8")
    assert abs(time["value"] - 1) < 0.01
    assert "`reports/verdict.json` of this change tells otherwise of" in hub.github.comments[0]["body"]


@attack(
    "the lock claims that a changed recipe makes the artifact of the base",
    "the artifact is made here, and the comment names the stage that lies",
)
def test_a_lock_that_claims_the_artifact_of_the_base_is_caught(hub: Hub) -> None:
    def edit(root: Path) -> None:
        hub.config(FLOAT16)(root)
        path = root / "dvc.lock"
        lock = yaml.safe_load(path.read_text())
        steps = lock["stages"]["compress@int8"]["params"]["makeweight.yaml"]["variants.int8"]
        steps["steps"] = ["float16"]
        path.write_text(yaml.safe_dump(lock, sort_keys=False))

    hub.change("claimed", edit)
    clone = hub.folder / "clone"
    hub.git("clone", "-q", "-b", "claimed", str(hub.origin), str(clone))
    assert "Stage 'compress@int8' didn't change, skipping" in hub.run(
        "dvc", "repro", "--dry", "--allow-missing", "compress@int8", cwd=clone
    )
    run = hub.pull_request("claimed")
    assert run.code == 1, run.log
    assert "names other outputs of `compress@int8`" in hub.github.comments[0]["body"]


@attack(
    "only the report of the measurements is edited",
    "it counts for nothing, is told, and the push of the merge is refused, with the command that puts it right",
)
def test_figures_that_are_edited_and_nothing_else_never_become_a_base(hub: Hub) -> None:
    def edit(root: Path) -> None:
        path = root / "reports/verdict.json"
        path.write_text(path.read_text().replace('"comparison": "ratio"', '"comparison": "ratio" '))

    hub.change("edited", edit)
    run = hub.pull_request("edited")
    assert run.outputs["verdict"] == "pass", run.log
    assert "alters what was measured" in hub.github.comments[0]["body"]
    before, after = hub.land("edited")
    refused = hub.push(before, after)
    assert refused.code == 2, refused.log
    assert "`reports/` tells of measurements that were not made here" in refused.log
    healed = hub.push(before, after, commit_lock="true")
    assert healed.code == 0, healed.log
    hub.git("fetch", "-q", "origin")
    assert hub.git("diff", "--stat", before, "origin/main", "--", "reports") == ""


@attack(
    "a stage of `dvc.yaml` is rewritten so that it cannot fail",
    "nothing is run, and the line is annotated",
)
def test_a_rewritten_stage_is_refused_on_its_line(hub: Hub) -> None:
    def edit(root: Path) -> None:
        path = root / "dvc.yaml"
        command = "cmd: makeweight evaluate ${key}"
        path.write_text(path.read_text().replace(command, f"{command} || true"))

    hub.change("rewritten", edit)
    run = hub.pull_request("rewritten")
    assert run.result.conclusion == "failure"
    assert run.outputs["verdict"] == "error"
    (note,) = hub.github.checks[0]["output"]["annotations"]
    assert note["path"] == "dvc.yaml"
    assert "`evaluate`" in note["message"]
    assert hub.github.checks[0]["conclusion"] == "failure"
    assert "Running stage" not in run.log


@attack(
    "the budget is loosened by the change that breaks it",
    "the stricter of both decides, and only a label by somebody who may write accepts the other",
)
@attack(
    "a merge queue lands what failed with what passes behind it (**Only merge non-failing pull requests** is off), and "
    "a change of words stands behind a looser budget",
    "where a ruleset says so, all that lands is held against the branch as it is, and by its budget",
)
def test_a_loosened_budget_does_not_judge_itself(hub: Hub) -> None:
    hub.change("main", hub.config(TIGHTER))
    hub.change("loose", hub.config(TIGHTER[::-1]))
    run = hub.pull_request("loose")
    assert run.code == 1, run.log
    body = hub.github.comments[0]["body"]
    looser = "| `size.max_ratio` | at most 0.1x | at most 0.3x |"
    assert looser in body
    assert body.index(looser) < body.index("| **size**")
    assert "would be passed" in body

    hub.github.permissions |= {"reader": "read", "writer": "write"}
    hub.github.label(7, "waive:budget", "reader", f"until {LATER}: it is too small")
    hub.phase(run, "gate")
    assert hub.github.checks[-1]["conclusion"] == "failure"
    assert "@reader" not in hub.github.comments[0]["body"] or "may not write" in hub.github.comments[0]["body"]

    hub.github.label(7, "waive:budget", "writer", f"until {LATER}: the device has room")
    hub.phase(run, "gate")
    assert hub.github.checks[-1]["conclusion"] == "success"
    queued = hub.merge_group("loose")  # the label is found by the queue's own ref
    assert queued.outputs["verdict"] == "pass", queued.log

    hub.change("words", write("README.md", "words\n"))
    hub.github.rules["main"] = [{"type": "merge_queue", "parameters": {"grouping_strategy": "HEADGREEN"}}]
    together = hub.merge_group("words", number=8, behind=queued)
    assert together.code == 1, together.log
    assert "what failed may land with this, so all of it is held against `main`" in together.log


@attack(
    "a change waives its own rule",
    "a waiver counts as it stands on the base, until its day",
)
def test_a_waiver_counts_as_it_stands_on_the_base_until_its_day(hub: Hub) -> None:
    def waived(until: str) -> str:
        return f"waivers:\n  - {{rule: size.max_ratio, variant: int8, reason: the shelf is full, until: {until}}}\n"

    hub.change("own", lambda root: [hub.config(TIGHTER)(root), append(root, waived(LATER))])  # type: ignore[func-returns-value]
    own = hub.pull_request("own")
    assert own.code == 1, own.log  # nobody waives their own rule

    hub.change("main", lambda root: append(root, waived(LATER)))
    hub.change("waived", hub.config(TIGHTER))
    run = hub.pull_request("waived", number=8)
    assert run.outputs["verdict"] == "pass", run.log
    rule = next(r for r in run.verdict()["rules"] if r["rule"] == "size.max_ratio" and r["variant"] == "int8")
    assert rule["verdict"] == "fail"
    assert LATER in rule["waiver"]
    body = next(c["body"] for c in hub.github.comments if c["number"] == 8)
    assert "the shelf is full" in body
    assert "Waived" in body

    hub.change("main", hub.config((LATER, EARLIER)))
    hub.change("late", hub.config(TIGHTER))
    late = hub.pull_request("late", number=9)
    assert late.code == 1, late.log
    assert "lapsed" in next(c["body"] for c in hub.github.comments if c["number"] == 9)


def append(root: Path, text: str) -> None:
    path = root / "makeweight.yaml"
    path.write_text(path.read_text() + text)


@attack(
    "a change brings the notes of a run with it",
    "it is refused",
)
def test_a_folder_of_ours_in_the_change_is_refused(hub: Hub) -> None:
    def edit(root: Path) -> None:
        (root / ".makeweight").mkdir()
        (root / ".makeweight/state.json").write_text('{"head": "x", "base": null, "branch": null, "unchanged": true}')
        hub.git("add", "-f", ".makeweight/state.json")

    hub.change("planted", edit)
    run = hub.pull_request("planted")
    assert run.result.conclusion == "failure"
    assert "git rm -r .makeweight" in run.log


@attack(
    "the project's folder becomes a link to another folder, in which the base has no budget",
    "it is refused, as is a project in a submodule, or in a folder that git takes for a repository",
)
def test_a_project_that_becomes_a_link_is_refused(hub: Hub) -> None:
    def plant(root: Path) -> None:
        (root / "models/one").mkdir(parents=True)
        for name in ("makeweight.yaml", "dvc.yaml"):
            (root / "models/one" / name).write_text((root / name).read_text())

    def turn(root: Path) -> None:
        (root / "models/one").rename(root / "models/two")
        (root / "models/one").symlink_to("two")

    hub.change("main", plant)
    hub.subfolder = "models/one"
    hub.change("linked", turn)
    run = hub.pull_request("linked")
    assert run.code == 2, run.log
    assert "`one` is a link, and where it leads lies another project" in run.log


@attack(
    "`makeweight.yaml` becomes a link, so that the change after it finds no budget on the base",
    "it is refused; and where the base has a budget that cannot be read, a change waits for somebody's word",
)
def test_a_configuration_that_is_no_file_of_the_commit_is_refused(hub: Hub) -> None:
    def turn(root: Path) -> None:
        (root / "makeweight.yaml").rename(root / "real.yaml")
        (root / "makeweight.yaml").symlink_to("real.yaml")

    hub.change("linked", turn)
    run = hub.pull_request("linked")
    assert run.code == 2, run.log
    assert "what lies here is not what the commit holds as `makeweight.yaml`" in run.log
