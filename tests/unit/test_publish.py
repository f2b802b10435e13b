"""What a decision leaves behind: every report, then the verdict, and nothing that does not belong there."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from makeweight import publish
from makeweight.budget.rule import Budget, rules_of
from makeweight.decide import Waiver, decide, verdict
from makeweight.decide.verdict import Verdict
from makeweight.evidence.evidence import Evidence
from makeweight.layout import BASELINE, Layout
from makeweight.measure.flips import INDEX
from makeweight.measure.outcomes import Outcomes
from makeweight.measurement import Measurement
from makeweight.project.project import Project
from makeweight.project.reading import understand
from makeweight_base import atomic
from makeweight_base.errors import UsageError

CONFIG = """\
name: digits
model: {onnx: model.onnx}
data: {npz: {test: test.npz}}
task: classification
variants: {half: {steps: [float16]}}
devices: {pi5: {kind: local, threads: 2}, bench: {kind: local}}
budget:
  size: {max: 1 MB}
"""
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 16
MEASURED = (
    Measurement("size", BASELINE, "B", 20.0),
    Measurement("size", "half", "B", 10.0),
    Measurement("nonfinite_outputs", "half", "fraction", 0.0, samples=3),
)


def project(root: Path) -> Project:
    return understand(CONFIG, "makeweight.yaml", root)


def outcome(predicted: list[int]) -> Outcomes:
    sure = np.full(len(predicted), 0.9)
    target = np.array([0, 1, 1])
    kept = {"prediction": np.array(predicted), "confidence": sure, "target": target}
    return Outcomes(kept, np.ones(3, bool), None, 2, "softmax", "examples", {})


def known(**outcomes: Outcomes) -> Evidence:
    return Evidence(MEASURED, {}, {}, {}, outcomes, {}, {})


def decided(root: Path, provenance: Mapping[str, Any] | None = None) -> Verdict:
    return replace(decide(publish.terms(project(root)), MEASURED, {}), provenance=provenance or {})


def everything(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_every_report_then_the_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    write = atomic.write_text

    def noted(path: Path, text: str) -> None:
        order.append(path.name)
        write(path, text)

    monkeypatch.setattr(atomic, "write_text", noted)
    content = publish.written(project(tmp_path), known(), decided(tmp_path), remarks=["commit 1a2b3c4"])
    assert {"report.md", "report.html"} <= {*order}
    assert order[-1] == "verdict.json"
    assert "commit 1a2b3c4" in Layout(tmp_path).markdown.read_text()
    assert verdict.loads(Layout(tmp_path).verdict.read_text(), "") == content.verdict


def test_the_same_again_gives_the_same_bytes(tmp_path: Path) -> None:
    links = {"run": "https://github.com/acme/digits/actions/runs/1"}
    publish.written(project(tmp_path), known(), decided(tmp_path), links=links)
    first = everything(tmp_path)
    publish.written(project(tmp_path), known(), decided(tmp_path), links=links)
    assert everything(tmp_path) == first
    assert len(first) >= 3


def test_reports_can_lie_elsewhere(tmp_path: Path) -> None:
    made = publish.written(project(tmp_path), known(), decided(tmp_path), at=Layout(tmp_path / ".makeweight"))
    assert made.html == ".makeweight/reports/report.html"
    assert not (tmp_path / "reports").exists()
    assert (tmp_path / ".makeweight/reports/verdict.json").exists()


def test_devices_of_taken_over_figures_are_those_of_the_run_that_measured(tmp_path: Path) -> None:
    provenance = {"devices": {"pi5": {"status": "ok", "identity": {"cpu": "A76"}}}}
    made = publish.written(project(tmp_path), known(), decided(tmp_path, provenance))
    assert [(machine.identity, machine.reason) for machine in made.machines] == [
        ({"cpu": "A76"}, None),
        ({}, "it was never asked"),
    ]


def test_terms_take_another_budget_and_waivers(tmp_path: Path) -> None:
    own = publish.terms(project(tmp_path))
    assert [rule.id for rule in own.rules] == ["size.max"]
    assert own.waivers == ()
    waiver = Waiver("accuracy.min", None, "why", date(2026, 1, 1), "label by @x")
    other = publish.terms(project(tmp_path), rules_of(Budget.model_validate({"accuracy": {"min": 0.5}})), [waiver])
    assert [rule.id for rule in other.rules] == ["accuracy.min"]
    assert other.waivers == (waiver,)


def flipped(root: Path, picture: str) -> Path:
    folder = Layout(root).flips("half")
    folder.mkdir(parents=True)
    entry = {
        "example": 1,
        "truth": "1",
        "variant": "0",
        "baseline_confidence": 0.9,
        "variant_confidence": 0.6,
        "picture": picture,
    }
    (folder / INDEX).write_text(json.dumps([entry]))
    return folder


def show(root: Path) -> bytes | None:
    outcomes = {BASELINE: outcome([0, 1, 1]), "half": outcome([0, 0, 1])}
    made = publish.written(project(root), known(**outcomes), decided(root))
    assert made.flips["half"].total == 1
    return made.flips["half"].examples[0].png


def test_a_flipped_example_is_shown(tmp_path: Path) -> None:
    (flipped(tmp_path, "000001.png") / "000001.png").write_bytes(PNG)
    assert show(tmp_path) == PNG


def test_an_index_brings_no_other_file_into_a_report(tmp_path: Path) -> None:
    folder = flipped(tmp_path, "../secret.png")
    (folder.parent / "secret.png").write_bytes(PNG)
    with pytest.raises(UsageError, match="no picture of a flipped example"):
        show(tmp_path)
    assert not Layout(tmp_path).verdict.exists()


@pytest.mark.parametrize("name", ["/etc/passwd", "..", ".", "missing.png", "a/b.png"])
def test_what_is_no_picture_beside_its_index_is_refused(tmp_path: Path, name: str) -> None:
    flipped(tmp_path, name)
    with pytest.raises(UsageError, match="no picture of a flipped example"):
        show(tmp_path)


@pytest.mark.parametrize("linked", [True, False])
def test_what_is_called_a_picture_has_to_be_one(tmp_path: Path, linked: bool) -> None:
    folder = flipped(tmp_path, "000001.png")
    secret = tmp_path / "secret" if linked else folder / "000001.png"
    secret.write_text("TOKEN=...")
    if linked:
        (folder / "000001.png").symlink_to(secret)
    with pytest.raises(UsageError, match="no picture"):
        show(tmp_path)


def test_a_picture_may_be_linked_from_a_cache(tmp_path: Path) -> None:
    folder = flipped(tmp_path, "000001.png")
    (tmp_path / "cached").write_bytes(PNG)
    (folder / "000001.png").symlink_to(tmp_path / "cached")
    assert show(tmp_path) == PNG
