"""A runner of GitHub Actions for tests: steps run for real under bash, with real command files; `uses:` are Python.

What it takes over from the runner: the order of steps, `if:`, `env:`, `working-directory`, `continue-on-error`, a file
of its own for each step's GITHUB_OUTPUT, GITHUB_ENV, GITHUB_PATH and GITHUB_STATE, one GITHUB_STEP_SUMMARY for the job,
and cancellation. Whatever else a file asks for is refused, so that no test passes on a guess.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from integration.action.expressions import Context, NotKnown, filled, holds, told

REPOSITORY = Path(__file__).resolve().parents[3]
_STEP = {
    *("name", "id", "if", "uses", "with", "run", "shell", "env", "working-directory", "continue-on-error"),
    "timeout-minutes",
}
_COMMAND_FILES = ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE")


@dataclass(frozen=True)
class Used:
    """A `uses:` step as its stand-in sees it."""

    action: str
    """`actions/checkout`, without what it is pinned to."""
    given: Mapping[str, str]
    """`with:`, evaluated."""
    environment: Mapping[str, str]
    workspace: Path


class StepFailed(Exception):
    """Raised by a stand-in whose action would fail."""


Stand = Callable[[Used], Mapping[str, str] | None]
"""Stands in for an action; gives back its outputs, if any."""


@dataclass
class Step:
    """What became of a step."""

    name: str
    outcome: str = "skipped"
    """success, failure, cancelled or skipped; before `continue-on-error`."""
    conclusion: str = "skipped"
    outputs: dict[str, str] = field(default_factory=dict)
    log: str = ""
    code: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    """What its process was given."""


@dataclass
class Result:
    """What became of an action or a job."""

    conclusion: str
    outputs: dict[str, str]
    steps: dict[str, Step]
    """By id; a step without one, by its name."""
    summary: str

    @property
    def log(self) -> str:
        return "".join(step.log for step in self.steps.values())

    @property
    def code(self) -> int:
        """The exit code of the first step that failed; 0 when none did."""
        return next((step.code or 1 for step in self.steps.values() if step.conclusion == "failure"), 0)


@dataclass
class Runner:
    """A machine with a checkout in `workspace`.

    Args:
        temp: RUNNER_TEMP, which keeps what one step leaves for the next.
        environment: what every process is given besides what the runner sets: PATH, HOME, GITHUB_*.
            The context `github` is made of its GITHUB_* variables and of the event's payload (GITHUB_EVENT_PATH).
        stands: stand-ins for `uses:`, by `owner/name`. `$/` and `./`, this repository itself, are known.
        cancel_at: the id of the step during which the run is cancelled, by being asked to before it.
    """

    workspace: Path
    temp: Path
    environment: Mapping[str, str]
    stands: Mapping[str, Stand] = field(default_factory=dict)
    token: str = "a-token-of-the-run"  # noqa: S105 - opens nothing
    cancel_at: str | None = None
    machine: Mapping[str, str] = field(
        default_factory=lambda: {"os": "Linux", "arch": "X64", "environment": "github-hosted"}
    )

    def __post_init__(self) -> None:
        self.temp.mkdir(parents=True, exist_ok=True)
        self._summary = self.temp / "step-summary.md"
        self._summary.touch()
        self._added: dict[str, str] = {}
        self._paths: list[str] = []
        self._count = 0

    def action(self, file: Path = REPOSITORY / "action.yml", **given: str) -> Result:
        """Run a composite action; inputs with `_` for `-`."""
        return self._action(file, {name.replace("_", "-"): value for name, value in given.items()}, {})

    def job(
        self,
        file: Path,
        job: str,
        *,
        inputs: Mapping[str, Any] | None = None,
        needs: Mapping[str, Mapping[str, Any]] | None = None,
        matrix: Mapping[str, Any] | None = None,
        secrets: Mapping[str, str] | None = None,
    ) -> Result:
        """Run the steps of one job of a workflow.

        `needs` are the jobs before it: `{"compress": {"result": "success", "outputs": {...}}}`. A job whose `if:` does
        not hold has the conclusion `skipped`.
        """
        workflow = _parsed(file.read_text())
        said = workflow["jobs"][job]
        call = (workflow.get("on") or workflow.get(True) or {}).get("workflow_call") or {}
        values = {
            "inputs": _inputs(call.get("inputs") or {}, inputs or {}, Context({})),
            "needs": {name: {"result": "success", "outputs": {}, **each} for name, each in (needs or {}).items()},
            "matrix": dict(matrix or {}),
            "secrets": {**dict.fromkeys(call.get("secrets") or {}, ""), **(secrets or {})},
        }
        results = {each["result"] for each in values["needs"].values()}
        before = "success" if results <= {"success"} else "cancelled" if "cancelled" in results else "failure"
        values["github"] = self._github()
        if not holds(said.get("if"), Context(values, before)):
            return Result("skipped", {}, {}, "")
        own = {name: filled(told(text), self._context(values)) for name, text in (said.get("env") or {}).items()}
        steps, status = self._steps(said["steps"], values, own)
        context = self._context({**values, "steps": _told_of(steps)})
        outputs = {name: filled(text, context) for name, text in (said.get("outputs") or {}).items()}
        return Result(status, outputs, steps, self._summary.read_text())

    def _action(self, file: Path, given: Mapping[str, str], environment: Mapping[str, str]) -> Result:
        said = _parsed(file.read_text())
        if said["runs"]["using"] != "composite":
            raise NotKnown(f"{file}: only composite actions run here")
        values: dict[str, Any] = {"github": self._github(file.parent)}
        values["inputs"] = _inputs(said.get("inputs") or {}, given, self._context(values))
        steps, status = self._steps(said["runs"]["steps"], values, environment, file.parent)
        context = self._context({**values, "steps": _told_of(steps)})
        outputs = {name: filled(each["value"], context) for name, each in (said.get("outputs") or {}).items()}
        return Result(status, outputs, steps, self._summary.read_text())

    def _steps(
        self,
        listed: Sequence[Mapping[str, Any]],
        values: Mapping[str, Any],
        environment: Mapping[str, str],
        place: Path | None = None,
    ) -> tuple[dict[str, Step], str]:
        done: dict[str, Step] = {}
        status = "success"
        declared = {said["id"]: Step(said["id"]) for said in listed if "id" in said}
        for said in listed:
            if strange := set(said) - _STEP:
                raise NotKnown(f"a step with {', '.join(sorted(strange))}")
            step = declared.get(said.get("id", ""), Step(said.get("name") or said.get("uses") or f"step {len(done)}"))
            key = said.get("id") or step.name
            if key in done:
                raise NotKnown(f"two steps are called {key}")
            if self.cancel_at == key:
                status = "cancelled"
            context = self._context({**values, "steps": _told_of(declared)}, status)
            done[key] = step
            if not holds(said.get("if"), context):
                continue
            own = {name: filled(told(text), context) for name, text in (said.get("env") or {}).items()}
            self._run(said, step, context, {**environment, **own}, place)
            step.conclusion = step.outcome
            if step.outcome == "failure" and said.get("continue-on-error"):
                step.conclusion = "success"
            if step.conclusion == "failure" and status == "success":
                status = "failure"
        return done, status

    def _run(
        self, said: Mapping[str, Any], step: Step, context: Context, environment: Mapping[str, str], place: Path | None
    ) -> None:
        files = self._command_files()
        step.environment = self._process(environment, files, place)
        if "uses" in said:
            given = {name: filled(told(text), context) for name, text in (said.get("with") or {}).items()}
            self._use(said["uses"], given, step, environment)
            return
        if said.get("shell", "bash" if place is None else "none, which an action has to name") != "bash":
            raise NotKnown(f"{step.name}: the shell {said.get('shell')}")
        if "${{" in said["run"]:
            raise NotKnown(f"{step.name}: an expression within a script, where its value would be run")
        script = self.temp / f"script-{self._count}.sh"
        script.write_text(said["run"])
        process = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=self.workspace / filled(str(said.get("working-directory", ".")), context),
            env=dict(step.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        step.log, step.code = process.stdout, process.returncode
        step.outcome = "success" if process.returncode == 0 else "failure"
        step.outputs |= assignments(files["GITHUB_OUTPUT"])
        self._added |= assignments(files["GITHUB_ENV"])
        self._paths[:0] = reversed(files["GITHUB_PATH"].read_text().split("\n")[:-1])

    def _use(self, uses: str, given: Mapping[str, str], step: Step, environment: Mapping[str, str]) -> None:
        action = uses.partition("@")[0]
        if action.startswith(("$/", "./")):  # tests run in a checkout of this repository: both are the same
            nested = self._action(REPOSITORY / action[2:] / "action.yml", given, environment)
            step.outcome, step.outputs, step.log = nested.conclusion, nested.outputs, nested.log
            step.code = nested.code
            return
        if action not in self.stands:
            raise NotKnown(f"no stand-in was given for {action}")
        used = Used(action, given, step.environment, self.workspace)
        try:
            step.outputs |= self.stands[action](used) or {}
            step.outcome = "success"
        except StepFailed as error:
            step.outcome, step.log, step.code = "failure", f"##[error]{error}\n", 1

    def _command_files(self) -> dict[str, Path]:
        self._count += 1
        folder = self.temp / "_runner_file_commands"
        folder.mkdir(exist_ok=True)
        files = {name: folder / f"{name.lower()}-{self._count}" for name in _COMMAND_FILES}
        for path in files.values():
            path.touch()
        return files

    def _process(self, own: Mapping[str, str], files: Mapping[str, Path], place: Path | None) -> dict[str, str]:
        found = {
            **self.environment,
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(self.workspace),
            "RUNNER_TEMP": str(self.temp),
            "RUNNER_OS": self.machine["os"],
            "RUNNER_ARCH": self.machine["arch"],
            "RUNNER_ENVIRONMENT": self.machine["environment"],
            **self._added,
            **own,
            **({"GITHUB_ACTION_PATH": str(place)} if place else {}),
            "GITHUB_STEP_SUMMARY": str(self._summary),
            **{name: str(path) for name, path in files.items()},
        }
        found["PATH"] = os.pathsep.join([*self._paths, found["PATH"]])
        return found

    def _github(self, place: Path | None = None) -> dict[str, Any]:
        found: dict[str, Any] = {
            name.removeprefix("GITHUB_").lower(): value
            for name, value in self.environment.items()
            if name.startswith("GITHUB_")
        }
        payload = self.environment.get("GITHUB_EVENT_PATH")
        found["event"] = json.loads(Path(payload).read_text()) if payload else {}
        own = {"action_path": str(place)} if place else {}
        return {**found, **own, "token": self.token, "workspace": str(self.workspace)}

    def _context(self, values: Mapping[str, Any], status: str = "success") -> Context:
        runner = {**self.machine, "temp": str(self.temp)}
        known = {"runner": runner, "job": {"status": status}, "env": {**self.environment, **self._added}}
        return Context({**known, **values}, status)


@functools.cache
def _parsed(text: str) -> Mapping[str, Any]:
    """A file as data, which nobody changes: reading it is most of what a run of short steps takes."""
    found: Mapping[str, Any] = yaml.load(text, yaml.CSafeLoader)
    return found


def assignments(path: Path) -> dict[str, str]:
    """What a step wrote into a command file: `name=value`, or `name<<MARK`, lines, `MARK`.

    Raises:
        NotKnown: a line is neither, where the runner would fail the step as well.
    """
    found: dict[str, str] = {}
    lines = iter(path.read_text().split("\n"))
    for line in lines:
        name, sign, value = line.partition("=")
        here, opens, mark = line.partition("<<")
        if opens and len(here) < len(name):
            body = []
            for each in lines:
                if each == mark:
                    break
                body.append(each)
            else:
                raise NotKnown(f"{path.name}: `{mark}` never comes")
            found[here] = "\n".join(body)
        elif sign:
            found[name] = value
        elif line:
            raise NotKnown(f"{path.name}: `{line}` is no assignment")
    return found


def _inputs(declared: Mapping[str, Any], given: Mapping[str, Any], context: Context) -> dict[str, Any]:
    if strange := set(given) - set(declared):
        raise NotKnown(f"no such input: {', '.join(sorted(strange))}")
    found = {}
    for name, said in declared.items():
        value = given.get(name, (said or {}).get("default", ""))
        found[name] = filled(value, context) if isinstance(value, str) and name not in given else value
    return found


def _told_of(steps: Mapping[str, Step]) -> dict[str, dict[str, Any]]:
    return {
        name: {"outputs": step.outputs, "outcome": step.outcome, "conclusion": step.conclusion}
        for name, step in steps.items()
    }
