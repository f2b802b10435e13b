"""Our actions and workflows as linters see them, and the scripts in them as they run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from integration.action.machine import Machine
from integration.action.references import VERBS, of_action, of_workflow
from integration.action.runner import REPOSITORY
from makeweight.ci import admission
from makeweight.project import reading

PINS = {
    "actions/checkout": "3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1",
    "actions/setup-python": "a309ff8b426b58ec0e2a45f0f869d46889d02405 # v6.2.0",
    "actions/cache": "55cc8345863c7cc4c66a329aec7e433d2d1c52a9 # v6.1.0",
    "actions/upload-artifact": "043fb46d1a93c77aae656e7c1c64a875d1fc6a0a # v7.0.1",
    "actions/download-artifact": "3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c # v8.0.1",
    "actions/attest": "1e69f48acb82d1966a394da916b4c1698aa569d6 # v4.2.2",
    "pypa/gh-action-pypi-publish": "cef221092ed1bacb1cc03d23a2d87d1d172e277b # v1.14.0",
}
"""One version of each, everywhere; a change is looked at here."""
BIN = Path(sys.executable).parent
CALLED = REPOSITORY / ".github" / "workflows" / "continuous-compression.yml"
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
TEMPLATES = sorted((REPOSITORY / "plugin" / "makeweight" / "starter").glob("*.yml"))
SCRIPTS = sorted(path for path in REPOSITORY.glob("*/*.sh") if path.parent.name not in ("build", ".venv"))


def lint(*command: str | Path, **more: Any) -> None:
    done = subprocess.run([BIN / command[0], *command[1:]], capture_output=True, text=True, check=False, **more)
    assert done.returncode == 0, done.stdout + done.stderr


def steps(text: str) -> Iterator[Mapping[str, Any]]:
    said = yaml.load(text, yaml.CSafeLoader)
    yield from said.get("runs", {}).get("steps", ())
    for job in said.get("jobs", {}).values():
        yield from job.get("steps", ())


def test_every_name_exists(ours: dict[str, str]) -> None:
    found = {name: (of_action if name.endswith("action.yml") else of_workflow)(text) for name, text in ours.items()}
    assert found == {name: [] for name in ours}


@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        ("action.yml", "${{ inputs.signing-key }}", "${{ inputs.signing_key }}"),
        ("action.yml", "${{ steps.gate.outputs.verdict-json }}", "${{ steps.gate.outputs.verdict_json }}"),
        ("action.yml", "${{ steps.environment.outputs.digest }}", "${{ steps.environment.outputs.diges }}"),
        ("action.yml", "steps.install.outcome", "steps.instal.outcome"),
        ("action.yml", "steps.install.outcome", "steps.gate.outcome"),  # a step that comes only later
        ("action.yml", "${{ github.action_path }}", "${{ github.actionpath }}"),
        ("continuous-compression.yml", "needs.compress.outputs.changed", "needs.compress.outputs.change"),
        ("continuous-compression.yml", "needs: compress", "needs: compres"),
        ("continuous-compression.yml", "${{ matrix.runner }}", "${{ matrix.runners }}"),
        ("continuous-compression.yml", "${{ jobs.gate.outputs.verdict }}", "${{ jobs.gate.outputs.verdit }}"),
        ("continuous-compression.yml", "${{ secrets.signing-key }}", "${{ secrets.SIGNING_KEY }}"),
        ("continuous-compression.yml", "extras: ${{ inputs.device-extras }}", "extra: ${{ inputs.device-extras }}"),
        ("continuous-compression.yml", "${{ steps.open.outputs.devices }}", "${{ steps.compress.outputs.devices }}"),
        ("makeweight.yml", "extras: demo", "extra: demo"),
        ("ci.yml", "${{ matrix.python }}", "${{ matrix.pythn }}"),
    ],
)
def test_a_name_that_does_not_exist_is_found(ours: dict[str, str], file: str, right: str, wrong: str) -> None:
    (name,) = (name for name in ours if name.endswith(file) and not name.startswith("setup/"))
    text = ours[name]
    assert right in text
    check = of_action if name.endswith("action.yml") else of_workflow
    assert check(text.replace(right, wrong))


def test_what_the_verbs_write_is_what_we_think() -> None:
    package = REPOSITORY / "plugin" / "makeweight"
    files = [package / "ci" / "telling.py", *(package / "verbs" / "ci").glob("*.py")]
    source = "".join(file.read_text() for file in files)
    assert all(f'"{name}"' in source for names in VERBS.values() for name in names)


def test_they_are_safe() -> None:
    lint("zizmor", "--offline", "--pedantic", "--quiet", "action.yml", "setup/action.yml", ".github", cwd=REPOSITORY)


def test_they_follow_their_schemas() -> None:
    from check_jsonschema import main

    actions = [REPOSITORY / "action.yml", REPOSITORY / "setup" / "action.yml"]
    for schema, files in (
        ("vendor.github-workflows", WORKFLOWS),
        ("custom.github-workflows-require-timeout", WORKFLOWS),
        ("vendor.github-actions", actions),
    ):
        done = CliRunner().invoke(main, ["--builtin-schema", schema, *map(str, files)])
        assert done.exit_code == 0, done.output


def test_their_scripts_are_sound(ours: dict[str, str], tmp_path: Path) -> None:
    bodies = []
    for name, text in ours.items():
        for number, step in enumerate(step for step in steps(text) if "run" in step):
            path = tmp_path / f"{name.replace('/', '-')}-{number}.sh"
            path.write_text(f"#!/usr/bin/env bash\nset -eo pipefail\n{step['run']}")
            bodies.append(path)
    assert len(bodies) > 15
    # what comes from `env:` is assigned outside of the script
    lint("shellcheck", "--exclude=SC2154", *bodies)


def test_the_repositorys_scripts_are_sound() -> None:
    assert {"check.sh", "environment.sh", "install.sh", "demo.sh"} <= {path.name for path in SCRIPTS}
    lint("shellcheck", *SCRIPTS)


def test_every_action_is_pinned(ours: dict[str, str]) -> None:
    texts = {**ours, **{path.name: path.read_text() for path in TEMPLATES}}
    seen = set()
    for name, text in texts.items():
        for uses in re.findall(r"^\s*(?:- )?uses: (.*)$", text, re.MULTILINE):
            if uses.startswith(("./", "$/", "<")):
                continue
            action, _, pin = uses.partition("@")
            assert PINS.get(action) == pin, f"{name}: {uses}"
            seen.add(action)
    assert seen == set(PINS)


def test_no_expression_stands_in_a_script(ours: dict[str, str]) -> None:
    for name, text in ours.items():
        for step in steps(text):
            assert "${{" not in step.get("run", ""), f"{name}: {step.get('name')}"


def test_every_job_is_bounded(ours: dict[str, str]) -> None:
    for name, text in ours.items():
        said = yaml.load(text, yaml.CSafeLoader)
        for job, body in said.get("jobs", {}).items():
            # a job that calls a workflow is bounded by the jobs there, and may not say so itself
            assert "timeout-minutes" in body or "uses" in body, f"{name}: {job}"
            # `gate` of the called workflow gets what its caller grants
            assert "permissions" in body or (name, job) == (CALLED.relative_to(REPOSITORY).as_posix(), "gate"), name
        if "jobs" in said and name != CALLED.relative_to(REPOSITORY).as_posix():
            assert said["permissions"] == {}, name


def test_no_checkout_keeps_its_token(ours: dict[str, str]) -> None:
    checkouts = [step for text in ours.values() for step in steps(text) if "actions/checkout@" in step.get("uses", "")]
    assert len(checkouts) >= 5
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_the_token_is_where_it_is_needed(ours: dict[str, str]) -> None:
    """No job, and no step that runs or builds a model, has a token or a key in its environment."""
    open_to = {"Find the base and open the check", "Judge and tell", "Check it, and post it", "Wait for the devices"}
    open_to |= {"Find the base", "Release, and move the major tag"}
    for text in ours.values():
        said = yaml.load(text, yaml.CSafeLoader)
        assert "env" not in said
        assert not any("env" in job for job in said.get("jobs", {}).values())
        for step in steps(text):
            if re.search(r"token|signing-key", json.dumps(step.get("env", {}))):
                assert step["name"] in open_to, step["name"]


def test_nothing_is_released_before_every_test_passed_on_that_very_commit() -> None:
    jobs = yaml.load((REPOSITORY / ".github" / "workflows" / "release.yml").read_text(), yaml.CSafeLoader)["jobs"]
    assert jobs["test"]["uses"] == "$/.github/workflows/ci.yml"  # `$/`: at the commit of the tag
    chain = ["announce"]
    while (before := jobs[chain[-1]].get("needs")) is not None:
        chain.append(before)
    assert chain == ["announce", "publish", "build", "test"]
    assert set(chain) == set(jobs)
    assert not any("if" in job or "continue-on-error" in job for job in jobs.values())


def test_the_job_that_judges_runs_none_of_the_models_code() -> None:
    gate = yaml.load(CALLED.read_text(), yaml.CSafeLoader)["jobs"]["gate"]
    (setup,) = (step for step in gate["steps"] if step.get("uses") == "$/setup")
    assert "requirements" not in setup["with"]
    assert gate["steps"].index(setup) == 0  # there is no checkout yet, and no secret
    assert setup["with"]["cache"] == "false"  # nor what a job left for this one in which that code ran
    said = " ".join(step.get("run", "") for step in gate["steps"])
    assert re.findall(r"makeweight\" ci (\w+)", said) == ["gate"]


def test_the_action_can_be_used_on_this_repository(tmp_path: Path) -> None:
    """Of what git has or would take, DVC makes a repository, with the very stages that a change may have."""
    listed = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ".dvc*", "*.yaml")
    said = subprocess.run(listed, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    for name in said.split("\0"):
        if name and (REPOSITORY / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / name, tmp_path / name)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    lint("dvc", "stage", "list", cwd=tmp_path)
    pipeline = (tmp_path / "dvc.yaml").read_text()
    admission.check(pipeline, None, reading.load(tmp_path))


# --- the jobs of the called workflow, as they run ---


@pytest.fixture
def called(machine: Machine) -> Machine:
    machine.has_python()
    return machine


COMPRESSED = {
    "outputs": {"id": "0123", "changed": "true", "devices": '[{"device": "pi5", "runner": "x"}]', "handed": "0abc"}
}


def inputs(**more: Any) -> dict[str, Any]:
    """As the runner hands them over."""
    return {"project": ".", **more}


def test_the_check_is_begun_before_anything_is_made(called: Machine) -> None:
    """By a job that runs nothing of the model's: until the verdict an earlier run's check would stand."""
    result = called.runner.job(CALLED, "open", inputs=inputs(check=True))
    assert result.conclusion == "success", result.log
    assert list(called.verbs) == ["open"]
    assert any(each.startswith("--check-name=") for each in called.verbs["open"]["arguments"])
    assert called.named("cache") == []


def test_no_job_begins_a_check_that_nobody_asked_for(called: Machine) -> None:
    assert called.runner.job(CALLED, "open", inputs=inputs(check=False)).conclusion == "skipped"


def test_the_job_that_compresses(called: Machine) -> None:
    (called.workspace / ".dvc").mkdir()
    result = called.runner.job(CALLED, "compress", inputs=inputs(), secrets={"dvc-config": "[core]\n    remote = x"})
    assert result.conclusion == "success", result.log
    assert list(called.verbs) == ["open", "compress"]
    assert called.verbs["open"]["seen"] == {"MAKEWEIGHT_TOKEN": called.runner.token}
    assert called.verbs["compress"]["seen"] == {}
    assert result.outputs["changed"] == "true"
    assert called.verbs["compress"]["arguments"][3] == "--handed=what open made"
    assert result.outputs["handed"] == "what compress made"
    assert json.loads(result.outputs["devices"]) == [{"device": "pi5", "runner": ["self-hosted", "pi5"]}]
    config = called.workspace / ".dvc" / "config.local"
    assert config.read_text() == "[core]\n    remote = x\n"
    assert config.stat().st_mode & 0o077 == 0
    (handed,) = called.named("upload-artifact")
    assert handed["name"] == f"makeweight-{result.outputs['id']}-compressed"
    assert "./.makeweight" in handed["path"].splitlines()
    assert len(handed["path"].splitlines()) > 1  # with one path alone, its own folder would not be part of the artifact


def test_what_was_made_is_handed_over_also_after_a_failure(called: Machine) -> None:
    called.environment["FAIL"] = "compress:4"
    result = called.runner.job(CALLED, "compress", inputs=inputs())
    assert (result.conclusion, result.code) == ("failure", 4)
    assert len(called.named("upload-artifact")) == 1


def test_two_projects_hand_over_under_two_names(called: Machine) -> None:
    (called.workspace / "b").mkdir()
    one = called.runner.job(CALLED, "compress", inputs=inputs())
    other = called.runner.job(CALLED, "compress", inputs=inputs(project="b"))
    assert one.outputs["id"] != other.outputs["id"]


def test_the_job_on_a_device_believes_no_figure_of_the_commit(called: Machine) -> None:
    forged = called.workspace / "reports" / "int8" / "pi5.json"
    forged.parent.mkdir(parents=True)
    forged.write_text("{}")
    (called.workspace / "makeweight.yaml").write_text("kept")
    result = called.runner.job(
        CALLED, "measure", inputs=inputs(), needs={"compress": COMPRESSED}, matrix={"device": "pi5", "runner": "x"}
    )
    assert result.conclusion == "success", result.log
    assert not forged.exists()
    assert (called.workspace / "makeweight.yaml").exists()
    assert called.verbs["measure"]["arguments"] == ["ci", "measure", "--project=.", "--device=pi5", "--handed=0abc"]
    assert called.verbs["measure"]["seen"] == {}
    assert called.named("download-artifact")[0]["name"] == "makeweight-0123-compressed"
    assert called.named("upload-artifact")[0]["name"] == "makeweight-0123-pi5"


@pytest.mark.parametrize(
    ("told", "runs"),
    [
        ({}, True),
        ({"changed": "false"}, False),
        ({"devices": "[]"}, False),
    ],
)
def test_devices_measure_only_what_changed(called: Machine, told: dict[str, str], runs: bool) -> None:
    before = {"outputs": {**COMPRESSED["outputs"], **told}}
    result = called.runner.job(
        CALLED, "measure", inputs=inputs(), needs={"compress": before}, matrix={"device": "pi5", "runner": "x"}
    )
    assert result.conclusion == ("success" if runs else "skipped")


def gh(machine: Machine, answers: list[str]) -> None:
    """A `gh` that gives these answers in turn, the last one for ever; `!` fails."""
    folder = machine.workspace.parent
    (folder / "answers").write_text("\n".join(answers) + "\n")
    command = folder / "bin" / "gh"
    command.write_text(
        "#!/usr/bin/env bash\n"
        f"cd {folder}\nline=$(head -1 answers)\nif (($(wc -l < answers) > 1)); then sed -i 1d answers; fi\n"
        'echo "$*" >> gh-calls\n'
        'if [[ $line == "!" ]]; then exit 1; fi\n'
        'tr "," "\\n" <<< "$line"\n'
    )
    command.chmod(0o755)
    sleep = folder / "bin" / "sleep"
    sleep.write_text('#!/usr/bin/env bash\necho "$1" >> "$HOME/slept"\n')
    sleep.chmod(0o755)


def gated(machine: Machine, before: Mapping[str, Any] = COMPRESSED, **more: Any) -> Any:
    return machine.runner.job(CALLED, "gate", inputs=inputs(**more), needs={"compress": before})


def test_the_gate_waits_for_devices_that_work(called: Machine) -> None:
    gh(called, ["queued", "in_progress", "!", "in_progress", "completed"])
    result = gated(called)
    assert result.conclusion == "success", result.log
    assert "::warning" not in result.log
    assert (called.workspace.parent / "slept").read_text().split() == ["15"] * 4
    assert "actions/runs/7/attempts/1/jobs" in (called.workspace.parent / "gh-calls").read_text()
    assert list(called.verbs) == ["gate"]
    assert "--handed=0abc" in called.verbs["gate"]["arguments"]


def test_the_gate_does_not_wait_for_a_device_that_never_begins(called: Machine) -> None:
    before = {"outputs": {**COMPRESSED["outputs"], "devices": '[{"device": "a"}, {"device": "b"}]'}}
    gh(called, ["completed,in_progress", "completed,queued", "completed,queued"])
    result = gated(called, before, **{"device-wait": 0})
    assert result.conclusion == "success"
    assert "1 of 2 devices did not begin within 0 minutes and count as not measured" in result.log
    assert list(called.verbs) == ["gate"]


def test_the_gate_judges_also_when_it_may_not_look(called: Machine) -> None:
    gh(called, ["!"])
    result = gated(called, **{"device-wait": 0})
    assert result.conclusion == "success"
    assert "the calling job needs actions: read" in result.log
    assert list(called.verbs) == ["gate"]


@pytest.mark.parametrize("result", ["failure", "cancelled", "skipped"])
def test_the_gate_speaks_also_when_nothing_was_made(called: Machine, result: str) -> None:
    """And waits for nobody then: that job said nothing of devices. What it gave out before is nobody's word."""
    assert gated(called, {"result": result, "outputs": {"handed": "0abc"}}).conclusion == "success"
    (told,) = called.verbs.values()
    assert "--handed=" in told["arguments"]
    assert f"--collected={called.runner.temp}/makeweight/collected" in told["arguments"]
    assert ("--cancelled" in told["arguments"]) is (result == "cancelled")
    assert told["seen"]["MAKEWEIGHT_TOKEN"] == called.runner.token


