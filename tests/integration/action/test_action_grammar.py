"""What GitHub's own language service says of our expressions, actions and workflows, and of those that `init` writes.

All that is asked of it is asked in this file: loading it takes longer than answering.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from integration.action.expressions import Context, evaluate, filled, told
from integration.action.references import of_workflow
from integration.action.runner import REPOSITORY
from integration.action.test_action_page import snippets
from node import install

PACKAGES = {
    "@actions/languageservice": "0.3.61",
    "@actions/workflow-parser": "0.3.61",
    "@actions/expressions": "0.3.61",
}
Grammar = Callable[[Mapping[str, Any]], dict[str, Any]]
SHARED = [
    "'a' == 'A'",
    "'a' != 'b' && 'yes' || 'no'",
    "'' || 'fallback'",
    "'0' && 'text is true'",
    "0 || false || null || 'last'",
    "!true || !''",
    "1 < 2 && 2 <= 2 && 3 > 2 && !(3 >= 4)",
    "'1' == 1",
    "null == 0",
    "true == 1",
    "'x' == 0",
    "'it''s'",
    "format('{0}-{1}', 'a', 2)",
    "contains('Makeweight', 'WEIGHT')",
    "contains(fromJSON('[1, 2]'), 2)",
    "startsWith('abc', 'AB') && endsWith('abc', 'BC')",
    "join(fromJSON('[1, \"b\"]'), '+')",
    "toJSON(fromJSON('{\"a\": [1, true, null]}'))",
    "1.50",
    "(1 == 1) == true",
]


@pytest.fixture(scope="module")
def grammar() -> Iterator[Grammar]:
    """Asks GitHub's language service; see grammar.mjs for what may be asked."""
    here = Path(__file__).with_name("grammar.mjs")
    command = ["node", str(install("actions", PACKAGES, here) / here.name)]
    # loading it takes longer than most answers; it ends with its standard input
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as service:

        def ask(question: Mapping[str, Any]) -> dict[str, Any]:
            assert service.stdin is not None
            assert service.stdout is not None
            print(json.dumps(question), file=service.stdin, flush=True)
            told = service.stdout.readline()
            assert told, service.communicate()[1]
            answer: dict[str, Any] = json.loads(told)
            return answer

        yield ask


def test_as_github_evaluates(grammar) -> None:
    theirs = grammar({"expressions": SHARED})["values"]
    assert [told(evaluate(each, Context({}))) for each in SHARED] == theirs


def test_github_can_read_them(grammar, ours: dict[str, str]) -> None:
    answer = grammar({"documents": ours, "files": ours})
    assert answer == {name: [] for name in ours}


def test_github_would_object(grammar, ours: dict[str, str]) -> None:
    """What the test above stands on: a misspelt input of ours, a missing shell and an unknown function are seen."""
    broken = {
        ".github/workflows/makeweight.yml": ours[".github/workflows/makeweight.yml"].replace("extras:", "extra:"),
        ".github/workflows/comment.yml": ours[".github/workflows/comment.yml"].replace("extras:", "extra:"),
        ".github/workflows/continuous-compression.yml": ours[".github/workflows/continuous-compression.yml"].replace(
            "fromJSON(inputs.runner)", "fromJSN(inputs.runner)"
        ),
        "action.yml": ours["action.yml"].replace("      shell: bash\n", "", 1),
    }
    answer = grammar({"documents": broken, "files": ours})
    assert "Invalid action input 'extra'" in answer[".github/workflows/comment.yml"][0]
    assert "Unrecognized function: 'fromJSN'" in answer[".github/workflows/continuous-compression.yml"][0]
    assert "Required property is missing: shell" in answer["action.yml"][0]


def asked(documents: dict[str, str], repository: str = "OWNER/REPO") -> dict[str, object]:
    """A question to GitHub's language service, with our actions where the documents look for them."""
    texts = {name: (REPOSITORY / name).read_text() for name in ("action.yml", "setup/action.yml")}
    called = ".github/workflows/continuous-compression.yml"
    actions = {repository: texts["action.yml"], f"{repository}/setup": texts["setup/action.yml"]}
    actions[f"{repository}/{called}"] = (REPOSITORY / called).read_text()
    return {"documents": documents, "files": texts, "actions": actions}


def test_the_snippets_are_workflows(grammar) -> None:
    found = snippets()
    assert len(found) == 3
    assert grammar(asked(found)) == {name: [] for name in found}
    assert {name: of_workflow(text) for name, text in found.items()} == {name: [] for name in found}


def test_a_misspelt_input_in_a_snippet_is_seen(grammar) -> None:
    broken = {name: text.replace("requirements:", "requirement:") for name, text in snippets().items()}
    one, _, called = grammar(asked(broken)).values()
    assert "Invalid action input 'requirement'" in one[0]
    assert called
    assert sum(bool(of_workflow(text)) for text in broken.values()) == 2


@pytest.mark.parametrize("folder", [".", "models/a", "models/my model: #1", "-x", "ünï", "123", "null", "it's"])
def test_what_is_written_can_be_read(written, grammar, folder: str) -> None:
    pinned = f"somebody/weights@{'0123456789' * 4}"
    texts = {str(path): text for path, text in written(pinned, folder, lock="requirements.txt", branch="trunk").items()}
    assert grammar(asked(texts, "somebody/weights")) == {name: [] for name in texts}
    whole, comment = (yaml.load(text, yaml.CSafeLoader) for text in texts.values())
    (job,) = whole["jobs"].values()
    step = job["steps"][-1]
    assert step["uses"] == pinned
    assert step["with"]["project"] == folder
    assert step["with"]["requirements"] == ("requirements.txt" if folder == "." else f"{folder}/requirements.txt")
    name = "makeweight" if folder == "." else f"makeweight ({folder})"
    assert whole["name"] == name
    assert filled(job["name"], Context({"github": {"event": {"action": "opened"}}})) == name
    assert comment[True]["workflow_run"]["workflows"] == [whole["name"]]
    assert comment["jobs"]["comment"]["steps"][1]["uses"] == pinned.replace("@", "/setup@")
    assert whole[True]["push"]["branches"] == ["trunk"]
