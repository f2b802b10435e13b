"""Keys: every ingredient counts, and nothing else does."""

from typing import Any

import pytest

from makeweight.config.settings import TaskSettings
from makeweight.evidence import keys
from makeweight_probe import job
from makeweight_probe.job import Setting

EVALUATION: dict[str, Any] = {
    "baseline": "b",
    "variant": "v",
    "runtimes": {"onnxruntime": "1.0"},
    "task": TaskSettings(),
    "output": None,
    "inputs": "i",
    "batches": (None, None),
}
BENCHMARK: dict[str, Any] = {
    "baseline": "b",
    "variant": "v",
    "runtimes": ["onnxruntime"],
    "identity": {"cpu": "A76", "isa": ["asimddp"], "runtimes": {"onnxruntime": "1.0", "litert": "2.0"}},
    "threads": 1,
    "inputs": "i",
}


@pytest.mark.parametrize(
    "change",
    [
        {"baseline": "x"},
        {"variant": "x"},
        {"baseline": "v", "variant": "b"},
        {"runtimes": {"litert": "1.0"}},
        {"runtimes": {"onnxruntime": "1.1"}},
        {"runtimes": {"onnxruntime": "1.0", "litert": "2.0"}},
        {"task": TaskSettings(classes=["a", "b"])},
        {"task": TaskSettings(kind="custom", metric="a:b")},
        {"output": "logits"},
        {"inputs": "x"},
        {"batches": (None, 1)},
        {"batches": (1, None)},
    ],
)
def test_every_ingredient_of_an_evaluation_counts(change: dict[str, Any]) -> None:
    assert keys.evaluation(**{**EVALUATION, **change}) != keys.evaluation(**EVALUATION)


@pytest.mark.parametrize(
    "change",
    [
        {"baseline": "x"},
        {"variant": "x"},
        {"identity": {**BENCHMARK["identity"], "cpu": "A53"}},
        {"identity": {**BENCHMARK["identity"], "runtimes": {"onnxruntime": "1.1"}}},
        {"identity": {}},
        {"threads": 2},
        {"inputs": "x"},
    ],
)
def test_every_ingredient_of_a_benchmark_counts(change: dict[str, Any]) -> None:
    assert keys.benchmark(**{**BENCHMARK, **change}) != keys.benchmark(**BENCHMARK)


def test_what_is_changed_on_a_device_counts_and_nothing_changed_is_as_before() -> None:
    for setting in (Setting(cpus=(0,)), Setting(cpus=(0, 1)), Setting(governor="performance")):
        assert keys.benchmark(**BENCHMARK, setting=setting) != keys.benchmark(**BENCHMARK)
    assert keys.benchmark(**BENCHMARK, setting=Setting()) == keys.benchmark(**BENCHMARK)
    assert keys.benchmark(**BENCHMARK, execution_provider="cuda") != keys.benchmark(**BENCHMARK)
    assert keys.benchmark(**BENCHMARK, execution_provider="cpu") == keys.benchmark(**BENCHMARK)


def test_a_benchmark_on_another_runtime_is_another() -> None:
    assert keys.benchmark(**{**BENCHMARK, "runtimes": ["onnxruntime", "litert"]}) != keys.benchmark(**BENCHMARK)


def test_a_runtime_that_a_benchmark_does_not_use_may_be_upgraded_or_go() -> None:
    for others in ({}, {"litert": "2.1"}, {"executorch": "1.5"}):
        identity = {**BENCHMARK["identity"], "runtimes": {"onnxruntime": "1.0", **others}}
        assert keys.benchmark(**{**BENCHMARK, "identity": identity}) == keys.benchmark(**BENCHMARK)


def test_so_does_the_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys.benchmark(**BENCHMARK), keys.evaluation(**EVALUATION)
    monkeypatch.setattr(keys, "PROTOCOL", job.PROTOCOL + 1)
    monkeypatch.setattr(keys, "EVALUATION", keys.EVALUATION + 1)
    after = keys.benchmark(**BENCHMARK), keys.evaluation(**EVALUATION)
    assert not set(before) & set(after)


def test_an_evaluation_and_a_benchmark_never_share_a_key() -> None:
    assert keys.evaluation(**EVALUATION) != keys.benchmark(**BENCHMARK)


def test_a_key_is_the_same_in_every_process_and_order() -> None:
    turned = {**BENCHMARK, "identity": dict(reversed(BENCHMARK["identity"].items()))}
    assert keys.benchmark(**turned) == keys.benchmark(**BENCHMARK)
    assert len(keys.benchmark(**BENCHMARK)) == 64


def test_a_fingerprint_is_that_of_the_whole_identity() -> None:
    identity = BENCHMARK["identity"]
    assert keys.fingerprint(identity) == keys.fingerprint(dict(reversed(identity.items())))
    assert keys.fingerprint(identity) != keys.fingerprint({**identity, "cpu": "A53"})
    assert keys.fingerprint(identity) != keys.fingerprint({**identity, "runtimes": {"onnxruntime": "1.1"}})