def unpacks(machine: Machine, *artifacts: str) -> None:
    """As actions/download-artifact does with a pattern: a folder each, but for a single one, which gets none."""

    def unpack(used: Any) -> None:
        for name in artifacts:
            folder = Path(used.given["path"], *([name] if len(artifacts) > 1 else []))
            what = ".makeweight/state.json" if name.endswith("compressed") else f"reports/int8/{name[-3:]}.json"
            (folder / what).parent.mkdir(parents=True)
            (folder / what).write_text("{}")

    machine.runner.stands = {**machine.runner.stands, "actions/download-artifact": unpack}


def test_what_was_handed_over_is_sorted_by_device(called: Machine) -> None:
    gh(called, ["completed"])
    unpacks(called, "makeweight-0123-compressed", "makeweight-0123-pi5")
    assert gated(called).conclusion == "success"
    collected = called.runner.temp / "makeweight" / "collected"
    assert sorted(path.name for path in collected.iterdir()) == ["compressed", "pi5"]
    assert (collected / "compressed" / ".makeweight" / "state.json").exists()
    assert (collected / "pi5" / "reports" / "int8" / "pi5.json").exists()


def test_what_was_handed_over_by_one_job_alone(called: Machine) -> None:
    gh(called, ["completed"])
    unpacks(called, "makeweight-0123-compressed")
    assert gated(called).conclusion == "success"
    collected = called.runner.temp / "makeweight" / "collected"
    assert sorted(path.name for path in collected.iterdir()) == ["compressed"]
    assert (collected / "compressed" / ".makeweight" / "state.json").exists()


