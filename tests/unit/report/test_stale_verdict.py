"""Where what was judged changed since, the verdict holds nothing up and lets nothing through."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import invented_content as invented
import pytest

from makeweight.artifact.files import sha256_of
from makeweight.cli import main
from makeweight.decide.stale import stale
from makeweight.decide.verdict import Verdict, dumps
from makeweight.report import junit


@pytest.fixture
def judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose verdict says what it was reached on."""
    monkeypatch.chdir(tmp_path)
    for place in ("makeweight.yaml", "artifacts/int8/model.onnx", "reports/verdict.json"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(place)
    hashes = {name: sha256_of(tmp_path / f"artifacts/{name}/model.onnx") for name in ("int8",)}
    provenance = {"config": sha256_of(tmp_path / "makeweight.yaml"), "artifacts": {**hashes, "fp16": "0" * 64}}
    verdict = replace(invented.content().verdict, provenance=provenance)
    (tmp_path / "reports/verdict.json").write_text(dumps(verdict))
    return tmp_path


def test_what_is_as_it_was_judged_passes(judged: Path) -> None:
    assert not (judged / "artifacts/fp16").exists(), "what was not pulled is no change"
    assert main(["gate"]) == 0


@pytest.mark.parametrize("changed", ["makeweight.yaml", "artifacts/int8/model.onnx"])
def test_what_changed_since_is_named_and_never_passes(
    judged: Path, changed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (judged / changed).write_text("another")
    assert main(["gate", "--junit", "junit.xml"]) == 3
    told = " ".join(capsys.readouterr().out.split())
    assert f"undecided: stale: `{changed}` changed since this was decided. Run `dvc repro`" in told
    assert "ships" not in told.partition("undecided: stale")[2]
    assert "<error" in (judged / "junit.xml").read_text()
    assert main(["gate", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["ship"] is None


def test_a_verdict_that_failed_is_not_known_to_fail_any_more() -> None:
    failed: Verdict = replace(invented.content().verdict, verdict="fail", ship=None)
    assert stale(failed, []) is failed
    assert stale(failed, ["makeweight.yaml"]).verdict == "inconclusive"
    assert stale(failed, list("abcde")).sentence.startswith("stale: `a`, `b`, `c` and 2 more changed since")
    assert "`dvc repro`" in junit.render(stale(failed, ["makeweight.yaml"]))
