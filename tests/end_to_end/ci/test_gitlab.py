"""A merge request on GitLab: judged by the same verb, told by a note and two report files."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

from end_to_end.ci.conftest import Hub
from end_to_end.ci.test_comments import TIGHT
from end_to_end.ci.test_events import write
from integration.gitlab.server import Gitlab, running
from integration.gitlab.test_gitlab_page import documented


def job(hub: Hub, gitlab: Gitlab, branch: str, name: str) -> tuple[Path, str]:
    """What GitLab's runner does for a merge request of a branch: its folder, and how it ended."""
    place = hub.folder / name
    hub.git("clone", "-q", f"file://{hub.origin}", str(place))
    hub.git("checkout", "-q", "--detach", f"origin/{branch}", cwd=place)
    head = hub.git("rev-parse", "HEAD", cwd=place)
    variables = {
        "CI": "true",
        "GITLAB_CI": "true",
        "CI_PIPELINE_SOURCE": "merge_request_event",
        "CI_API_V4_URL": gitlab.url,
        "CI_SERVER_URL": "https://gitlab.test",
        "CI_PROJECT_PATH": gitlab.project,
        "CI_DEFAULT_BRANCH": "main",
        "CI_COMMIT_SHA": head,
        "CI_JOB_URL": f"https://gitlab.test/{gitlab.project}/-/jobs/1",
        "CI_MERGE_REQUEST_IID": "7",
        "CI_MERGE_REQUEST_EVENT_TYPE": "detached",
        "CI_MERGE_REQUEST_PROJECT_PATH": gitlab.project,
        "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": gitlab.project,
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": hub.git("merge-base", "HEAD", "origin/main", cwd=place),
        "MAKEWEIGHT_GITLAB_TOKEN": gitlab.token,
    }
    at_gitlab = Hub(hub.folder, {**hub.environment, **variables}, hub.github)
    command = documented()["script"][-1]
    said = at_gitlab.run("bash", "-c", f'{command} --comment=on-failure; echo "ended with $?"', cwd=place)
    return place, said.splitlines()[-1]


def test_a_merge_request_is_judged_and_told(hub: Hub) -> None:
    with running(Gitlab()) as gitlab:
        hub.change("change", hub.config(TIGHT))
        place, ended = job(hub, gitlab, "change", "tight")
        assert ended == "ended with 1"
        (note,) = gitlab.notes
        assert "blocked" in note["body"].splitlines()[1]
        assert f"https://gitlab.test/{gitlab.project}/-/jobs/1" in note["body"]
        (mark,) = json.loads((place / "gl-code-quality-report.json").read_text())
        assert mark["location"] == {"path": "makeweight.yaml", "lines": {"begin": hub.line(TIGHT[1])}}
        cases = ElementTree.parse(place / "junit.xml").getroot()  # noqa: S314 - of our own
        assert [each.get("name") for each in cases.iter("testcase") if each.find("failure") is not None] == [
            "verdict",
            "size.max_ratio",
        ]
        assert (place / ".makeweight/reports/report.html").exists()

        hub.change("change", hub.config(("  size:\n", "  sise:\n")))
        place, ended = job(hub, gitlab, "change", "slip")
        assert ended == "ended with 2"
        (note,) = gitlab.notes
        assert "not judged" in note["body"].splitlines()[1]
        assert json.loads((place / "gl-code-quality-report.json").read_text())[0]["location"]["lines"][
            "begin"
        ] == hub.line("  sise:")
        assert ElementTree.parse(place / "junit.xml").getroot().get("errors") == "1"  # noqa: S314 - of our own

        hub.change("change", write("README.md", "words\n"))
        _, ended = job(hub, gitlab, "change", "mended")
        assert ended == "ended with 0"
        assert [each["id"] for each in gitlab.notes] == [note["id"]]
        assert "passed" in gitlab.notes[0]["body"].splitlines()[1]
    assert hub.github.requests == []
