"""Whether every name in the expressions of our actions, workflows and snippets exists: no linter asks that.

Known are the inputs, steps, jobs, secrets and matrix keys that a file declares, what a script writes to GITHUB_OUTPUT,
what the verbs of `makeweight ci` write there, and the outputs of the third-party actions that we use.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from integration.action.expressions import NotKnown, names

REPOSITORY = Path(__file__).resolve().parents[3]
VERBS: Mapping[str, frozenset[str]] = {
    "open": frozenset({"devices", "handed"}),
    "compress": frozenset({"changed", "handed"}),
    "measure": frozenset({"handed"}),
    "gate": frozenset(
        {
            *("verdict", "report-path", "verdict-json", "shipped-variant"),
            *("size-ratio", "latency-ratio", "comment-written"),
        }
    ),
}
"""What a phase of `makeweight ci` writes to GITHUB_OUTPUT."""
OTHERS: Mapping[str, frozenset[str]] = {
    "actions/setup-python": frozenset({"python-version", "cache-hit", "python-path"}),
    "actions/cache": frozenset({"cache-hit"}),
    "actions/checkout": frozenset({"ref", "commit"}),
    "actions/upload-artifact": frozenset({"artifact-id", "artifact-url", "artifact-digest"}),
    "actions/download-artifact": frozenset({"download-path"}),
    "actions/attest": frozenset({"bundle-path", "attestation-id", "attestation-url"}),
    "pypa/gh-action-pypi-publish": frozenset(),
}
MATRIX = frozenset({"device", "runner"})
"""The keys of an entry of `devices`, of which a matrix is made when the file is not to tell."""
_GITHUB = frozenset(
    {
        *("action_path", "actor", "event", "event_name", "head_ref", "base_ref", "ref", "ref_name", "repository"),
        *("run_id", "server_url", "sha", "token", "workflow", "workspace"),
    }
)
_RUNNER = frozenset({"os", "arch", "temp", "name", "environment"})
_JOB = frozenset({"status"})
_WRITTEN = re.compile(r"""(?:printf|echo)\s+(?:'%s\\n'\s+)?((?:["'][\w-]+=[^"']*["']\s*)+)""")
_NAME = re.compile(r"""["']([\w-]+)=""")
_VERB = re.compile(r"/makeweight\"? ci (\w+)")
_SCRIPT = re.compile(r'^bash "\$ROOT/(setup/\w+\.sh)"$')

Place = tuple[str, ...]


def of_action(text: str) -> list[str]:
    """What an action.yml names and does not have."""
    said = yaml.load(text, yaml.CSafeLoader)
    known: dict[str, Any] = {"inputs": set(said.get("inputs") or {})}
    found = list(_of_steps(said["runs"]["steps"], known))
    after = {**known, "steps": _outputs_of(said["runs"]["steps"])}
    for name, each in (said.get("outputs") or {}).items():
        found += [f"outputs.{name}: {what}" for what in _unknown(each["value"], after)]
    for name, each in (said.get("inputs") or {}).items():
        found += [f"inputs.{name}: {what}" for what in _unknown(str(each.get("default", "")), {})]
    return found


def of_workflow(text: str) -> list[str]:
    """What a workflow names and does not have, and inputs that its actions and called workflows do not have."""
    said = yaml.load(text, yaml.CSafeLoader)
    events = said.get("on") or said.get(True) or {}
    call = (events.get("workflow_call") or {}) if isinstance(events, Mapping) else {}
    is_called = isinstance(events, Mapping) and "workflow_call" in events
    known: dict[str, Any] = {
        "inputs": set(call.get("inputs") or {}) if is_called else set(),
        "secrets": set(call.get("secrets") or {}) if is_called else None,
    }
    jobs = said["jobs"]
    found = [f"concurrency: {what}" for what in _unknown(str(said.get("concurrency", "")), known)]
    for name, job in jobs.items():
        found += [f"jobs.{name}: {what}" for what in _of_job(job, jobs, known)]
    told = {"jobs": {name: set(job.get("outputs") or {}) for name, job in jobs.items()}}
    for name, each in (call.get("outputs") or {}).items():
        found += [f"outputs.{name}: {what}" for what in _unknown(each["value"], told)]
    return found


def _of_job(job: Mapping[str, Any], jobs: Mapping[str, Any], above: Mapping[str, Any]) -> Iterator[str]:
    needs = job.get("needs") or []
    needs = [needs] if isinstance(needs, str) else needs
    yield from (f"needs `{name}`, which is no job" for name in needs if name not in jobs)
    known = {
        **above,
        "needs": {name: set(jobs[name].get("outputs") or {}) for name in needs if name in jobs},
        "matrix": _matrix((job.get("strategy") or {}).get("matrix") or {}),
    }
    for part in ("name", "runs-on", "timeout-minutes", "strategy", "concurrency", "environment", "with", "secrets"):
        yield from (f"{part}: {what}" for what in _unknown(_flat(job.get(part)), known))
    yield from (f"if: {what}" for what in _unknown(_condition(job), known))
    if "uses" in job:
        called = _called(job["uses"])
        if called is not None:
            for part in ("inputs", "secrets"):
                given = job.get({"inputs": "with"}.get(part, part)) or {}
                have = called.get(part) or {}
                if isinstance(given, Mapping):
                    yield from (f"{job['uses']} has no {part[:-1]} `{name}`" for name in given if name not in have)
        return
    yield from _of_steps(job["steps"], known)
    after = {**known, "steps": _outputs_of(job["steps"])}
    for name, text in (job.get("outputs") or {}).items():
        yield from (f"outputs.{name}: {what}" for what in _unknown(text, after))


