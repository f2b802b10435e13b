"""action.yml, step by step under bash: what each phase is told, who holds the token, and what a broken input does."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
import yaml

from integration.action.machine import Machine
from integration.action.references import VERBS
from integration.action.runner import REPOSITORY

DOORS = {"MAKEWEIGHT_TOKEN", "MAKEWEIGHT_SIGNING_KEY"}
HOSTILE = [
    "$(touch OWNED)",
    "`touch OWNED`",
    "x; touch OWNED",
    "x' && touch OWNED '",
    'x" && touch OWNED "',
    "x\ntouch OWNED",
    "--upload-pack=touch OWNED",
    "${{ github.token }}",
    "x\n::set-output name=verdict::pass",
]


def test_the_phases_in_order(machine: Machine) -> None:
    result = machine.runner.action(install="false")
    assert result.conclusion == "success"
    assert list(machine.verbs) == ["open", "compress", "measure", "gate"]
    assert machine.verbs["open"]["arguments"] == ["ci", "open", "--project=.", "--check-name="]
    assert machine.verbs["compress"]["arguments"] == [
        "ci", "compress", "--project=.", "--handed=what open made", "--push",
    ]  # fmt: skip
    assert machine.verbs["measure"]["arguments"] == ["ci", "measure", "--project=.", "--handed=what compress made"]
    told = machine.verbs["gate"]["arguments"]
    assert told[:4] == ["ci", "gate", "--project=.", "--handed=what measure made"]
    assert told[4:] == ["--comment=always", "--check-name=", "--push"]
    assert result.outputs == {
        "verdict": "pass",
        "report-path": "r.html",
        "verdict-json": "v.json",
        "shipped-variant": "int8",
        "size-ratio": "0.26",
        "latency-ratio": "0.41",
        "comment-written": "true",
    }


def test_the_inputs_become_flags(machine: Machine) -> None:
    (machine.workspace / "models" / "a").mkdir(parents=True)
    result = machine.runner.action(
        install="false",
        project="models/a",
        base_ref="release/1.2",
        device="pi5 laptop",
        check="false",
        comment="on-failure",
        commit_lock="true",
        push="false",
        anew="true",
    )
    assert result.conclusion == "success"
    assert machine.verbs["open"]["arguments"][2:] == ["--project=models/a", "--base=release/1.2", "--no-check"]
    assert machine.verbs["compress"]["arguments"][2:] == ["--project=models/a", "--handed=what open made", "--anew"]
    chosen = ["--project=models/a", "--handed=what compress made", "--anew", "--device=pi5", "--device=laptop"]
    assert machine.verbs["measure"]["arguments"][2:] == chosen
    told = ["--project=models/a", "--handed=what measure made", "--comment=on-failure", "--base=release/1.2"]
    told += ["--no-check", "--commit-lock", "--anew"]
    assert machine.verbs["gate"]["arguments"][2:] == told
    assert machine.named("upload-artifact")[0]["name"] == "makeweight-report-models-a"
    assert machine.named("upload-artifact")[0]["path"] == "models/a/.makeweight/reports"


def test_artifacts_of_two_projects_never_share_a_name(machine: Machine) -> None:
    folders = ("models/a", "models-a", "models a", "models/a-b", "models/a/b", "models-a/b", "ümodels")
    for folder in folders:
        (machine.workspace / folder).mkdir(parents=True, exist_ok=True)
        machine.runner.action(install="false", project=folder)
    names = [used["name"] for used in machine.named("upload-artifact")]
    assert len(set(names)) == len(folders)
    assert all(re.fullmatch(r"makeweight-report[A-Za-z0-9-]+", name) for name in names)


def test_only_those_who_tell_hold_the_token(machine: Machine) -> None:
    assert machine.runner.action(install="false", signing_key="a key").conclusion == "success"
    seen = {verb: call["seen"] for verb, call in machine.verbs.items()}
    assert seen["open"] == {"MAKEWEIGHT_TOKEN": machine.runner.token}
    assert seen["gate"] == {"MAKEWEIGHT_TOKEN": machine.runner.token, "MAKEWEIGHT_SIGNING_KEY": "a key"}
    assert seen["compress"] == seen["measure"] == {}


def test_no_step_that_runs_the_models_code_is_near_a_secret(machine: Machine) -> None:
    result = machine.runner.action(install="false", signing_key="a key", token="another token")  # noqa: S106 - opens nothing
    for name in ("compress", "measure"):
        given = result.steps[name].environment
        assert "a key" not in given.values()
        assert "another token" not in given.values()
        assert not DOORS & set(given)


@pytest.mark.parametrize("verb", ["open", "compress", "measure"])
def test_the_gate_speaks_also_after_a_failure(machine: Machine, verb: str) -> None:
    machine.environment["FAIL"] = f"{verb}:4"
    result = machine.runner.action(install="false")
    assert result.conclusion == "failure"
    assert result.code == 4
    phases = list(machine.verbs)
    assert phases[: phases.index(verb) + 1] == ["open", "compress", "measure"][: phases.index(verb) + 1]
    assert phases[-1] == "gate"
    assert "--handed=" in machine.verbs["gate"]["arguments"]  # of no phase but the last
    assert len(machine.named("upload-artifact")) == 1


def test_the_gate_speaks_also_when_the_run_is_cancelled(machine: Machine) -> None:
    machine.runner.cancel_at = "measure"
    result = machine.runner.action(install="false")
    assert result.conclusion == "cancelled"
    assert list(machine.verbs) == ["open", "compress", "gate"]
    assert machine.verbs["gate"]["arguments"][-1] == "--cancelled"
    assert "--handed=" in machine.verbs["gate"]["arguments"]


@pytest.mark.parametrize("code", [1, 2, 3, 4])
def test_the_verdict_is_the_exit_code(machine: Machine, code: int) -> None:
    machine.environment["FAIL"] = f"gate:{code}"
    result = machine.runner.action(install="false")
    assert (result.conclusion, result.code) == ("failure", code)
    assert result.outputs["verdict"] == "pass"  # as the stand-in says: outputs are there after a failure as well
    assert len(machine.named("upload-artifact")) == 1


def test_the_comment_of_a_fork_is_left_for_the_relay(machine: Machine) -> None:
    machine.environment["RELAYED"] = "relayed"
    assert machine.runner.action(install="false", upload="false").outputs["comment-written"] == "relayed"
    (left,) = machine.named("upload-artifact")
    assert left["name"] == "makeweight-comment"
    assert left["path"] == "./.makeweight/comment"
    assert left["include-hidden-files"] == "true"


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize(
    "name",
    [
        *(
            "project",
            "base_ref",
            "device",
            "comment",
            "check",
            "check_name",
            "commit_lock",
            "push",
            "upload",
            "install",
        ),
        *("python_version", "extras", "requirements", "torch_index", "cache", "token", "signing_key"),
    ],
)
def test_a_hostile_input_is_text(machine: Machine, name: str, text: str) -> None:
    given = {"install": "false", name: text}
    result = machine.runner.action(**given)
    assert not list(machine.workspace.iterdir())
    assert not (machine.workspace.parent / "OWNED").exists()
    lines = result.log.splitlines()
    assert [line for line in lines if line.startswith("::")] == [line for line in lines if "::error title=" in line]
    if name in ("token", "signing_key", "check_name") and result.conclusion == "success":
        assert list(machine.verbs) == ["open", "compress", "measure", "gate"]
    else:
        assert result.code == 2
        assert f"::error title=makeweight::input {name.replace('_', '-')}: " in result.log
        assert machine.verbs == {}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"check": "yes"}, "input check: yes is neither true nor false"),
        ({"push": ""}, "input push: '' is neither true nor false"),
        ({"comment": "On-Change"}, "input comment: On-Change is none of always, on-change, on-failure, never"),
        ({"commit_lock": "True"}, "input commit-lock: True is neither true nor false"),
        (
            {"project": "nowhere"},
            "input project: nowhere is no folder in the workspace; was the repository checked out?",
        ),
        ({"anew": "yes"}, "input anew: yes is neither true nor false"),
        ({"base_ref": "-x"}, "input base-ref: -x is no name of a branch, tag or commit"),
        ({"project": ".."}, "input project: .. lies outside of the workspace"),
        ({"extras": "dvc onnx"}, r"input extras: dvc\ onnx is no list of extras, such as dvc,onnx"),
        ({"requirements": "absent.txt"}, "input requirements: absent.txt is no file in the workspace"),
        ({"torch_index": "ftp://x"}, "input torch-index: ftp://x is no URL"),
        ({"check_name": "x" * 101}, f"input check-name: {'x' * 101} is no name: one line, at most 100 characters"),
        ({"python_version": "3.12 %0A"}, r"input python-version: 3.12\ %250A is no version of Python, such as 3.12"),
    ],
)
def test_a_wrong_input_is_told(machine: Machine, given: dict[str, str], said: str) -> None:
    result = machine.runner.action(**{"install": "false", **given})
    assert result.code == 2
    assert result.log == f"::error title=makeweight::{said}\n"
    assert machine.verbs == {}


def test_a_link_out_of_the_workspace_is_no_project(machine: Machine) -> None:
    (machine.workspace / "link").symlink_to(machine.workspace.parent)
    assert "lies outside of the workspace" in machine.runner.action(install="false", project="link").log


def test_no_makeweight_on_the_path_is_told(machine: Machine) -> None:
    machine.environment["PATH"] = os.environ["PATH"].replace(str(Path(os.sys.prefix) / "bin"), "/nowhere")
    result = machine.runner.action(install="false")
    assert result.code == 2
    assert "no makeweight is on the PATH: install it in a step before" in result.log
    assert machine.verbs == {}


@pytest.fixture
def bare(machine: Machine) -> Machine:
    machine.has_python()
    return machine


def asked_of_pip(machine: Machine) -> list[str]:
    asked = (machine.workspace.parent / "pip").read_text().splitlines()
    assert asked[:7] == ["-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    return asked[7:]


def test_it_installs_itself(bare: Machine) -> None:
    assert bare.runner.action().conclusion == "success"
    assert asked_of_pip(bare) == [f"--constraint={REPOSITORY}/constraints.txt", f"{REPOSITORY}[dvc,torch,sign]"]
    (python,) = bare.named("setup-python")
    assert python == {"python-version": "3.12", "update-environment": "false"}
    (cache,) = bare.named("cache")
    assert cache["path"] == str(bare.workspace.parent / "pip-cache")
    assert cache["key"].startswith("makeweight-Linux-X64-3.12-")
    assert cache["key"].startswith(cache["restore-keys"])
    assert list(bare.verbs) == ["open", "compress", "measure", "gate"]


def test_it_installs_what_the_user_pins(bare: Machine) -> None:
    (bare.workspace / "a b.txt").write_text("torch==2.13.0\n")
    (bare.workspace / "c.txt").write_text("x\n")
    index = "https://example.org/cpu"
    result = bare.runner.action(requirements="a b.txt\nc.txt\n", torch_index=index, extras="", cache="false")
    assert result.conclusion == "success"
    assert asked_of_pip(bare) == [
        "--requirement=a b.txt",
        "--requirement=c.txt",
        f"--extra-index-url={index}",
        str(REPOSITORY),
    ]
    assert bare.named("cache") == []


def test_the_cache_is_filed_under_all_that_is_installed(bare: Machine) -> None:
    (bare.workspace / "a.txt").write_text("x==1\n")
    keys = []
    for given in ({}, {"extras": "onnx"}, {"requirements": "a.txt"}, {"torch_index": "https://example.org"}, {}):
        bare.runner.action(**given)
        keys.append(bare.named("cache")[-1]["key"])
    (bare.workspace / "a.txt").write_text("x==2\n")
    bare.runner.action(requirements="a.txt")
    keys.append(bare.named("cache")[-1]["key"])
    assert keys[0] == keys[4]
    assert len(set(keys)) == 5


def test_the_runners_own_python_may_be_used(bare: Machine) -> None:
    assert bare.runner.action(python_version="").conclusion == "success"
    assert bare.named("setup-python") == []


def test_setup_alone(bare: Machine) -> None:
    result = bare.runner.action(REPOSITORY / "setup" / "action.yml", extras="onnx", python_version="")
    assert result.conclusion == "success"
    assert asked_of_pip(bare)[-1] == f"{REPOSITORY / 'setup'}/..[onnx]"
    assert (bare.runner.temp / "makeweight" / "bin" / "makeweight").exists()
    assert bare.verbs == {}


def test_both_actions_install_alike() -> None:
    """The steps are written twice because GitHub Enterprise Server knows no `$/`; only what they get may differ."""
    whole, setup = (
        yaml.load((REPOSITORY / name).read_text(), yaml.CSafeLoader) for name in ("action.yml", "setup/action.yml")
    )
    for mine, theirs in zip(whole["runs"]["steps"], setup["runs"]["steps"], strict=False):
        assert mine["name"] == theirs["name"]
        for part in ("id", "uses", "with", "run", "shell"):
            assert mine.get(part) == theirs.get(part), mine["name"]
        assert set(theirs.get("env", {})) <= set(mine.get("env", {}))
    assert len(setup["runs"]["steps"]) == 5
    for name, said in setup["inputs"].items():
        assert whole["inputs"][name] == said


def test_the_outputs_are_those_that_the_gate_writes() -> None:
    declared = yaml.load((REPOSITORY / "action.yml").read_text(), yaml.CSafeLoader)["outputs"]
    assert set(declared) == VERBS["gate"]
    assert all(said["value"] == f"${{{{ steps.gate.outputs.{name} }}}}" for name, said in declared.items())


def test_every_input_is_described_and_has_a_default() -> None:
    for file in ("action.yml", "setup/action.yml"):
        for name, said in yaml.load((REPOSITORY / file).read_text(), yaml.CSafeLoader)["inputs"].items():
            assert set(said) == {"description", "default"}, name
            assert isinstance(said["default"], str), name
            assert name == name.lower()
            assert json.dumps(said["description"])
