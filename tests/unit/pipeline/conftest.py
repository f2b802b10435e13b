"""A project of each kind, its pipeline, and a pipeline of somebody's own."""

from __future__ import annotations

from dataclasses import dataclass

from makeweight.config.settings import DataSettings, ModelSettings, PipelineSettings
from makeweight.pipeline.merge import merge

PLOTS = [
    {"size": {"x": "size", "y": {"reports/plots/pareto.json": "accuracy"}}},
    "reports/plots/latency.json",
]


@dataclass(frozen=True)
class Declared:
    model: ModelSettings
    sources: tuple[str, ...]
    data: DataSettings
    name: str = "digits"
    pipeline: PipelineSettings | None = None


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
        - samples/${key}/training

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
      - reports/model-card.md:
          cache: false
      - reports/plots:
          cache: false

  gate:
    cmd: makeweight gate
    deps:
      - reports/verdict.json

  ship:
    cmd: makeweight ship
    deps:
      - artifacts
      - reports/model-card.md
      - reports/verdict.json
    outs:
      - shipped:
          persist: true

artifacts:
  digits:
    path: shipped
    type: model
    desc: what the verdict chose, with its manifest, reference, card and verdict

plots:
  - size:
      x: size
      y:
        reports/plots/pareto.json: accuracy
  - reports/plots/latency.json
"""


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


def merged(existing: str | None, project: Declared) -> tuple[str, list[str]]:
    return merge(existing, project, PLOTS)