def _of_steps(steps: Sequence[Mapping[str, Any]], above: Mapping[str, Any]) -> Iterator[str]:
    for place, step in enumerate(steps):
        known = {**above, "steps": _outputs_of(steps[:place])}
        parts = [_flat(step.get(part)) for part in ("name", "env", "with", "run", "working-directory")]
        own = step.get("id") or step.get("name") or f"step {place}"
        for part in (*parts, _condition(step)):
            yield from (f"{own}: {what}" for what in _unknown(part, known))
        inputs = _inputs_of(step.get("uses", ""))
        if inputs is not None:
            yield from (f"{own}: {step['uses']} has no input `{n}`" for n in step.get("with") or {} if n not in inputs)


def _outputs_of(steps: Sequence[Mapping[str, Any]]) -> dict[str, set[str]]:
    return {step["id"]: _written(step) for step in steps if "id" in step}


def _written(step: Mapping[str, Any]) -> set[str]:
    if "uses" in step:
        action = step["uses"].partition("@")[0]
        ours = _action(step["uses"])
        return set(ours.get("outputs") or {}) if ours is not None else set(OTHERS[action])
    script = step["run"]
    if (other := _SCRIPT.match(script.strip())) is not None:
        script = (REPOSITORY / other[1]).read_text()
    found: set[str] = set()
    for line in script.split("\n"):
        if "GITHUB_OUTPUT" in line:
            for written in _WRITTEN.finditer(line):
                found |= set(_NAME.findall(written[1]))
    for verb in _VERB.findall(script):
        found |= VERBS[verb]
    return found


def _inputs_of(uses: str) -> set[str] | None:
    ours = _action(uses)
    return None if ours is None else set(ours.get("inputs") or {})


def _action(uses: str) -> Mapping[str, Any] | None:
    """Our own action that is meant: as `./`, as `$/setup`, or by the name that stands for any in the docs."""
    bare = uses.partition("@")[0]
    for prefix in ("./", "$/", "OWNER/REPO/", "OWNER/REPO"):
        if bare.startswith(prefix):
            file = REPOSITORY / bare.removeprefix(prefix) / "action.yml"
            return yaml.load(file.read_text(), yaml.CSafeLoader) if file.is_file() else {}
    return None


def _called(uses: str) -> Mapping[str, Any] | None:
    bare = uses.partition("@")[0]
    for prefix in ("./", "$/", "OWNER/REPO/"):
        if bare.startswith(prefix):
            said = yaml.load((REPOSITORY / bare.removeprefix(prefix)).read_text(), yaml.CSafeLoader)
            return (said.get("on") or said.get(True))["workflow_call"]
    return None


def _matrix(said: Any) -> set[str]:
    if isinstance(said.get("include"), str):
        return set(MATRIX)
    listed = {key for entry in said.get("include") or () for key in entry}
    return {*(key for key in said if key not in ("include", "exclude")), *listed}


def _flat(value: Any) -> str:
    """All text below a value."""
    if isinstance(value, Mapping):
        return "\n".join(_flat(each) for each in value.values())
    if isinstance(value, list):
        return "\n".join(_flat(each) for each in value)
    return "" if value is None else str(value)


def _condition(part: Mapping[str, Any]) -> str:
    text = str(part.get("if", ""))
    return text if not text or "${{" in text else f"${{{{ {text} }}}}"


def _unknown(text: str, known: Mapping[str, Any]) -> Iterator[str]:
    """The names in a text's expressions that do not exist."""
    try:
        found = list(names(text))
    except NotKnown as error:
        yield str(error)
        return
    for path in found:
        if (why := _why_not(path, known)) is not None:
            yield f"`{'.'.join(path)}`: {why}"


def _why_not(path: Place, known: Mapping[str, Any]) -> str | None:
    context, rest = path[0], path[1:]
    simple = {"github": _GITHUB, "runner": _RUNNER, "job": _JOB}
    if context in simple:
        return None if rest and rest[0] in simple[context] else f"no such fact of `{context}`"
    if context == "vars":
        return None if len(rest) == 1 else "a variable has one name"
    if context not in known:
        return f"there is no `{context}` here"
    declared = known[context]
    if declared is None:  # a workflow that is not called may name any secret
        return None
    if not rest or rest[0] not in declared:
        return f"`{context}` has no such name"
    if context == "jobs":
        return None if rest[1:2] == ("outputs",) and rest[2] in declared[rest[0]] else "that job has no such output"
    if context in ("steps", "needs"):
        states = {"steps": ("outcome", "conclusion"), "needs": ("result",)}[context]
        if len(rest) == 2 and rest[1] in states:
            return None
        if len(rest) == 3 and rest[1] == "outputs":
            return None if rest[2] in declared[rest[0]] else "no such output"
        return "neither an output nor a state"
    return None if len(rest) == 1 else "that is one name"
