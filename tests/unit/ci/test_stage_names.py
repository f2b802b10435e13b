"""What a stage of dvc.yaml names, with its variant's name in it."""

from makeweight.ci import nodes, stage_names
from makeweight.ci.stage_names import Names

PIPELINE = rb"""
stages:
  baseline:
    cmd: makeweight baseline
    deps: [./tiny.onnx, 'odd\${name}']
    params: [{makeweight.yaml: [name, seed]}, other]
    outs: [artifacts/baseline]
    metrics: [{reports/baseline/evaluate.json: {cache: false}}]
  compress:
    foreach: ${variants}
    do:
      deps: [artifacts/baseline, 'code/${key}.py', 'code/${item.part}']
      params: [{makeweight.yaml: ['variants.${key}']}]
      outs: ['artifacts/${key}']
"""


def test_names_are_those_that_dvc_notes_in_its_lock() -> None:
    pipeline = nodes.compose(PIPELINE)
    assert stage_names.of(pipeline, "baseline") == Names(
        frozenset({"tiny.onnx", "odd${name}"}),
        frozenset({"name", "seed"}),
        frozenset({"artifacts/baseline", "reports/baseline/evaluate.json"}),
    )
    assert stage_names.of(pipeline, "compress@int8") == Names(
        frozenset({"artifacts/baseline", "code/int8.py"}), frozenset({"variants.int8"}), frozenset({"artifacts/int8"})
    )
    nothing = frozenset[str]()
    assert stage_names.of(pipeline, "evaluate@int8") == Names(nothing, nothing, nothing)
    assert stage_names.of(nodes.compose(b"stages: {baseline: [deps]}"), "baseline") == Names(nothing, nothing, nothing)
