"""The stages and plots in somebody's dvc.yaml: put there, kept up to date, and every other byte as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from makeweight.pipeline import dvcyaml, plots
from makeweight.pipeline.in_step import in_step
from makeweight.pipeline.merge import merge
from makeweight.pipeline.stages import stages
from makeweight.project import reading
from makeweight_base.errors import ConfigError
from makeweight_base.yamlfile import parse
from unit.pipeline.conftest import PLOTS, THE_PIPELINE, THEIRS, merged, module

pytestmark = pytest.mark.long


def test_the_whole_pipeline_of_a_module() -> None:
    text, changes = merged(None, module("digits/", "requirements.lock"))
    assert text == THE_PIPELINE
    assert changes == [
        "added makeweight.yaml:variants,devices to the vars",
        "added the stages baseline, compress, evaluate, device, benchmark, report, gate, ship",
        "added the artifact digits",
        "added the plots size, reports/plots/latency.json",
    ]


def test_a_second_merge_changes_nothing() -> None:
    assert merged(THE_PIPELINE, module("digits/", "requirements.lock")) == (THE_PIPELINE, [])


def test_what_is_the_users_stays_to_the_byte() -> None:
    text, changes = merged(THEIRS, module("digits"))
    assert changes[-1] == "added the plots size, reports/plots/latency.json"
    kept = iter(text.splitlines())
    assert all(line in kept for line in THEIRS.splitlines())
    data = yaml.safe_load(text)
    assert data["vars"] == ["config.yaml", "makeweight.yaml:variants,devices"]
    assert list(data["stages"]) == ["train", *stages(module())]
    assert data["stages"]["train"] == yaml.safe_load(THEIRS)["stages"]["train"]
    assert data["plots"] == [{"loss.csv": {"x": "step"}}, *PLOTS]
    assert text.count("The stages of makeweight") == 1
    assert merged(text, module("digits")) == (text, [])


@pytest.mark.parametrize(
    "existing",
    [
        "",
        "\n",
        "# nothing yet\n",
        "stages:\n",
        "stages: {}\n",
        "vars: []\nstages:\nplots: {}\n",
        "{stages: {train: {cmd: python train.py}}}\n",
        "metrics: [m.json]\n",
        "plots: {loss.csv: {x: step}}\n",
        "base: &base {deps: [a]}\nstages:\n  train:\n    <<: *base\n    cmd: x\n",
        "stages:\r\n  train:\r\n    cmd: |\r\n      a\r\n      b\r\n",
        "vars: ['makeweight.yaml:variants']\nstages: {train: {cmd: x}}\n",
        "vars:\n  - makeweight.yaml:seed\n  - ./makeweight.yaml:devices, variants\n",
        "vars:\n  - makeweight.yaml\n",
    ],
)
def test_every_shape_of_file_takes_the_stages_and_keeps_its_own(existing: str) -> None:
    project = module("digits")
    text, changes = merged(existing, project)
    assert changes
    before, after = yaml.safe_load(existing) or {}, yaml.safe_load(text)
    assert after["stages"] == {**(before.get("stages") or {}), **stages(project)}
    for key in before.keys() - {"stages", "vars", "plots"}:
        assert after[key] == before[key]
    assert in_step(text, project) == []
    assert merged(text, project) == (text, [])
    assert ("\n" in text.replace("\r\n", "")) == ("\r\n" not in existing)


def test_vars_that_are_loaded_already_are_not_loaded_twice() -> None:
    # DVC refuses `cannot load 'makeweight.yaml' as it's partially loaded already`
    for vars_, expected in (
        ("['makeweight.yaml:variants']", ["makeweight.yaml:variants", "makeweight.yaml:devices"]),
        ("['./makeweight.yaml:devices, variants']", ["./makeweight.yaml:devices, variants"]),
        ("[makeweight.yaml]", ["makeweight.yaml"]),
    ):
        text, _ = merged(f"vars: {vars_}\n", module())
        assert yaml.safe_load(text)["vars"] == expected


def test_edited_sources_reach_the_stages_that_depend_on_them_and_no_other_line() -> None:
    text, changes = merged(THE_PIPELINE, module("digits/", "uv.lock"))
    assert changes == [f"brought stage {name} up to date (deps)" for name in ("baseline", "compress", "evaluate")]
    assert text == THE_PIPELINE.replace("- requirements.lock", "- uv.lock")


def test_a_dropped_source_is_dropped() -> None:
    text, _ = merged(THE_PIPELINE, module("digits/"))
    kept = [line for line in THE_PIPELINE.splitlines() if "requirements.lock" not in line]
    assert text.splitlines() == kept


def test_what_people_add_to_our_stages_is_kept() -> None:
    edited = THE_PIPELINE.replace(
        "    cmd: makeweight baseline\n", "    desc: ours  # note\n    cmd: uv run makeweight baseline\n"
    )
    assert merged(edited, module("digits/", "requirements.lock")) == (edited, [])
    assert in_step(edited, module("digits/", "requirements.lock")) == []
    text, _ = merged(edited, module("digits/"))
    assert "desc: ours  # note\n    cmd: uv run makeweight baseline\n" in text


def test_a_stage_of_another_shape_is_rewritten() -> None:
    old = "stages:\n  gate:\n    foreach: [a]\n    do:\n      cmd: makeweight gate ${item}\n    desc: mine\n"
    text, changes = merged(old, module())
    assert yaml.safe_load(text)["stages"]["gate"] == {**stages(module())["gate"], "desc": "mine"}
    assert "brought stage gate up to date (rewritten)" in changes


def test_a_stage_of_the_users_by_our_name_is_refused_with_its_line() -> None:
    theirs = "stages:\n  train:\n    cmd: x\n  evaluate:\n    cmd: python evaluate.py\n  report: {cmd: make report}\n"
    with pytest.raises(ConfigError) as caught:
        merged(theirs, module())
    first, second = map(str, caught.value.problems)
    assert first.startswith("dvc.yaml:4: a stage of yours has the name `evaluate`")
    assert second.startswith("dvc.yaml:6: ")
    assert "rename it" in first
    assert "evaluate-model" in first
    assert "`makeweight init --project compression …`" in first


@pytest.mark.parametrize(
    "text", ["stages: [", "- a\n", "just text\n", "stages: [a]\n", "vars: x\n", "plots: 3\n", "a: 1\na: 2\n"]
)
def test_a_file_that_is_no_pipeline_is_refused_with_its_line(text: str) -> None:
    for read in (lambda: merged(text, module()), lambda: in_step(text, module())):
        with pytest.raises(ConfigError, match=r"^dvc.yaml:\d+: "):
            read()


def test_a_file_that_only_some_dvc_read_is_refused_with_its_line() -> None:
    theirs = "stages:\n  train:\n    cmd: x\n    deps: [data, remote://store/x]\n"
    with pytest.raises(ConfigError, match=r"^dvc.yaml:4: `remote://store/x` has a colon .*; quote it"):
        merged(theirs, module())
    assert merged(theirs.replace("remote://store/x", "'remote://store/x'"), module())[1]


SOURCES = ["a", "b/", "c/d.py", "./e", "requirements.lock", "ünï.py", "with space", "08/"]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(SOURCES), max_size=5))
def test_merge_brings_any_pipeline_in_step(sources: list[str]) -> None:
    project = module(*sources)
    text, _ = merged(THE_PIPELINE, project)
    assert in_step(text, project) == []
    assert parse(text, "dvc.yaml").ambiguous == (), "DVC reads it as it is read here"
    assert text == merged(None, project)[0]


def test_this_repositorys_own_pipeline_is_in_step() -> None:
    root = Path(__file__).parents[3]
    own = reading.load(root)
    text = (root / "dvc.yaml").read_text()
    assert in_step(text, own) == []
    assert merge(text, own, plots.drawn(own)) == (text, [])
    assert dvcyaml.writes(text, str(own.model.weights)), "the stage `train` makes the weights"
    assert "__pycache__/" in (root / ".dvcignore").read_text()