def test_the_relay_is_handed_what_was_left(called: Machine) -> None:
    workflow = REPOSITORY / ".github" / "workflows" / "comment.yml"
    payload = called.workspace.parent / "event.json"
    payload.write_text(json.dumps({"workflow_run": {"event": "pull_request", "id": 6}}))
    called.environment["GITHUB_EVENT_PATH"] = str(payload)
    assert called.runner.job(workflow, "comment").conclusion == "success"
    assert called.verbs["relay"]["arguments"] == ["ci", "relay", f"{called.runner.temp}/left"]
    assert called.verbs["relay"]["seen"] == {"MAKEWEIGHT_TOKEN": called.runner.token}
    (left,) = called.named("download-artifact")
    assert (left["run-id"], left["path"]) == ("6", f"{called.runner.temp}/left")
    assert called.named("checkout") == []


def test_the_relay_has_nothing_to_do_for_a_push(called: Machine) -> None:
    payload = called.workspace.parent / "event.json"
    payload.write_text(json.dumps({"workflow_run": {"event": "push", "id": 6}}))
    called.environment["GITHUB_EVENT_PATH"] = str(payload)
    workflow = REPOSITORY / ".github" / "workflows" / "comment.yml"
    assert called.runner.job(workflow, "comment").conclusion == "skipped"


def test_a_release_needs_the_tag_of_its_version(called: Machine) -> None:
    python = called.workspace.parent / "bin" / "python"
    python.write_text(
        "#!/usr/bin/env bash\nif [[ $2 == build ]]; then mkdir dist; touch dist/makeweight-1.2.3.tar.gz; fi\n"
    )
    python.chmod(0o755)
    workflow = REPOSITORY / ".github" / "workflows" / "release.yml"
    called.environment["GITHUB_REF_NAME"] = "v1.2.4"
    result = called.runner.job(workflow, "build")
    assert result.conclusion == "failure"
    assert "the tag is v1.2.4, and __version__" in result.log
    subprocess.run(["rm", "-r", called.workspace / "dist"], check=True)
    called.environment["GITHUB_REF_NAME"] = "v1.2.3"
    assert called.runner.job(workflow, "build").conclusion == "success"
