"""What the documentation shows is what happens: its commands are run, in order, as a reader would."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import makeweight.cli
import makeweight_monitors.cli
from makeweight.project.reading import understand

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [
    *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((REPOSITORY / "docs").rglob("*.md")),
    *sorted((REPOSITORY / "examples").glob("*/README.md")),
]
PROGRAMS = {"makeweight": makeweight.cli._parser, "makeweight-monitors": makeweight_monitors.cli._parser}
FENCE = re.compile(r"^```(\w+)?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    language: str
    exits: int
    body: str


def blocks(page: Path) -> Iterator[Block]:
    for language, more, body in FENCE.findall(page.read_text()):
        exits = re.search(r"exits=(\d+)", more)
        yield Block(language, int(exits[1]) if exits else 0, body)


def run(page: str, shell, folder: Path, begun: Callable[[], None] = lambda: None) -> list[str]:
    """What each command of a page says; it ends as the page says it does.

    Args:
        begun: is called after the one that begins a project.
    """
    outputs = []
    for block in blocks(REPOSITORY / "docs" / page):
        if block.language != "sh":
            continue
        done = shell(block.body, folder)
        assert done.returncode == block.exits, f"{block.body}\n{done.stdout}"
        assert "Traceback" not in done.stdout, done.stdout
        if "makeweight init" in block.body:
            begun()
        outputs.append(done.stdout)
    return outputs


@pytest.fixture(scope="module")
def first_project(shell, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The folder that a reader of the first page has at its end, and what the commands said; one process measures, for
    a second.
    """
    folder = tmp_path_factory.mktemp("first-project")
    script = next(block.body for block in blocks(REPOSITORY / "docs/first-project.md") if block.language == "python")
    (folder / "make_model.py").write_text(script)

    def shorter() -> None:
        text = (folder / "makeweight.yaml").read_text()
        mended = text.replace("{kind: local, threads: 1}", "{kind: local, threads: 1, processes: 1, seconds: 1}")
        assert mended != text
        (folder / "makeweight.yaml").write_text(mended)

    return folder, run("first-project.md", shell, folder, shorter)


@pytest.mark.slow
def test_the_first_project_goes_as_written(first_project: tuple[Path, list[str]]) -> None:
    _, outputs = first_project
    assert len(outputs) >= 6
    unchanged = outputs[3]
    assert re.findall(r"Running stage '([^']+)'", unchanged) == ["device@local"], unchanged
    tightened = outputs[4]
    assert set(re.findall(r"Running stage '([^']+)'", tightened)) == {"device@local", "report", "gate"}, tightened


@pytest.mark.slow
def test_the_page_on_evidence_goes_as_written(first_project: tuple[Path, list[str]], shell, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(first_project[0], folder, symlinks=True)
    outputs = run("evidence.md", shell, folder)
    last = [said.splitlines()[-1] for said in outputs]
    assert last[1].startswith("consistent, and nothing more: ")
    assert "reports/verdict.json.sig: signed by sha256:" in last[2]
    assert last[3].startswith("genuine: ")
    assert last[4].startswith("FORGED: ")
    assert "it is not the file that was signed" in outputs[4]
    assert last[5].startswith("genuine: ")
    assert last[6] == "Signature Verified Successfully"
    recorded = json.loads((folder / "reports/verdict.json").read_text())["provenance"]
    page = (REPOSITORY / "docs/evidence.md").read_text()
    assert set(recorded) <= set(re.findall(r"`(\w+)`", page.split("| `provenance.` |")[1].split("Each measurement")[0]))


@pytest.mark.slow
def test_the_page_on_advice_goes_as_written(first_project: tuple[Path, list[str]], shell, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(first_project[0], folder, symlinks=True)
    [said] = run("advice.md", shell, folder)
    assert "Where the bytes are" in said
    assert "No technique here is expected to reach the budget" in said


def test_the_configuration_in_the_readme_is_one() -> None:
    (example,) = [block.body for block in blocks(REPOSITORY / "README.md") if block.language == "yaml"]
    project = understand(example, "README.md", REPOSITORY)
    assert set(project.variants) == {"int8", "slim-int8"}


def test_the_readme_names_targets_that_exist() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = set()
    for page in (REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md"):
        named |= set(re.findall(r"\bmake ([a-z-]+)\b", page.read_text()))
    assert {"demo", "test"} <= named
    assert named <= targets


def test_every_verb_that_is_named_exists(shell) -> None:
    for program in PROGRAMS:
        named = {verb for page in PAGES for verb in re.findall(rf"`{program} ([a-z]+)", page.read_text())}
        known = set(re.findall(r"^    ([a-z]+)\b", shell(f"{program} --help", REPOSITORY).stdout, re.MULTILINE))
        assert named
        assert named <= known


def calls(page: Path) -> Iterator[list[str]]:
    """Each call of a program of ours that a page shows in a block of its own, as words."""
    for block in blocks(page):
        if block.language in ("", "sh"):
            for line in block.body.replace("\\\n", " ").splitlines():
                if line.split(" ")[0] in PROGRAMS:
                    yield shlex.split(line, comments=True)


def test_every_call_that_is_shown_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    """Those of blocks that no test runs too."""
    shown = [(page, words) for page in PAGES for words in calls(page)]
    assert len(shown) > 40
    for page, (program, *arguments) in shown:
        try:
            PROGRAMS[program]().parse_args(arguments)
        except SystemExit:
            pytest.fail(f"{page.name}: {' '.join(arguments)}: {capsys.readouterr().err}")


def anchors(page: Path) -> set[str]:
    """What GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target, heading in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", FENCE.sub("", page.read_text())):
            there = page.parent / target if target else page
            assert there.exists(), f"{page.name} links to {target}"
            assert not heading or heading in anchors(there), f"{page.name} links to {target}#{heading}"
