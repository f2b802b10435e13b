"""The audit: every recorded hash is computed again where that can be done, and nothing outside the project is read."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from makeweight.evidence.keys import fingerprint
from makeweight.proof.audit import audit
from makeweight_base.errors import UsageError

IDENTITY = {"cpu": "A76", "runtimes": {"onnxruntime": "1.0"}}
FILES = {
    "makeweight.yaml": b"model: {}",
    "models/baseline.pt": b"weights",
    "data/test.npz": b"examples",
    "artifacts/baseline/model.onnx": b"the original",
    "artifacts/baseline/inputs.npz": b"inputs",
    "artifacts/baseline/raw.npz": b"raw samples of a pipeline",
    "artifacts/half/model.onnx": b"half of it",
    "artifacts/half/manifest.json": b"{}",
    "artifacts/half/control.onnx": b"control",
    "samples/half/pi5.npz": b"times",
}


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def recorded() -> dict[str, Any]:
    def of(*paths: str) -> dict[str, str]:
        return {path: sha(FILES[path]) for path in paths}

    return {
        "makeweight": "1",
        "config": sha(FILES["makeweight.yaml"]),
        "model": of("models/baseline.pt"),
        "data": of("data/test.npz"),
        "artifacts": {
            "baseline": sha(FILES["artifacts/baseline/model.onnx"]),
            "half": sha(FILES["artifacts/half/model.onnx"]),
            "broken": None,
        },
        "manifests": {"half": sha(FILES["artifacts/half/manifest.json"])},
        "controls": of("artifacts/half/control.onnx"),
        "benchmark_inputs": sha(FILES["artifacts/baseline/inputs.npz"]),
        "pipeline": {"sources": sha(b"code"), "raw": sha(FILES["artifacts/baseline/raw.npz"])},
        "raw_samples": of("samples/half/pi5.npz"),
        "devices": {
            "pi5": {"status": "ok", "identity": IDENTITY, "fingerprint": fingerprint(IDENTITY)},
            "gone": {"status": "unreachable", "reason": "no route"},
        },
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path, content in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    return tmp_path


def statuses(provenance: dict[str, Any], root: Path) -> dict[str, str]:
    return {finding.what: finding.status for finding in audit(provenance, root)}


def test_what_is_as_it_was_matches(root: Path) -> None:
    assert statuses(recorded(), root) == dict.fromkeys([*FILES, "device `pi5`"], "matches")


@pytest.mark.parametrize("path", FILES)
def test_every_changed_file_differs(root: Path, path: str) -> None:
    (root / path).write_bytes(b"something else")
    found = {finding.what: finding for finding in audit(recorded(), root)}
    assert {what for what, finding in found.items() if finding.status != "matches"} == {path}
    assert (found[path].status, found[path].found) == ("differs", sha(b"something else"))
    assert found[path].recorded == sha(FILES[path])


@pytest.mark.parametrize("path", FILES)
def test_every_absent_file_is_listed(root: Path, path: str) -> None:
    (root / path).unlink()
    odd = {what: status for what, status in statuses(recorded(), root).items() if status != "matches"}
    assert list(odd.values()) == ["not here"]
    assert path.startswith(next(iter(odd)))


def test_a_second_model_beside_the_judged_one_is_told(root: Path) -> None:
    """Whichever of the two is taken into use: the judged one under another name proves nothing of it."""
    (root / "artifacts/half/model.onnx").rename(root / "artifacts/half/model.bak")
    (root / "artifacts/half/model.onnx").write_bytes(b"swapped")
    found = statuses(recorded(), root)
    assert (found["artifacts/half/model.onnx"], found["artifacts/half/model.bak"]) == ("differs", "matches")


def test_a_device_that_is_not_the_one_of_its_fingerprint(root: Path) -> None:
    given = recorded()
    given["devices"]["pi5"]["identity"] = {**IDENTITY, "cpu": "M4"}
    assert statuses(given, root)["device `pi5`"] == "differs"
    del given["devices"]["pi5"]["identity"]
    assert statuses(given, root)["device `pi5`"] == "differs"


@pytest.mark.parametrize("path", ["../secret", "/etc/hostname", "a/../../secret", "nul\0byte"])
def test_nothing_outside_is_read(root: Path, tmp_path_factory: pytest.TempPathFactory, path: str) -> None:
    (root.parent / "secret").write_bytes(b"of somebody else")
    given = {"raw_samples": {path: sha(b"of somebody else")}}
    (finding,) = audit(given, root)
    assert (finding.status, finding.found) == ("outside", None)
    (finding,) = audit({"artifacts": {f"../{path}": sha(b"")}}, root)
    assert finding.found is None


def test_what_is_no_plain_file_is_not_opened(root: Path) -> None:
    """A pipe would never end, and a folder cannot be hashed."""
    os.mkfifo(root / "pipe")
    assert statuses({"raw_samples": {"pipe": sha(b""), "samples": sha(b"")}}, root) == {
        "pipe": "not here",
        "samples": "not here",
    }


def test_links_into_a_cache_are_followed(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    cached = tmp_path_factory.mktemp("cache") / "ab"
    (root / "samples/half/pi5.npz").rename(cached)
    (root / "samples/half/pi5.npz").symlink_to(cached)
    assert statuses(recorded(), root)["samples/half/pi5.npz"] == "matches"


@pytest.mark.parametrize("given", [{"artifacts": []}, {"data": "x"}, {"config": 5}, {"raw_samples": {"a": {}}}])
def test_what_is_no_provenance_is_told(root: Path, given: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"provenance\."):
        audit(given, root)


def test_a_verdict_of_before_says_less_and_is_read(root: Path) -> None:
    assert audit({}, root) == []
