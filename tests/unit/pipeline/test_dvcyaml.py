"""What somebody's dvc.yaml loads and writes."""

from __future__ import annotations

from makeweight.pipeline import dvcyaml
from unit.pipeline.conftest import THEIRS


def test_names_that_dvc_would_mix_are_refused_with_their_line() -> None:
    files = {
        "params.yaml": "lr: 1\nvariants: {a: 1}\n",
        "conf/more.yaml": "devices: x\n",
        "fine.json": '{\n\t"lr": 1\n}',
        "makeweight.yaml": "variants: {}\ndevices: {}\n",
    }
    existing = "vars:\n  - devices: {a: 1}\n  - conf/more.yaml:devices\n  - fine.json\n  - makeweight.yaml:seed\n"
    found = dvcyaml.collisions(existing, files.get)
    assert [(problem.source, problem.line) for problem in found] == [
        ("dvc.yaml", 2),
        ("params.yaml", 2),
        ("conf/more.yaml", 1),
    ]
    assert dvcyaml.collisions(None, {}.get) == []
    assert dvcyaml.collisions(THEIRS, {"config.yaml": "lr: 1\n"}.get) == []


def test_a_stage_that_writes_a_path_is_found() -> None:
    pipeline = (
        "stages:\n  train: {cmd: x, wdir: sub, outs: [base.pt, {out: {cache: false}}], metrics: [m.json]}\n"
        "  many: {foreach: [a], do: {cmd: y, outs: ['models/${item}.pt']}}\n"
    )
    for path in ("sub/base.pt", "./sub/base.pt", "sub/out", "sub/m.json", "models/a.pt"):
        assert dvcyaml.writes(pipeline, path)
    for path in ("base.pt", "models/a.onnx", "sub", "models/.pt"):
        assert not dvcyaml.writes(pipeline, path)
