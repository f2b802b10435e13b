"""The pipeline as data and as text: derived from the project, merged into what is there, checked against it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from makeweight.config.settings import DataSettings, ModelSettings
from makeweight.pipeline import dvcfiles
from makeweight.project import project
from makeweight.project.project import understand
from makeweight_base.errors import ConfigError, UsageError

PLOTS = [
    {"size": {"x": "size", "y": {"reports/plots/pareto.json": "accuracy"}}},
    "reports/plots/latency.json",
]


@dataclass(frozen=True)
class Declared:
    model: ModelSettings
    sources: tuple[str, ...]
    data: DataSettings


def module(*sources: str, weights: str = "models/base.pt") -> Declared:
    model = ModelSettings(build="digits.model:build", weights=weights, inputs={"image": ["N", 1, 8, 8]})
    return Declared(model, sources, DataSettings(load="digits.data:load"))


def onnx(*sources: str) -> Declared:
    data = DataSettings(npz={"test": "data/test.npz", "calibration": "data/cal.npz", "train": "./data/train.npz"})
    return Declared(ModelSettings(onnx="net.onnx"), sources, data)


THE_PIPELINE = """\
# The stages of makeweight, written by `makeweight init` from makeweight.yaml: what they depend on is set there
# (`sources`), and run it again to bring them up to date. `device` always runs: it says who measures.
vars:
  - makeweight.yaml:variants,devices

stages:
  baseline:
    cmd: makeweight baseline
    deps:
      - models/base.pt
      - digits
      - requirements.lock
    params:
      - makeweight.yaml:
          - name
          - model
          - sources
          - data
          - task
          - seed
    outs:
      - artifacts/baseline
      - samples/baseline/evaluate.npz
      - reports/baseline/reference.json:
          cache: false
    metrics:
      - reports/baseline/evaluate.json:
          cache: false

  compress:
    foreach: ${variants}
    do:
      cmd: makeweight compress ${key}
      deps:
        - artifacts/baseline
        - models/base.pt
        - digits
        - requirements.lock
      params:
        - makeweight.yaml:
            - model
            - data
            - task
            - seed
            - variants.${key}
      outs:
        - artifacts/${key}

  evaluate:
    foreach: ${variants}
    do:
      cmd: makeweight evaluate ${key}
      deps:
        - artifacts/baseline
        - samples/baseline/evaluate.npz
        - artifacts/${key}
        - digits
        - requirements.lock
      params:
        - makeweight.yaml:
            - name
            - model
            - data
            - task
            - seed
      outs:
        - samples/${key}/evaluate.npz
        - samples/${key}/flips
        - reports/${key}/reference.json:
            cache: false
      metrics:
        - reports/${key}/evaluate.json:
            cache: false

  device:
    foreach: ${devices}
    do:
      cmd: makeweight device ${key}
      params:
        - makeweight.yaml:
            - devices.${key}
      always_changed: true
      outs:
        - reports/devices/${key}.json:
            cache: false

  benchmark:
    matrix:
      device: ${devices}
      variant: ${variants}
    cmd: makeweight benchmark ${item.variant} --device ${item.device}
    deps:
      - artifacts/baseline
      - artifacts/${item.variant}
      - reports/devices/${item.device}.json
    params:
      - makeweight.yaml:
          - devices.${item.device}
    outs:
      - samples/${item.variant}/${item.device}.npz
    metrics:
      - reports/${item.variant}/${item.device}.json:
          cache: false

  report:
    cmd: makeweight report
    deps:
      - artifacts
      - samples
      - reports/devices
      - makeweight.yaml
    outs:
      - reports/verdict.json:
          cache: false
      - reports/report.md:
          cache: false
      - reports/report.html:
          cache: false
      - reports/plots:
          cache: false

  gate:
    cmd: makeweight gate
    deps:
      - reports/verdict.json

plots:
  - size:
      x: size
      y:
        reports/plots/pareto.json: accuracy
  - reports/plots/latency.json
