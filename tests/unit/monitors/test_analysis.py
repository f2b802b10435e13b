"""What Argo Rollouts and Flagger are handed: objects that they take, for a budget that says what is good enough."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

import cluster
import rules_project
from makeweight_monitors.analysis.verb import object_name
from makeweight_monitors.cli import main

ASKED = ("--prometheus", "http://prometheus:9090")


def written(folder: Path, kind: str, config: str = rules_project.CANARY, *more: str) -> dict[str, Any]:
    """By file, what the verb writes."""
    project = rules_project.measured(folder)
    (project / "makeweight.yaml").open("a").write(config)
    out = folder / "monitoring"
    assert main(["analysis", "--as", kind, *ASKED, "--project", str(project), "--out", str(out), *more]) == 0
    return {path.name: yaml.safe_load(path.read_text()) for path in out.iterdir()}


def test_argo_takes_its_template_and_waits_as_the_policy_says(tmp_path: Path) -> None:
    config = "\ncanary: {step_for: 90 s, silence_for: 100 s}\n"
    files = written(tmp_path, "argo", config, "--interval", "20", "--environment", "cluster,namespace")
    (told,) = files.values()
    assert cluster.problems(told) == []
    assert told["metadata"]["name"] == "makeweight-digits"
    assert told["spec"]["args"] == [{"name": "cluster"}, {"name": "namespace"}]
    (metric,) = told["spec"]["metrics"]
    prometheus = metric.pop("provider")["prometheus"]
    assert prometheus["address"] == "http://prometheus:9090"
    assert 'cluster="{{args.cluster}}", namespace="{{args.namespace}}"' in prometheus["query"]
    assert metric == {
        "name": "makeweight",
        "interval": "20s",
        "successCondition": "result[0] == 0",
        "failureCondition": "result[0] == 1",
        "failureLimit": 0,
        "inconclusiveLimit": 2**31 - 1,
        "consecutiveErrorLimit": 5,  # 100 s
        "consecutiveSuccessLimit": 5,  # at least 90 s
    }


def test_flagger_takes_its_template_and_the_entry(tmp_path: Path) -> None:
    files = written(tmp_path, "flagger")
    template, entry = files["makeweight.flagger.yaml"], files["makeweight.flagger.canary.yaml"]
    assert cluster.problems(template) == []
    assert template["spec"]["provider"] == {"type": "prometheus", "address": "http://prometheus:9090"}
    query = template["spec"]["query"]
    assert 'environment="{{ variables.environment }}", namespace="{{ namespace }}"' in query
    analysis = {"interval": "1m", "threshold": 5, "stepWeight": 5} | entry["spec"]["analysis"]
    canary = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {}, "spec": {"analysis": analysis}}
    assert cluster.problems(canary) == []
    (metric,) = analysis["metrics"]
    assert metric["templateRef"]["name"] == template["metadata"]["name"]
    assert (metric["thresholdRange"], metric["templateVariables"]) == ({"min": 0, "max": 0}, {"environment": ""})


def test_models_that_are_called_alike_share_no_object() -> None:
    """Of one name in a namespace, the second template takes the place of the first."""
    models = ["a-b", "a_b", "A-B", "a b", "数字", "図"]
    names = [object_name(model) for model in models]
    assert names[0] == "makeweight-a-b"
    assert len(set(names)) == len(models)
    assert all(re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name) for name in names)


def test_what_cannot_be_written(tmp_path: Path, capsys: Any) -> None:
    project = rules_project.measured(tmp_path)
    given = ["--project", str(project), "--out", str(tmp_path / "out")]
    assert main(["analysis", "--as", "argo", "--prometheus", "prometheus:9090", *given]) == 2
    assert "`prometheus:9090` is no address of a Prometheus" in capsys.readouterr().err
    text = (project / "makeweight.yaml").read_text()
    (project / "makeweight.yaml").write_text(text.replace("      max_drop: 1 pt\n", ""))
    assert main(["analysis", "--as", "argo", *ASKED, *given]) == 2
    assert "the budget states no tolerated drop in accuracy" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
