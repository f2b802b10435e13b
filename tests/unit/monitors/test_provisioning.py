"""Files that Grafana is provisioned with: of the form that it documents, and of the rules that Prometheus has."""

from __future__ import annotations

import functools
import re
from typing import Any, Literal

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from dashboards_project import BUDGETS, files, loaded, panels
from makeweight_monitors.dashboards import generate, managed
from makeweight_monitors.rules import generate as rules
from makeweight_monitors.rules import names
from makeweight_monitors.rules.rule import EVIDENCE, Alert, Comparison

# The format as grafana.com/docs has it ("Provision Grafana", "Use configuration files to provision alerting
# resources"): no key that it does not name, and none missing.


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class Span(Strict):
    start: int = Field(alias="from", gt=0)
    to: int = Field(ge=0)


class Query(Strict):
    ref_id: str
    datasource_uid: str
    relative_time_range: Span
    model: dict[str, Any]


class Rule(Strict):
    uid: str = Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")
    title: str = Field(min_length=1, max_length=190)
    condition: str
    data: list[Query] = Field(min_length=1)
    dashboard_uid: str | None = None
    panel_id: int | None = None
    no_data_state: Literal["NoData", "Alerting", "OK", "KeepLast"]
    exec_err_state: Literal["Error", "Alerting", "OK", "KeepLast"]
    hold: str = Field(alias="for", pattern=r"^\d+[smhd]$")
    annotations: dict[str, str]
    labels: dict[str, str]
    is_paused: bool


class RuleGroup(Strict):
    org_id: int
    name: str = Field(min_length=1)
    folder: str = Field(min_length=1, pattern="^[^/]+$")
    interval: str = Field(pattern=r"^[1-9]\d*0s$")
    """A multiple of ten seconds, which is how often Grafana looks."""
    rules: list[Rule] = Field(min_length=1)


class AlertFile(Strict):
    api_version: Literal[1]
    groups: list[RuleGroup]


class DataSource(Strict):
    name: str
    uid: str
    type: Literal["prometheus"]
    access: Literal["proxy"]
    org_id: int
    url: str = Field(pattern="^https?://")
    json_data: dict[str, Any]
    editable: bool


class DataSourceFile(Strict):
    api_version: Literal[1]
    datasources: list[DataSource]


class ProviderOptions(Strict):
    path: str = Field(pattern="^/")
    folders_from_files_structure: bool


class Provider(Strict):
    name: str
    org_id: int
    folder: str
    type: Literal["file"]
    disable_deletion: bool
    update_interval_seconds: int = Field(gt=10)
    allow_ui_updates: bool
    options: ProviderOptions


class ProviderFile(Strict):
    api_version: Literal[1]
    providers: list[Provider]


@functools.cache
def provisioned(budget: str) -> dict[str, Any]:
    """What is in each file of the provisioning, by the kind of thing."""
    made, kinds = files(BUDGETS[budget]), ("datasources", "dashboards", "alerting")
    texts = {kind: made[generate.PROVISIONING / kind / "makeweight.yaml"] for kind in kinds}
    return {kind: yaml.load(text, yaml.CSafeLoader) for kind, text in texts.items()}


@pytest.mark.parametrize("budget", BUDGETS)
def test_provisioning_has_the_form_that_grafana_documents(budget: str) -> None:
    terms = BUDGETS[budget]
    (source,) = DataSourceFile.model_validate(provisioned(budget)["datasources"]).datasources
    assert (source.uid, source.url) == ("source", "http://prometheus:9090")
    (provider,) = ProviderFile.model_validate(provisioned(budget)["dashboards"]).providers
    assert provider.options.path == "/dashboards"
    found = AlertFile.model_validate(provisioned(budget)["alerting"])
    every = [rule for group in found.groups for rule in group.rules]
    for values in ([rule.uid for rule in every], [rule.title for rule in every]):
        assert len(set(values)) == len(values)
    shown = {(one["uid"], panel["id"]) for one in loaded(terms).values() for panel in panels(one)}
    for rule in every:
        question, threshold = rule.data
        assert (question.ref_id, question.datasource_uid, question.model["refId"]) == ("A", "source", "A")
        assert question.model["instant"] is True
        assert (threshold.ref_id, threshold.datasource_uid, threshold.model["type"]) == ("C", "__expr__", "threshold")
        assert (threshold.model["expression"], rule.condition) == ("A", "C")
        (condition,) = threshold.model["conditions"]
        assert condition["evaluator"]["type"] in ("gt", "lt")
        assert len(condition["evaluator"]["params"]) == 1
        assert not any("$value " in text or "${" in text for text in rule.annotations.values())
        for text in (rule.title, *rule.labels.values()):
            assert "$" not in text.replace("$$", ""), "Grafana would look for a variable of the environment"
        if rule.panel_id is not None:
            assert (rule.dashboard_uid, rule.panel_id) in shown
            assert rule.annotations["__dashboardUid__"] == rule.dashboard_uid
            assert rule.annotations["__panelId__"] == str(rule.panel_id)


@pytest.mark.parametrize("budget", BUDGETS)
def test_grafana_has_every_alert_that_prometheus_has(budget: str) -> None:
    terms = BUDGETS[budget]
    theirs = [alert for group in rules.groups(terms) for alert in group.rules if isinstance(alert, Alert)]
    ours = [rule for group in provisioned(budget)["alerting"]["groups"] for rule in group["rules"]]
    assert [rule["title"].split(" ")[0] for rule in ours] == [alert.name for alert in theirs]
    for rule, alert in zip(ours, theirs, strict=True):
        assert rule["for"] == alert.hold
        assert rule["labels"]["kind"] == alert.level.kind
        assert rule["annotations"]["summary"] == alert.summary
    unseen = {rule["title"] for rule in ours if "panelId" not in rule}
    assert unseen == {names.WATCHDOG, names.COUNTER_POISONED}


def test_a_comparison_becomes_a_value_and_its_line() -> None:
    def asked(condition: Comparison | str) -> managed.Asked:
        return managed.asked(Alert("X", condition, EVIDENCE, "", ""), "m")

    assert asked(Comparison("a", ">", 4000.0)) == managed.Asked("a", "gt", 4000)
    assert asked(Comparison("a", "<", 0.5)) == managed.Asked("a", "lt", 0.5)
    assert asked(Comparison("a", "==", 0)) == managed.Asked("a == bool 0", "gt", 0)
    assert asked("a > 1 unless b > 2") == managed.Asked("a > 1 unless b > 2", "gt", 0)


def test_prometheus_and_grafana_compare_with_the_same_number() -> None:
    """A line such as 0.1 + 0.2 is written with twelve figures, in both."""
    compared = Comparison("a", ">", 0.1 + 0.2)
    assert str(compared) == "a > 0.3"
    assert managed.asked(Alert("X", compared, EVIDENCE, "", ""), "m").line == 0.3


@pytest.mark.parametrize("budget", BUDGETS)
def test_what_is_asked_whole_is_no_comparison_with_a_number(budget: str) -> None:
    """One that is written out as text would show nothing in Grafana while it does not fire."""
    for alert in (one for group in rules.groups(BUDGETS[budget]) for one in group.rules if isinstance(one, Alert)):
        if isinstance(alert.condition, str):
            several = re.search(r"\b(and|or|unless)\b|^absent|^vector", alert.condition)
            assert several or alert.name == names.CONFIDENCE_FELL, alert.condition