"""


def merged(existing: str | None, project: Declared) -> tuple[str, list[str]]:
    return dvcfiles.merge(existing, project, PLOTS)


def test_the_whole_pipeline_of_a_module() -> None:
    text, changes = merged(None, module("digits/", "requirements.lock"))
    assert text == THE_PIPELINE
    assert changes == [
        "added makeweight.yaml:variants,devices to the vars",
        "added the stages baseline, compress, evaluate, device, benchmark, report, gate",
        "added the plots size, reports/plots/latency.json",
    ]


def test_a_model_file_and_npz_files_reach_the_stages_that_read_them() -> None:
    stages = dvcfiles.stages(onnx("lock"))
    assert stages["baseline"]["deps"] == [
        "net.onnx",
        "lock",
        "data/test.npz",
        "data/cal.npz",
        "data/train.npz",
    ]
    # the test split never reaches compression, and the file itself reaches it as artifacts/baseline
    assert stages["compress"]["do"]["deps"] == [
        "artifacts/baseline",
        "lock",
        "data/cal.npz",
        "data/train.npz",
    ]
    assert stages["evaluate"]["do"]["deps"][-1] == "data/test.npz"
    assert "data/cal.npz" not in stages["evaluate"]["do"]["deps"]


def test_a_dependency_is_named_once() -> None:
    stages = dvcfiles.stages(module("models/base.pt", "digits/", "./digits", "digits"))
    assert stages["baseline"]["deps"] == ["models/base.pt", "digits"]


@pytest.mark.parametrize("source", [".", "./", "..", "../..", "reports", "artifacts/", "./samples/x"])
def test_a_source_that_the_pipeline_writes_is_refused(source: str) -> None:
    with pytest.raises(UsageError, match=r"makeweight\.yaml: sources: "):
        dvcfiles.stages(module(source))


def test_a_second_merge_changes_nothing() -> None:
    assert merged(THE_PIPELINE, module("digits/", "requirements.lock")) == (THE_PIPELINE, [])


THEIRS = """\
# our pipeline
vars:
- config.yaml   # more

stages:
    train:      # the network
        cmd: >-
            python train.py
            --lr ${lr}
        deps: [ data ,  train.py ]
        outs:
        - models/base.pt
    # lint:
    #     cmd: ruff check


metrics: [metrics.json]
plots:
- loss.csv:
    x: step
