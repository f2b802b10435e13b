"""What a rollback is tried in: a project whose canary a pointer moves, the rules of its budget, and its controller."""

from __future__ import annotations

import sys
from pathlib import Path

from makeweight_monitors.rules import generate, text
from makeweight_monitors.rules.terms import Terms
from makeweight_monitors.serving import pointer
from makeweight_monitors.serving.pointer import Pointer

REPOSITORY = Path(__file__).resolve().parents[2]
DECLARED = "\ncanary: {traffic: 20 %, target: {kind: pointer, path: current.json}}\n"


def write(folder: Path, now: Pointer, interval: int = Terms.interval, judged: bool = True) -> Path:
    """The project, its pointer and its rules, in a folder; the file of the rules, by which tests are looked at every
    `interval` seconds, those of answers that are right or wrong among them where they are `judged`.
    """
    model, reference = now.stable.model, (REPOSITORY / "makeweight.yaml").read_text()
    (folder / "makeweight.yaml").write_text(reference.replace("name: digits\n", f"name: {model}\n", 1) + DECLARED)
    pointer.write(folder / "current.json", now)
    terms, rules = Terms(model, drop=0.01, classes=10, interval=interval, judged=judged), folder / "rules.yaml"
    rules.write_text(text.render(generate.groups(terms), [], terms.runbooks))
    return rules


def controller(folder: Path, prometheus: str, port: int, python: str = sys.executable) -> list[str]:
    """The command that begins one."""
    own = [python, "-m", "makeweight_monitors", "rollback", "--project", str(folder)]
    return [*own, "--prometheus", prometheus, "--environment", "environment=", "--port", str(port)]
