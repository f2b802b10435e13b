"""docs/github-action.md and the workflows that `makeweight init --github` writes say what is so."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from integration.action.conftest import CONFIG
from integration.action.expressions import Context, filled, holds
from integration.action.runner import REPOSITORY
from makeweight.starter.arguments import Given
from makeweight.verbs import init
from makeweight_base.errors import UsageError

PAGE = REPOSITORY / "docs" / "github-action.md"


def snippets() -> dict[str, str]:
    """The workflows on the page, as files of a repository."""
    blocks = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    found = [block for block in blocks if block.startswith("name:")]
    return {f".github/workflows/snippet-{number}.yml": block for number, block in enumerate(found)}


def table(head: str) -> list[list[str]]:
    lines = PAGE.read_text().split(head, 1)[1].split("\n\n", 1)[0].splitlines()
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines if line.startswith("| `")]


def shown(default: str) -> str:
    quoted = json.dumps(default) if " " in default and "${{" not in default else default
    return f"`{quoted}`" if default else "empty"


def test_the_tables_are_those_of_the_action() -> None:
    said = yaml.load((REPOSITORY / "action.yml").read_text(), yaml.CSafeLoader)
    inputs = [[f"`{name}`", shown(each["default"]), each["description"]] for name, each in said["inputs"].items()]
    assert table("| input | default | |\n") == inputs
    outputs = [[f"`{name}`", each["description"]] for name, each in said["outputs"].items()]
    assert table("| output | |\n") == outputs


def test_the_snippets_are_what_is_written(written) -> None:
    """But for comments and names of steps."""
    page = list(snippets().values())
    for text, shown in zip(written("OWNER/REPO").values(), (page[0], page[1]), strict=True):
        mine, theirs = yaml.load(text, yaml.CSafeLoader), yaml.load(shown, yaml.CSafeLoader)
        assert mine[True] == theirs[True]
        for (name, job), (other, said) in zip(mine["jobs"].items(), theirs["jobs"].items(), strict=True):
            assert name == other
            assert job["permissions"] == said["permissions"]
            assert [step.get("uses") for step in job["steps"]] == [step.get("uses") for step in said["steps"]]
            assert [step.get("run") for step in job["steps"]] == [step.get("run") for step in said["steps"]]


def test_the_relay_is_the_one_that_we_use(written) -> None:
    own = yaml.load((REPOSITORY / ".github" / "workflows" / "comment.yml").read_text(), yaml.CSafeLoader)
    (theirs,) = (
        yaml.load(text, yaml.CSafeLoader) for path, text in written("OWNER/REPO").items() if "comment" in path.name
    )
    for mine, other in zip(own["jobs"]["comment"]["steps"], theirs["jobs"]["comment"]["steps"], strict=True):
        assert mine.get("with") == other.get("with")
        assert mine.get("run") == other.get("run")
    assert own["jobs"]["comment"]["permissions"] == theirs["jobs"]["comment"]["permissions"]


@pytest.mark.parametrize(
    ("event", "judged"),
    [
        ({"action": "opened"}, True),
        ({"action": "synchronize"}, True),
        ({"action": "edited", "changes": {"base": {"ref": {"from": "main"}, "sha": {"from": "b" * 40}}}}, True),
        ({"action": "edited", "changes": {"title": {"from": "x"}, "base": {"ref": {"from": "main"}}}}, True),
        ({"action": "edited", "changes": {"title": {"from": "x"}}}, False),
        ({"action": "edited", "changes": {"body": {"from": "x"}}}, False),
        ({"action": "checks_requested"}, True),
        ({"ref": "refs/heads/main"}, True),
    ],
    ids=["opened", "pushed to", "retargeted", "both", "title", "text", "merge group", "push"],
)
def test_an_edit_of_words_is_not_judged_and_answers_for_no_check_that_is_required(
    written, event: dict[str, object], judged: bool
) -> None:
    """It has a check of another name, in a group of its own: what is required stays as the run before left it."""
    own = (REPOSITORY / ".github" / "workflows" / "makeweight.yml").read_text()
    snippet = snippets()[".github/workflows/snippet-0.yml"]
    for text in (next(iter(written("o/r").values())), own, snippet):
        said = yaml.load(text, yaml.CSafeLoader)
        assert said[True]["pull_request"] == {"types": ["opened", "synchronize", "reopened", "edited"]}
        facts = {"event": event, "event_name": "pull_request", "workflow": "w", "ref": "refs/pull/7/merge"}
        groups, names = set(), set()
        for number in ("41", "42"):
            context = Context({"github": {**facts, "run_id": number}})
            groups.add(filled(said["concurrency"]["group"], context))
            names.add(filled(said["jobs"]["makeweight"]["name"], context))
        assert "if" not in said["jobs"]["makeweight"]
        assert (names == {"makeweight"}) is judged
        assert len(groups) == (1 if judged else 2)
        assert [holds(step["if"], context) for step in said["jobs"]["makeweight"]["steps"]] == [judged, judged]


def test_what_is_written_is_safe(written, tmp_path: Path) -> None:
    for path, text in written(f"somebody/weights@{'0123456789' * 4}").items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        # as somebody who pins would have it
        (tmp_path / path).write_text(re.sub(r"(uses: somebody\S+)", r"\1 # v0.1.0", text))
    done = subprocess.run(
        [str(Path(sys.executable).parent / "zizmor"), "--offline", "--pedantic", "--quiet", str(tmp_path / ".github")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_what_is_installed_fits_the_model(written) -> None:
    torch = CONFIG.replace("{onnx: model.onnx}", "{build: 'a:b', weights: w.pt, inputs: {x: [N, 3]}}")
    program = CONFIG.replace("{onnx: model.onnx}", "{pt2: net.pt2, inputs: {x: [N, 3]}}")
    boxes = torch + "task: detection\n"
    phone = CONFIG + "devices: {phone: {kind: adb, benchmark: {onnxruntime: perf}}}\n"
    for config, extras in (
        (CONFIG, "dvc,onnx"),
        (torch, "dvc,torch"),
        (program, "dvc,torch"),
        (boxes, "dvc,torch,detection"),
        (phone, "dvc,onnx,adb"),
    ):
        whole = yaml.load(next(iter(written("o/r", config=config).values())), yaml.CSafeLoader)
        assert whole["jobs"]["makeweight"]["steps"][-1]["with"]["extras"] == extras


def test_projects_of_one_repository_share_nothing(written) -> None:
    one, other = written("o/r", "a"), written("o/r", "b")
    assert not set(one) & set(other)
    assert not {yaml.load(text, yaml.CSafeLoader)["name"] for text in one.values()} & {
        yaml.load(text, yaml.CSafeLoader)["name"] for text in other.values()
    }


def test_projects_whose_folders_are_called_alike_share_no_file(written, tmp_path: Path) -> None:
    """Else that of the second would be kept as it is, and the second project never judged."""
    folders = ["a-b", "a_b", "a/b", "comment", "."]
    planned = {}
    for folder in folders:
        planned[folder] = written("o/r", folder)
        for path, text in planned[folder].items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
    assert len({path for files in planned.values() for path in files}) == 2 * len(folders)
    assert {folder: written("o/r", folder) for folder in folders} == planned, "a second run changes nothing"
    assert [next(iter(planned[folder])).name for folder in ("a-b", ".")] == ["makeweight-a-b.yml", "makeweight.yml"]


def test_projects_whose_folders_have_no_ascii_share_nothing_either(written) -> None:
    names = [path.name for folder in (".", "数字", "図", "größe") for path in written("o/r", folder)]
    assert len(set(names)) == len(names) == 8
    assert all(name.isascii() for name in names)


def test_no_place_is_asked_for(written) -> None:
    with pytest.raises(UsageError, match=r"where the Action lives is not said(?s:.*)as OWNER/REPO or OWNER/REPO@REF"):
        written("")


@pytest.mark.parametrize("where", ["makeweight", "a/b/c", "https://example.org/a/b", "a/b@", "a/b@c d", "a /b"])
def test_a_place_that_is_none(written, where: str) -> None:
    with pytest.raises(UsageError, match="does not say where the Action lives"):
        written(where)


def test_without_a_ref_it_follows_the_major_version(written) -> None:
    assert "uses: o/r@v0\n" in next(iter(written("o/r").values()))


class Said(list[str]):
    """Progress that is kept."""

    def say(self, text: str) -> None:
        self.append(text)

    def over(self, items, label, total=None):
        yield from items


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, preloaded_dvc: None) -> Path:
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    subprocess.run(["git", "init", "--quiet", "-b", "main"], cwd=tmp_path, check=True)
    (tmp_path / "makeweight.yaml").write_text(CONFIG)
    return tmp_path


def set_up(root: Path, where: str, branch: str | None = "main") -> str:
    said = Said()
    init.run(root, Given(), said, github=where, branch=branch)
    return "\n".join(said)


def test_init_writes_them_once(repository: Path) -> None:
    said = set_up(repository, "o/r")
    folder = repository / ".github" / "workflows"
    texts = {path.name: path.read_text() for path in folder.iterdir()}
    assert set(texts) == {"makeweight.yml", "makeweight-comment.yml"}
    assert ".github/workflows/makeweight.yml: written" in said
    assert "Require status checks to pass` and `makeweight` among them" in said
    assert "A check that is not required blocks nothing" in said
    again = set_up(repository, "o/r")
    assert "nothing to change" in again
    assert {path.name: path.read_text() for path in folder.iterdir()} == texts


def test_init_keeps_what_is_somebodys(repository: Path) -> None:
    file = repository / ".github" / "workflows" / "makeweight.yml"
    file.parent.mkdir(parents=True)
    file.write_text("name: mine\n")
    said = set_up(repository, "o/r")
    assert ".github/workflows/makeweight.yml: kept as it is; delete it to have it written anew" in said
    assert ".github/workflows/makeweight-comment.yml: written" in said
    assert file.read_text() == "name: mine\n"


def test_init_of_a_wrong_place_writes_nothing(repository: Path) -> None:
    before = sorted(path for path in repository.rglob("*") if ".git" not in path.parts)
    with pytest.raises(UsageError, match="does not say where the Action lives"):
        set_up(repository, "nowhere")
    assert sorted(path for path in repository.rglob("*") if ".git" not in path.parts) == before


def test_workflows_belong_to_git(tmp_path: Path) -> None:
    (tmp_path / "makeweight.yaml").write_text(CONFIG)
    with pytest.raises(UsageError, match="workflows belong to a git repository"):
        set_up(tmp_path, "o/r")
    assert [path.name for path in tmp_path.iterdir()] == ["makeweight.yaml"]


def origin_of(repository: Path, at: Path, branch: str) -> None:
    """An `origin` whose default branch this is, pushed to and not cloned from; a feature is checked out."""
    subprocess.run(["git", "init", "--quiet", "--bare", "-b", branch, str(at)], check=True)
    for command in (
        ("commit", "--quiet", "--allow-empty", "-m", "x"),
        ("remote", "add", "origin", str(at)),
        ("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}"),
        ("checkout", "--quiet", "-b", "a-feature"),
    ):
        who = ("-c", "user.name=dev", "-c", "user.email=dev@example.org")
        subprocess.run(["git", *who, *command], cwd=repository, check=True)


@pytest.mark.parametrize("noted", [True, False], ids=["as a clone has it noted", "asked of the remote"])
def test_the_default_branch_is_the_remotes(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, noted: bool
) -> None:
    origin = tmp_path_factory.mktemp("origin")
    origin_of(repository, origin, "release/trunk")
    if noted:
        subprocess.run(["git", "remote", "set-head", "origin", "release/trunk"], cwd=repository, check=True)
        subprocess.run(["git", "remote", "set-url", "origin", "/nowhere"], cwd=repository, check=True)
    said = set_up(repository, "o/r", branch=None)
    assert "a ruleset for `release/trunk`" in said
    written = yaml.load((repository / ".github/workflows/makeweight.yml").read_text(), yaml.CSafeLoader)
    assert written[True]["push"]["branches"] == ["release/trunk"]


def test_the_branch_that_is_checked_out_is_never_taken_for_the_default(repository: Path) -> None:
    before = sorted(path for path in repository.rglob("*") if ".git" not in path.parts)
    with pytest.raises(UsageError, match=r"the default branch is not known(?s:.*)as in `--branch main`"):
        set_up(repository, "o/r", branch=None)
    assert sorted(path for path in repository.rglob("*") if ".git" not in path.parts) == before
    assert "a ruleset for `trunk`" in set_up(repository, "o/r", branch="trunk")


def test_a_branch_without_a_workflow_is_refused(repository: Path) -> None:
    with pytest.raises(UsageError, match=r"--branch: a branch is named(?s:.*)Add --github"):
        init.run(repository, Given(), Said(), branch="main")