"""


def test_what_is_the_users_stays_to_the_byte() -> None:
    text, changes = merged(THEIRS, module("digits"))
    assert changes[-1] == "added the plots size, reports/plots/latency.json"
    kept = iter(text.splitlines())
    assert all(line in kept for line in THEIRS.splitlines())
    data = yaml.safe_load(text)
    assert data["vars"] == ["config.yaml", "makeweight.yaml:variants,devices"]
    assert list(data["stages"]) == ["train", *dvcfiles.stages(module())]
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
        "vars: [makeweight.yaml:variants]\nstages: {train: {cmd: x}}\n",
        "vars:\n  - makeweight.yaml:seed\n  - ./makeweight.yaml:devices, variants\n",
        "vars:\n  - makeweight.yaml\n",
    ],
)
def test_every_shape_of_file_takes_the_stages_and_keeps_its_own(existing: str) -> None:
    project = module("digits")
    text, changes = merged(existing, project)
    assert changes
    before, after = yaml.safe_load(existing) or {}, yaml.safe_load(text)
    assert after["stages"] == {**(before.get("stages") or {}), **dvcfiles.stages(project)}
    for key in before.keys() - {"stages", "vars", "plots"}:
        assert after[key] == before[key]
    assert dvcfiles.in_step(text, project) == []
    assert merged(text, project) == (text, [])
    assert ("\n" in text.replace("\r\n", "")) == ("\r\n" not in existing)


def test_vars_that_are_loaded_already_are_not_loaded_twice() -> None:
    # DVC refuses `cannot load 'makeweight.yaml' as it's partially loaded already`
    for vars_, expected in (
        ("[makeweight.yaml:variants]", ["makeweight.yaml:variants", "makeweight.yaml:devices"]),
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
    assert dvcfiles.in_step(edited, module("digits/", "requirements.lock")) == []
    text, _ = merged(edited, module("digits/"))
    assert "desc: ours  # note\n    cmd: uv run makeweight baseline\n" in text


def test_a_stage_of_another_shape_is_rewritten() -> None:
    old = "stages:\n  gate:\n    foreach: [a]\n    do:\n      cmd: makeweight gate ${item}\n    desc: mine\n"
    text, changes = merged(old, module())
    assert yaml.safe_load(text)["stages"]["gate"] == {**dvcfiles.stages(module())["gate"], "desc": "mine"}
    assert "brought stage gate up to date (rewritten)" in changes


def test_a_stage_of_the_users_by_our_name_is_refused_with_its_line() -> None:
    theirs = "stages:\n  train:\n    cmd: x\n  evaluate:\n    cmd: python evaluate.py\n  report: {cmd: make report}\n"
    with pytest.raises(ConfigError) as caught:
        merged(theirs, module())
    first, second = caught.value.problems
    assert first.startswith("dvc.yaml:4: a stage of yours has the name `evaluate`")
    assert second.startswith("dvc.yaml:6: ")
    assert "rename it" in first
    assert "evaluate-model" in first


@pytest.mark.parametrize(
    "text", ["stages: [", "- a\n", "just text\n", "stages: [a]\n", "vars: x\n", "plots: 3\n", "a: 1\na: 2\n"]
)
def test_a_file_that_is_no_pipeline_is_refused_with_its_line(text: str) -> None:
    for reading in (lambda: merged(text, module()), lambda: dvcfiles.in_step(text, module())):
        with pytest.raises(ConfigError, match=r"^dvc.yaml:\d+: "):
            reading()


def test_in_step_says_what_is_out_of_step() -> None:
    assert dvcfiles.in_step(THE_PIPELINE, module("digits/", "requirements.lock")) == []
    assert dvcfiles.in_step(THE_PIPELINE, module("digits", "uv.lock", weights="models/base.pt"))[:2] == [
        "stage `baseline`: deps lack `uv.lock`",
        "stage `baseline`: deps hold `requirements.lock`, which makeweight.yaml does not name",
    ]
    moved = dvcfiles.in_step(THE_PIPELINE, module("digits", "requirements.lock", weights="new.pt"))
    assert [line.partition(":")[0] for line in moved] == ["stage `baseline`"] * 2 + ["stage `compress`"] * 2
    less = THE_PIPELINE.replace("            - variants.${key}\n", "").replace(",devices\n", "\n")
    assert dvcfiles.in_step(less, module("digits", "requirements.lock")) == [
        "makeweight.yaml:devices is not among its `vars`",
        "stage `compress`: params lack `makeweight.yaml:variants.${key}`",
    ]


def test_in_step_lets_order_and_the_options_of_outputs_be() -> None:
    other = THE_PIPELINE.replace(
        "      - artifacts/baseline\n      - samples",
        "      - artifacts/baseline:\n          push: false\n      - samples",
    )
    other = other.replace("    - digits\n      - requirements.lock", "    - requirements.lock\n      - digits")
    assert other != THE_PIPELINE
    assert dvcfiles.in_step(other, module("digits", "requirements.lock")) == []


def test_in_step_sees_a_stage_that_is_gone_or_broken() -> None:
    project = module("digits", "requirements.lock")
    data = yaml.safe_load(THE_PIPELINE)
    del data["stages"]["gate"], data["stages"]["device"]["do"]["always_changed"]
    assert dvcfiles.in_step(yaml.safe_dump(data), project) == [
        "stage `device`: `always_changed` is not what this version of makeweight needs",
        "stage `gate` is missing",
    ]


def test_a_pipeline_without_our_stages_is_left_alone() -> None:
    assert dvcfiles.in_step(THEIRS, module()) == []
    assert dvcfiles.in_step("", module()) == []


def test_missing_keys_are_added_with_what_was_assumed() -> None:
    assumed = {
        "name": "m",
        "sources": [],
        "task": "classification",
        "seed": 0,
        "devices": {"local": {"kind": "local"}},
    }
    text = "# mine\nmodel: {onnx: m.onnx}   # net\nseed: 3\ndata: {load: a:b}\nvariants: {a: {steps: [float16]}}\n"
    new, added = dvcfiles.add_missing(text, assumed)
    assert added == ["name", "sources", "task", "devices"]
    assert new.startswith(text)
    assert yaml.safe_load(new) == {**yaml.safe_load(text), **{key: assumed[key] for key in added}}
    assert dvcfiles.add_missing(new, assumed) == (new, [])


def test_the_plots_follow_the_metric_that_the_report_shows() -> None:
    def drawn(task: str, budget: str) -> tuple[list[str], str]:
        text = (
            "model: {onnx: n.onnx}\ndata: {load: a:b}\nvariants: {v: {steps: [float16]}}\n"
            f"task: {task}\nbudget: {{size: {{max: 1 kB}}, {budget}}}\n"
        )
        plots = dvcfiles.plots(understand(text, "makeweight.yaml", Path()))
        return [name for plot in plots for name in plot], str(plots)

    assert drawn("classification", "negative_flips: {max: 1 %}")[0][0] == "accuracy against size"
    assert drawn("regression", "latency_p50: {max_ratio: 1}")[0][0] == "rmse against size"
    assert drawn("regression", "r2: {max_drop: 0.1}")[0][0] == "r2 against size"
    assert "'reports/plots/pareto.json': 'metric'" in drawn("'m:score'", "metric: {max_drop: 0.1}")[1]


def test_a_plot_of_ours_by_another_name_is_replaced_in_place() -> None:
    new = [{"r2": {"y": {"reports/plots/pareto.json": "r2"}}}, PLOTS[1]]
    theirs = THE_PIPELINE + "  - theirs.csv: {x: step}\n"
    text, changes = dvcfiles.merge(theirs, module("digits", "requirements.lock"), new)
    assert changes == ["brought plot r2 up to date"]
    assert yaml.safe_load(text)["plots"] == [*new, {"theirs.csv": {"x": "step"}}]


def test_names_that_dvc_would_mix_are_refused_with_their_line() -> None:
    files = {
        "params.yaml": "lr: 1\nvariants: {a: 1}\n",
        "conf/more.yaml": "devices: x\n",
        "fine.json": '{"lr": 1}',
        "makeweight.yaml": "variants: {}\ndevices: {}\n",
    }
    existing = "vars:\n  - devices: {a: 1}\n  - conf/more.yaml:devices\n  - fine.json\n  - makeweight.yaml:seed\n"
    found = dvcfiles.collisions(existing, files.get)
    assert [line.split(": ")[0] for line in found] == ["dvc.yaml:2", "params.yaml:2", "conf/more.yaml:1"]
    assert dvcfiles.collisions(None, {}.get) == []
    assert dvcfiles.collisions(THEIRS, {"config.yaml": "lr: 1\n"}.get) == []


def test_a_stage_that_writes_a_path_is_found() -> None:
    pipeline = (
        "stages:\n  train: {cmd: x, wdir: sub, outs: [base.pt, {out: {cache: false}}], metrics: [m.json]}\n"
        "  many: {foreach: [a], do: {cmd: y, outs: ['models/${item}.pt']}}\n"
    )
    for path in ("sub/base.pt", "./sub/base.pt", "sub/out", "sub/m.json", "models/a.pt"):
        assert dvcfiles.writes(pipeline, path)
    for path in ("base.pt", "models/a.onnx", "sub", "models/.pt"):
        assert not dvcfiles.writes(pipeline, path)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(["a", "b/", "c/d.py", "./e", "requirements.lock", "ünï.py", "with space"]), max_size=5))
def test_merge_brings_any_pipeline_in_step(sources: list[str]) -> None:
    project = module(*sources)
    text, _ = merged(THE_PIPELINE, project)
    assert dvcfiles.in_step(text, project) == []
    assert text == merged(None, project)[0]


def test_the_layout_is_the_one_truth_for_places() -> None:
    from makeweight.layout import Layout

    layout = Layout(Path())
    outs = str(dvcfiles.stages(module()))
    for path in (
        layout.artifact("${key}"),
        layout.flips("${key}"),
        layout.timings("${item.variant}", "${item.device}"),
    ):
        assert f"'{path.as_posix()}'" in outs


def test_this_repositorys_own_pipeline_is_in_step() -> None:
    root = Path(__file__).parents[3]
    own = project.load(root)
    text = (root / "dvc.yaml").read_text()
    assert dvcfiles.in_step(text, own) == []
    assert dvcfiles.merge(text, own, dvcfiles.plots(own)) == (text, [])
    assert dvcfiles.writes(text, str(own.model.weights)), "the stage `train` makes the weights"
    assert "__pycache__/" in (root / ".dvcignore").read_text()
