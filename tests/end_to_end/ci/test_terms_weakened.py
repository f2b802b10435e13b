"""A change to what it is judged by: told first, reviewed where the base asks for it; and a new name forgets nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from end_to_end.ci.attacks import attack
from end_to_end.ci.conftest import GROWTH, TIMES, Hub
from end_to_end.ci.test_events import write
from end_to_end.ci.test_trust import LATER, append
from end_to_end.ci.test_walls import lays


def keep(path: Path, count: int) -> None:
    """Leave so many of the examples."""
    with np.load(path) as data:
        kept = {name: values[:count] for name, values in data.items()}
    np.savez(path, **kept)


def widen(path: Path) -> None:
    """A product with an identity more in the middle of the perceptron: the same answers from many more bytes."""
    model = onnx.load(str(path))
    second = next(node for node in model.graph.node if "w1" in node.input)
    model.graph.initializer.append(numpy_helper.from_array(np.eye(256, dtype=np.float32), "same"))
    place = list(model.graph.node).index(second)
    model.graph.node.insert(place, helper.make_node("MatMul", [second.input[0], "same"], ["again"]))
    second.input[0] = "again"
    onnx.save(model, str(path))


@attack(
    "test examples are taken away until the figures look good",
    "their number stands first, side by side with the base's; with `review: required` on the base it blocks until a "
    "label by somebody who may write names that very commit",
)
def test_fewer_test_examples_wait_for_a_review_of_that_very_commit(hub: Hub) -> None:
    hub.github.permissions |= {"reader": "read", "writer": "write"}
    hub.change("main", lambda root: append(root, "review: required\n"))

    def edit(root: Path) -> None:
        keep(root / "test.npz", 100)
        hub.config(("review: required\n", ""))(root)  # the change's own word on it counts for nothing

    head = hub.change("fewer", edit)
    hub.github.label(7, f"reviewed:{head}", "reader")
    run = hub.pull_request("fewer")
    assert run.code == 3, run.log
    assert run.result.conclusion == "failure"
    assert run.outputs["shipped-variant"] == ""
    (check,) = hub.github.checks
    assert check["conclusion"] == "action_required"
    assert "nobody has reviewed it" in check["output"]["title"]
    (comment,) = hub.github.comments
    for told in (comment["body"], check["output"]["summary"]):
        row = "| test examples | 400 | 100, 300 fewer |"
        assert "| `review` | required | none |" in told
        assert told.index(row) < told.index("| size")
        assert f"`reviewed:{head}`" in told
        assert "may not write to this repository" in told
    assert run.log.index("test examples 400 → 100, 300 fewer") < run.log.index("undecided: what is judged was altered")

    hub.github.label(7, f"reviewed:{head}", "writer")
    hub.phase(run, "gate")
    assert hub.github.checks[-1]["conclusion"] == "success"
    assert "Reviewed: label by" in hub.github.checks[-1]["output"]["summary"]


@attack(
    "a commit is put on top of the one that was reviewed",
    "it waits for a review of its own; in a merge queue the review of what is proposed counts",
)
@attack(
    "a rule is loosened for good under the cover of a waiver that lets it be broken until a day",
    "the base's rule stays, and where a review is asked for, the change waits for one",
)
@attack(
    "a looser budget was accepted by a label `waive:budget`, and a push after it loosens the budget further",
    "with `review: required` on the base, it waits for a review of that very commit all the same",
)
def test_a_review_is_of_one_commit_and_holds_in_the_queue(hub: Hub) -> None:
    hub.github.permissions |= {"writer": "write"}
    waived = f"waivers:\n  - {{rule: size.max_ratio, reason: the shelf is full, until: {LATER}}}\n"
    hub.change("main", lambda root: append(root, f"review: required\n{waived}"))
    head = hub.change("unasked", hub.config(("max_ratio: 0.3", "max_ratio: 0.9")))
    run = hub.pull_request("unasked")
    assert run.code == 3, run.log
    assert "| `size.max_ratio` | at most 0.3x | at most 0.9x |" in hub.github.comments[0]["body"]
    assert "The base's budget decides" in hub.github.comments[0]["body"]
    hub.github.label(7, "waive:budget", "writer", f"until {LATER}: the device has room")
    hub.phase(run, "gate")
    assert hub.github.checks[-1]["conclusion"] == "action_required"
    assert "The looser budget counts" in hub.github.comments[0]["body"]
    hub.github.label(7, f"reviewed:{head}", "writer")
    queued = hub.merge_group("unasked")  # whose own commit is another one
    assert queued.code == 0, queued.log
    assert queued.outputs["verdict"] == "pass"
    check = hub.github.checks[-1]
    assert (check["head_sha"], check["conclusion"]) == (hub.git("rev-parse", "HEAD"), "success")
    assert "Reviewed: label by" in check["output"]["summary"]
    assert len(hub.github.comments) == 1

    hub.change("unasked", write("README.md", "words\n"), onto="unasked")
    again = hub.pull_request("unasked")
    assert again.code == 3, again.log
    assert "it is for another commit" in hub.github.comments[0]["body"]


@attack(
    "the program that times a model (a device of kind `command`) is edited so that it prints other times",
    "the file stands first, as one that was edited",
)
def test_an_edited_program_of_a_device_is_told(hub: Hub) -> None:
    hub.change("faster", lays({"time.sh": TIMES.replace("echo 1", "echo 0.5")}))
    hub.pull_request("faster")
    (comment,) = hub.github.comments
    assert "| a file of device `board` | `time.sh` | the file was edited |" in comment["body"]


@attack(
    "a variant that has grown gets a new name, and with it another recipe, so that there is nothing to compare it with",
    "where it ships in the place of one that is gone, or its recipe or its bytes are those of one, it is held against "
    "what that was, and told as renamed",
)
def test_a_variant_under_a_new_name_is_held_against_what_it_was(hub: Hub) -> None:
    hub.change("main", hub.config(GROWTH, ("    max_ratio: 0.3\n", "    max_ratio: 0.3\n    max_regression: 5 %\n")))

    def edit(root: Path) -> None:
        widen(root / "tiny.onnx")
        other = ("{method: dynamic}", "{method: dynamic, per_channel: false}")
        hub.config(("  int8:\n", "  small:\n"), other, ("ship: int8", "ship: small"))(root)

    hub.change("renamed", edit)
    run = hub.pull_request("renamed")
    assert run.code == 1, run.log
    (grown,) = [r for r in run.verdict()["rules"] if (r["rule"], r["variant"]) == ("size.max_regression", "small")]
    assert grown["verdict"] == "fail"
    assert 0.5 < grown["value"] < 1
    body = hub.github.comments[0]["body"]
    assert "| the name of a variant | `int8` | `small`, held against what `int8` was |" in body
    assert "small beside the merge base's int8 on board" in run.log


@attack(
    "a number is written so that YAML 1.1 and YAML 1.2 read two numbers: `seed: 010`",
    "it is refused on its line, with what to write instead",
)
def test_a_number_that_dvc_reads_as_another_is_refused_on_its_line(hub: Hub) -> None:
    hub.change("octal", hub.config(("seed: 0\n", "seed: 010\n")))
    run = hub.pull_request("octal")
    assert run.code == 2, run.log
    (note,) = hub.github.checks[0]["output"]["annotations"]
    assert (note["path"], note["start_line"]) == ("makeweight.yaml", hub.line("seed: 010"))
    assert "write a decimal number without a leading zero" in note["message"]
