"""The stages as a change has them: what makeweight generates, or what the base has already. Nothing else is run.

A change could otherwise rewrite the very commands that measure it, or freeze a stage so that DVC never runs it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from makeweight.layout import PIPELINE
from makeweight.pipeline.stages import SHIP, stages
from makeweight.project.project import Project
from makeweight_base.errors import ConfigError, Problem
from makeweight_base.yamlfile import Document, parse
from makeweight_base.yamlversions import ODD, odd_break

# Words about a stage, without effect on what it does.
_WORDS = frozenset({"desc", "meta"})


def check(head: str | None, base: str | None, project: Project) -> None:
    """Raises:
    ConfigError: a stage is missing, out of step with makeweight.yaml, or changed in a way that only the base may.
    """
    if head is None:
        raise ConfigError([Problem(PIPELINE, None, "there is none; run `makeweight init` and commit what it writes")])
    if (odd := odd_break(head)) is not None:
        raise ConfigError([Problem(PIPELINE, odd, ODD)])
    document = parse(head, PIPELINE)
    there = _stages(document.data)
    before = there if base == head else _of_base(base)
    wanted = stages(project)
    if SHIP not in there and SHIP not in before:
        del wanted[SHIP]
    problems = [
        line
        for name, body in wanted.items()
        if name not in there or _plain(there[name]) not in (_plain(body), _plain(before.get(name)))
        for line in _objections(name, there.get(name), body, document)
    ]
    if problems:
        raise ConfigError(
            problems, do="Run `makeweight init`, which brings the stages up to date, and commit what it writes."
        )


def _of_base(text: str | None) -> Mapping[str, Any]:
    try:
        return _stages(parse(text, "dvc.yaml of the base").data if text else None)
    except ConfigError:
        return {}  # a change that mends it must not be held up by it


def _stages(data: Any) -> Mapping[str, Any]:
    stages_of = data.get("stages") if isinstance(data, dict) else None
    return stages_of if isinstance(stages_of, dict) else {}


def _plain(stage: Any) -> Any:
    """A stage without the words about it, nor those in the body that it repeats."""
    if not isinstance(stage, dict):
        return stage
    return {key: _plain(value) if key == "do" else value for key, value in stage.items() if key not in _WORDS}


def _objections(name: str, stage: Any, wanted: Mapping[str, Any], document: Document) -> list[Problem]:
    if stage is None:
        return [document.problem(("stages",), f"stage `{name}` is missing")]
    if not isinstance(stage, dict):
        return [document.problem(("stages", name), f"stage `{name}` is no mapping")]
    problems = []
    for path, own, ours in (((), stage, wanted), (("do",), stage.get("do") or {}, wanted.get("do") or {})):
        own = own if isinstance(own, dict) else {}
        told_below = {"do"} if not path and "do" in ours else set()
        for key in sorted({*own, *ours} - _WORDS - told_below, key=str):
            if key in own and key in ours and own[key] == ours[key]:
                continue
            what = "is not makeweight's to have here" if key not in ours else "is not what makeweight writes"
            problems.append(
                document.problem(
                    ("stages", name, *path, key), f"stage `{name}`: `{key}` {what}, and not what the base has"
                )
            )
    return problems
