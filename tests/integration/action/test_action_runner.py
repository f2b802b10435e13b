"""The runner that our tests stand on does what GitHub's does, as far as it goes, and stops where it does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from integration.action.expressions import NotKnown
from integration.action.runner import Result, Runner, StepFailed, Used, assignments

Steps = list[dict[str, object]]


def ran(folder: Path, steps: Steps, outputs: dict[str, str] | None = None, **more: object) -> Result:
    (folder / "work").mkdir()
    runs = {"using": "composite", "steps": [{"shell": "bash", **step} if "run" in step else step for step in steps]}
    action = {
        "name": "x",
        "inputs": {"who": {"default": "world"}},
        "outputs": {name: {"value": value} for name, value in (outputs or {}).items()},
        "runs": runs,
    }
    file = folder / "action.yml"
    file.write_text(yaml.safe_dump(action, sort_keys=False))
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    runner = Runner(folder / "work", folder / "temp", environment, **more)  # type: ignore[arg-type]
    return runner.action(file)


def test_what_steps_tell_each_other(tmp_path: Path) -> None:
    result = ran(
        tmp_path,
        [
            {
                "id": "a",
                "run": 'printf "%s\\n" one=1 "many<<END" x=y "" z END >> "$GITHUB_OUTPUT"; '
                'echo LATER=yes >> "$GITHUB_ENV"; echo "$RUNNER_TEMP/own" >> "$GITHUB_PATH"; '
                'echo "# $WHO" >> "$GITHUB_STEP_SUMMARY"',
                "env": {"WHO": "${{ inputs.who }}"},
            },
            {"id": "b", "run": 'echo "$LATER ${PATH%%:*} $GIVEN"', "env": {"GIVEN": "${{ steps.a.outputs.many }}"}},
        ],
        {"one": "${{ steps.a.outputs.one }}", "both": "${{ steps.a.outputs.one }}${{ steps.b.outcome }}"},
    )
    assert result.conclusion == "success"
    assert result.outputs == {"one": "1", "both": "1success"}
    assert result.steps["a"].outputs["many"] == "x=y\n\nz"
    assert result.steps["b"].log == f"yes {tmp_path}/temp/own x=y\n\nz\n"
    assert result.summary == "# world\n"


def test_a_failure_skips_the_rest_but_what_asks_for_it(tmp_path: Path) -> None:
    result = ran(
        tmp_path,
        [
            {"id": "forgiven", "run": "exit 9", "continue-on-error": True},
            {"id": "broken", "run": "false | true; echo not reached"},
            {"id": "skipped", "run": "exit 0"},
            {"id": "mourner", "if": "failure()", "run": "exit 0"},
            {"id": "always", "if": "always() && steps.forgiven.outcome == 'failure'", "run": "exit 0"},
        ],
    )
    assert result.conclusion == "failure"
    assert {name: step.conclusion for name, step in result.steps.items()} == {
        "forgiven": "success",
        "broken": "failure",
        "skipped": "skipped",
        "mourner": "success",
        "always": "success",
    }
    assert result.log == ""
    assert result.code == 1


def test_a_run_that_is_cancelled(tmp_path: Path) -> None:
    steps: Steps = [
        {"id": "a", "run": "exit 0"},
        {"id": "b", "run": "exit 0"},
        {"id": "c", "if": "always()", "run": "exit 0"},
        {"id": "d", "if": "failure()", "run": "exit 0"},
    ]
    result = ran(tmp_path, steps, cancel_at="b")
    assert result.conclusion == "cancelled"
    assert [step.outcome for step in result.steps.values()] == ["success", "skipped", "success", "skipped"]


def test_stand_ins(tmp_path: Path) -> None:
    def greet(used: Used) -> dict[str, str]:
        return {"said": f"hello {used.given['who']}"}

    def fall(used: Used) -> None:
        raise StepFailed("as told")

    steps: Steps = [
        {"id": "a", "uses": "o/greet@v1", "with": {"who": "${{ inputs.who }}"}},
        {"id": "b", "uses": "o/fall@v1"},
    ]
    result = ran(tmp_path, steps, {"x": "${{ steps.a.outputs.said }}"}, stands={"o/greet": greet, "o/fall": fall})
    assert result.outputs == {"x": "hello world"}
    assert result.conclusion == "failure"
    assert "as told" in result.log


@pytest.mark.parametrize(
    "step",
    [
        {"run": "echo ${{ inputs.who }}"},
        {"run": "exit 0", "shell": "pwsh"},
        {"uses": "o/stranger@v1"},
        {"run": "exit 0", "if": "inputs.whom == ''"},
        {"run": "exit 0", "background": True},
        {"run": "echo 'no assignment' >> \"$GITHUB_OUTPUT\""},
        {"run": "echo 'x<<NEVER' >> \"$GITHUB_OUTPUT\""},
    ],
)
def test_what_it_does_not_do_is_refused(tmp_path: Path, step: dict[str, object]) -> None:
    with pytest.raises(NotKnown):
        ran(tmp_path, [step])


def test_a_step_without_a_shell_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotKnown):
        ran(tmp_path, [{"run": "exit 0", "shell": None}])


def test_an_input_that_there_is_not(machine) -> None:
    with pytest.raises(NotKnown):
        machine.runner.action(projct=".")


def test_assignments_take_what_looks_like_others(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a=b<<c\nd<<E\nx=1\nE\n")
    assert assignments(tmp_path / "file") == {"a": "b<<c", "d": "x=1"}
