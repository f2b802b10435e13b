"""docs/monitors/kubernetes.md: its manifests are what Argo and KServe take, its Role is what is needed and no more, and
its command is one of the command line.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import cluster
import rules_project
from makeweight.project import reading
from makeweight_monitors import cli
from makeweight_monitors.rollback import declared, verb
from makeweight_monitors.rollback.case import Canary
from makeweight_monitors.rollback.controller import Controller

PAGE = rules_project.REPOSITORY / "docs/monitors/kubernetes.md"
SHA = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


SNIPPETS = [yaml.load(text, yaml.CSafeLoader) for text in blocks("yaml")]
MANIFESTS = {told["kind"]: told for told in SNIPPETS if "kind" in told}
CONFIGS = [text for text in blocks("yaml") if text.startswith("canary:")]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[cluster.ApiServer]:
    with cluster.running() as server:
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig(tmp_path / "kubeconfig")))
        server.role = MANIFESTS["Role"]["rules"]
        yield server


def controller(folder: Path, config: str) -> Controller:
    """As the page's command makes it."""
    project = rules_project.measured(folder)
    (project / "makeweight.yaml").open("a").write(f"\n{config}")
    (command,) = [text for text in blocks("sh") if "--lease" in text]
    arguments = shlex.split(command.replace("http://localhost:9090", "http://127.0.0.1:1"))[1:]
    return verb._controller(cli._parser().parse_args([*arguments, "--project", str(project)]))


def test_the_manifests_and_the_configuration_are_what_is_taken(server: cluster.ApiServer, tmp_path: Path) -> None:
    for told, act in ((MANIFESTS["Rollout"], cluster.argo), (MANIFESTS["InferenceService"], cluster.kserve)):
        told = {
            **told,
            "status": cluster.rollout(SHA)["status"]
            if act is cluster.argo
            else cluster.inference_service(SHA)["status"],
        }
        server.put(told, act)
    text = (rules_project.REPOSITORY / "makeweight.yaml").read_text()
    for config in CONFIGS:
        target = declared.target(reading.understand(f"{text}\n{config}", "makeweight.yaml", tmp_path))
        assert (target.get().share, target.get().sha256) == (0.05, SHA)
    assert len(CONFIGS) == 2


def test_the_role_is_what_is_needed_and_no_more(server: cluster.ApiServer, tmp_path: Path) -> None:
    server.put(cluster.rollout(SHA), cluster.argo)
    server.put(cluster.inference_service(SHA), cluster.kserve)
    one = controller(tmp_path, CONFIGS[0])
    assert one.tick().leads
    assert server.objects["leases", "digits"]["spec"]["leaseDurationSeconds"] == 30
    assert one.lease.take()  # once more, now that it is there
    for told, project in zip(CONFIGS, (tmp_path / "a", tmp_path / "b"), strict=True):
        project.mkdir()
        text = (rules_project.REPOSITORY / "makeweight.yaml").read_text()
        target = declared.target(reading.understand(f"{text}\n{told}", "makeweight.yaml", project))
        target.set(target.get(), 1.0 if "kserve" in told else 0.25)
        target.verify(1.0 if "kserve" in told else 0.25)
        target.finalize(Canary("", "digits", SHA), "kserve" in told, "")
        target.set(target.get(), 0.0)
    one.lease.give_back()
    one.journal.close()
    needed = {
        (group, resource, what)
        for rule in MANIFESTS["Role"]["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for what in rule["verbs"]
    }
    assert set(server.used) == needed


def test_a_dry_run_leaves_the_lease_to_those_who_act(server: cluster.ApiServer, tmp_path: Path) -> None:
    project = rules_project.measured(tmp_path)
    (project / "makeweight.yaml").open("a").write(f"\n{CONFIGS[0]}")
    given = ["rollback", "--prometheus", "http://127.0.0.1:1", "--lease", "digits", "--dry-run"]
    one = verb._controller(cli._parser().parse_args([*given, "--project", str(project)]))
    assert one.lease.take()
    assert server.used == []
    one.lease.give_back()
    one.journal.close()


def test_the_commands_for_argo_and_flagger_write_what_the_page_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(rules_project.measured(tmp_path))
    (commands,) = [text for text in blocks("sh") if "analysis" in text]
    for command in commands.splitlines():
        assert cli.main(shlex.split(command)[1:]) == 0
    names = {path.name for path in (tmp_path / "monitoring").iterdir()}
    assert names == {"makeweight.argo.yaml", "makeweight.flagger.yaml", "makeweight.flagger.canary.yaml"}
    assert all(name in PAGE.read_text() for name in names)
    template = yaml.load((tmp_path / "monitoring" / "makeweight.argo.yaml").read_text(), yaml.CSafeLoader)
    (steps,) = [told["steps"] for told in SNIPPETS if "steps" in told]
    told = cluster.rollout(SHA)
    told["spec"]["strategy"]["canary"]["steps"] = steps
    assert cluster.problems(told) == []
    analysis = steps[1]["analysis"]
    assert analysis["templates"] == [{"templateName": template["metadata"]["name"]}]
    assert [one["name"] for one in analysis["args"]] == [one["name"] for one in template["spec"]["args"]]
