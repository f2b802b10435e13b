"""Write docs/attacks.md from the tests that are marked `@attack`: `python tests/attacks_page.py`."""

from __future__ import annotations

import ast
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = REPOSITORY / "docs" / "attacks.md"
HEAD = """\
# What has been tried against the gate

Each line is an attack on the promise that a broken budget cannot merge, or a mistake that comes to the same, and what
comes of it. The test in the last column makes it: in a clone of a repository with a DVC remote, through the very steps
of the Action, on each change of makeweight. What the gate trusts, and what is outside its reach, stands in
[the GitHub Action](github-action.md#what-it-trusts).

This page is written from those tests (`python tests/attacks_page.py`).

| what is tried | what comes of it | test |
|---|---|---|
"""


def attacks(text: str, source: str) -> list[tuple[str, str, str]]:
    """What is tried, what comes of it, and the test's name, for each marked test of a module, in order.

    Raises:
        ValueError: a mark holds something else than two texts of one line each.
    """
    found = []
    for test in ast.parse(text).body:
        for mark in test.decorator_list if isinstance(test, ast.FunctionDef) else ():
            if not (isinstance(mark, ast.Call) and isinstance(mark.func, ast.Name) and mark.func.id == "attack"):
                continue
            words = [ast.literal_eval(each) for each in mark.args]
            if len(words) != 2 or not all(isinstance(each, str) and "\n" not in each for each in words):
                raise ValueError(f"{source}:{mark.lineno}: two texts of one line each are needed")
            found.append((words[0], words[1], test.name))
    return found


def page() -> str:
    """The text of the page."""
    rows = []
    for path in sorted(REPOSITORY.glob("tests/end_to_end/**/test_*.py")):
        source = path.relative_to(REPOSITORY).as_posix()
        for tried, outcome, test in attacks(path.read_text(encoding="utf-8"), source):
            link = f"[{test.removeprefix('test_').replace('_', ' ')}](../{source})"
            rows.append(f"| {tried.replace('|', '&#124;')} | {outcome.replace('|', '&#124;')} | {link} |\n")
    return HEAD + "".join(rows)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
